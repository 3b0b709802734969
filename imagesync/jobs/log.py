"""What jobs and pages write into Django's admin log: who changed what, also when it was a million records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from imagesync.models import Audit, Finding, Purge
from imagesync.reports import printable

CHUNK = 1000

Line = tuple[int, str, str]
"""(content type id, pk as text, key): a record, and what it is called."""


def log_purge(purge: Purge, user_id: int) -> None:
    """One line per record that a purge deleted or cleared."""
    gone = purge.tombstones.values_list("content_type_id", "object_pk", "key")
    _write(
        gone.filter(action="delete").iterator(chunk_size=CHUNK),
        user_id,
        DELETION,
        f"Purged by purge {purge.pk}: its object is missing.",
    )
    _write(
        gone.filter(action="clear").iterator(chunk_size=CHUNK),
        user_id,
        CHANGE,
        f"Its file field was cleared by purge {purge.pk}: its object is missing.",
    )


def log_looks(audit: Audit, user_id: int, records: Iterable[Line]) -> None:
    """One line per record that somebody had looked at."""
    _write(records, user_id, CHANGE, f"Looked at in audit {audit.pk}.")


def log_audit(audit: Audit, user_id: int) -> None:
    """One line for a large audit, and one per record of which it found something else than was known."""
    told = ", ".join(f"{number:,} {what}" for what, number in audit.counts.items() if number)
    content_type = ContentType.objects.get_for_model(Audit)
    _write([(content_type.pk, str(audit.pk), str(audit))], user_id, CHANGE, f"Looked: {told or 'nothing'}.")
    changed = Finding.objects.filter(Q(opened_by=audit) | Q(closed_by=audit), settled=True)
    records = changed.exclude(content_type=None).order_by().values_list("content_type_id", "object_pk", "key")
    _write(records.distinct().iterator(chunk_size=CHUNK), user_id, CHANGE, f"Looked at in audit {audit.pk}.")


def log_cleared(records: Iterable[Line], user_id: int) -> None:
    _write(records, user_id, CHANGE, "Its mark as missing was cleared.")


def _write(records: Iterable[Any], user_id: int, flag: int, message: str) -> None:
    rest: Iterator[Any] = iter(records)
    while some := list(islice(rest, CHUNK)):
        LogEntry.objects.bulk_create(
            [
                LogEntry(
                    user_id=user_id,
                    content_type_id=content_type,
                    object_id=pk,
                    object_repr=printable(key)[:200],
                    action_flag=flag,
                    change_message=message,
                )
                for content_type, pk, key in some
            ]
        )
