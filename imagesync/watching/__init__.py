"""Use case: the messages of a queue -> looks at the records that they concern, within seconds of what happened."""

from __future__ import annotations

from collections.abc import Sequence

from imagesync.records import Source
from imagesync.records.event_queue import configured_queue
from imagesync.watching.batch import BatchReport, Watch
from imagesync.watching.loop import Ending, Stop, Totals, watch
from imagesync.watching.store import WatchedStore

__all__ = ["BatchReport", "Ending", "Stop", "Totals", "Watch", "open_watch", "watch"]

STARTED_BY = "events"


def open_watch(sources: Sequence[Source]) -> Watch:
    """A watch of the configured queue. Raises NothingMatches when there is none. Sends no request."""
    stores = [WatchedStore(source) for source in sources]
    return Watch(configured_queue(sources), stores, started_by=STARTED_BY)
