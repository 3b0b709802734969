"""Use case: work that somebody asked for in the admin, carried out by whoever gets to it: task, command or page."""

from __future__ import annotations

from imagesync.jobs.clearing import clear_and_log
from imagesync.jobs.listed import as_of, rows_as_listed
from imagesync.jobs.rights import PERMISSIONS, Rights
from imagesync.jobs.sources import source_to_purge, sources_of
from imagesync.jobs.work import forget_selections, plan_of_selection, work_off
from imagesync.jobs.written import is_written, write_down

__all__ = [
    "PERMISSIONS",
    "Rights",
    "as_of",
    "clear_and_log",
    "forget_selections",
    "is_written",
    "plan_of_selection",
    "rows_as_listed",
    "source_to_purge",
    "sources_of",
    "work_off",
    "write_down",
]
