"""An audit spread over the workers of a cluster: whoever calls ``work_on`` helps, and nobody has to.

The database says what is left to do and who is at it. A task that comes twice, late or not at all changes nothing but
the time that the audit takes; what a broker lost, and what died, is enqueued again by ``sweep``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from imagesync import logs
from imagesync.audit.canaries import look_at_canaries
from imagesync.audit.claim import source_of
from imagesync.audit.closing import close
from imagesync.audit.comparing import Comparing
from imagesync.audit.course import Course
from imagesync.audit.opening import begin
from imagesync.audit.ranges import free_ranges, pending_ranges
from imagesync.conf import app_settings
from imagesync.core.trust import COLLAPSE, seen_again
from imagesync.enqueue import enqueue, keep_calling, stop_calling
from imagesync.exceptions import AlreadyRunning, InvalidRequest, NoQueue
from imagesync.models import Audit, AuditRange
from imagesync.models.leases import is_free, lease_end, new_owner
from imagesync.records import Scope, Source
from imagesync.records.presorted import fields_to_sort

TASK, SWEEP = "imagesync.tasks.work_on_audit", "imagesync.tasks.sweep"
SWEEPS = "imagesync.sweep"
RANGES_IN_FLIGHT = 4
"""Of one task: while one waits for S3, the others are compared."""
MOST_IDLE_SWEEPS = 10
"""An audit that was enqueued this often without getting on is interrupted, for somebody to look at."""


def spread(audit: Audit, source: Source) -> bool:
    """Hand an audit that was just opened or resumed to the cluster; its lease is nobody's from then on.

    False, and nothing happens, when it cannot be shared: a large field without an index in byte order
    (imagesync.W007) would be sorted by each task anew.
    """
    if fields_to_sort(source, Scope.from_dict(audit.scope)):
        return False
    with transaction.atomic(using=router.db_for_write(Audit)):
        audit.write(distributed=True, lease_owner="", lease_until=lease_end(), enqueued_at=Now())
        keep_calling(SWEEPS, SWEEP)
        enqueue(TASK, audit=audit.pk)
    return True


def work_on(pk: int) -> dict[str, Any]:
    """Do what is to be done of an audit, for ``IMAGESYNC["AUDIT_TASK_TIME"]`` at most, and hand on what is left.

    Returns figures and words, for the task's result. Raises what the database or the broker raises; then nothing that
    was done is lost.
    """
    audit = Audit.objects.filter(pk=pk, distributed=True, state=Audit.State.RUNNING).first()
    if audit is None:
        return {"audit": pk, "skipped": "It is over, or not to be shared."}
    try:
        source = source_of(audit)
    except InvalidRequest as elsewhere:  # this worker's settings are not those of the others
        text = "this worker's settings name another store"
        logs.of_audit("audit_elsewhere", audit, text, level=logging.WARNING)
        return {"audit": pk, "skipped": str(elsewhere)}
    try:
        return {"audit": pk, **_work(audit, source)}
    except AlreadyRunning as lost:
        return {"audit": pk, "skipped": str(lost)}


def sweep() -> list[int]:
    """Enqueue anew what nobody works on, at most once in the time of a lease. Returns the audits."""
    shared = Audit.objects.filter(distributed=True, state=Audit.State.RUNNING)
    running = list(shared.all())
    if not running:
        stop_calling(SWEEPS)
        if shared.exists():  # spread just now, by somebody who still found the schedule there
            keep_calling(SWEEPS, SWEEP)
    return [audit.pk for audit in running if _enqueue_anew(audit)]


def _work(audit: Audit, source: Source) -> dict[str, Any]:
    ends_at = monotonic() + app_settings().audit_task_time.total_seconds()
    if audit.stage == Audit.Stage.OPENING:
        if not _open(audit, source):
            return {"done": "opened"}
        audit.refresh_from_db()
        course = Course(audit, source)
    elif not _sees_it_too(course := Course(audit, source)):
        # nothing was claimed, so the next task that the sweep enqueues takes what is left; it gives up in the end
        text = "none of the records last seen present can be seen by this worker"
        logs.of_audit("audit_elsewhere", audit, text, level=logging.WARNING)
        return {
            "skipped": f"{text[0].upper()}{text[1:]}: its settings or its network may lead to another store."
        }
    if audit.stage == Audit.Stage.COMPARING:
        comparing = Comparing(
            course,
            side_by_side=min(RANGES_IN_FLIGHT, source.workers),
            is_over=lambda: monotonic() > ends_at,
        )
        records = comparing.run()
        if free_ranges(audit).exists():
            _hand_on(audit)
            return {"done": "a part", "records": records}
    return {"done": "closed" if _close(audit, source) else "what there was"}


def _open(audit: Audit, source: Source) -> bool:
    """Whether there is anything to compare. Raises AlreadyRunning when another worker is at it."""
    with _alone(audit, Q(stage=Audit.Stage.OPENING) & is_free(), Audit.Stage.OPENING) as mine:
        if not mine:
            raise AlreadyRunning(f"{audit} is being opened by another worker.".capitalize())
        going_on = begin(Course(audit, source), lease_owner="", lease_until=lease_end(), enqueued_at=Now())
    if going_on:
        keep_calling(SWEEPS, SWEEP)
        try:
            _enqueue_tasks(audit, _tasks_for(audit) - 1)  # this one is the first
        except NoQueue as away:
            text = f"the others are called by the sweep: {away}"
            logs.of_audit("audit_part", audit, text, level=logging.WARNING)
    return going_on


def _close(audit: Audit, source: Source) -> bool:
    """Whether we have closed it: the first one who finds that all ranges are done, or who finds that one dead."""
    pending = AuditRange.objects.filter(audit=OuterRef("pk"), state=AuditRange.State.PENDING)
    when = (Q(stage=Audit.Stage.COMPARING) | (Q(stage=Audit.Stage.CLOSING) & is_free())) & ~Q(Exists(pending))
    with _alone(audit, when, Audit.Stage.CLOSING) as mine:
        if mine:
            close(Course(audit, source))
    return mine


def _sees_it_too(course: Course) -> bool:
    """Whether this worker's store is the one that the audit was opened in, as far as canaries tell.

    The same address may lead elsewhere from another machine, to an empty bucket of the same name, say. So one of them must
    be seen from here: one that cannot be looked at tells nothing, and where some can, the others are no reason to wait. Where
    they were gone at the opening already, that is among the audit's reasons.
    """
    audit = course.audit
    if any(reason["id"] == COLLAPSE for reason in audit.reasons):
        return True
    seen = look_at_canaries(
        audit, course.source, versioning=audit.versioning, heartbeat=lambda: None, now=course.now
    )
    return not seen.verdicts or seen_again(seen.verdicts)


@contextmanager
def _alone(audit: Audit, when: Q, stage: Audit.Stage) -> Iterator[bool]:
    """The lease of a distributed audit, for a stage that one process does; given back when it cannot end it."""
    ours = Audit.objects.filter(pk=audit.pk, distributed=True, state=Audit.State.RUNNING)
    owner = new_owner()
    mine = bool(ours.filter(when).update(stage=stage, lease_owner=owner, lease_until=lease_end()))
    audit.refresh_from_db()
    try:
        yield mine
    finally:
        if mine and not audit.complete:
            ours.filter(lease_owner=owner).update(lease_owner="", lease_until=lease_end())


def _hand_on(audit: Audit) -> None:
    Audit.objects.filter(pk=audit.pk).update(enqueued_at=Now())
    enqueue(TASK, audit=audit.pk)


def _enqueue_anew(audit: Audit) -> bool:
    """Whether somebody was wanting, and was enqueued. An audit that does not get on however often is interrupted."""
    if audit.idle_sweeps >= MOST_IDLE_SWEEPS:
        _give_up(audit)
        return False
    ours = Audit.objects.filter(pk=audit.pk, distributed=True, state=Audit.State.RUNNING)
    busy = AuditRange.objects.filter(audit=OuterRef("pk"), state=AuditRange.State.PENDING)
    all_busy = Q(Exists(busy)) & ~Q(Exists(busy.filter(is_free())))
    wants = (~Q(stage=Audit.Stage.COMPARING) & is_free()) | (Q(stage=Audit.Stage.COMPARING) & ~all_busy)
    long_ago = Q(enqueued_at=None) | Q(enqueued_at__lt=Now() - app_settings().lease)
    with transaction.atomic(using=router.db_for_write(Audit)):
        if not ours.filter(wants, long_ago).update(enqueued_at=Now(), idle_sweeps=F("idle_sweeps") + 1):
            return False
        ours.filter(lease_owner="").update(lease_until=lease_end())
        keep_calling(SWEEPS, SWEEP)
        _enqueue_tasks(audit, _tasks_for(audit))
    text = "waited for workers, and was enqueued anew"
    logs.of_audit("audit_enqueued_anew", audit, text, level=logging.WARNING)
    return True


def _give_up(audit: Audit) -> None:
    ours = Audit.objects.filter(pk=audit.pk, distributed=True, state=Audit.State.RUNNING)
    ours.filter(idle_sweeps__gte=MOST_IDLE_SWEEPS).update(
        state=Audit.State.INTERRUPTED, lease_owner="", lease_until=None, idle_sweeps=0
    )
    text = f"interrupted: it was enqueued {MOST_IDLE_SWEEPS} times and did not get on"
    logs.of_audit("audit_interrupted", audit, text, level=logging.ERROR)


def _tasks_for(audit: Audit) -> int:
    """As many as find something to do, within ``IMAGESYNC["AUDIT_TASKS"]``; at least one."""
    left = pending_ranges(audit).count() if audit.stage == Audit.Stage.COMPARING else 0
    return max(1, min(ceil(left / RANGES_IN_FLIGHT), app_settings().audit_tasks))


def _enqueue_tasks(audit: Audit, number: int) -> None:
    for _task in range(number):
        enqueue(TASK, audit=audit.pk)
