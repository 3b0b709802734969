"""From a finished audit to a plan: who would go, who stays and why, and whether a rail refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from imagesync import logs, signals
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.planning import plan_purge
from imagesync.core.plans import Limits, PurgePlan
from imagesync.core.rails import AuditFacts, StoreFacts
from imagesync.core.union import Union
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding, Purge
from imagesync.models.leases import database_clock
from imagesync.purge.candidates import Candidates
from imagesync.purge.database_rules import forget_database_rules
from imagesync.purge.objections import Case
from imagesync.purge.summary import summary_of
from imagesync.records import Scope, Source
from imagesync.records.findings import gone_fields, of_fields
from imagesync.records.slices import overlooked
from imagesync.records.splitting import estimated_records
from imagesync.storage.preflight import preflight


def limits_from_settings(
    *,
    max_ratio: float | None = None,
    max_delete: int | None = None,
    grace_period: timedelta | None = None,
    all_missing: str = "",
    unattended: bool = False,
) -> Limits:
    """The limits of the settings, with what was given by hand over them."""
    settings = app_settings()
    return Limits(
        max_ratio=settings.max_purge_ratio if max_ratio is None else max_ratio,
        ratio_is_by_hand=max_ratio is not None,
        max_free=settings.max_purge_free,
        max_delete=max_delete,
        grace_period=settings.grace_period if grace_period is None else grace_period,
        audit_max_age=settings.audit_max_age,
        freshness=settings.freshness,
        all_missing=all_missing,
        ripen=settings.ripen if unattended else None,
    )


def anything_to_purge(source: Source, audit: Audit, limits: Limits) -> bool:
    """Whether a plan could name any record, by one query: nobody need ask the store when it cannot."""
    deletable = [target for target in source.targets if target.policy != "report"]
    missing = Finding.objects.open().filter(
        of_fields(deletable), fingerprint=audit.fingerprint, verdict=Verdict.MISSING
    )
    if limits.ripen is not None and audit.finished_at is not None:
        missing = missing.filter(opened_at__lte=audit.finished_at - limits.ripen)
    return missing.exists()


def make_plan(
    source: Source,
    audit: Audit,
    *,
    limits: Limits,
    union: Union | None = None,
    scope: Scope | None = None,
    named_by_hand: bool = False,
    planned_by: str = "",
    user: Any = None,
    objection: Callable[[Case], str] | None = None,
    chosen: Mapping[str, Any] | None = None,
    heartbeat: Callable[[], None] | None = None,
) -> Purge:
    """Plan a purge and store it: state ``planned``, or ``refused`` when a rail says so. Touches nothing.

    ``union`` are the slices that it rests on instead of on ``audit`` alone, which is then that of the newest of them
    (purge/basis.py). ``objection`` says why somebody may not purge a record, or nothing; ``chosen`` is told with the plan: how its
    records were selected.
    """
    scope = scope or Scope()
    now = database_clock(Purge)()  # as audits note when they ended, and claims when they began
    forget_database_rules()
    candidates = Candidates(source, scope, audit, union, objection=objection, heartbeat=heartbeat)
    plan = plan_purge(
        candidates,
        audit=_facts(source, audit, union, named_by_hand),
        store=_store_facts(source),
        limits=limits,
        now=now,
    )
    if plan.go and not plan.refused:
        unattended = limits.ripen is not None
        objected = signals.objection_to(plan, Purge, audit=audit, unattended=unattended)
        plan = replace(plan, refused=objected)
    document = _plan_document(plan, candidates.receivers)
    purge = Purge.objects.create(
        state=Purge.State.REFUSED if plan.refused else Purge.State.PLANNED,
        audit=audit,
        fingerprint=source.store.identity.fingerprint,
        planned_at=now,
        planned_by=planned_by,
        user=user,
        limits=_limits_document(limits, scope)
        | ({"chosen": dict(chosen)} if chosen else {})
        | (_slices_document(union) if union is not None else {}),
        plan=document,
        summary=summary_of(document),
        refused=plan.refused.to_dict() if plan.refused else None,
        counts={"planned": len(plan.go), "deleted": 0, "cleared": 0, "kept": len(plan.keep)},
    )
    _log(purge)
    return purge


def _facts(source: Source, audit: Audit, union: Union | None, named_by_hand: bool) -> AuditFacts:
    facts = (
        _audit_facts(audit, source, named_by_hand) if union is None else _union_facts(audit, union, source)
    )
    return replace(facts, gone_fields=gone_fields(source))


def _audit_facts(audit: Audit, source: Source, named_by_hand: bool) -> AuditFacts:
    return AuditFacts(
        id=audit.pk,
        complete=audit.complete,
        full_scope=audit.full_scope,
        named_by_hand=named_by_hand,
        overlooked=overlooked(audit, source),
        trust=audit.trust,
        reasons=[Diagnosis(**reason) for reason in audit.reasons],
        finished_at=audit.finished_at,
        fingerprint=audit.fingerprint,
        records=audit.counts.get("records", 0),
        present=audit.counts.get("present", 0),
    )


def _union_facts(newest: Audit, union: Union, source: Source) -> AuditFacts:
    # slices were counted days ago: records that were deleted since do not make room for a larger part of the others
    records = min(union.records, estimated_records(source, Scope()))
    return AuditFacts(
        id=newest.pk,
        complete=True,
        full_scope=True,
        named_by_hand=False,
        trust=Audit.Trust.TRUSTWORTHY,
        reasons=[],
        finished_at=union.oldest_at,
        fingerprint=newest.fingerprint,
        records=records,
        present=union.present,
        slices=len(union.slices),
    )


def _store_facts(source: Source) -> StoreFacts:
    identity = source.store.identity
    fit = preflight(source.store)
    running = Purge.objects.filter(fingerprint=identity.fingerprint, state=Purge.State.RUNNING).first()
    return StoreFacts(
        bucket=identity.bucket,
        fingerprint=identity.fingerprint,
        unfit=None if fit.fit else fit.reasons[0],
        purge_running=(
            f"Purge {running.pk} of this store is running since {running.started_at:%Y-%m-%d %H:%M:%S} UTC."
            if running is not None and running.lease_is_alive
            else ""
        ),
    )


def _plan_document(plan: PurgePlan, receivers: set[str]) -> dict[str, Any]:
    return {
        "delete": [one.to_dict() for one in plan.go],
        "keep": [one.to_dict() for one in plan.keep],
        "receivers": sorted(receivers),
    }


def _limits_document(limits: Limits, scope: Scope) -> dict[str, Any]:
    return {
        "max_ratio": limits.max_ratio,
        "max_free": limits.max_free,
        "max_delete": limits.max_delete,
        "grace_period_s": limits.grace_period.total_seconds(),
        "all_missing": limits.all_missing,
        "ripen_s": limits.ripen.total_seconds() if limits.ripen is not None else None,
        "scope": scope.to_dict(),
    }


def _slices_document(union: Union) -> dict[str, Any]:
    return {
        "slices": {
            "number": len(union.slices),
            "records": union.records,
            "oldest_at": union.oldest_at.isoformat(),
        }
    }


def _log(purge: Purge) -> None:
    if purge.refused:
        id = purge.refused["id"]
        logs.of_purge("purge_refused", purge, f"refused: {id}", refused=id)
    else:
        text = f"planned, {purge.counts['planned']} records would go"
        logs.of_purge("purge_planned", purge, text, counts=purge.counts)
