"""What a purge rests on: one audit of everything, or slices that together looked at everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.core.ages import is_too_old
from imagesync.core.trust import COLLAPSE, STORE_CHANGED
from imagesync.core.union import Union, union_of
from imagesync.models import Audit, Freshness
from imagesync.models.leases import database_clock
from imagesync.records import Source
from imagesync.records.slices import is_sound, labels_of, overlooked, stored_slices

DOUBTS = {COLLAPSE, STORE_CHANGED}
"""Reasons that are about the whole store, whatever part of it the audit looked at."""


@dataclass(frozen=True, slots=True)
class Basis:
    """``make_plan`` takes both."""

    audit: Audit
    """Of a union, the audit of its newest slice."""
    union: Union | None = None
    overlooked: tuple[str, ...] = ()
    """Fields of the store that the audit is not known to cover."""

    @property
    def is_fresh(self) -> bool:
        """Whether a purge may rest on it, as far as its fields, age and trust go."""
        return self.union is not None or (is_fresh(self.audit) and not self.overlooked)


def fresh_basis(source: Source) -> Basis | None:
    """What a plan of now can rest on; None when there is nothing of that kind."""
    basis = basis_of(source)
    return basis if basis is not None and basis.is_fresh else None


def basis_of(source: Source) -> Basis | None:
    """The newest audit of everything when it is fresh; else the union of slices, when a purge may rest on that; else
    that audit all the same, for the rails to refuse. None when there is none.
    """
    whole = latest_audit(source)
    latest = Basis(whole, overlooked=tuple(overlooked(whole, source))) if whole is not None else None
    if latest is not None and latest.is_fresh:
        return latest
    union = _union(source, whole, database_clock(Freshness)())
    if union is not None:
        newest = Audit.objects.filter(pk=union.newest_audit).first()
        if newest is not None:
            return Basis(newest, union)
    return latest


def latest_audit(source: Source) -> Audit | None:
    """The newest finished audit of the whole of this store, whatever its trust and whatever fields it had then.

    Where it overlooked one, an older audit does not do instead: it may not know what made this one doubt the store.
    """
    fingerprint = source.store.identity.fingerprint
    return Audit.objects.filter(fingerprint=fingerprint, full_scope=True, state=Audit.State.FINISHED).first()


def is_fresh(audit: Audit | None, *, now: datetime | None = None) -> bool:
    """Whether a purge may rest on it, as far as age and trust go."""
    if audit is None or audit.finished_at is None or audit.trust == Audit.Trust.UNTRUSTWORTHY:
        return False
    return not is_too_old((now or timezone.now()) - audit.finished_at, app_settings().audit_max_age)


def _union(source: Source, whole: Audit | None, now: datetime) -> Union | None:
    within = app_settings().freshness
    fingerprint = source.store.identity.fingerprint
    freshness = Freshness.objects.filter(fingerprint=fingerprint).first()
    if within is None or freshness is None or freshness.fields != labels_of(source) or freshness.failures:
        return None
    union = union_of(stored_slices(freshness), within=within, now=now)
    if union is None or _was_doubted(fingerprint, whole, union.oldest_at):
        return None
    audits = Audit.objects.filter(pk__in={one.audit for one in union.slices}).only("fields", "scope")
    return None if any(overlooked(audit, source) for audit in audits) else union


def _was_doubted(fingerprint: str, whole: Audit | None, since: datetime) -> bool:
    """Whether any audit since then doubted the store, also one that looked at other records than slices do."""
    if whole is not None and whole.started_at >= since and not is_sound(whole):
        return True
    doubting = Audit.objects.filter(
        fingerprint=fingerprint, state=Audit.State.FINISHED, started_at__gte=since
    ).exclude(trust=Audit.Trust.TRUSTWORTHY)
    reasons = doubting.values_list("reasons", flat=True)
    return any(reason["id"] in DOUBTS for some in reasons.iterator() for reason in some)
