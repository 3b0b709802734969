"""How the object side is looked at: page by page, by leaps, or record by record; and what decides it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from imagesync.core.cost import PAGE
from imagesync.exceptions import InvalidRequest

STRATEGIES = ("auto", "head", "list")

PROBES = 500
"""How many records are asked for at a time where nothing is to be decided."""
FIRST_PROBES, MOST_PROBES = 4, 512
"""After the first page that was not worth its price, and at most, in prices of a page."""
MOST_SAVED = 16
"""In prices of a page: so many may be asked for in vain where close records give way to lonely ones."""


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
    """Decides one range's next request, by what the ones before have shown.

    ``break_even`` is how many records a page must hold to be worth its price: that of a LIST request in GET
    requests (core/cost.py). What pages hold beyond that is saved, those that hold less use it up; while some is left
    pages are asked for, a void is leapt over. When nothing is left the next records are probed: ``FIRST_PROBES``
    times ``break_even``, and twice as many after each further page in a row that was not worth its price.

    So each page that nothing saved has paid for stands among many probes: however records lie, this costs at most
    30 % more than ``head``, from about ten times ``break_even`` records on. And where they lie close, lonely, evenly,
    in clusters, skewed, or in long stretches of either, it costs at most 30 % more than ``list``, plus the first probes
    once. Where runs of more than ``MOST_SAVED`` lonely records and of some hundred close ones keep taking turns it may
    cost twice what ``list`` does: nothing tells what lies behind the next record but asking for a page.
    """

    def __init__(self, name: str, *, break_even: float) -> None:
        self._lists = name == "list"
        self._probes = name == "head" or (name == "auto" and break_even >= PAGE)
        self._break_even = break_even
        self._saved = 0.0
        self._in_vain = 0
        """Pages since the last one that was worth its price."""
        self._to_probe = 0

    def first(self) -> Step:
        return Probe(PROBES) if self._probes else PageOn()

    def after_page(self, *, records: int, likely: float, objects: int) -> Step:
        """``records`` are known to lie among the page's ``objects``, about ``likely`` do. It is no listing's last."""
        if self._lists or not objects:
            return PageOn()
        is_worth_it = likely >= self._break_even
        if not is_worth_it or records > self._break_even:  # what is only likely has saved nothing yet
            saved = self._saved + records - self._break_even
            self._saved = min(max(saved, 0), MOST_SAVED * self._break_even)
        if is_worth_it:
            self._in_vain = 0
            return PageOn()
        self._in_vain += 1
        if self._saved:
            return Jump()
        prices = min(FIRST_PROBES * 2 ** (self._in_vain - 1), MOST_PROBES)
        self._to_probe = math.ceil(prices * self._break_even)
        return Probe(self._to_probe)

    def after_probes(self, number: int) -> Step:
        """``number`` records were probed, as many as were at hand; a page now and then says whether that pays."""
        if self._probes:
            return Probe(PROBES)
        self._to_probe -= number
        return Probe(self._to_probe) if self._to_probe > 0 else Jump()
