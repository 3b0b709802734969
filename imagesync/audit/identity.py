"""Which store is this, and was it the same the last time? Said first, before anything is concluded."""

from __future__ import annotations

import logging
from collections import Counter

from django.db.models import Count, QuerySet

from imagesync import logs
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.trust import STORE_CHANGED, store_changed, written_elsewhere
from imagesync.models import Audit
from imagesync.records import Scope, Source
from imagesync.records.stream import base_rows
from imagesync.reports import printable

MOST_PLACES = 3


def change_of_store(audit: Audit) -> list[Diagnosis]:
    """What to say when this storage names another store than at its last believed audit.

    It is said until the bucket is adopted on purpose, or the settings name the old store again: an audit that said
    so is nothing to go by.
    """
    last = _last_settled(audit)
    if last is None or last.fingerprint in (audit.fingerprint, *Scope.from_dict(audit.scope).adopt):
        return []
    return [
        store_changed(
            audit.alias, now=_place(audit), before=_place(last), last=last.pk, fingerprint=last.fingerprint
        )
    ]


def last_of_alias(audit: Audit) -> Audit | None:
    """The audit before this one whose canaries speak for it: of the same store, or else of the same storage."""
    believed = _believed(audit).exclude(canaries=[])
    return (
        believed.filter(fingerprint=audit.fingerprint).first() or believed.filter(alias=audit.alias).first()
    )


def places_elsewhere(audit: Audit, source: Source) -> list[Diagnosis]:
    """Where the records that belong to other stores were last seen, the most frequent first."""
    here = ("", audit.fingerprint, *Scope.from_dict(audit.scope).adopt)
    found: Counter[str] = Counter()
    for target in source.targets:
        if target.remembers:
            rows = base_rows(target.model).exclude(store__in=here).order_by()
            found.update(dict(rows.values_list("store").annotate(number=Count("pk"))))
    return [
        written_elsewhere(number, fingerprint, _place_of(fingerprint))
        for fingerprint, number in found.most_common(MOST_PLACES)
    ]


def log_adoption(audit: Audit) -> None:
    """A bucket that moved on purpose: who said so stands in the audit and in the log."""
    for fingerprint in Scope.from_dict(audit.scope).adopt:
        who = audit.user.get_username() if audit.user else audit.started_by
        place = _place_of(fingerprint) or "no audit looked at it"
        text = f"adopts the records of store {fingerprint} ({place}) for bucket {audit.bucket!a}, by {printable(who or 'somebody')}."
        logs.of_audit("store_adopted", audit, text, level=logging.WARNING, adopted=fingerprint)


def _last_settled(audit: Audit) -> Audit | None:
    """The last believed audit of this storage whose store was not in question."""
    before = _believed(audit).filter(alias=audit.alias).iterator(chunk_size=50)
    return next((one for one in before if not _said_so(one)), None)


def _said_so(audit: Audit) -> bool:
    return any(reason["id"] == STORE_CHANGED for reason in audit.reasons)


def _believed(audit: Audit) -> QuerySet[Audit]:
    believed = Audit.objects.filter(state=Audit.State.FINISHED).exclude(trust=Audit.Trust.UNTRUSTWORTHY)
    return (
        believed.filter(pk__lt=audit.pk) if audit.pk else believed
    )  # looks that are no audit come behind all of them


def _place_of(fingerprint: str) -> str:
    """Where a store is, if any audit ever looked at it."""
    known = Audit.objects.filter(fingerprint=fingerprint).first()
    return "" if known is None else _place(known)


def _place(audit: Audit) -> str:
    return f"s3://{audit.bucket}/{audit.prefix} at {audit.endpoint}"
