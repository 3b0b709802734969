"""What a plan is made from and what it says: limits and candidates, records that go and records that stay.

A plan is a promise about a moment. A dry run is a plan that nobody executes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from datetime import datetime, timedelta
from typing import Any

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.union import OwnSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one purge may do. Every value has a setting or an option."""

    max_ratio: float = 0.1
    """Part of the audited records that may go, cascaded rows counted too."""
    ratio_is_by_hand: bool = False
    """Whether somebody typed the ratio: then it counts alone, without the free allowance."""
    max_free: int = 100
    """Up to this many may go whatever the ratio, but never more than half of the audited ones."""
    max_delete: int | None = None
    """A further limit, when somebody gave one."""
    grace_period: timedelta = timedelta(hours=1)
    audit_max_age: timedelta = timedelta(hours=24)
    freshness: timedelta | None = None
    """How old the looks at the other ranges may be, where a plan rests on slices."""
    all_missing: str = ""
    """The bucket's name, typed: lifts the rails that a store without any present record trips."""
    ripen: timedelta | None = None
    """For unattended purges: how far apart two audits must be that both say missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record that an audit found missing, and what speaks against deleting it."""

    record: str
    """``app.Model:pk``"""
    field: str
    """Name of its file field."""
    key: str
    action: str
    """The field's policy: ``delete``, ``clear`` or ``report``."""
    born_at: datetime | None
    """How old the record is; when no field says it, since when it was seen missing."""
    missing_since: datetime
    seen_again_at: datetime | None = None
    """When the newest audit that this plan rests on said missing."""
    seen_again_from: datetime | None = None
    """When that audit began: at some moment in between it looked at the record."""
    found_by: int | None = None
    """The audit that found it missing first."""
    own_slice: OwnSlice | None = None
    """The look at the record's own slice, where the plan rests on slices."""
    restored_before: bool = False
    objection: str = ""
    """Why it must stay, as far as the database told (protected, other file, changed since ...)."""
    cascades: Mapping[str, int] = made_by(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A record that would go, or whose field would be emptied."""

    record: str
    field: str
    key: str
    action: str
    cascades: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "field": self.field,
            "key": self.key,
            "action": self.action,
            "cascades": dict(self.cascades),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record that stays."""

    record: str
    key: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {"record": self.record, "key": self.key, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgePlan:
    """What would go, what stays, and whether a rail refuses the whole of it."""

    go: tuple[Planned, ...]
    keep: tuple[Kept, ...]
    refused: Diagnosis | None
    """The first rail that refuses; the rest of the plan shows what it refused."""
    waiting: int = 0
    """Rows that stay only until their own slice is looked at again. They count for the ratio: a purge of a part each day
    must not take what one purge of all may not."""

    @property
    def rows(self) -> int:
        """Records and cascaded rows together."""
        return sum(rows_of(planned) for planned in self.go)

    @property
    def fields(self) -> list[str]:
        """Of the records that would go (``app.Model.field``), each once."""
        return sorted({f"{planned.record.split(':', 1)[0]}.{planned.field}" for planned in self.go})


def rows_of(one: Candidate | Planned) -> int:
    """The record and what its deletion takes along."""
    return 1 + sum(one.cascades.values())
