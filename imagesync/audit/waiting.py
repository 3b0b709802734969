"""Wait for an audit that others carry out, and have it enqueued anew when nobody does."""

from __future__ import annotations

import logging
import time

from django.db import InterfaceError, OperationalError, connections, router

from imagesync.audit.distributed import sweep
from imagesync.audit.progress import progress_of
from imagesync.conf import app_settings
from imagesync.core.progress import Progress
from imagesync.exceptions import NoQueue
from imagesync.models import Audit

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
WITHOUT_DATABASE_SECONDS = 300.0
"""A database that is away for longer is not waited for."""


def wait_for(audit: Audit, progress: Progress) -> Audit:
    """Until it is finished, paused, cancelled or interrupted. Raises what the database raises when it stays away."""
    began: str = ""
    swept_at = reached_at = time.monotonic()
    while True:
        try:
            audit.refresh_from_db()
            if audit.state != Audit.State.RUNNING:
                return audit
            figures = progress_of(audit)
            if audit.stage != began:
                began = audit.stage
                total = audit.expected_records if began == Audit.Stage.COMPARING else None
                progress.begin(str(audit.get_stage_display()), total)
            progress.report(
                figures["records"],
                rate=figures["per_second"],
                seconds_left=figures["seconds_left"],
                missing=figures["missing"],
                workers=figures["workers"],
            )
            if time.monotonic() - swept_at > app_settings().lease.total_seconds() / 2:
                swept_at = time.monotonic()
                _sweep()
            reached_at = time.monotonic()
        except (OperationalError, InterfaceError) as away:
            if time.monotonic() - reached_at > WITHOUT_DATABASE_SECONDS:
                raise
            log.warning("The database cannot be reached (%s); waiting for it.", type(away).__name__)
            connections[router.db_for_write(Audit)].close()
        time.sleep(EVERY_SECONDS)


def _sweep() -> None:
    try:
        sweep()
    except NoQueue as away:
        log.warning("%s Trying again.", away)
