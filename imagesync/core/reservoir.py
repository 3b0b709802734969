"""A uniform sample of bounded size, drawn from a stream by leaps: what is not drawn costs nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Every item passed has the same chance to be kept (Li, "Reservoir-sampling algorithms", 1994, algorithm L).

    ``kept`` is what an earlier pass kept.
    """

    def __init__(self, size: int, *, seed: int, kept: Iterable[T] = ()) -> None:
        self.size = size
        self.kept = list(kept)[:size]
        self._random = random.Random(seed)  # noqa: S311 - a sample, not a secret
        self._weight = 1.0
        self._to_pass = 0
        if size and len(self.kept) == size:
            self._leap()

    def offer(self, number: int, item: Callable[[int], T]) -> None:
        """Pass ``number`` items; ``item`` makes the n-th of them, from 0 on, if it is drawn."""
        if not self.size:
            return
        passed = 0
        while len(self.kept) < self.size and passed < number:
            self.kept.append(item(passed))
            passed += 1
            if len(self.kept) == self.size:
                self._leap()
        while passed + self._to_pass < number and len(self.kept) == self.size:
            passed += self._to_pass
            self.kept[self._random.randrange(self.size)] = item(passed)
            passed += 1
            self._leap()
        self._to_pass -= number - passed if len(self.kept) == self.size else 0

    def _leap(self) -> None:
        self._weight *= math.exp(math.log(self._chance()) / self.size)
        self._to_pass = math.floor(math.log(self._chance()) / math.log1p(-self._weight))

    def _chance(self) -> float:
        return 1.0 - self._random.random()  # never 0, which has no logarithm


def merged(drawn: Iterable[tuple[Sequence[T], int]], size: int, *, seed: int) -> list[T]:
    """One sample out of several: each is what was kept, and of how many; of all together every item has the same chance.

    They are looked at one after the other, and none is kept.
    """
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    sample: list[T] = []
    of = 0
    for kept, passed in drawn:
        sample = _of_both((sample, of), (kept, passed), size, chance)
        of += passed
    return sample


def _of_both(
    one: tuple[Sequence[T], int], other: tuple[Sequence[T], int], size: int, chance: random.Random
) -> list[T]:
    pots = [
        (chance.sample(list(kept), len(kept)), passed) for kept, passed in (one, other) if kept and passed
    ]
    taken: list[T] = []
    while pots and len(taken) < size:
        number = chance.choices(range(len(pots)), [passed for _kept, passed in pots])[0]
        kept, passed = pots[number]
        taken.append(kept.pop())
        pots[number] = kept, passed - 1
        if not kept or passed < 2:
            del pots[number]
    return taken
