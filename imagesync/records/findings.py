"""What an audit found, as the database holds it: the input of reports and of purges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import router
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from imagesync.core.rails import MANY_OF_A_FIELD
from imagesync.core.ranges import prefix_end
from imagesync.core.verdicts import NOT_KNOWN
from imagesync.models import Audit, Finding
from imagesync.records.scope import Scope
from imagesync.records.selected import pk_as_text, selected_findings
from imagesync.records.stream import RecordKey, byte_ordered, named_rows
from imagesync.records.targets import Source, Target

FAILED_LOOKS = tuple(sorted(NOT_KNOWN))


def findings_of(audit: Audit) -> QuerySet[Finding]:
    """What an audit found: what it opened and what it saw unchanged, in key order.

    A record that this audit could not look at counts as that, whatever was known before. An audit that judged
    no record found nothing, whatever is still open from earlier ones.
    """
    if audit.trust == Audit.Trust.UNTRUSTWORTHY and not audit.counts.get("records"):
        return Finding.objects.none()
    until = Q(closed_at=None)
    if audit.finished_at is not None:
        until |= Q(closed_at__gt=audit.finished_at)
    seen = Finding.objects.filter(
        until, fingerprint=audit.fingerprint, settled=True, opened_by_id__lte=audit.pk
    )
    return in_scope(_in_key_order(seen), Scope.from_dict(audit.scope))


def findings_now(fingerprint: str) -> QuerySet[Finding]:
    """What all audits of a store together say now, in key order; what could not be looked at counts as that."""
    return _in_key_order(Finding.objects.open().filter(fingerprint=fingerprint))


def _in_key_order(seen: QuerySet[Any]) -> QuerySet[Any]:
    failed = seen.filter(
        content_type=OuterRef("content_type"),
        object_pk=OuterRef("object_pk"),
        field=OuterRef("field"),
        verdict__in=FAILED_LOOKS,
    )
    seen = seen.filter(Q(verdict__in=FAILED_LOOKS) | ~Exists(failed))
    ordered: QuerySet[Any] = seen.annotate(byte_key=byte_ordered(F("key"), seen.db))
    return ordered.order_by("byte_key", "pk")


def in_scope(findings: QuerySet[Any], scope: Scope) -> QuerySet[Any]:
    """The part of ``findings_of`` that a scope means."""
    if scope.fields:
        wanted = Q(pk__in=[])
        for label in scope.fields:
            app_label, model_name, field = label.split(".")
            wanted |= Q(
                content_type__app_label=app_label, content_type__model=model_name.lower(), field=field
            )
        findings = findings.filter(wanted)
    if scope.prefix:
        findings = findings.filter(byte_key__gte=scope.prefix)
        end = prefix_end(scope.prefix)
        findings = findings if end is None else findings.filter(byte_key__lt=end)
    if scope.first_key:
        findings = findings.filter(byte_key__gte=scope.first_key)
    if scope.end_key is not None:
        findings = findings.filter(byte_key__lt=scope.end_key)
    if scope.job:
        findings = selected_findings(findings, scope.job)
    if scope.is_explicit:
        wanted = Q(key__in=scope.keys)
        pks: dict[str, list[str]] = defaultdict(list)
        for label, pk in scope.ids:  # one OR for each of a sample would be more than SQLite takes
            pks[label].append(pk)
        for label, texts in pks.items():
            app_label, model_name, *one_field = label.split(".")
            named = Q(
                content_type__app_label=app_label,
                content_type__model=model_name.lower(),
                object_pk__in=texts,
            )
            wanted |= named & Q(field=one_field[0]) if one_field else named
        findings = findings.filter(wanted)
    return findings


def of_fields(targets: Iterable[Target]) -> Q:
    """What concerns any record of these fields: of findings and of failed reads."""
    wanted = Q(pk__in=[])
    for target in targets:
        wanted |= Q(content_type=target.content_type, field=target.field.name)
    return wanted


def of_records(keys: Iterable[RecordKey]) -> Q:
    """What concerns one of these records: of findings and of failed reads."""
    pks: dict[tuple[int, str], list[str]] = defaultdict(list)
    for content_type, pk, field in keys:
        pks[content_type, field].append(pk)
    wanted = Q(pk__in=[])
    for (content_type, field), texts in pks.items():
        wanted |= Q(content_type=content_type, field=field, object_pk__in=texts)
    return wanted


def gone_fields(source: Source) -> dict[str, int]:
    """Fields whose records, MANY_OF_A_FIELD or more, are all known to be missing from their store; and how many they are.

    Records are counted only of fields with so many findings, and no further than there are findings.
    """
    fingerprint = source.store.identity.fingerprint
    numbers = _missing_by_field(source, fingerprint)
    found: dict[str, int] = {}
    for target in source.targets:
        findings = numbers.get((target.content_type.pk, target.field.name), 0)
        if findings < MANY_OF_A_FIELD:
            continue
        rows = named_rows(target, source.store, Scope()).order_by()
        records = rows[: findings + 1].count()
        if (
            MANY_OF_A_FIELD <= records <= findings
            and records == of_missing(rows, fingerprint, [target]).count()
        ):
            found[target.label] = records
    return found


def _missing_by_field(source: Source, fingerprint: str) -> dict[tuple[int, str], int]:
    """Open findings of what is missing, by content type and field; those of removed records too."""
    missing = Finding.objects.missing_from(fingerprint).filter(of_fields(source.targets))
    fields = missing.order_by().values_list("content_type", "field")
    return {(content_type, field): number for content_type, field, number in fields.annotate(Count("pk"))}


def of_missing(rows: QuerySet[Any], fingerprint: str, targets: Iterable[Target]) -> QuerySet[Any]:
    """The rows of which some file is known to be missing from a store."""
    found = Finding.objects.missing_from(fingerprint).filter(of_fields(targets))
    if rows.db != router.db_for_read(Finding):
        pks = found.values_list("object_pk", flat=True).distinct()
        return rows.filter(pk__in=[rows.model._meta.pk.to_python(pk) for pk in pks.iterator()])
    return rows.filter(Exists(found.filter(object_pk=pk_as_text(rows.model, rows.db, outer=True))))
