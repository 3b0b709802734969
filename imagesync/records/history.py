"""What the database remembers of one key and of the records that name it: findings, failed reads, purges."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from imagesync.models import FailedRead, Finding, Tombstone
from imagesync.records.findings import of_records
from imagesync.records.stream import Record

MOST_RECORDS = 50
"""Whose own history is looked up; a default picture may be named by every row of a table."""


def history_of(key: str, records: Sequence[Record], *, fingerprint: str) -> QuerySet[Finding]:
    """Every settled finding of a key in one store, and of these records in any store, the latest first."""
    wanted = Q(fingerprint=fingerprint, key=key) | _about(records)
    found = Finding.objects.filter(wanted, settled=True).select_related("content_type")
    return found.order_by("-opened_at", "-pk")


def failed_reads_of(records: Sequence[Record]) -> QuerySet[FailedRead]:
    """What views reported of these records since the last audit judged them, the latest first."""
    return (
        FailedRead.objects.filter(_about(records)).select_related("content_type").order_by("-last_at", "-pk")
    )


def purged_with(key: str, *, fingerprint: str) -> QuerySet[Tombstone]:
    """The tombstones of records that named a key of this store and were not put back, the latest first."""
    taken = Tombstone.objects.filter(key=key, purge__fingerprint=fingerprint, restored_at=None)
    return taken.select_related("content_type").order_by("-pk")


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


def _about(records: Sequence[Record]) -> Q:
    return of_records(record.identity for record in records[:MOST_RECORDS])
