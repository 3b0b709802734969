from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.compare import Comparison, OutOfOrder, ascending, strictly_ascending

# few letters, so that keys meet; some whose UTF-8, UTF-16 and alphabetical orders differ
keys = st.text(alphabet="aAbé\n\uffff\U0001f600", min_size=1, max_size=3)


def walk(
    comparison: Comparison, records: list[list[str]], pages: list[list[str]]
) -> tuple[list[str], list[str], int]:
    """What an audit does: (compared keys, unlisted keys, number of unnamed objects)."""
    compared: list[str] = []
    unlisted: list[str] = []
    unnamed = 0
    left = iter(pages)
    number = 0
    for piece in records:
        comparison.records(ascending(piece))
        while comparison.next_key is not None:
            while not comparison.next_is_listed:
                number += 1
                unnamed += comparison.rest()
                comparison.page(strictly_ascending(next(left)), last=number == len(pages))
            stretch = comparison.stretch()
            compared += piece[stretch.begin : stretch.end]
            unlisted += [piece[index] for index in stretch.unlisted]
            unnamed += stretch.unnamed + stretch.unnamed_behind
    unnamed += comparison.rest()
    while not comparison.listing_ended:
        number += 1
        comparison.page(strictly_ascending(next(left)), last=number == len(pages))
        unnamed += comparison.rest()
    return compared, unlisted, unnamed


def cut(some: list[str], places: list[int]) -> list[list[str]]:
    edges = sorted({0, len(some), *(place for place in places if place <= len(some))})
    return [some[begin:end] for begin, end in pairwise(edges)] or [[]]


@given(
    records=st.lists(keys),
    listed=st.sets(keys),
    pieces=st.lists(st.integers(0, 20)),
    pages=st.lists(st.integers(0, 20)),
    bounds=st.tuples(st.just("") | keys, st.none() | keys),
)
def test_comparison__agrees_with_set_arithmetic(
    records: list[str],
    listed: set[str],
    pieces: list[int],
    pages: list[int],
    bounds: tuple[str, str | None],
) -> None:
    first, end = bounds
    named = sorted(key for key in records if first <= key and (end is None or key < end))
    there = {key for key in listed if first <= key and (end is None or key < end)}

    compared, unlisted, unnamed = walk(
        Comparison(first=first, end=end), cut(named, pieces), cut(sorted(listed), pages)
    )

    assert compared == named
    assert unlisted == [key for key in named if key not in listed]
    assert unnamed == len(there - set(named))


@given(
    records=st.lists(keys, min_size=1), listed=st.sets(keys), stop=st.integers(0, 20), piece=st.integers(1, 3)
)
def test_comparison__a_walk_that_goes_on_counts_nothing_twice(
    records: list[str], listed: set[str], stop: int, piece: int
) -> None:
    named = sorted(records)
    stop = min(stop, len(named) - 1)
    passed = named[stop]
    before = {key for key in listed if key <= passed}

    _compared, unlisted, unnamed = walk(
        Comparison(passed=passed),
        cut(named[stop + 1 :], list(range(0, len(named), piece))),
        [sorted(listed)],
    )

    assert unlisted == [key for key in named[stop + 1 :] if key not in listed]
    assert unnamed == len(listed - before - set(named))


@given(st.lists(keys))
def test_comparison__order_is_that_of_utf8_bytes(some: list[str]) -> None:
    by_bytes = sorted(set(some), key=str.encode)

    assert by_bytes == sorted(set(some))
    assert walk(Comparison(), [by_bytes], [by_bytes]) == (by_bytes, [], 0)


def test_comparison__records_of_one_key_in_several_pieces_share_their_object() -> None:
    assert walk(Comparison(), [["a", "b"], ["b"], ["b", "c"]], [["a", "b"], ["c", "d"]]) == (
        ["a", "b", "b", "b", "c"],
        [],
        1,
    )


@pytest.mark.parametrize("pages", [[["b", "a"]], [["a", "a"]], [["b"], ["a"]], [["b"], ["b"]]])
def test_comparison__refuses_a_listing_that_does_not_ascend(pages: list[list[str]]) -> None:
    comparison = Comparison()
    for page in pages[:-1]:
        comparison.page(strictly_ascending(page), last=False)

    with pytest.raises(OutOfOrder, match=r"listing: '.' came after") as caught:
        comparison.page(strictly_ascending(pages[-1]), last=False)

    assert caught.value.side == "listing"


@given(st.lists(keys))
def test_ascending__is_what_each_pair_says(some: list[str]) -> None:
    pairs = list(pairwise(some))

    assert ascends(ascending, some) == all(earlier <= later for earlier, later in pairs)
    assert ascends(strictly_ascending, some) == all(earlier < later for earlier, later in pairs)


@pytest.mark.parametrize("check", [ascending, strictly_ascending])
def test_ascending__names_the_first_pair_that_does_not(check: Callable[[list[str]], object]) -> None:
    with pytest.raises(OutOfOrder, match="'b' came after 'c'"):
        check(["a", "c", "b", "a"])


def ascends(check: Callable[[list[str]], object], some: list[str]) -> bool:
    try:
        return check(some) is some
    except OutOfOrder:
        return False


def test_comparison__refuses_records_that_go_backwards() -> None:
    comparison = Comparison()
    comparison.records(ascending(["a", "b"]))

    with pytest.raises(OutOfOrder, match="records: 'a' came after 'b'"):
        comparison.records(ascending(["a"]))


def test_comparison__knows_what_lies_before_the_end() -> None:
    comparison = Comparison(first="b", end="e")

    assert comparison.page(strictly_ascending(["a", "b", "c"]), last=False) == 2
    assert not comparison.listing_ended
    comparison.rest()
    assert comparison.page(strictly_ascending(["d", "e", "f"]), last=False) == 1
    assert comparison.listing_ended
