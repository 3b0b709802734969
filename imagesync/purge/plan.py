"""From a finished audit to a plan: who would go, who stays and why, and whether a rail refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Model, QuerySet
from django.utils import timezone

from imagesync import logs, signals
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.planning import plan_purge
from imagesync.core.plans import Candidate, Limits, PurgePlan
from imagesync.core.rails import AuditFacts, StoreFacts
from imagesync.core.union import OwnSlice, Union
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding, Purge, Tombstone
from imagesync.purge.database_rules import forget_database_rules
from imagesync.purge.objections import Case, not_proven_missing, open_cases
from imagesync.purge.rows import NamedFile
from imagesync.purge.summary import summary_of
from imagesync.records import Scope, Source, Target, record_label
from imagesync.records.findings import findings_now, findings_of, in_scope, of_fields
from imagesync.records.splitting import estimated_records
from imagesync.records.stream import base_rows
from imagesync.records.targets import content_type_of
from imagesync.storage.preflight import preflight

CHUNK = 500


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


def latest_audit(source: Source) -> Audit | None:
    """The newest finished audit of the whole of this store, whatever its trust."""
    fingerprint = source.store.identity.fingerprint
    return Audit.objects.filter(fingerprint=fingerprint, full_scope=True, state=Audit.State.FINISHED).first()


def anything_to_purge(source: Source, audit: Audit, limits: Limits) -> bool:
    """Whether a plan could name any record, by one query: nobody need ask the store when it cannot."""
    deletable = [target for target in source.targets if target.policy != "report"]
    missing = Finding.objects.open().filter(
        of_fields(deletable), fingerprint=audit.fingerprint, verdict=Verdict.MISSING
    )
    if limits.ripen is not None and audit.finished_at is not None:
        missing = missing.filter(opened_at__lte=audit.finished_at - limits.ripen)
    return missing.exists()


def is_fresh(audit: Audit | None, *, now: datetime | None = None) -> bool:
    """Whether a purge may rest on it, as far as age and trust go."""
    if audit is None or audit.finished_at is None or audit.trust == Audit.Trust.UNTRUSTWORTHY:
        return False
    return (now or timezone.now()) - audit.finished_at <= app_settings().audit_max_age


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
    now = timezone.now()
    forget_database_rules()
    receivers: set[str] = set()
    plan = plan_purge(
        _candidates(source, _Rest(audit, union), scope, receivers, objection, heartbeat),
        audit=_audit_facts(audit, named_by_hand) if union is None else _union_facts(audit, union, source),
        store=_store_facts(source),
        limits=limits,
        now=now,
    )
    if plan.go and not plan.refused:
        unattended = limits.ripen is not None
        objected = signals.objection_to(plan, Purge, audit=audit, unattended=unattended)
        plan = replace(plan, refused=objected)
    document = _plan_document(plan, receivers)
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


def _log(purge: Purge) -> None:
    if purge.refused:
        id = purge.refused["id"]
        logs.of_purge("purge_refused", purge, f"refused: {id}", refused=id)
    else:
        text = f"planned, {purge.counts['planned']} records would go"
        logs.of_purge("purge_planned", purge, text, counts=purge.counts)


class _Rest(NamedTuple):
    """What the findings of a plan come from."""

    audit: Audit
    union: Union | None

    def findings(self) -> QuerySet[Finding]:
        return findings_of(self.audit) if self.union is None else findings_now(self.audit.fingerprint)

    def objection(self, own_slice: OwnSlice | None) -> str:
        return "" if self.union is None or own_slice else "no slice holds its key"

    def own_slice(self, finding: Finding) -> OwnSlice | None:
        return None if self.union is None else self.union.own_slice(finding.key)


def _candidates(
    source: Source,
    rest: _Rest,
    scope: Scope,
    receivers: set[str],
    objection: Callable[[Case], str] | None,
    heartbeat: Callable[[], None] | None,
) -> Iterator[Candidate]:
    targets = {(target.content_type.pk, target.field.name): target for target in source.targets}
    missing = in_scope(rest.findings(), scope).filter(verdict=Verdict.MISSING, closed_at=None)
    proven = _Proven(missing)
    chunk: list[Finding] = []
    for finding in missing.iterator(chunk_size=CHUNK):
        if (finding.content_type_id, finding.field) in targets:
            chunk.append(finding)
        if len(chunk) == CHUNK:
            yield from _chunk_of_candidates(chunk, targets, source, rest, proven, receivers, objection)
            chunk = []
            if heartbeat is not None:
                heartbeat()
    yield from _chunk_of_candidates(chunk, targets, source, rest, proven, receivers, objection)


def _chunk_of_candidates(
    findings: list[Finding],
    targets: dict[tuple[int, str], Target],
    source: Source,
    rest: _Rest,
    proven: _Proven,
    receivers: set[str],
    objection: Callable[[Case], str] | None,
) -> Iterator[Candidate]:
    rows = _rows_of(findings, targets)
    restored = _restored_before(findings)
    cases = _cases(findings, targets, rows, source)
    for finding in findings:
        case = cases.get(finding.pk)
        if case is None:  # deleted by somebody since
            continue
        if case.effects is not None:
            receivers.update(case.effects.receivers())
        own_slice = rest.own_slice(finding)
        yield Candidate(
            record=record_label(case.target.model, case.row.pk),
            field=case.target.field.name,
            key=finding.key,
            action=case.target.policy,
            born_at=_born_at(case.target, case.row),
            missing_since=finding.opened_at,
            seen_again_at=rest.audit.finished_at if own_slice is None else own_slice.looked_at,
            seen_again_from=rest.audit.started_at if own_slice is None else own_slice.looked_at,
            found_by=finding.opened_by_id,
            own_slice=own_slice,
            restored_before=(finding.content_type_id, finding.object_pk) in restored,
            objection=case.objection
            or rest.objection(own_slice)
            or not_proven_missing(case, proven)
            or (objection(case) if objection else ""),
            cascades=case.effects.cascades() if case.effects is not None else {},
        )


def _cases(
    findings: list[Finding],
    targets: dict[tuple[int, str], Target],
    rows: dict[tuple[str, str], Model],
    source: Source,
) -> dict[int, Case]:
    """By finding; without those whose record is gone."""
    found: dict[int, Case] = {}
    by_target: dict[Target, list[tuple[Finding, Model]]] = {}
    for finding in findings:
        target = targets[finding.content_type_id or 0, finding.field]
        row = rows.get((target.label, finding.object_pk))
        if row is not None:
            by_target.setdefault(target, []).append((finding, row))
    for target, pairs in by_target.items():
        cases = open_cases(target, [(row, finding.key) for finding, row in pairs], source.store)
        found.update((finding.pk, case) for (finding, _row), case in zip(pairs, cases, strict=True))
    return found


class _Proven:
    """Whether another file of a row was found missing by the same audit. (Asked of S3 again before the delete.)"""

    def __init__(self, missing: Any) -> None:
        self.missing = missing

    def __call__(self, one: NamedFile) -> bool:
        content_type = content_type_of(one.model)
        return bool(
            self.missing.filter(
                content_type=content_type, object_pk=str(one.pk), field=one.field.name
            ).exists()
        )


def _rows_of(findings: list[Finding], targets: dict[tuple[int, str], Target]) -> dict[tuple[str, str], Model]:
    wanted: dict[Target, list[str]] = {}
    for finding in findings:
        wanted.setdefault(targets[finding.content_type_id or 0, finding.field], []).append(finding.object_pk)
    return {
        (target.label, str(row.pk)): row
        for target, pks in wanted.items()
        for row in base_rows(target.model).filter(pk__in=[target.model._meta.pk.to_python(pk) for pk in pks])
    }


def _restored_before(findings: list[Finding]) -> set[tuple[int, str]]:
    restored = Tombstone.objects.exclude(restored_at=None)
    pks = [finding.object_pk for finding in findings]
    return set(restored.filter(object_pk__in=pks).values_list("content_type_id", "object_pk"))


def _born_at(target: Target, row: Model) -> datetime | None:
    value = getattr(row, target.age_field, None) if target.age_field else None
    if value is None:
        return None
    if not isinstance(value, datetime):  # a DateField: its record is as young as that day's end
        value = datetime.combine(value + timedelta(days=1), datetime.min.time())
    return value if timezone.is_aware(value) else timezone.make_aware(value)


def _audit_facts(audit: Audit, named_by_hand: bool) -> AuditFacts:
    return AuditFacts(
        id=audit.pk,
        complete=audit.complete,
        full_scope=audit.full_scope,
        named_by_hand=named_by_hand,
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


def _slices_document(union: Union) -> dict[str, Any]:
    return {
        "slices": {
            "number": len(union.slices),
            "records": union.records,
            "oldest_at": union.oldest_at.isoformat(),
        }
    }


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


def _plan_document(plan: PurgePlan, receivers: set[str]) -> dict[str, Any]:
    return {
        "delete": [one.to_dict() for one in plan.go],
        "keep": [one.to_dict() for one in plan.keep],
        "receivers": sorted(receivers),
    }
