"""Check-ins of scheduled audits with Sentry's cron monitors, where the project has started Sentry itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imagesync.conf import app_settings


@dataclass(slots=True)
class CheckIn:
    """How what is watched went, as far as it did not raise."""

    is_ok: bool = True


@contextmanager
def checked_in() -> Iterator[CheckIn]:
    """Tell Sentry that the scheduled audits begin, and how they ended: ``ok`` or ``error``.

    A project that has not started Sentry tells nothing, and has nothing imported for this.
    """
    outcome = CheckIn()
    slug = app_settings().sentry_monitor
    if not slug or not _is_started():
        yield outcome
        return
    from sentry_sdk.crons import capture_checkin

    began = time.monotonic()
    id = capture_checkin(monitor_slug=slug, status="in_progress")
    ended = "error"
    try:
        yield outcome
        ended = "ok" if outcome.is_ok else "error"
    finally:  # django-q2 ends a task that takes too long by SystemExit
        capture_checkin(monitor_slug=slug, check_in_id=id, status=ended, duration=time.monotonic() - began)


def _is_started() -> bool:
    """Whoever calls ``sentry_sdk.init`` has imported it."""
    sdk = sys.modules.get("sentry_sdk")
    return sdk is not None and sdk.get_client().is_active()
