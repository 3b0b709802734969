"""Reported failed reads: looked at before everything else, and over when an audit has judged their records.

A report is a hint where to look. What is true of its record is found out like that of all others, and only
the ordinary course of the audit writes it down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet

from imagesync.audit.judge import Judge, Judgement, confirmed
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit, FailedRead, Finding
from imagesync.records import Record, Scope, Source, ordered_records
from imagesync.records.findings import FAILED_LOOKS, in_scope, of_fields
from imagesync.records.stream import RecordKey, byte_ordered

LOOKED_AT_FIRST = 100
"""The newest reports; the records of the others are judged in their turn."""


def look_at_failed_reads(
    source: Source, scope: Scope, judge: Judge, *, versioning: str, heartbeat: Callable[[], None]
) -> dict[str, Any]:
    """Look at the records of the newest reports, as ``Audit.failed_reads`` holds it.

    A report counts while its record still names the key that could not be read.
    """
    reports = {_name(report): report for report in _reports(source, scope)[:LOOKED_AT_FIRST]}
    records = [record for record in _records(source, reports) if _still_named(record, reports)]
    judged = confirmed(judge, source, records, versioning=versioning, heartbeat=heartbeat)
    looked = [(reports[one.record.identity], one) for one in judged]
    return _document([_entry(report, judgement) for report, judgement in looked])


def disbelieve(document: dict[str, Any]) -> dict[str, Any]:
    """The same when the store failed its check afterwards: what looked absent is unknown."""
    entries = [dict(entry) for entry in document.get("records", [])]
    for entry in entries:
        if entry["verdict"] == Verdict.MISSING:
            entry |= {"verdict": Verdict.UNKNOWN.value, "reason": Reason.STORE_UNFIT_AFTERWARDS.value}
    return _document(entries)


def close_failed_reads(audit: Audit, source: Source, scope: Scope) -> None:
    """End the reports from before ``audit`` whose records it judged, or did not find any more.

    To be called when the audit is settled and believed. A record that it could not look at keeps its report,
    and so does one that was reported again meanwhile.
    """
    not_judged = Finding.objects.open().filter(
        fingerprint=audit.fingerprint,
        content_type=OuterRef("content_type"),
        object_pk=OuterRef("object_pk"),
        field=OuterRef("field"),
        verdict__in=FAILED_LOOKS,
    )
    over = _reports(source, scope).filter(~Exists(not_judged), last_at__lt=audit.started_at)
    pks = list(over.values_list("pk", flat=True))
    # asked once more within the DELETE itself
    FailedRead.objects.filter(pk__in=pks, last_at__lt=audit.started_at).delete()


def _reports(source: Source, scope: Scope) -> QuerySet[Any]:
    """Those of an audit's scope, newest first."""
    reports: QuerySet[Any] = FailedRead.objects.filter(of_fields(source.targets))
    reports = reports.annotate(byte_key=byte_ordered(F("key"), reports.db))
    return in_scope(reports, scope).order_by("-last_at", "-pk")


def _records(source: Source, reports: dict[RecordKey, FailedRead]) -> list[Record]:
    ids = {
        (target.model._meta.label, pk)
        for target in source.targets
        for content_type, pk, field in reports
        if (content_type, field) == (target.content_type.pk, target.field.name)
    }
    return ordered_records(source, Scope(ids=tuple(sorted(ids)))) if ids else []


def _still_named(record: Record, reports: dict[RecordKey, FailedRead]) -> bool:
    report = reports.get(record.identity)  # a row's other file fields come along
    return report is not None and report.key == record.key


def _entry(report: FailedRead, judgement: Judgement) -> dict[str, Any]:
    return {
        "record": judgement.record.label,
        "field": report.field,
        "key": report.key,
        "verdict": judgement.look.verdict.value,
        "reason": str(judgement.look.reason),
        "times": report.times,
        "last_at": report.last_at.isoformat(),
        "code": report.code,
    }


def _document(entries: list[dict[str, Any]]) -> dict[str, Any]:
    counts = Counter(entry["verdict"] for entry in entries)
    return {"looked_at": len(entries), "counts": dict(sorted(counts.items())), "records": entries}


def _name(report: FailedRead) -> RecordKey:
    return report.content_type_id, report.object_pk, report.field
