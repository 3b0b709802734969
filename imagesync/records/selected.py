"""Selections of any size: written down once, then joined to. No list of a million keys is ever held or sent."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, router, transaction
from django.db.models import CharField, Exists, F, Model, OuterRef, QuerySet, UUIDField, Value
from django.db.models.functions import Cast, Concat, Substr

from imagesync.models import Job, JobRecord

CHUNK = 5000


def write_selection(job: Job, rows: QuerySet[Any]) -> int:
    """Write down which records a job is about; return how many."""
    rows = rows.order_by().annotate(selected_pk=pk_as_text(rows.model, rows.db))
    if rows.db == router.db_for_write(JobRecord):
        return _copied(job, rows)
    written = 0
    some: list[JobRecord] = []
    for (text,) in rows.values_list("selected_pk").distinct().iterator(chunk_size=CHUNK):
        some.append(JobRecord(job=job, object_pk=text))
        if len(some) == CHUNK:
            written += len(JobRecord.objects.bulk_create(some))
            some = []
    return written + len(JobRecord.objects.bulk_create(some))


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
    pk: Any = model._meta.pk
    while pk.is_relation:  # of a child in a table of its own
        pk = pk.target_field
    name: Any = OuterRef("pk") if outer else F("pk")
    text = Cast(name, CharField(max_length=255))
    if isinstance(pk, UUIDField) and not connections[using].features.has_native_uuid_field:
        parts: list[Any] = []
        for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)):
            parts += [Substr(text, start, length), Value("-")]
        return Concat(*parts[:-1], output_field=CharField())
    return text


def _copied(job: Job, rows: QuerySet[Any]) -> int:
    """Inside of the database: a million rows in seconds, and none of them here."""
    using = router.db_for_write(JobRecord)
    try:
        sql, parameters = rows.values_list("selected_pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(JobRecord._meta.db_table)
    columns = f"{quote('job_id')}, {quote('object_pk')}"
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(
            # a filter through a relation finds a row twice; WHERE, because SQLite would take ON for a join's
            f"INSERT INTO {table} ({columns}) SELECT %s, chosen.* FROM ({sql}) AS chosen WHERE true "  # noqa: S608 - Django's own SQL
            "ON CONFLICT DO NOTHING",
            [job.pk, *parameters],
        )
        return int(cursor.rowcount)
