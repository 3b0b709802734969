"""What is worth telling people: (told last, how it is now, threshold) -> news, and what has been told then.

Bad news is told at once, good news when it has lasted for two audits; so a store that flaps is told of once. What did
not change is not told again. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imagesync.core.verdicts import Verdict

BROKEN = (Verdict.MISSING, Verdict.RECOVERABLE, Verdict.MISMATCHED, Verdict.ARCHIVED)
"""The verdicts behind which a visitor does not see the picture, and that are known. A look that failed is none."""


class Kind(StrEnum):
    """What a piece of news is about."""

    BREAKAGE = "breakage"
    """More images are broken than were told of."""
    UNTRUSTWORTHY = "untrustworthy"
    """The last audit could not believe the store, for a reason that was not told of."""
    FAILED = "failed"
    """An audit stopped before its end, and nobody went on with it."""
    OVERDUE = "overdue"
    """No audit has ended for too long."""
    RECOVERY = "recovery"
    """Something that was told of is better, and was so at two audits."""


TROUBLES = (Kind.UNTRUSTWORTHY, Kind.FAILED, Kind.OVERDUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one store is now, as its audits of everything tell."""

    audit: int = 0
    """The newest one that ended; 0 when none did."""
    look: int = 0
    """The newest audit of whatever scope that was believed; 0 when none was."""
    broken: Mapping[str, int] | None = None
    """Verdict -> records, as they are known; None when the newest audit could not be believed, or was counted before."""
    troubles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Kind -> why: ids of reasons, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What people know of one store: the state that was told last."""

    broken: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Kind -> every reason told since it was well last."""
    better_since: Mapping[str, int] = field(default_factory=dict)
    """Kind -> the audit at which it was seen to be over, while that may still be a flap."""
    look: int = 0
    """The newest look that this rests on; what it found need not be counted again."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "broken": dict(self.broken),
            "troubles": {kind: sorted(why) for kind, why in sorted(self.troubles.items())},
            "better_since": dict(self.better_since),
            "look": self.look,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Told:
        return cls(
            broken=document.get("broken", {}),
            troubles={kind: frozenset(why) for kind, why in document.get("troubles", {}).items()},
            better_since=document.get("better_since", {}),
            look=document.get("look", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing to tell."""

    kind: Kind
    of: Kind
    """What it is about: for a recovery the kind that is over, else ``kind`` itself."""
    before: Mapping[str, int] = field(default_factory=dict)
    """Of a breakage and its recovery: the counts that were told last."""
    now: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def rises(self) -> dict[str, int]:
        """Verdict -> how many more there are."""
        differences = {one: number - self.before.get(one, 0) for one, number in self.now.items()}
        return {one: number for one, number in differences.items() if number > 0}


def news_of(told: Told, now: Standing, *, threshold: int) -> tuple[list[News], Told]:
    """What to tell, and what people know when it is told.

    ``threshold`` is by how many records something must have got worse, or better, since it was told.
    """
    found: list[News] = []
    waiting: dict[str, int] = {}
    broken = _broken_news(told, now, threshold, found, waiting)
    troubles = {
        kind.value: why
        for kind in TROUBLES
        if (why := _trouble_news(kind, told, now, found, waiting)) is not None
    }
    return found, Told(broken=broken, troubles=troubles, better_since=waiting, look=now.look)


def _broken_news(
    told: Told, now: Standing, threshold: int, found: list[News], waiting: dict[str, int]
) -> Mapping[str, int]:
    if now.broken is None:
        if Kind.BREAKAGE in told.better_since:
            waiting[Kind.BREAKAGE.value] = told.better_since[Kind.BREAKAGE]
        return told.broken
    counts = {verdict: number for verdict, number in now.broken.items() if number}
    differences = [counts.get(one, 0) - told.broken.get(one, 0) for one in {*counts, *told.broken}]
    if sum(one for one in differences if one > 0) >= threshold:
        found.append(News(kind=Kind.BREAKAGE, of=Kind.BREAKAGE, before=told.broken, now=counts))
        return counts
    is_better = -sum(one for one in differences if one < 0) >= threshold or (told.broken and not counts)
    if is_better and _lasts(Kind.BREAKAGE, told, now, waiting):
        found.append(News(kind=Kind.RECOVERY, of=Kind.BREAKAGE, before=told.broken, now=counts))
        return counts
    return told.broken


def _trouble_news(
    kind: Kind, told: Told, now: Standing, found: list[News], waiting: dict[str, int]
) -> frozenset[str] | None:
    """The reasons that people know of, None when all is well as far as they know."""
    known, why = told.troubles.get(kind), now.troubles.get(kind)
    if why is not None:
        if known is None or why - known:
            found.append(News(kind=kind, of=kind, reasons=tuple(sorted(why))))
        return why | (known or frozenset())
    if known is not None and _lasts(kind, told, now, waiting):
        found.append(News(kind=Kind.RECOVERY, of=kind))
        return None
    return known


def _lasts(kind: Kind, told: Told, now: Standing, waiting: dict[str, int]) -> bool:
    """Whether another audit than this one saw already that it is over; else that is noted."""
    since = told.better_since.get(kind, now.audit)
    if since != now.audit:
        return True
    waiting[kind.value] = now.audit
    return False
