from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.cost import BREAK_EVEN_IN_TIME, Prices, expectation, told

KINDS = ["LIST", "VERSIONS", "HEAD", "GET", "HEAD_BUCKET", "VERSIONING"]


def test_prices__of_requests_by_kind() -> None:
    prices = Prices(list=5.0, get=0.4)

    assert prices.of({}) == 0
    assert prices.of({"LIST": 1000}) == pytest.approx(5.0)
    assert prices.of({"VERSIONS": 1000}) == pytest.approx(5.0), "ListObjectVersions is a LIST too"
    assert prices.of({"HEAD": 1000, "GET": 1000, "HEAD_BUCKET": 500, "VERSIONING": 500}) == pytest.approx(1.2)


@given(st.dictionaries(st.sampled_from(KINDS), st.integers(0, 10**9)), st.floats(0, 100), st.floats(0, 100))
def test_prices__add_up_and_are_never_negative(requests: dict[str, int], list: float, get: float) -> None:
    prices = Prices(list=list, get=get)
    one_by_one = sum(prices.of({kind: number}) for kind, number in requests.items())

    assert prices.of(requests) == pytest.approx(one_by_one)
    assert prices.of(requests) >= 0


@pytest.mark.parametrize(
    ("prices", "records"),
    [
        (Prices(), 12.5),
        (Prices(list=1.0, get=1.0), 1.0),
        (Prices(list=0.0), 0.0),
        (Prices(list=0.0, get=0.0), BREAK_EVEN_IN_TIME),
        (Prices(get=0.0), BREAK_EVEN_IN_TIME),
    ],
)
def test_break_even__is_what_a_page_must_hold(prices: Prices, records: float) -> None:
    assert prices.break_even == pytest.approx(records)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USD"),
        (1234.5, "1,234.50 USD"),
        (1, "1.00 USD"),
        (0.5, "0.5 USD"),
        (0.4321, "0.43 USD"),
        (0.00512, "0.0051 USD"),
        (0.000012, "0.000012 USD"),
        (0.996, "1 USD"),
    ],
)
def test_told__is_short_and_never_nothing_for_something(amount: float, text: str) -> None:
    assert told(amount, "USD") == text


@given(st.floats(min_value=1e-12, max_value=1e9))
def test_told__is_within_a_twentieth_of_the_amount(amount: float) -> None:
    number = told(amount, "EUR").removesuffix(" EUR").replace(",", "")

    assert "e" not in number
    assert float(number) == pytest.approx(amount, rel=0.05)


def test_expectation__before_the_objects_were_ever_counted() -> None:
    assert expectation(2000, "auto", Prices()) == (
        "about 2,000 records, by listing: 0.005 USD for every million objects; one HEAD each: 0.0008 USD; little more "
        "than the cheaper of the two"
    )


def test_expectation__with_what_the_last_audit_saw() -> None:
    assert expectation(2000, "list", Prices(), objects=10_500) == (
        "about 2,000 records, by listing: 0.000055 USD for about 10,500 objects"
    )
    assert "0.000005 USD for about 0 objects" in expectation(5, "list", Prices(), objects=0)


def test_expectation__of_head() -> None:
    assert expectation(3_000_000, "head", Prices()) == "about 3,000,000 records, one HEAD each: 1.20 USD"


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
def test_expectation__of_a_store_that_costs_nothing(strategy: str) -> None:
    free = Prices(list=0.0, get=0.0)

    for objects in (None, 5_000):
        assert "0.00 USD" in expectation(100, strategy, free, objects=objects)
