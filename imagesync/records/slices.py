"""The slices of a store as the database holds them, and what a finished audit says about them."""

from __future__ import annotations

from collections.abc import Sequence

from imagesync.core.freshness import SliceFacts
from imagesync.core.trust import BELIEVED
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, AuditRange, Freshness, Slice
from imagesync.records.scope import Scope
from imagesync.records.targets import Source

SOME_UNKNOWN = "some_unknown"
"""The one reason that doubts single records and not the store (core/trust.py)."""
_COLUMNS = (
    "first_key", "end_key", "looked_at", "finished_at", "audit_id", "sound", "records", "present", "failed_at",
)  # fmt: skip


def stored_slices(freshness: Freshness) -> list[SliceFacts]:
    """In key order."""
    rows = Slice.objects.filter(freshness=freshness).values_list(*_COLUMNS)
    names = [name.removesuffix("_id") for name in _COLUMNS]
    found = [SliceFacts(**dict(zip(names, row, strict=True))) for row in rows]
    return sorted(found, key=lambda one: one.first_key)


def store_slices(freshness: Freshness, slices: Sequence[SliceFacts]) -> None:
    """Have exactly these. The caller holds a transaction and the turn; what stays as it is costs no write."""
    wanted = set(slices)
    before: set[SliceFacts] = set()
    over: list[int] = []
    names = [name.removesuffix("_id") for name in _COLUMNS]
    for pk, *row in Slice.objects.filter(freshness=freshness).values_list("pk", *_COLUMNS):
        one = SliceFacts(**dict(zip(names, row, strict=True)))
        if one in wanted and one not in before:
            before.add(one)
        else:
            over.append(pk)
    Slice.objects.filter(pk__in=over).delete()
    Slice.objects.bulk_create(
        Slice(
            freshness=freshness,
            **{name: getattr(one, field) for name, field in zip(_COLUMNS, names, strict=True)},
        )
        for one in slices
        if one not in before
    )


def looked_at_by(audit: Audit) -> list[SliceFacts]:
    """The ranges of a finished audit that looked at a stretch of the key space, or at all of it, whole.

    Nothing when it looked at single records or some fields only, could not be believed, or a listing broke off in it.
    """
    scope = Scope.from_dict(audit.scope)
    is_whole = scope.is_full or scope == Scope(
        first_key=scope.first_key, end_key=scope.end_key, adopt=scope.adopt
    )
    if not (audit.complete and is_whole) or audit.trust not in BELIEVED:
        return []
    ranges = sorted(audit.ranges.all(), key=lambda part: part.first_key)
    if any(part.state != AuditRange.State.DONE or part.failure for part in ranges):
        return []
    return [
        SliceFacts(
            first_key=part.first_key,
            end_key=part.end_key,
            looked_at=audit.started_at,
            finished_at=audit.finished_at,
            audit=audit.pk,
            sound=is_sound(audit),
            records=part.counts.get("records", 0),
            present=part.counts.get(Verdict.PRESENT, 0),
        )
        for part in ranges
    ]


def is_sound(audit: Audit) -> bool:
    """Whether an audit doubted nothing about the store. Single records that it could not judge are unknown."""
    if audit.trust == Audit.Trust.TRUSTWORTHY:
        return True
    return audit.trust == Audit.Trust.DEGRADED and {reason["id"] for reason in audit.reasons} <= {
        SOME_UNKNOWN
    }


def labels_of(source: Source) -> list[str]:
    """The fields that an audit of this source looks at."""
    return sorted(target.label for target in source.targets)


def has_fields_of(audit: Audit, source: Source) -> bool:
    """Whether an audit was opened with just the fields of this source; of older audits nobody knows, and this says yes."""
    return not audit.fields or audit.fields == labels_of(source)


def overlooked(audit: Audit, source: Source) -> list[str]:
    """The fields of a source that an audit is not known to cover: all of them, where it is from before they were kept.

    An audit of some fields (``Scope.fields``) overlooks none that it was not to look at.
    """
    meant = Scope.from_dict(audit.scope).fields
    return [label for label in labels_of(source) if label not in audit.fields if not meant or label in meant]
