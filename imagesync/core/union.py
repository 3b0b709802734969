"""Slices that together are as good as an audit of everything: when a purge may rest on them.

Each slice was looked at by an audit of its own. What is said of all of them is said of their union: no key is left out,
each was looked at within the time that freshness promises, and none of their audits doubted the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagesync.core.freshness import SliceFacts, covers_everything, slice_of


@dataclass(frozen=True, slots=True)
class Union:
    """Slices of one store, in key order, that a purge may rest on."""

    slices: tuple[SliceFacts, ...]
    oldest_at: datetime
    """When the stalest of them was looked at."""

    @property
    def records(self) -> int:
        return sum(one.records for one in self.slices)

    @property
    def present(self) -> int:
        return sum(one.present for one in self.slices)

    @property
    def newest_audit(self) -> int:
        """Of all the slices' audits, the last one; 0 when none of them is known any more."""
        return max((one.audit for one in self.slices if one.audit is not None), default=0)

    def own_slice(self, key: str) -> OwnSlice | None:
        """When the slice that holds ``key`` was looked at."""
        one = slice_of(self.slices, key)
        if one is None or one.looked_at is None or one.finished_at is None:
            return None
        return OwnSlice(looked_at=one.looked_at, finished_at=one.finished_at, audit=one.audit)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSlice:
    """The look at the slice that a record is in."""

    looked_at: datetime
    """When it began."""
    finished_at: datetime
    """When it was settled."""
    audit: int | None
    """The audit that looked; None when it is not known any more."""

    def saw(self, *, opened_by: int | None, opened_at: datetime) -> bool:
        """Whether this look itself said what a finding says: the finding is its own or an earlier audit's, as of one audit
        (records/findings.py). Numbers, too, because another process may have a wrong clock."""
        if self.audit is None or opened_by is None or opened_by > self.audit:
            return False
        return opened_at <= self.finished_at


def union_of(slices: Sequence[SliceFacts], *, within: timedelta, now: datetime) -> Union | None:
    """The union of all slices of a store, in key order; None when no purge may rest on it."""
    if not covers_everything(slices):
        return None
    looked = [one.looked_at for one in slices if _is_good(one)]
    looked_at = [at for at in looked if at is not None and at <= now and now - at <= within]
    if len(looked_at) < len(slices):
        return None
    return Union(tuple(slices), min(looked_at))


def _is_good(one: SliceFacts) -> bool:
    """Whether its last look counts: an older one does not when a newer one failed."""
    return one.sound and one.failed_at is None and one.finished_at is not None
