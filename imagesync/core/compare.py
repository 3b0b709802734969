"""Records against a listing, a stretch of keys at a time.

Both sides come in pieces of some thousand keys: records in key order, which may repeat a key (several records
may share one object), and pages, strictly ascending. A stretch is compared as a whole by set arithmetic; only
what differs is then looked at one by one. The order of both sides is checked, never trusted: a side that goes
backwards would make keys look absent that are not. Within a piece its type says that it was.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import le, lt
from typing import NewType


class OutOfOrder(ValueError):
    """A side that must ascend did not; ``side`` is ``records`` or ``listing``."""

    def __init__(self, side: str, before: str, after: str) -> None:
        super().__init__(f"{side}: {after!a} came after {before!a}")
        self.side = side


Ascending = NewType("Ascending", list[str])
"""Keys that were checked to ascend; some may be equal."""
StrictlyAscending = NewType("StrictlyAscending", list[str])
"""Keys that were checked to ascend, each greater than the one before."""


def ascending(keys: list[str]) -> Ascending:
    """Raises OutOfOrder. Best called where the keys were made: by another processor core it takes ten times as long."""
    # what is sorted already costs sorted() a fifth of comparing each with the next; but it does not tell equals
    if sorted(keys) != keys:
        raise OutOfOrder("records", *_first_not(le, keys))
    return Ascending(keys)


def strictly_ascending(keys: list[str]) -> StrictlyAscending:
    """Raises OutOfOrder. See ``ascending``."""
    if not is_strictly_ascending(keys):
        raise OutOfOrder("listing", *_first_not(lt, keys))
    return StrictlyAscending(keys)


def is_strictly_ascending(keys: Sequence[str]) -> bool:
    return all(map(lt, keys, keys[1:]))


def _first_not(follows: Callable[[str, str], bool], keys: list[str]) -> tuple[str, str]:
    return next((earlier, later) for earlier, later in pairwise(keys) if not follows(earlier, later))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records ``begin`` to ``end`` (exclusive) of the records at hand, compared with all objects there."""

    begin: int
    end: int
    unlisted: list[int]
    """Which of them the listing lacks. Candidates, never a conclusion."""
    unnamed: int
    """Objects up to the last of these records that no record names."""
    unnamed_behind: int
    """Such objects behind it."""


class Comparison:
    """Walks both sides of the keys from ``first`` (inclusive) to ``end`` (exclusive; None: open).

    ``records`` takes the next piece of one side, ``page`` of the other, and ``stretch`` compares what both sides are
    known of. Objects up to ``passed`` were counted by an earlier walk.
    """

    def __init__(self, *, first: str = "", end: str | None = None, passed: str = "") -> None:
        self._first = first
        self._end = end
        self._passed = passed
        self._keys: Sequence[str] = ()
        self._at = 0
        self._objects: Sequence[str] = ()
        self._place = 0
        self._listed_to: str | None = ""
        """The listing is known up to this key; None: to the end."""

    @property
    def next_key(self) -> str | None:
        """Of the first record at hand that was not compared; None when there is none."""
        return self._keys[self._at] if self._at < len(self._keys) else None

    @property
    def next_is_listed(self) -> bool:
        """Whether the listing is known where the next record is (or, without one, to its end)."""
        key = self.next_key
        return self._listed_to is None or (key is not None and key <= self._listed_to)

    @property
    def records_on_page(self) -> int:
        """How many of the records at hand the page at hand holds."""
        return self._end_on_page - self._at

    @property
    def likely_on_page(self) -> float:
        """How many records the page at hand holds, also where those at hand end before it does: what lies behind is
        taken to be like what lies before.
        """
        end = self._end_on_page
        number = end - self._at
        if not number or end < len(self._keys):
            return number
        return number * len(self._objects) / max(bisect_right(self._objects, self._keys[-1]), 1)

    @property
    def _end_on_page(self) -> int:
        if self._listed_to is None:
            return len(self._keys)
        return bisect_right(self._keys, self._listed_to, self._at)

    @property
    def listing_ended(self) -> bool:
        return self._listed_to is None

    def records(self, keys: Ascending) -> None:
        """Take the next records, when all before are compared. Raises OutOfOrder."""
        before = self._keys[-1] if self._keys else None
        if keys and before is not None and keys[0] < before:
            raise OutOfOrder("records", before, keys[0])
        self._keys, self._at = keys, 0
        shares_its_object = bool(keys) and keys[0] == before
        if shares_its_object and self._place and self._objects[self._place - 1] == before:
            self._place -= 1

    def page(self, keys: StrictlyAscending, *, last: bool) -> int:
        """Take the next page, when all before is compared; ``last`` when nothing is listed behind it.

        Returns how many of its objects lie before ``end``. Raises OutOfOrder.
        """
        before = self._objects[-1] if self._objects else None
        if keys and before is not None and keys[0] <= before:
            raise OutOfOrder("listing", before, keys[0])
        begin = bisect_left(keys, self._first)
        stop = len(keys) if self._end is None else bisect_left(keys, self._end)
        if stop < len(keys):
            last = True
        if begin < stop and keys[begin] <= self._passed:
            # the object at `passed` was counted; it is needed once more when records still name it
            cut = bisect_left if self.next_key == self._passed else bisect_right
            begin = cut(keys, self._passed)
        self._objects = keys[begin:stop]
        self._place = 0
        self._listed_to = None if last else keys[-1] if keys else self._listed_to
        return len(self._objects)

    def stretch(self) -> Stretch:
        """Compare as far as both sides are known: to the last record at hand, or to the end of the page."""
        begin, keys, objects = self._at, self._keys, self._objects
        end = self._end_on_page
        # behind the last record at hand lie objects that the next records may name
        stop = bisect_right(objects, keys[-1], self._place) if keys and end == len(keys) else len(objects)
        here, there = keys[begin:end], objects[self._place : stop]
        self._at, self._place = end, stop
        if here == there:
            return Stretch(begin, end, [], 0, 0)
        listed, named = set(there), set(here)
        shared = len(named & listed)
        unlisted = (
            [] if shared == len(named) else [begin + n for n, key in enumerate(here) if key not in listed]
        )
        behind = len(there) - bisect_right(there, here[-1]) if here else len(there)
        return Stretch(begin, end, unlisted, len(listed) - shared - behind, behind)

    def skip(self, number: int) -> range:
        """Pass the next records uncompared: which of those at hand they are. Their objects stay unseen."""
        begin = self._at
        self._at = min(begin + number, len(self._keys))
        return range(begin, self._at)

    def rest(self) -> int:
        """The objects at hand behind the last record, when there are no more records. They are then passed."""
        unnamed = len(self._objects) - self._place
        self._place = len(self._objects)
        return unnamed
