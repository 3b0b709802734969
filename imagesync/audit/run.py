"""An audit in one process: begin, compare every range, close."""

from __future__ import annotations

from imagesync import logs
from imagesync.audit.closing import close
from imagesync.audit.comparing import Comparing
from imagesync.audit.course import Course
from imagesync.audit.opening import begin
from imagesync.core.progress import Progress
from imagesync.models import Audit
from imagesync.records import Source

CLAIMED_AT_ONCE = 16
"""Ranges that are claimed by one query: nobody else wants any."""


def carry_out(audit: Audit, source: Source, progress: Progress | None = None) -> Audit:
    """Work an opened or resumed audit off, to its end.

    The audit ends with a ``trust`` and its reasons; nothing that S3 answers raises. Interrupted from
    outside (Ctrl-C, a lost database, a lost lease), it can be resumed where it was.
    """
    course = Course(audit, source, progress or Progress())
    try:
        if begin(course):
            comparing = Comparing(
                course, side_by_side=_ranges_for(source.workers), claimed_at_once=CLAIMED_AT_ONCE
            )
            comparing.run()
            audit.write(stage=Audit.Stage.CLOSING)
            close(course)
    finally:
        if not audit.complete:
            _release(course)
    return audit


def _ranges_for(workers: int) -> int:
    """Half as many again: a worker that has its answer finds the next request waiting, while that answer is compared."""
    return workers + workers // 2


def _release(course: Course) -> None:
    """Give the lease back so that the audit can be resumed at once."""
    released = Audit.objects.filter(
        pk=course.audit.pk, state=Audit.State.RUNNING, lease_owner=course.audit.lease_owner
    ).update(state=Audit.State.INTERRUPTED, lease_owner="", lease_until=None, requests=course.requests())
    if released:
        logs.of_audit("audit_interrupted", course.audit, "interrupted, and can be resumed")
