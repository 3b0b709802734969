"""Verdicts written on rows, and marks taken back: what is marked as missing is ``unchecked`` again, until the next look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from imagesync import signals
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding
from imagesync.records import Scope, Source, Target, record_label
from imagesync.records.findings import in_scope, of_fields, of_records
from imagesync.records.stream import RecordKey, byte_ordered, named_rows

BATCH = 500


def clear_marks(source: Source, scope: Scope) -> Iterator[list[tuple[RecordKey, str]]]:
    """Clear the marks of a scope's missing records, batch by batch: (record, key) of each that had one.

    Their findings are over with it, so no purge takes them, and they ripen anew when they are found missing again.
    """
    for target in source.targets:
        if target.remembers:
            yield from _clear_rows(target, source, scope)
        yield from _close_findings(target, source, scope)


def write_verdicts(rows: QuerySet[Any], values: dict[str, Any], audit: Audit | None = None) -> None:
    """Write a verdict on rows that have another one, inside a transaction, and tell of it when that commits.

    The rows are read first, but only when somebody listens.
    """
    model = rows.model
    if not signals.verdicts_changed.has_listeners(model):
        rows.update(**values)
        return
    with transaction.atomic(using=router.db_for_write(model)):
        old = dict(rows.order_by("pk").select_for_update().values_list("pk", "verdict"))
        rows.filter(pk__in=list(old)).update(**values)
    changes = tuple(
        signals.VerdictChange(record_label(model, pk), verdict, values["verdict"])
        for pk, verdict in old.items()
    )
    if changes:
        using = router.db_for_write(Finding)
        signals.after_commit(signals.verdicts_changed, model, using=using, changes=changes, audit=audit)


def _clear_rows(target: Target, source: Source, scope: Scope) -> Iterator[list[tuple[RecordKey, str]]]:
    marked = named_rows(target, source.store, scope).filter(verdict=Verdict.MISSING.value)
    while some := dict(marked.order_by("pk").values_list("pk", target.field.attname)[:BATCH]):
        cleared = [
            ((target.content_type.pk, str(pk), target.field.name), source.store.identity.prefix + name)
            for pk, name in some.items()
        ]
        with transaction.atomic():
            write_verdicts(
                target.model._base_manager.filter(pk__in=list(some), verdict=Verdict.MISSING.value),
                {"verdict": Verdict.UNCHECKED.value, "verdict_at": None, "missing_since": None},
            )
            _close(_missing(source).filter(of_records(record for record, _key in cleared)))
        yield cleared


def _close_findings(target: Target, source: Source, scope: Scope) -> Iterator[list[tuple[RecordKey, str]]]:
    """Of records that remember no verdict, or whose row says something else already."""
    keyed: QuerySet[Any] = _missing(source).filter(of_fields([target]))
    keyed = in_scope(keyed.annotate(byte_key=byte_ordered("key", keyed.db)), scope)
    while some := list(keyed.order_by("pk")[:BATCH]):
        _close(Finding.objects.filter(pk__in=[finding.pk for finding in some]))
        yield [((one.content_type_id or 0, one.object_pk, one.field), one.key) for one in some]


def _missing(source: Source) -> QuerySet[Finding]:
    fingerprint = source.store.identity.fingerprint
    return Finding.objects.open().filter(fingerprint=fingerprint, verdict=Verdict.MISSING.value)


def _close(findings: QuerySet[Finding]) -> None:
    findings.update(closed_at=timezone.now())
