"""Verdicts written on rows, and marks taken back: what is marked as missing is ``unchecked`` again, until the next look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet

from imagesync import signals
from imagesync.audit.held import rows_held
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding
from imagesync.models.broken_off import again_if_broken_off
from imagesync.models.leases import database_clock
from imagesync.records import Scope, Source, Target, record_label
from imagesync.records.findings import FAILED_LOOKS, in_scope, of_fields, of_records
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


def mark(rows: QuerySet[Any], verdict: Verdict, now: datetime, *, store: str, audit: Audit | None) -> None:
    """Write a verdict on the rows where it changes; a failed look never overwrites what is known."""
    values: dict[str, Any] = {"verdict": verdict.value, "verdict_at": now, "missing_since": None}
    if store:
        values["store"] = store
    if verdict is Verdict.MISSING:
        values["missing_since"] = now
    if not verdict.is_known:
        rows = rows.filter(verdict__in=FAILED_LOOKS)
    if store:
        rows.filter(verdict=verdict.value).exclude(store=store).update(store=store)
    write_verdicts(rows.exclude(verdict=verdict.value), values, audit)


def _clear_rows(target: Target, source: Source, scope: Scope) -> Iterator[list[tuple[RecordKey, str]]]:
    marked = named_rows(target, source.store, scope).filter(verdict=Verdict.MISSING.value)
    while some := dict(marked.order_by("pk").values_list("pk", target.field.attname)[:BATCH]):
        cleared = [
            ((target.content_type.pk, str(pk), target.field.name), source.store.identity.prefix + name)
            for pk, name in some.items()
        ]
        findings = _missing(source).filter(of_records(record for record, _key in cleared))
        again_if_broken_off(partial(_clear, target, some, findings))
        yield cleared


def _close_findings(target: Target, source: Source, scope: Scope) -> Iterator[list[tuple[RecordKey, str]]]:
    """Of records that remember no verdict, or whose row says something else already."""
    keyed: QuerySet[Any] = _missing(source).filter(of_fields([target]))
    keyed = in_scope(keyed.annotate(byte_key=byte_ordered("key", keyed.db)), scope)
    as_pk, prefix = target.model._meta.pk.to_python, source.store.identity.prefix
    while some := list(keyed.order_by("pk")[:BATCH]):
        names = {as_pk(one.object_pk): one.key.removeprefix(prefix) for one in some}
        findings = Finding.objects.open().filter(pk__in=[finding.pk for finding in some])
        again_if_broken_off(partial(_clear, target, names, findings))
        yield [((one.content_type_id or 0, one.object_pk, one.field), one.key) for one in some]


def _clear(target: Target, names: dict[Any, str], findings: QuerySet[Finding]) -> None:
    """Of records that still have these names: an audit may be marking them."""
    with transaction.atomic(), rows_held((target, pk) for pk in names) as held:
        if target.remembers:
            write_verdicts(
                target.model._base_manager.filter(
                    pk__in=[pk for pk, name in names.items() if held.get((target, pk)) == name],
                    verdict=Verdict.MISSING.value,
                ),
                {"verdict": Verdict.UNCHECKED.value, "verdict_at": None, "missing_since": None},
            )
        findings.update(closed_at=database_clock(Finding)())


def _missing(source: Source) -> QuerySet[Finding]:
    return Finding.objects.missing_from(source.store.identity.fingerprint)
