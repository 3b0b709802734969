"""A sample's estimate: the true share lies in the interval as often as promised, and what was seen is certain."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.estimate import estimate_missing


def counts(records: int, missing: int, **more: int) -> dict[str, int]:
    return {"records": records, "missing": missing, "present": records - missing, **more}


@pytest.mark.parametrize(("population", "missing"), [(200, 3), (5_000, 50), (100_000, 30), (100_000, 40_000)])
def test_estimate__holds_the_truth_about_as_often_as_it_says(population: int, missing: int) -> None:
    dice = random.Random(7)
    held = 0
    for _ in range(400):
        gone = sum(pick < missing for pick in dice.sample(range(population), 150))
        estimate = estimate_missing(counts(150, gone), population)
        assert estimate is not None
        held += estimate.records[0] <= missing <= estimate.records[1]

    assert held / 400 > 0.92


def test_estimate__of_all_records_is_what_was_counted() -> None:
    estimate = estimate_missing(counts(40, 7), 40)

    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((7 / 40, 7 / 40))
    assert estimate.records == (7, 7)


def test_estimate__when_none_is_missing_says_how_many_may_be() -> None:
    estimate = estimate_missing(counts(300, 0), 1_000_000)

    assert estimate is not None
    assert estimate.records[0] == 0
    assert 0.01 < estimate.high < 0.02


@pytest.mark.parametrize("failed", ["unknown", "denied"])
def test_estimate__is_none_when_a_look_failed(failed: str) -> None:
    assert estimate_missing(counts(100, 3, **{failed: 1}), 1000) is None


def test_estimate__is_none_without_a_sample() -> None:
    assert estimate_missing({}, 1000) is None


@given(st.integers(1, 2000), st.data())
def test_estimate__never_contradicts_what_was_seen(population: int, data: st.DataObject) -> None:
    sampled = data.draw(st.integers(1, population))
    missing = data.draw(st.integers(0, sampled))

    estimate = estimate_missing(counts(sampled, missing), population)

    assert estimate is not None
    assert 0 <= estimate.low <= estimate.share <= estimate.high <= 1
    low, high = estimate.records
    assert low <= population * missing / sampled <= high
    assert estimate.low >= min(missing / population, estimate.share) - 1e-12
