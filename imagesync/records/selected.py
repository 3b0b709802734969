"""Selections of any size: written down once, then joined to. No list of a million keys is ever held or sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.db.models import (
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    Model,
    OuterRef,
    QuerySet,
    Sum,
    UUIDField,
    Value,
)
from django.db.models.functions import Abs, Cast, Concat, Mod, Substr

from imagesync.models import JobRecord

FOLD = 1_000_003
"""Primary keys are added up modulo this: a sum of millions stays a number that every database can hold."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a selection is recognised by: another one of the same size has another sum."""

    number: int
    sum: int = 0
    """Of the folded primary keys; 0 where they are no whole numbers."""


def counted(rows: QuerySet[Any]) -> Counted:
    """Count a selection. A record that a filter finds twice, through a relation, is one record."""
    rows = rows.order_by()
    if len(rows.query.alias_map) > 1:  # tables are joined
        rows = rows.model._base_manager.using(rows.db).filter(pk__in=rows.values("pk"))
    if not _has_number(rows.model):
        return Counted(rows.count())
    found = rows.aggregate(number=Count("pk"), sum=Sum(Mod(Abs("pk"), FOLD, output_field=IntegerField())))
    return Counted(found["number"], int(found["sum"] or 0))


def counted_keys(model: type[Model], pks: Iterable[Any]) -> Counted:
    """The same of primary keys that were read, each once."""
    found = list(pks)
    return Counted(len(found), sum(abs(pk) % FOLD for pk in found) if _has_number(model) else 0)


def _has_number(model: type[Model]) -> bool:
    return isinstance(_pk_field(model), IntegerField)


def _pk_field(model: type[Model]) -> Any:
    pk: Any = model._meta.pk
    while pk.is_relation:  # of a child in a table of its own
        pk = pk.target_field
    return pk


def selected_rows(rows: QuerySet[Any], job: int) -> QuerySet[Any]:
    """The rows of a model that a job is about."""
    text = pk_as_text(rows.model, rows.db, outer=True)
    if rows.db != router.db_for_read(JobRecord):
        pks = JobRecord.objects.filter(job_id=job).values_list("object_pk", flat=True)
        return rows.filter(pk__in=[rows.model._meta.pk.to_python(pk) for pk in pks.iterator()])
    return rows.filter(Exists(JobRecord.objects.filter(job_id=job, object_pk=text)))


def selected_findings(findings: QuerySet[Any], job: int) -> QuerySet[Any]:
    """The findings about records that a job is about; its fields are the scope's."""
    return findings.filter(Exists(JobRecord.objects.filter(job_id=job, object_pk=OuterRef("object_pk"))))


def pk_as_text(model: type[Model], using: str, *, outer: bool = False) -> Any:
    """A primary key as findings name it, ``str(pk)``, worked out by the database."""
    pk = _pk_field(model)
    name: Any = OuterRef("pk") if outer else F("pk")
    text = Cast(name, CharField(max_length=255))
    if isinstance(pk, UUIDField) and not connections[using].features.has_native_uuid_field:
        parts: list[Any] = []
        for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)):
            parts += [Substr(text, start, length), Value("-")]
        return Concat(*parts[:-1], output_field=CharField())
    return text
