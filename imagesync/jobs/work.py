"""A job, carried out: once, under a lease, by the same use cases that the commands call."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from imagesync.audit import carry_out, interrupted_audit, open_audit, resume_audit
from imagesync.core.progress import Progress
from imagesync.exceptions import (
    AlreadyRunning,
    ImageSyncError,
    InvalidRequest,
    NothingMatches,
    SelectionChanged,
)
from imagesync.jobs.clearing import clear_and_log
from imagesync.jobs.log import log_audit, log_purge
from imagesync.jobs.rights import Rights
from imagesync.jobs.sources import source_to_purge, sources_of
from imagesync.jobs.written import confirmed_rows, is_written, write_down
from imagesync.models import Audit, Job, JobRecord, Purge
from imagesync.models.leases import lease_end
from imagesync.purge.basis import Basis, fresh_basis
from imagesync.purge.execute import execute_plan
from imagesync.purge.moved import changed_records, planned_anew
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source

STARTED_BY = "admin"
BEAT_SECONDS = 5.0
KEPT = timedelta(days=7)
"""How long a selection is kept: a plan that rests on it is too old by then to be executed."""
FORGOTTEN_TOGETHER = 5000


def work_off(job: Job, progress: Progress | None = None) -> Job:
    """Carry a job out. What it could not do is its ``failure``; it can be started again.

    Raises AlreadyRunning when somebody is at it, or it was done.
    """
    if not job.take_lease(states=(Job.State.WAITING, Job.State.FAILED)):
        job.read_again()
        raise AlreadyRunning(_busy(job))
    Job.objects.filter(pk=job.pk).update(started_at=timezone.now(), failure="")
    steps = {
        Job.Kind.CHECK: _look,
        Job.Kind.MARK: _look,
        Job.Kind.CLEAR: _clear,
        Job.Kind.PLAN: _plan,
        Job.Kind.PURGE: _purge,
    }
    ended, failure = Job.State.WAITING, ""
    beat = _Beat(job, progress or Progress())
    try:
        _refuse_what_is_over(job)
        forget_selections(beat.beat)
        if not is_written(job):
            beat.begin(f"writing down {job.records:,} selected records", job.records)
            write_down(job, confirmed_rows(job), beat.advance)
        steps[Job.Kind(job.kind)](job, beat)
        ended = Job.State.DONE
    except AlreadyRunning as error:
        if job.kind != Job.Kind.PURGE:  # somebody else is at the very audit: it is theirs to finish
            raise
        ended, failure = Job.State.FAILED, str(error)  # a plan is executed once
    except ImageSyncError as error:
        ended, failure = Job.State.FAILED, str(error)
    finally:
        _release(job, ended, failure)
    return job


def plan_of_selection(job: Job, rights: Rights, *, heartbeat: Any = None) -> Purge:
    """The plan to purge what is missing among a job's records, resting on the audit that was confirmed, or on slices.

    Raises NothingMatches when there is nothing that it can rest on.
    """
    source = source_to_purge(job.fields)
    basis = _basis(job, source)
    return make_plan(
        source,
        basis.audit,
        union=basis.union,
        limits=limits_from_settings(),
        scope=Scope(fields=tuple(job.fields), job=job.pk),
        planned_by=STARTED_BY,
        user=job.user,
        objection=rights.objection,
        chosen={"records": job.records, "by": job.chosen_by},
        heartbeat=heartbeat,
    )


def _basis(job: Job, source: Source) -> Basis:
    if job.audit is not None and job.audit.full_scope:
        return Basis(job.audit)
    # slices were confirmed: whether they, or an audit of everything since, are still good for it is asked now
    basis = fresh_basis(source)
    if basis is None:
        raise NothingMatches(
            "Neither an audit of everything nor the slices of FRESHNESS can bear a purge any more. Run check_s3_images, "
            "then select again."
        )
    return basis


def forget_selections(beat: Callable[[], None] = lambda: None) -> None:
    """Remove what old jobs had selected, when they are over, bit by bit. The jobs stay: they say who did what."""
    over = (Job.State.DONE, Job.State.FAILED)
    old = JobRecord.objects.filter(job__state__in=over, job__created_at__lt=timezone.now() - KEPT)
    while some := list(old.values_list("pk", flat=True)[:FORGOTTEN_TOGETHER]):
        JobRecord.objects.filter(pk__in=some).delete()
        beat()


class _Beat(Progress):
    """Says that the job is alive, while it says how far it is."""

    def __init__(self, job: Job, told: Progress) -> None:
        self._job = job
        self._told = told
        self._at = time.monotonic()

    def begin(self, what: str, total: int | None = None) -> None:
        self._told.begin(what, total)
        self.beat()

    def advance(self, done: int, **figures: int) -> None:
        self._told.advance(done, **figures)
        self.beat()

    def beat(self) -> None:
        if time.monotonic() - self._at > BEAT_SECONDS:
            self._at = time.monotonic()
            # not renew_lease: whoever took over finds the audit or the purge under its own lease
            Job.objects.filter(pk=self._job.pk, lease_owner=self._job.lease_owner).update(
                lease_until=lease_end()
            )


def _refuse_what_is_over(job: Job) -> None:
    """Raises InvalidRequest when whoever asked may not any more, or it was asked for too long ago."""
    begun = job.purge is not None and job.purge.started_at is not None  # then what it did is still to be told
    if not begun and not Rights.of_job(job).may(job.kind):
        who = job.user or "nobody who is known here"
        raise InvalidRequest(f"{who} asked for this, and may not have it done (any more). Nothing was done.")
    if job.kind != Job.Kind.PURGE and timezone.now() - job.created_at > KEPT:
        raise InvalidRequest(
            f"What was selected for this job is kept for {KEPT.days} days. Select the records again."
        )


def _scope(job: Job) -> Scope:
    """What was selected; a whole table needs no list of its records."""
    return Scope(fields=tuple(job.fields), job=0 if job.selection.get("whole") else job.pk)


def _look(job: Job, beat: _Beat) -> None:
    scope = _scope(job)
    done = job.outcome.setdefault("audits", [])
    for source in sources_of(job.fields):
        fingerprint = source.store.identity.fingerprint
        if Audit.objects.filter(pk__in=done, fingerprint=fingerprint, state=Audit.State.FINISHED).exists():
            continue  # a second delivery, of a job on several stores
        interrupted = interrupted_audit(source, scope)
        if interrupted is not None:
            audit = resume_audit(interrupted, source)
        else:
            audit = open_audit(source, scope, started_by=STARTED_BY, user=job.user)
        if audit.pk not in done:
            done.append(audit.pk)
            Job.objects.filter(pk=job.pk).update(outcome=job.outcome)
        carry_out(audit, source, beat)
        if job.user_id:
            log_audit(audit, job.user_id)


def _clear(job: Job, beat: _Beat) -> None:
    scope = _scope(job)
    cleared = job.outcome.get("cleared", 0)
    for source in sources_of(job.fields):
        for number in clear_and_log(source, scope, job.user_id):
            cleared += number
            job.outcome["cleared"] = cleared
            Job.objects.filter(pk=job.pk).update(outcome=job.outcome)
            beat.advance(cleared)


def _plan(job: Job, beat: _Beat) -> None:
    job.purge = plan_of_selection(job, Rights.of_job(job), heartbeat=beat.beat)
    job.outcome["purge"] = job.purge.pk
    Job.objects.filter(pk=job.pk).update(purge=job.purge, outcome=job.outcome)


def _purge(job: Job, beat: _Beat) -> None:
    if job.purge is None:
        raise NothingMatches("The plan of this job is gone. Plan it anew.")
    source = source_to_purge(job.fields)
    if job.purge.state == Purge.State.PLANNED:
        _hold_against_what_is_now(job, job.purge, source, beat)
    try:
        execute_plan(job.purge, source, beat)
    finally:
        # also of one whose process died: what it had deleted by then is told now
        if job.user_id and not job.outcome.get("logged"):
            log_purge(job.purge, job.user_id)
            job.outcome["logged"] = True


def _hold_against_what_is_now(job: Job, purge: Purge, source: Source, beat: _Beat) -> None:
    """Of a large plan the page asked neither: whose its records are to delete, and whether they are as they were."""
    rights = Rights.of_job(job)
    denied = rights.denied(purge, source, heartbeat=beat.beat)
    if denied:
        raise InvalidRequest(f"Nothing was deleted. {denied}.")
    changed = changed_records(purge, source, heartbeat=beat.beat)
    if not changed:
        return
    why = f"{changed:,} of its records were changed or deleted since the plan was made."
    anew = planned_anew(
        purge,
        source,
        why,
        planned_by=STARTED_BY,
        user=job.user,
        objection=rights.objection,
        heartbeat=beat.beat,
    )
    job.outcome["planned_anew"] = anew.pk
    raise SelectionChanged(
        f"{why} Nothing was deleted. Purge {anew.pk} is the plan as it is now; look at it and confirm that."
    )


def _release(job: Job, state: Job.State, failure: str) -> None:
    ours = Job.objects.filter(pk=job.pk)
    if state != Job.State.DONE:  # what is done is done, whoever thought us dead
        ours = ours.filter(lease_owner=job.lease_owner)
    job.state, job.failure = state, failure
    job.finished_at = timezone.now() if job.is_over else None
    job.lease_owner, job.lease_until = "", None
    ours.update(
        state=state,
        failure=failure,
        finished_at=job.finished_at,
        lease_owner="",
        lease_until=None,
        outcome=job.outcome,
    )


def _busy(job: Job) -> str:
    if job.state == Job.State.DONE:
        return f"Job {job.pk} is done already."
    until = f"{job.lease_until:%H:%M:%S} UTC" if job.lease_until else "now"
    return f"Job {job.pk} is being worked on. If its process died, it can be taken over after {until}."
