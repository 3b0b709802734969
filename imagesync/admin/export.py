"""What is known about a selection of any size, as a file that is sent while it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from imagesync.core.verdicts import Verdict
from imagesync.models import Finding
from imagesync.records import Target, record_label
from imagesync.records.named import FileOwner
from imagesync.reports.tables import csv_lines

CHUNK = 2000
COLUMNS = (
    "record",
    "field",
    "key",
    "verdict",
    "since",
    "missing_since",
    "size_bytes",
    "etag",
    "store",
    "created_at",
)
_REMEMBERED = ("verdict", "verdict_at", "missing_since", "size_bytes", "etag", "store", "created_at")

Row = Sequence[Any]


def export(rows: QuerySet[Any], targets: Sequence[Target], format: str) -> StreamingHttpResponse:
    """One line per record and file field: its key, and what is known of it. Nothing asks S3."""
    found = exported(rows, targets)
    name = f"{rows.model._meta.model_name}-{timezone.now():%Y%m%d-%H%M%S}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    if format == "json":
        return StreamingHttpResponse(_json(found), content_type="application/json", headers=headers)
    lines = csv_lines(_with_head(found))
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def exported(rows: QuerySet[Any], targets: Sequence[Target]) -> Iterator[Row]:
    for target in targets:
        columns = ["pk", target.field.attname, *(_REMEMBERED if target.remembers else ())]
        # without what its pages annotate and join; in the order of the key, so that nothing is sorted first
        named = rows.order_by("pk").values_list(*columns)
        values = named.iterator(chunk_size=CHUNK)
        while some := list(islice(values, CHUNK)):
            yield from _remembered(target, some) if target.remembers else _found(target, some)


def _remembered(target: Target, some: list[Any]) -> Iterator[Row]:
    owner = FileOwner(target.model, target.field)
    for pk, name, verdict, since, missing_since, size, etag, store, created_at in some:
        key = owner.key_of(name) if name else ""
        record = record_label(target.model, pk)
        yield (
            record,
            target.field.name,
            key,
            verdict,
            _instant(since),
            _instant(missing_since),
            size,
            etag,
            store,
            _instant(created_at),
        )


def _found(target: Target, some: list[Any]) -> Iterator[Row]:
    owner = FileOwner(target.model, target.field)
    open_findings = Finding.objects.open().filter(
        fingerprint=owner.fingerprint,
        content_type=owner.content_type,
        field=target.field.name,
        object_pk__in=[str(pk) for pk, _name in some],
    )
    known: dict[tuple[str, str], tuple[str, Any]] = {}
    for pk, key, verdict, since in open_findings.values_list("object_pk", "key", "verdict", "opened_at"):
        if Verdict(verdict).is_known or (pk, key) not in known:
            known[pk, key] = (verdict, since)
    for pk, name in some:
        key = owner.key_of(name) if name else ""
        verdict, since = known.get((str(pk), key), ("", None))
        gone_since = _instant(since) if verdict == Verdict.MISSING else None
        record = record_label(target.model, pk)
        yield record, target.field.name, key, verdict, _instant(since), gone_since, None, "", "", None


def _with_head(rows: Iterator[Row]) -> Iterator[Row]:
    yield COLUMNS
    yield from rows


def _json(rows: Iterator[Row]) -> Iterator[str]:
    yield '{"schema": "imagesync.records/1", "records": ['
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n") + json.dumps(dict(zip(COLUMNS, row, strict=True)))
    yield "\n]}\n"


def _instant(at: Any) -> str | None:
    return at.isoformat() if at else None
