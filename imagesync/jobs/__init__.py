"""Use case: work that somebody asked for in the admin, carried out by whoever gets to it: task, command or page."""

from __future__ import annotations

from imagesync.jobs.rights import Rights
from imagesync.jobs.sources import source_to_purge, sources_of
from imagesync.jobs.work import forget_selections, plan_of_selection, work_off

__all__ = [
    "Rights",
    "forget_selections",
    "plan_of_selection",
    "source_to_purge",
    "sources_of",
    "work_off",
]
