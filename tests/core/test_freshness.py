"""When a slice is due, which one, and how slices are cut and laid over each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesync.core.freshness import (
    LAST_RETRY,
    SPREAD,
    SliceFacts,
    covers_everything,
    cut,
    due_at,
    grouped,
    joined,
    laid_over,
    next_stretch,
    not_waiting,
    retry_after,
    slice_of,
    standing_of,
)

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)


def partition(number: int, **values: object) -> list[SliceFacts]:
    """``number`` slices that cover everything, of ten records each."""
    edges: list[str] = [f"{place:04}" for place in range(1, number)]
    return [
        SliceFacts(first_key=first, end_key=end, records=10, **values)  # type: ignore[arg-type]
        for first, end in zip(["", *edges], [*edges, None], strict=True)
    ]


def looked(slices: list[SliceFacts], stretch: list[SliceFacts], at: datetime) -> list[SliceFacts]:
    return [replace(one, looked_at=at) if one in stretch else one for one in slices]


@settings(deadline=None, max_examples=50)
@given(
    number=st.integers(1, 12),
    every=st.timedeltas(timedelta(hours=1), timedelta(hours=12)),
    looked_before=st.lists(st.none() | st.timedeltas(timedelta(0), timedelta(days=30)), max_size=12),
)
def test_due_at__whoever_asks_regularly_keeps_everything_within_the_time(
    number: int, every: timedelta, looked_before: list[timedelta | None]
) -> None:
    """``every`` is how often somebody asks: at most 0.07 of the time, which the spread leaves room for."""
    slices = partition(number)
    for place, age in enumerate(looked_before[:number]):
        if age is not None:
            slices[place] = replace(slices[place], looked_at=BEGAN - age)
    now, looks = BEGAN, 0

    while now < BEGAN + 3 * WEEK:
        while (due := due_at(slices, began_at=BEGAN, within=WEEK)) is not None and due <= now:
            stretch = next_stretch(slices, within=WEEK, now=now, size=10)
            assert len(stretch) == 1
            slices = looked(slices, stretch, now)
            looks += 1
        if now > BEGAN + WEEK:
            assert all(one.looked_at is not None and now - one.looked_at <= WEEK for one in slices)
        now += every

    # three periods, those that were stale at the beginning once more, and what spreading over SPREAD adds
    assert looks <= number * (3 / SPREAD + 1) + 1


def test_due_at__after_an_audit_of_everything_slices_are_spread_again() -> None:
    slices = partition(10, looked_at=BEGAN)
    pace = WEEK * SPREAD / 10
    at = []

    for _look in range(10):
        due = due_at(slices, began_at=BEGAN, within=WEEK)
        assert due is not None
        at.append(due)
        slices = looked(slices, next_stretch(slices, within=WEEK, now=due, size=10)[:1], due)

    assert {later - earlier for earlier, later in pairwise(at)} == {pace}
    assert at[0] == BEGAN + pace


def test_due_at__never_looked_at_begins_at_once_and_is_spread_over_the_first_period() -> None:
    slices = partition(10)

    assert due_at(slices, began_at=BEGAN, within=WEEK) == BEGAN
    after_one = looked(slices, slices[:1], BEGAN)
    assert due_at(after_one, began_at=BEGAN, within=WEEK) == BEGAN + WEEK * SPREAD / 10
    assert due_at([], began_at=BEGAN, within=WEEK) is None


def test_next_stretch__is_the_stalest_and_never_looked_at_comes_first() -> None:
    slices = partition(4, looked_at=BEGAN)
    slices[2] = replace(slices[2], looked_at=BEGAN - HOUR)

    assert next_stretch(slices, within=WEEK, now=BEGAN, size=10) == [slices[2]]
    slices[3] = replace(slices[3], looked_at=None)
    assert next_stretch(slices, within=WEEK, now=BEGAN, size=10) == [slices[3]]


def test_next_stretch__takes_small_stale_neighbours_along_and_fresh_ones_not() -> None:
    slices = partition(5, looked_at=BEGAN - WEEK)
    slices[0] = replace(slices[0], looked_at=BEGAN)
    slices[2] = replace(slices[2], looked_at=BEGAN - WEEK - HOUR)

    assert next_stretch(slices, within=WEEK, now=BEGAN, size=29) == slices[2:4]
    assert next_stretch(slices, within=WEEK, now=BEGAN, size=1000) == slices[1:5]


def test_next_stretch__what_failed_together_is_looked_at_apart() -> None:
    slices = partition(3, looked_at=BEGAN - WEEK, failed_at=BEGAN - WEEK)
    slices[2] = replace(slices[2], failed_at=None)

    assert next_stretch(slices, within=WEEK, now=BEGAN, size=1000) == slices[:1]
    slices[0] = replace(slices[0], looked_at=BEGAN)
    slices[1] = replace(slices[1], looked_at=BEGAN)
    assert next_stretch(slices, within=WEEK, now=BEGAN, size=1000) == slices[2:]


def test_next_stretch__after_a_failed_look_the_others_come_first() -> None:
    slices = partition(3, looked_at=BEGAN - WEEK)
    slices[0] = replace(slices[0], looked_at=None, failed_at=BEGAN)

    assert next_stretch(slices, within=WEEK, now=BEGAN, size=10) == [slices[1]]
    assert next_stretch(slices, within=WEEK, now=BEGAN + LAST_RETRY, size=10) == [slices[0]]
    assert not_waiting(slices, within=WEEK, now=BEGAN) == slices[1:]
    assert len(not_waiting(slices, within=HOUR, now=BEGAN + HOUR / 20)) == 3
    assert next_stretch([slices[0]], within=WEEK, now=BEGAN, size=10) == []


def test_retry_after__doubles_up_to_a_limit() -> None:
    waits = [retry_after(failures) for failures in range(1, 200)]

    assert waits[1] == 2 * waits[0]
    assert waits == sorted(waits)
    assert waits[-1] == LAST_RETRY


def test_standing__tells_the_share_the_stalest_and_how_far_behind() -> None:
    slices = partition(4, looked_at=BEGAN)
    slices[1] = replace(slices[1], looked_at=BEGAN - WEEK - HOUR)

    standing = standing_of(slices, began_at=BEGAN, within=WEEK, now=BEGAN)

    assert (standing.records, standing.fresh, standing.share) == (40, 30, 0.75)
    assert (standing.stalest_at, standing.behind) == (BEGAN - WEEK - HOUR, HOUR)


def test_standing__of_what_was_never_looked_at() -> None:
    standing = standing_of(partition(2), began_at=BEGAN, within=WEEK, now=BEGAN + WEEK + HOUR)

    assert (standing.share, standing.never, standing.stalest_at) == (0.0, 2, None)
    assert standing.behind == HOUR
    nothing = [SliceFacts(looked_at=BEGAN)]
    assert standing_of(nothing, began_at=BEGAN, within=WEEK, now=BEGAN).share == 1.0


sizes = st.lists(st.integers(0, 120), min_size=1, max_size=30)


@given(sizes)
def test_grouped__covers_the_same_and_is_about_equal_in_records(records: list[int]) -> None:
    ranges = [
        replace(one, records=number, present=number // 2, looked_at=BEGAN, finished_at=BEGAN, sound=True)
        for one, number in zip(partition(len(records)), records, strict=True)
    ]

    made = grouped(ranges, 100)

    assert covers_everything(made)
    assert sum(one.records for one in made) == sum(records)
    assert sum(one.present for one in made) == sum(number // 2 for number in records)
    assert all(one.records <= max(125, *records) for one in made)
    assert all(one.records + other.records > 125 for one, other in pairwise(made))
    assert all(one.sound and one.looked_at == BEGAN for one in made)


def test_joined__is_no_fresher_and_no_sounder_than_the_worst() -> None:
    one, other = partition(2, looked_at=BEGAN, finished_at=BEGAN, sound=True, audit=1)

    assert joined([one, replace(other, looked_at=BEGAN - HOUR)]).looked_at == BEGAN - HOUR
    assert joined([one, replace(other, looked_at=None)]).looked_at is None
    assert not joined([one, replace(other, sound=False)]).sound
    assert joined([one, replace(other, audit=2)]).audit is None


def test_cut__leaves_no_key_out_and_nothing_rests_on_it() -> None:
    one = SliceFacts(first_key="b", end_key="m", sound=True, records=90, present=80, looked_at=BEGAN)

    parts = cut(one, ["c", "f"], 90)

    assert [(part.first_key, part.end_key) for part in parts] == [("b", "c"), ("c", "f"), ("f", "m")]
    assert not any(part.sound or part.present for part in parts)
    assert all(part.looked_at == BEGAN for part in parts)


@given(st.integers(1, 8), st.data())
def test_laid_over__leaves_no_key_out_and_nothing_older_wins(number: int, data: st.DataObject) -> None:
    slices = [
        replace(one, looked_at=BEGAN + data.draw(st.integers(0, 9)) * HOUR) for one in partition(number)
    ]
    begin = data.draw(st.integers(0, number - 1))
    end = data.draw(st.integers(begin + 1, number))
    at = BEGAN + data.draw(st.integers(0, 12)) * HOUR
    news = cut(replace(joined(slices[begin:end]), looked_at=at), [], 7)

    laid = laid_over(slices, news)

    if any(one.looked_at is not None and one.looked_at >= at for one in slices[begin:end]):
        assert laid is None
    else:
        assert laid == [*slices[:begin], *news, *slices[end:]]
        assert covers_everything(laid)


@pytest.mark.parametrize(("first", "end"), [("0001x", None), ("0001", "0002x"), ("", "0000")])
def test_laid_over__other_borders_are_not_laid_over(first: str, end: str | None) -> None:
    slices = partition(4, looked_at=BEGAN)

    assert laid_over(slices, [SliceFacts(first_key=first, end_key=end, looked_at=BEGAN + HOUR)]) is None


@given(st.integers(1, 9), st.text(max_size=6))
def test_slice_of__is_the_one_that_holds_the_key(number: int, key: str) -> None:
    slices = partition(number)

    assert [one for one in slices if one.holds(key)] == [slice_of(slices, key)]


def test_covers_everything__refuses_gaps_overlaps_and_open_ends() -> None:
    slices = partition(3)

    assert covers_everything(slices)
    assert not covers_everything([])
    assert not covers_everything(slices[1:])
    assert not covers_everything(slices[:2])
    assert not covers_everything([slices[0], slices[2]])
