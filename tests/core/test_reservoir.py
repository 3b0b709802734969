from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.reservoir import Reservoir, merged


@given(st.integers(0, 5), st.lists(st.integers(0, 12)), st.integers())
def test_reservoir__keeps_distinct_items_and_as_many_as_it_can(
    size: int, pieces: list[int], seed: int
) -> None:
    reservoir: Reservoir[int] = Reservoir(size, seed=seed)
    begin = 0
    for piece in pieces:
        reservoir.offer(piece, lambda n, begin=begin: begin + n)  # type: ignore[misc]
        begin += piece

    assert len(reservoir.kept) == min(size, begin)
    assert len(set(reservoir.kept)) == len(reservoir.kept)
    assert all(0 <= one < begin for one in reservoir.kept)


def test_reservoir__every_item_has_the_same_chance() -> None:
    drawn: Counter[int] = Counter()
    for seed in range(4000):
        reservoir: Reservoir[int] = Reservoir(5, seed=seed)
        for begin in (0, 3, 10):
            reservoir.offer({0: 3, 3: 7, 10: 30}[begin], lambda n, begin=begin: begin + n)  # type: ignore[misc]
        drawn.update(reservoir.kept)

    # 40 items, 5 of them kept 4,000 times: 500 each, with a standard deviation of about 21
    assert sorted(drawn) == list(range(40))
    assert all(390 < number < 610 for number in drawn.values())


def test_reservoir__goes_on_with_what_was_kept() -> None:
    reservoir = Reservoir(2, seed=1, kept=["a", "b"])
    reservoir.offer(0, lambda n: "never")

    assert reservoir.kept == ["a", "b"]


@given(st.integers(0, 5), st.lists(st.integers(0, 12)), st.integers())
def test_merged__keeps_distinct_items_and_as_many_as_it_can(size: int, numbers: list[int], seed: int) -> None:
    sample = merged(drawn_of(numbers, size, seed), size, seed=seed)

    assert len(sample) == len(set(sample)) == min(size, sum(numbers))
    assert all(0 <= item < numbers[pot] for pot, item in sample)


def test_merged__every_item_of_every_sample_has_the_same_chance() -> None:
    numbers = [3, 0, 7, 1, 29]
    counted: Counter[tuple[int, int]] = Counter()
    for seed in range(4000):
        counted.update(merged(drawn_of(numbers, 5, seed), 5, seed=seed + 1))

    assert sorted(counted) == [(pot, item) for pot, number in enumerate(numbers) for item in range(number)]
    assert all(390 < number < 610 for number in counted.values())  # as above


def drawn_of(numbers: list[int], size: int, seed: int) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """A sample of each of several, of so many items."""
    for pot, number in enumerate(numbers):
        reservoir: Reservoir[tuple[int, int]] = Reservoir(size, seed=seed + 1_000_003 * pot)
        reservoir.offer(number, lambda n, pot=pot: (pot, n))  # type: ignore[misc]
        yield reservoir.kept, number
