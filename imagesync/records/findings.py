"""What an audit found, as the database holds it: the input of reports and of purges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from imagesync.core.ranges import prefix_end
from imagesync.core.verdicts import NOT_KNOWN
from imagesync.models import Audit, Finding, Tombstone
from imagesync.records.scope import Scope
from imagesync.records.stream import Record, byte_ordered

FAILED_LOOKS = tuple(sorted(NOT_KNOWN))


def findings_of(audit: Audit) -> QuerySet[Finding]:
    """What an audit found: what it opened and what it saw unchanged, in key order.

    A record that this audit could not look at counts as that, whatever was known before.
    """
    until = Q(closed_at=None)
    if audit.finished_at is not None:
        until |= Q(closed_at__gt=audit.finished_at)
    seen: QuerySet[Any] = Finding.objects.filter(
        until, fingerprint=audit.fingerprint, settled=True, opened_by_id__lte=audit.pk
    )
    failed = seen.filter(
        content_type=OuterRef("content_type"),
        object_pk=OuterRef("object_pk"),
        field=OuterRef("field"),
        verdict__in=FAILED_LOOKS,
    )
    seen = seen.filter(Q(verdict__in=FAILED_LOOKS) | ~Exists(failed))
    ordered: QuerySet[Any] = seen.annotate(byte_key=byte_ordered(F("key"), seen.db)).order_by(
        "byte_key", "pk"
    )
    return in_scope(ordered, Scope.from_dict(audit.scope))


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
    if scope.is_explicit:
        wanted = Q(key__in=scope.keys)
        for label, pk in scope.ids:
            app_label, model_name = label.split(".")
            wanted |= Q(
                content_type__app_label=app_label, content_type__model=model_name.lower(), object_pk=pk
            )
        findings = findings.filter(wanted)
    return findings


def history_of(key: str, records: Iterable[Record], *, fingerprint: str) -> QuerySet[Finding]:
    """Every settled finding of a key in one store, and of these records in any store, the latest first."""
    wanted = Q(fingerprint=fingerprint, key=key)
    for record in records:
        model, field = record.target.model, record.target.field.name
        content_type = ContentType.objects.get_for_model(model, for_concrete_model=False)
        wanted |= Q(content_type=content_type, object_pk=str(record.pk), field=field)
    return (
        Finding.objects.filter(wanted, settled=True)
        .select_related("content_type")
        .order_by("-opened_at", "-pk")
    )


def purged_with(key: str, *, fingerprint: str) -> QuerySet[Tombstone]:
    """The tombstones of records that named a key of this store and were not put back, the latest first."""
    return (
        Tombstone.objects.filter(key=key, purge__fingerprint=fingerprint, restored_at=None)
        .select_related("content_type")
        .order_by("-pk")
    )


def purge_of(model_label: str, pk: str) -> int | None:
    """The purge that took a record and was not undone for it, if any: the latest."""
    app_label, model_name = model_label.split(".")
    taken = Tombstone.objects.filter(
        content_type__app_label=app_label,
        content_type__model=model_name.lower(),
        object_pk=pk,
        restored_at=None,
    )
    return taken.order_by("-pk").values_list("purge_id", flat=True).first()
