"""The stores that are in use, each with the audits that its figures come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Q, QuerySet

from imagesync.conf import app_settings
from imagesync.core.trust import BELIEVED
from imagesync.models import Audit
from imagesync.records.targets import fields_by_alias
from imagesync.reports import printable

_HEAVY = ("canaries", "failed_reads", "strategy_reason")


@dataclass(frozen=True, slots=True)
class StoreInUse:
    """A store that a storage of this project named at its last audit of everything, or of a slice."""

    last: Audit
    """The newest finished audit that ``looks_at_all``, whatever its trust."""
    whole: Audit | None
    """The newest finished audit of everything; None where slices alone were looked at so far."""
    believed: Audit | None
    """The newest of everything that was trustworthy or degraded: its counts are facts."""
    trustworthy: Audit | None
    """The newest of everything that was trustworthy."""
    fields: tuple[str, ...]
    """``app.Model.field`` of each field whose files it holds."""

    @property
    def labels(self) -> dict[str, str]:
        return store_labels(self.last.fingerprint, self.last.bucket)


def store_labels(fingerprint: str, bucket: str) -> dict[str, str]:
    return {"store": fingerprint, "bucket": printable(bucket)}


def stores_in_use() -> list[StoreInUse]:
    """One for each storage that file fields of the project use and that was ever audited whole, or slice by slice. Two
    queries.

    A store that its storage no longer names is history, and so is one whose storage no field uses any more: nobody is
    to be called at night because it is not audited.
    """
    fields = fields_by_alias()
    newest = _newest_by_store()
    audits = Audit.objects.defer(*_HEAVY).in_bulk({pk for row in newest for pk in row.values() if pk})
    by_alias: dict[str, StoreInUse] = {}
    for row in sorted(newest, key=lambda row: row["last"]):
        store = StoreInUse(
            last=audits[row["last"]],
            whole=audits.get(row["whole"]),
            believed=audits.get(row["believed"]),
            trustworthy=audits.get(row["trustworthy"]),
            fields=fields.get(audits[row["last"]].alias, ()),
        )
        if store.fields:
            by_alias[store.last.alias] = store
    return list(by_alias.values())


def looks_at_all() -> Q:
    """Audits that tell how a store is: those of everything and, with ``FRESHNESS``, those of slices of its keys."""
    whole = Q(full_scope=True)
    if app_settings().freshness is None:
        return whole
    return whole | Q(scope__has_any_keys=["first_key", "end_key"])


def _newest_by_store() -> list[dict[str, Any]]:
    ended: QuerySet[Any] = Audit.objects.filter(looks_at_all(), state=Audit.State.FINISHED).order_by()
    whole = Q(full_scope=True)
    newest: QuerySet[Any, dict[str, Any]] = (
        ended.values("fingerprint")
        .annotate(
            last=Max("pk"),
            whole=Max("pk", filter=whole),
            believed=Max("pk", filter=whole & Q(trust__in=BELIEVED)),
            trustworthy=Max("pk", filter=whole & Q(trust=Audit.Trust.TRUSTWORTHY)),
        )
        .values("last", "whole", "believed", "trustworthy")
    )
    return list(newest)
