"""Reads that failed while a page was made: noted for the next audit, which looks there first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import F, Model, QuerySet
from django.utils import timezone

from imagesync.models import FailedRead
from imagesync.records.named import FileOwner, owner_of
from imagesync.storage.answers import evidence_of_error

AT_MOST_EVERY = timedelta(minutes=1)


def report_failed_read(record: Model, field: str = "file", error: BaseException | None = None) -> None:
    """Note that the file of ``record`` could not be read; call it where a view catches ``error``.

    It makes nothing missing: it is a hint where the next audit looks first. It writes at most once a minute
    per record and field, after the transaction under way, so that a broken page that everybody loads locks
    nothing; when the database cannot take it, that is logged and not raised. A record without a file, or whose
    file is not on S3, is not noted: no audit would ever look at it.

    Raises ValueError for an unsaved record and for a field that is no file field.
    """
    owner = owner_of(type(record), field)
    if owner.pk_of(record) is None:
        raise ValueError(f"This {record._meta.label} was never saved, so nobody could have read its file.")
    name = str(getattr(record, owner.field.attname) or "")
    if not name or not owner.is_audited:
        return
    code = evidence_of_error("", error).code if isinstance(error, Exception) else ""
    using = router.db_for_write(FailedRead)
    transaction.on_commit(
        lambda: _note(owner, owner.pk_of(record), name, code, using), using=using, robust=True
    )


def _note(owner: FileOwner, pk: Any, name: str, code: str, using: str) -> None:
    now = timezone.now()
    values = {"key": owner.key_of(name), "last_at": now, "code": code}
    same = {"content_type": owner.content_type, "object_pk": str(pk), "field": owner.field.name}
    rows = FailedRead.objects.using(using).filter(**same)
    for _try in range(2):  # an audit may remove what it closes between the two queries
        if _noted(rows, same, values, now):
            return


def _noted(rows: QuerySet[FailedRead], same: dict[str, Any], values: dict[str, Any], now: datetime) -> bool:
    noted = rows.only("key", "last_at").first()
    if noted is None:
        # several may report at once: the database lets one in, and the others are not an error
        rows.bulk_create([FailedRead(**same, **values, first_at=now)], ignore_conflicts=True)
        return True
    if noted.key != values["key"]:
        return bool(rows.filter(key=noted.key).update(**values, first_at=now, times=1))
    if noted.last_at <= now - AT_MOST_EVERY:
        # of those who come at once, the one who still sees the old time writes
        return bool(rows.filter(last_at=noted.last_at).update(**values, times=F("times") + 1))
    return True
