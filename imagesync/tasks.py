"""The functions that django-q2 (or anything else that calls a dotted path) schedules.

Deliveries may come twice: a second one while the first runs does nothing and says so. What they return is
stored with the task, so it holds figures and sentences, never a key or a secret.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from imagesync import logs
from imagesync.audit import (
    carry_out,
    interrupted_audit,
    newest_audit,
    open_audit,
    resume_audit,
    spread,
    work_on,
)
from imagesync.audit import sweep as sweep_audits
from imagesync.audit.slots import audited_since, read_slot
from imagesync.conf import app_settings
from imagesync.exceptions import AlreadyRunning, PurgeRefused
from imagesync.freshness import Outcome, freshness_document
from imagesync.freshness import keep_fresh as keep_store_fresh
from imagesync.models import Audit, Job, Purge
from imagesync.notices import decide, deliver, send_due
from imagesync.purge.basis import basis_of
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import anything_to_purge, limits_from_settings, make_plan
from imagesync.records import Scope, Source, find_sources
from imagesync.reports.events import watch_sentence
from imagesync.retention import execute_prune, plan_prune
from imagesync.sentry import checked_in, errors_told
from imagesync.watching import BatchReport, Ending, Stop, open_watch, watch

logger = logging.getLogger("imagesync.tasks")

STARTED_BY = "schedule"


def check_images(storage: str = "", slot: str = "", distributed: bool | None = None) -> list[dict[str, Any]]:
    """Audit every store (or only ``storage``); an audit whose process died is taken over, a paused one is left alone.

    ``slot`` is when this was meant to run, by its schedule: what was audited since is not audited again.
    ``distributed``: by all workers of the cluster (default: ``IMAGESYNC["DISTRIBUTED"]``). The task is then over when
    they have been told.
    """
    since = read_slot(slot)
    shared = app_settings().distributed if distributed is None else distributed
    with errors_told():
        sources = find_sources(alias=storage)
    return [_audit(source, since, shared=shared) for source in sources]


def work_on_audit(audit: int) -> dict[str, Any]:
    """Help with a distributed audit for a short while, and hand on what is left. Late and double deliveries do nothing."""
    told = work_on(audit)
    logs.of_part(audit, str(told.get("done") or told.get("skipped")))
    return told


def sweep() -> list[int]:
    """Enqueue distributed audits anew that no worker works on: what died, and what a broker lost."""
    return sweep_audits()


def keep_fresh(storage: str = "") -> list[dict[str, Any]]:
    """Look at what is due for ``IMAGESYNC["FRESHNESS"]`` in every store (or only ``storage``); every few minutes.

    With nothing due it costs two queries for each store.
    """
    if app_settings().freshness is None:
        return [{"skipped": 'IMAGESYNC["FRESHNESS"] is not set.'}]
    return [
        _kept_fresh(keep_store_fresh(source, started_by=STARTED_BY)) for source in find_sources(alias=storage)
    ]


def purge_orphans(storage: str = "", max_delete: int | None = None) -> list[dict[str, Any]]:
    """Purge what at least two audits, ``RIPEN`` apart, say is missing. Never starts an audit itself."""
    deletable = [
        source
        for source in find_sources(alias=storage)
        if any(target.policy != "report" for target in source.targets)
    ]
    return [_purge(source, max_delete) for source in deletable]


def watch_over() -> dict[str, Any]:
    """Tell people what changed, also when nothing ends any more: audits that are overdue, notices that failed."""
    decided = decide()
    return {"decided": len(decided), "sent": send_due()}


def tell(notice: int) -> str:
    """Send one notice. A second delivery does nothing."""
    return deliver(notice)


def watch_events(seconds: float = 50) -> dict[str, int]:
    """Work off the events that wait in the queue: until it is empty, or so many seconds are over.

    Runs side by side are fine: a message is handed to one of them.
    """
    watched = open_watch(find_sources())
    ending = Ending(when_empty=True, seconds=seconds)
    totals = watch(watched, ending, stop=Stop(), tell=_nothing, complain=logger.warning)
    figures = dict(totals.figures)
    logs.of_queue("events_worked_off", f"events: {watch_sentence(figures)}", figures=figures)
    return figures


def prune_history() -> dict[str, Any]:
    """Remove history that is older than ``RETENTION`` and that nothing rests on any more."""
    return {"removed": execute_prune(plan_prune(), by=STARTED_BY).removed}


def work_off(job: int) -> dict[str, Any]:
    """Carry out what somebody asked for in the admin. A second delivery does nothing and says so."""
    from imagesync.jobs import (
        work_off as carry_out_job,  # it writes the admin's log, which need not be installed
    )

    asked = Job.objects.get(pk=job)
    try:
        carry_out_job(asked)
    except AlreadyRunning as running:
        return {"job": job, "skipped": str(running)}
    logs.of_job(asked)
    return {"job": job, "kind": asked.kind, "state": asked.state}


def _audit(source: Source, since: datetime | None, *, shared: bool) -> dict[str, Any]:
    scope = Scope()
    done = audited_since(source, since)
    if done is not None:
        return _skipped(
            "audit_skipped",
            source,
            f"Audit {done.pk} has begun since {since:%Y-%m-%d %H:%M} and is finished.",
        )
    newest = newest_audit(source, scope)
    if newest is not None and newest.state == Audit.State.PAUSED:
        return _skipped("audit_skipped", source, f"Audit {newest.pk} is paused.")
    try:
        with errors_told():
            interrupted = interrupted_audit(source, scope)
            if interrupted is not None:
                audit = resume_audit(interrupted, source)
            else:
                audit = open_audit(source, scope, started_by=STARTED_BY)
        with checked_in(audit):
            if shared and spread(audit, source):
                return {"audit": audit.pk, "store": audit.fingerprint, "distributed": True}
            carry_out(audit, source)
    except AlreadyRunning as running:
        return _skipped("audit_skipped", source, str(running))
    return _audited(audit)


def _kept_fresh(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "store": outcome.source.store.identity.fingerprint,
        "audits": [_audited(audit) for audit in outcome.audits],
    }
    if outcome.audits and outcome.freshness is not None:
        told["freshness"] = freshness_document(outcome.freshness)
    if outcome.skipped:
        told["skipped"] = outcome.skipped
    return told


def _purge(source: Source, max_delete: int | None) -> dict[str, Any]:
    basis = basis_of(source)
    if basis is None:
        return _refused(source, "no_audit", "There is no finished audit of this store.")
    limits = limits_from_settings(max_delete=max_delete, unattended=True)
    if not anything_to_purge(source, basis.audit, limits):
        return _nothing_to_purge(source, basis.audit)
    purge = make_plan(source, basis.audit, union=basis.union, limits=limits, planned_by=STARTED_BY)
    if purge.refused:
        return _refused(source, purge.refused["id"], purge.refused["fact"])
    try:
        return _purged(execute_plan(purge, source))
    except PurgeRefused as refusal:
        return _refused(source, refusal.id, refusal.fact)
    except AlreadyRunning as running:
        return _skipped("purge_skipped", source, str(running))


def _audited(audit: Audit) -> dict[str, Any]:
    return {
        "audit": audit.pk,
        "store": audit.fingerprint,
        "trust": audit.trust,
        "reasons": [reason["id"] for reason in audit.reasons],
        "counts": audit.counts,
    }


def _purged(purge: Purge) -> dict[str, Any]:
    return {"purge": purge.pk, "audit": purge.audit_id, "store": purge.fingerprint, "counts": purge.counts}


def _nothing_to_purge(source: Source, audit: Audit) -> dict[str, Any]:
    counts = {"planned": 0, "deleted": 0, "cleared": 0, "kept": 0}
    return {"audit": audit.pk, "store": source.store.identity.fingerprint, "counts": counts}


def _skipped(event: str, source: Source, why: str) -> dict[str, Any]:
    fingerprint = source.store.identity.fingerprint
    logs.of_store(event, fingerprint, f"nothing done: {why}")
    return {"store": fingerprint, "skipped": why}


def _refused(source: Source, id: str, fact: str) -> dict[str, Any]:
    fingerprint = source.store.identity.fingerprint
    text = f"the purge was refused: {id}"
    logs.of_store("purge_skipped", fingerprint, text, level=logging.WARNING, refused=id)
    return {"store": fingerprint, "refused": {"id": id, "fact": fact}}


def _nothing(_report: BatchReport) -> None:
    pass
