"""Pause, cancel: from any process, for an audit in any other. What it had is kept, or counts for nothing."""

from __future__ import annotations

from django.db import router, transaction
from django.db.models import QuerySet

from imagesync import logs
from imagesync.audit.ranges import take_away
from imagesync.exceptions import InvalidRequest
from imagesync.models import Audit, Finding


def pause_audit(audit: Audit) -> None:
    """Stop a running audit until somebody resumes it; no schedule does. Raises InvalidRequest when it does not run."""
    _stop(audit, Audit.State.PAUSED, Audit.objects.filter(state=Audit.State.RUNNING))


def cancel_audit(audit: Audit) -> None:
    """End an audit for good: nothing that it found counts. Raises InvalidRequest when it is over already."""
    over = (Audit.State.FINISHED, Audit.State.CANCELLED)
    _stop(audit, Audit.State.CANCELLED, Audit.objects.exclude(state__in=over))


def _stop(audit: Audit, state: Audit.State, those: QuerySet[Audit]) -> None:
    with transaction.atomic(using=router.db_for_write(Audit)):
        take_away(audit)  # waits for what is being written down, and nothing is written behind it
        stopped = those.filter(pk=audit.pk).update(state=state, lease_owner="", lease_until=None)
        if stopped and state == Audit.State.CANCELLED:
            Finding.objects.filter(opened_by=audit, settled=False).delete()
    audit.read_again()
    if not stopped:
        raise InvalidRequest(f"Audit {audit.pk} is {audit.get_state_display()} already.")
    logs.of_audit(f"audit_{state.value}", audit, state.value)
