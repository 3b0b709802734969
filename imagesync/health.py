"""Is the audit itself alive? Asked of the database, for whoever watches the site. It says nothing of missing images."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.core.spans import span
from imagesync.freshness import freshness_of
from imagesync.models import Audit
from imagesync.records.in_use import StoreInUse, stores_in_use
from imagesync.records.targets import fields_by_alias


def audit_troubles(max_age: timedelta | None = None, *, now: datetime | None = None) -> list[str]:
    """Sentences about what is wrong with the audits of this project's storages; empty when all is well.

    A storage was never audited; its last audit of everything is untrustworthy; its last trustworthy one ended more than
    ``max_age`` ago (default: ``OVERDUE_AFTER`` of ``NOTIFY``) or, where ``FRESHNESS`` is set and slices tell how it is,
    its records were not all looked at within that, or no slice was fully believed. The sentences name aliases of
    storages, and no bucket, key or URL.
    """
    now = now or timezone.now()
    limit = app_settings().notify.overdue_after if max_age is None else max_age
    stores = {store.last.alias: store for store in stores_in_use()}
    return [
        trouble
        for alias in sorted(fields_by_alias())
        for trouble in _troubles(alias, stores.get(alias), limit, now)
    ]


def _troubles(alias: str, store: StoreInUse | None, limit: timedelta, now: datetime) -> Iterator[str]:
    if store is None:
        yield f"Storage {alias!a} was never audited."
        return
    if store.last.trust == Audit.Trust.UNTRUSTWORTHY:
        why = ", ".join(reason["id"] for reason in store.last.reasons)
        yield f"The last audit of storage {alias!a} is untrustworthy ({why})."
    fresh = freshness_of(store.last.fingerprint, now=now)
    if fresh is not None:
        if fresh["behind_s"]:
            yield f"Records of storage {alias!a} were not looked at within {span(timedelta(seconds=fresh['within_s']))}."
        looked_at = fresh["slices"] - fresh["never_looked_at"]
        if looked_at and fresh["doubted"] == looked_at:
            yield f"No slice of storage {alias!a} could be fully believed at its last look."
        return
    if store.trustworthy is None or store.trustworthy.finished_at is None:
        yield f"No audit of storage {alias!a} was trustworthy yet."
        return
    age = now - store.trustworthy.finished_at
    if age > limit:
        yield f"The last trustworthy audit of storage {alias!a} is {span(age)} old; the limit is {span(limit)}."
