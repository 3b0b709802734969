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
AT_ONCE = 50
"""Audits that are read at a time."""
_OF_PLACE = ("alias", "bucket", "endpoint", "prefix", "fingerprint", "fields", "reasons")


def change_of_store(audit: Audit) -> list[Diagnosis]:
    """What to say when fields of this audit were in another store at their last believed audit.

    It is said until the bucket is adopted on purpose, or the settings name the old store again: an audit that said
    so is nothing to go by.
    """
    here = (audit.fingerprint, *Scope.from_dict(audit.scope).adopt)
    before = {last.fingerprint: last for last in _last_settled(audit) if last.fingerprint not in here}
    return [
        store_changed(
            audit.alias, now=_place(audit), before=_place(last), last=last.pk, fingerprint=last.fingerprint
        )
        for last in before.values()
    ]


def last_with_canaries(audit: Audit) -> Audit | None:
    """The audit before this one whose canaries speak for it: of its fields, in the same store if there is one.

    Where none is known to have covered any of its fields: of the same store, or else of the same storage.
    """
    believed = _believed(audit).exclude(canaries=[])
    here = believed.filter(fingerprint=audit.fingerprint)
    return (
        _last_sharing_fields(here, audit)
        or _last_sharing_fields(believed, audit)
        or here.first()
        or believed.filter(alias=audit.alias).first()
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


def _last_settled(audit: Audit) -> list[Audit]:
    """The last believed audit of each field whose store was not in question.

    A field may have moved to a storage whose own store is the old one. Of fields that no audit is known to have covered, it
    is the last one of the same storage.
    """
    found: list[Audit] = []
    left = set(audit.fields)
    of_alias: Audit | None = None
    for one in _believed(audit).only(*_OF_PLACE).iterator(chunk_size=AT_ONCE):
        if _said_so(one):
            continue
        if of_alias is None and one.alias == audit.alias:
            of_alias = one
        if left.intersection(one.fields):
            left.difference_update(one.fields)
            found.append(one)
        if not left and (found or of_alias):
            break
    return [*found, of_alias] if of_alias is not None and (left or not found) else found


def _last_sharing_fields(audits: QuerySet[Audit], audit: Audit) -> Audit | None:
    """Not every database can tell whether two lists of JSON share anything."""
    if not audit.fields:
        return None
    rows = audits.values_list("pk", "fields").iterator(chunk_size=AT_ONCE)
    wanted = set(audit.fields)
    pk = next((pk for pk, fields in rows if wanted.intersection(fields)), None)
    return None if pk is None else audits.get(pk=pk)


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
