"""What goes first: files that visitors could not read, and images that were uploaded since the last look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.db.models import Exists, OuterRef, Q, QuerySet

from imagesync.core.verdicts import Verdict
from imagesync.models import FailedRead, Freshness
from imagesync.records import Scope, Source, Target
from imagesync.records.stream import base_rows

MOST_AT_ONCE = 500
"""Single records of one slice; the others go with the next one."""
COMMITTED = timedelta(minutes=1)
"""An image that young may belong to a transaction that is under way; the next run sees it."""


@dataclass(frozen=True, slots=True)
class Urgent:
    """Single records to look at, and up to when reports and uploads have had their look then."""

    scope: Scope
    reads_upto: datetime
    uploads_upto: datetime

    def to_dict(self) -> dict[str, str]:
        return {"reads_upto": self.reads_upto.isoformat(), "uploads_upto": self.uploads_upto.isoformat()}


def with_urgency(source: Source, now: datetime) -> QuerySet[Any]:
    """Freshness rows with ``reported`` and ``uploaded``: whether something waits. One query for all of it."""
    using = router.db_for_read(Freshness)
    reported = _reports(source).filter(last_at__gt=OuterRef("reads_upto"))
    rows: QuerySet[Any] = Freshness.objects.using(using).annotate(reported=Exists(reported))
    for number, target in enumerate(_remembering(source)):
        if base_rows(target.model).db == using:
            new = _new(target, now).filter(created_at__gt=OuterRef("uploads_upto"))
            rows = rows.annotate(**{f"uploaded_{number}": Exists(new)})
    return rows


def is_urgent(freshness: Any, source: Source, now: datetime) -> bool:
    """Whether a row of ``with_urgency`` has something that goes first."""
    if freshness.reported:
        return True
    for number, target in enumerate(_remembering(source)):
        told = getattr(freshness, f"uploaded_{number}", None)
        if told is None:  # its table is in another database
            told = _new(target, now).filter(created_at__gt=freshness.uploads_upto).exists()
        if told:
            return True
    return False


def urgent_records(freshness: Freshness, source: Source, now: datetime) -> Urgent | None:
    """The next of them, the oldest first; None when there are none."""
    ids: set[tuple[str, str]] = set()
    labels = {(target.content_type.pk, target.field.name): target.label for target in source.targets}
    reads_upto = freshness.reads_upto
    reports = _reports(source).filter(last_at__gt=reads_upto).order_by("last_at", "pk")
    for content_type, pk, field, at in reports.values_list(
        "content_type_id", "object_pk", "field", "last_at"
    )[:MOST_AT_ONCE]:
        ids.add((labels[content_type, field], pk))
        reads_upto = at
    uploads_upto = freshness.uploads_upto
    uploads = sorted(_uploads(freshness, source, now), key=lambda one: one[0])[:MOST_AT_ONCE]
    for at, label, pk in uploads:
        ids.add((label, pk))
        uploads_upto = at
    if not ids:
        return None
    return Urgent(Scope(ids=tuple(sorted(ids))), reads_upto, uploads_upto)


def _uploads(freshness: Freshness, source: Source, now: datetime) -> Iterator[tuple[datetime, str, str]]:
    for target in _remembering(source):
        rows = _new(target, now).filter(created_at__gt=freshness.uploads_upto).order_by("created_at", "pk")
        for pk, at in rows.values_list("pk", "created_at")[:MOST_AT_ONCE]:
            yield at, target.label, str(pk)


def _remembering(source: Source) -> list[Target]:
    return [target for target in source.targets if target.remembers]


def _new(target: Target, now: datetime) -> QuerySet[Any]:
    """Images that nobody has looked at since they were created or given a file."""
    rows: QuerySet[Any] = base_rows(target.model)
    return rows.filter(verdict=Verdict.UNCHECKED.value, created_at__lte=now - COMMITTED).exclude(file="")


def _reports(source: Source) -> QuerySet[FailedRead]:
    wanted = Q(pk__in=[])
    for target in source.targets:  # by name: asking for a content type may cost a query
        meta = target.model._meta
        wanted |= Q(
            content_type__app_label=meta.app_label,
            content_type__model=meta.model_name,
            field=target.field.name,
        )
    return FailedRead.objects.filter(wanted)
