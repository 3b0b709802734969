"""What an audit of a made-up bucket pays: the requests of each strategy, played without a store.

The loop is that of ``imagesync/audit/scan.py``; tests/django/test_interrupted.py holds the two against each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagesync.core.compare import Comparison, ascending, strictly_ascending
from imagesync.core.cost import PAGE, Prices
from imagesync.core.strategy import Chooser, Jump, PageOn, Probe

CHUNK = 2000


@dataclass(frozen=True)
class Bucket:
    """Objects 0 to ``objects`` (exclusive), by their places in key order; ``records`` are the places of those that
    records name, ascending."""

    objects: int
    records: Sequence[int]

    @classmethod
    def of_gaps(cls, gaps: Sequence[int], *, behind: int = 0) -> Bucket:
        """Each record ``gaps[n]`` objects behind the one before."""
        place, places = -1, []
        for gap in gaps:
            place += gap
            places.append(place)
        return cls(place + 1 + behind, places)


def key_of(place: int) -> str:
    return f"{place:012}"


def requests_of(strategy: str, bucket: Bucket, prices: Prices, *, chunk: int = CHUNK) -> Counter[str]:
    """LIST and HEAD of an audit in one range, of records that are all there."""
    return _Walk(strategy, bucket, prices).requests(chunk)


class _Walk:
    def __init__(self, strategy: str, bucket: Bucket, prices: Prices) -> None:
        self._bucket = bucket
        self._chooser = Chooser(strategy, break_even=prices.break_even)
        self._comparison = Comparison()
        self._step = self._chooser.first()
        self._next_place = 0  # of the object that the next page begins with
        self._asked: Counter[str] = Counter()
        self._is_ahead = False

    def requests(self, chunk: int) -> Counter[str]:
        for places in _pieces(self._bucket.records, chunk):
            self._comparison.records(ascending([key_of(place) for place in places]))
            while (key := self._comparison.next_key) is not None:
                if self._comparison.next_is_listed:
                    self._comparison.stretch()
                elif isinstance(self._step, Probe):
                    self._probe(self._step)
                else:
                    self._next_page(int(key))
        while not self._comparison.listing_ended and isinstance(self._step, PageOn):
            self._next_page(None)
        return self._asked

    def _probe(self, step: Probe) -> None:
        number = len(self._comparison.skip(step.records))
        self._asked["HEAD"] += number
        self._step = self._chooser.after_probes(number)

    def _next_page(self, next_place: int | None) -> None:
        if not self._is_ahead:
            if isinstance(self._step, Jump) and next_place is not None:
                self._next_place = max(self._next_place, next_place)
            self._asked["LIST"] += 1
        self._is_ahead = False
        begin, end = self._next_place, min(self._next_place + PAGE, self._bucket.objects)
        self._next_place = end
        objects = self._comparison.page(
            strictly_ascending([key_of(place) for place in range(begin, end)]),
            last=end == self._bucket.objects,
        )
        if self._comparison.listing_ended:
            return
        comparison = self._comparison
        self._step = self._chooser.after_page(
            records=comparison.records_on_page, likely=comparison.likely_on_page, objects=objects
        )
        if isinstance(self._step, PageOn):
            self._asked["LIST"] += 1
            self._is_ahead = True


def _pieces(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for begin in range(0, len(places), size):
        yield places[begin : begin + size]
