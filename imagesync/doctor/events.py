"""The queue that S3's events arrive in: is it there, and may it be asked? No message is received: that would hide it."""

from __future__ import annotations

from collections.abc import Sequence

from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.examination import Check, failed, fine, not_asked, warned
from imagesync.exceptions import QueueFailed, QueueRefused
from imagesync.records import Source
from imagesync.records.event_queue import configured_queue


def event_checks(sources: Sequence[Source]) -> list[Check]:
    if not app_settings().events.queue_url:
        return [not_asked("events", "No queue of S3's events is set; docs/events.md tells what it is for.")]
    queue = configured_queue(sources)
    try:
        sets_aside = queue.sets_aside()
    except QueueRefused as refused:
        return [failed("events", _diagnosis(refused))]
    except QueueFailed as away:
        return [warned("events", _diagnosis(away))]
    dead = "moves what is handed out too often to its dead letters" if sets_aside else "has no redrive policy"
    return [fine("events", f"The queue {queue.name!a} answers; it {dead}.")]


def _diagnosis(problem: QueueFailed) -> Diagnosis:
    return Diagnosis(id=problem.diagnosis, fact=problem.fact, hint=problem.hint)
