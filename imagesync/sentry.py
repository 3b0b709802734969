"""Check-ins of scheduled audits with Sentry's cron monitors, where the project has started Sentry itself.

Nothing is imported for this: whoever calls ``sentry_sdk.init`` has imported it.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imagesync import signals
from imagesync.conf import app_settings
from imagesync.exceptions import AlreadyRunning

SCHEDULE = "schedule"


@contextmanager
def errors_told() -> Iterator[None]:
    """What raises before there is an audit is an ``error`` by itself."""
    try:
        yield
    except AlreadyRunning:
        raise
    except BaseException:  # django-q2 ends a task that takes too long by SystemExit
        _check_in("error", uuid.uuid4().hex)
        raise


@contextmanager
def checked_in(audit: Any) -> Iterator[None]:
    """``in_progress`` when an audit begins, ``ok`` or ``error`` when it has ended, by whichever process.

    One that somebody else took over is theirs to end.
    """
    _check_in("in_progress", _id_of(audit))
    try:
        yield
    except AlreadyRunning:
        raise
    except BaseException:
        _check_in("error", _id_of(audit))
        raise
    if audit.complete:
        _end(audit)


def connect() -> None:
    signals.audit_finished.connect(_audit_finished, dispatch_uid="imagesync.sentry")


def _audit_finished(audit: Any, **kwargs: Any) -> None:
    """Of an audit that workers share, the one that closes it tells its end."""
    if audit.distributed and audit.full_scope and audit.started_by == SCHEDULE:
        _end(audit)


def _end(audit: Any) -> None:
    took = (audit.finished_at - audit.started_at).total_seconds()
    _check_in("error" if audit.trust == "untrustworthy" else "ok", _id_of(audit), took)


def _id_of(audit: Any) -> str:
    """The same in every process that has to do with the audit."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"imagesync {audit.fingerprint} {audit.pk} {audit.started_at}").hex


def _check_in(status: str, id: str, seconds: float | None = None) -> None:
    slug = app_settings().sentry_monitor
    sdk = sys.modules.get("sentry_sdk")
    if not slug or sdk is None or not sdk.get_client().is_active():
        return
    from sentry_sdk.crons import capture_checkin

    capture_checkin(monitor_slug=slug, check_in_id=id, status=status, duration=seconds)
