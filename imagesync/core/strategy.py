"""How the object side is looked at: page by page, by leaps, or record by record; and what decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagesync.exceptions import InvalidRequest

STRATEGIES = ("auto", "head", "list")

PROBES = 500
"""How many records are asked for at a time where nothing is to be decided."""
FIRST_PROBES, MOST_PROBES = 50, 6400


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    name: str
    """One of STRATEGIES; ``auto`` decides while the audit runs."""
    reason: str


@dataclass(frozen=True, slots=True)
class PageOn:
    """Ask for the page that follows."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Ask for the page that begins at the next record; what lies before it stays unseen."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask for the next records one by one."""

    records: int


Step = PageOn | Jump | Probe


def choose_strategy(asked: str, *, names_single_records: bool) -> Strategy:
    """The strategy that was asked for; single records are asked for one by one, for they say nothing about where
    the others are. Raises InvalidRequest.
    """
    if asked not in STRATEGIES:
        raise InvalidRequest(f"--strategy {asked!r}: choose one of {', '.join(STRATEGIES)}.")
    if names_single_records:
        return Strategy(name="head", reason="single records were named; each is one request")
    if asked != "auto":
        return Strategy(name=asked, reason="asked for")
    return Strategy(
        name="auto",
        reason="a page is listed where it holds enough records to be worth its price, the others are asked for one by one",
    )


def strategy_taken(name: str, counts: Mapping[str, int]) -> str:
    """What ``auto`` came to in the end: ``list`` or ``head`` when it was all of the one."""
    if name != "auto" or not counts.get("records"):
        return name
    probed = counts.get("probed", 0)
    return "head" if probed == counts["records"] else "auto" if probed else "list"


class Chooser:
    """Decides one range's next request, by what the one before has shown.

    ``break_even`` is how many records a page must hold to be worth its price: that of a LIST request in GET
    requests (core/cost.py). A page with fewer says that probing is cheaper hereabouts, so the next records are probed:
    first a few, then, as long as the pages looked at between say the same, twice as many each time.

    Against the better of the two fixed strategies this costs the pages that were looked at in vain: one at the
    beginning and one per doubling, under 30 % from about a hundred records on. Records that lie close together right
    behind a lonely one are probed though a page would have held them: at most ``MOST_PROBES`` of them, and only after
    as many lonely ones.
    """

    def __init__(self, name: str, *, break_even: float) -> None:
        self._name = name
        self._break_even = break_even
        self._probes = 0

    def first(self) -> Step:
        return Probe(PROBES) if self._name == "head" else PageOn()

    def after_page(self, *, records: float, objects: int) -> Step:
        """``records`` lie among the page's ``objects``; neither is a page's last one."""
        if self._name == "list":
            return PageOn()
        if records >= self._break_even or not objects:
            self._probes = 0
            return PageOn()  # a leap would save less than the records' distance, a fraction of a page
        if not records:
            return Jump()  # nothing is known yet of where the records lie
        lonely = records <= self._break_even / 4
        self._probes = min(2 * self._probes, MOST_PROBES) or FIRST_PROBES * (4 if lonely else 1)
        return Probe(self._probes)

    def after_probes(self) -> Step:
        """A page now and then says whether probing still pays."""
        return Probe(PROBES) if self._name == "head" else Jump()
