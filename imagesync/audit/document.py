"""An audit as a document: the JSON contract ``imagesync.audit/1``, and what the other formats show."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from imagesync.audit.progress import progress_of
from imagesync.audit.ranges import requests_of
from imagesync.conf import app_settings
from imagesync.core.estimate import estimate_missing
from imagesync.core.trust import BELIEVED
from imagesync.models import Audit, Finding, Purge
from imagesync.records.findings import findings_of

SCHEMA = "imagesync.audit/1"
CHUNK = 2000


def audit_document(audit: Audit) -> dict[str, Any]:
    """Everything but the findings, which ``finding_rows`` streams."""
    requests = requests_of(audit)
    return {
        "schema": SCHEMA,
        "audit": audit.pk,
        "started_at": _instant(audit.started_at),
        "finished_at": _instant(audit.finished_at),
        "complete": audit.complete,
        "state": audit.state,
        "distributed": audit.distributed,
        "progress": progress_of(audit),
        "scope": audit.scope,
        "trust": audit.trust,
        "reasons": audit.reasons,
        "store": audit.store_document,
        "strategy": audit.strategy,
        "strategy_reason": audit.strategy_reason,
        "requests": {"HEAD": 0, "GET": 0, "LIST": 0, **requests},
        "cost": _cost(requests),
        "counts": audit.counts,
        "estimate": _estimate(audit),
        "saw_all_objects": audit.saw_all_objects,
        "unreferenced": audit.unreferenced,
        "versioning": audit.versioning,
        "marks": audit.marks,
        "failed_reads": audit.failed_reads,
        "cleanup": [_purge_summary(purge) for purge in _purges_since_the_audit_before(audit)],
    }


def _cost(requests: Mapping[str, int]) -> dict[str, Any]:
    """What the audit's requests cost, by the prices that are set now."""
    prices = app_settings().prices
    return {"amount": round(prices.of(requests), 6), "currency": prices.currency}


def _estimate(audit: Audit) -> dict[str, Any] | None:
    """What an audit of a sample says about all records; None for one that is none, or is not believed."""
    if not audit.scope.get("sample") or audit.trust not in BELIEVED:
        return None
    estimate = estimate_missing(audit.counts, audit.scope.get("population", 0))
    return None if estimate is None else estimate.to_dict()


def finding_rows(
    audit: Audit, findings: QuerySet[Finding] | None = None
) -> Generator[dict[str, Any], None, None]:
    """The audit's findings (or only these) in key order, as the contract's ``findings`` entries, in flat memory."""
    chosen = findings_of(audit) if findings is None else findings
    for finding in chosen.select_related("content_type").iterator(chunk_size=CHUNK):
        yield finding_row(finding)


def finding_row(finding: Finding) -> dict[str, Any]:
    return {
        "record": finding.record_label,
        "field": finding.field,
        "key": finding.key,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "since": _instant(finding.opened_at),
        "evidence": finding.last_evidence,
    }


def _purges_since_the_audit_before(audit: Audit) -> Iterator[Purge]:
    """What was done about the audit's findings, and about those of the one before it."""
    before = Audit.objects.filter(fingerprint=audit.fingerprint, full_scope=True, pk__lt=audit.pk).first()
    audits = [audit.pk, before.pk] if before else [audit.pk]
    yield from Purge.objects.filter(audit__in=audits).exclude(started_at=None).order_by("pk")


def _purge_summary(purge: Purge) -> dict[str, Any]:
    counts = purge.counts
    gone = counts.get("deleted", 0)
    before = purge.audit.counts.get("records", 0) if purge.audit else 0
    return {
        "purge": purge.pk,
        "audit": purge.audit_id,
        "state": purge.state,
        "deleted": gone,
        "cleared": counts.get("cleared", 0),
        "kept": counts.get("kept", 0),
        "by": purge.user.get_username() if purge.user else purge.planned_by,
        "at": _instant(purge.finished_at),
        "before": before,
        "after": before - gone,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
