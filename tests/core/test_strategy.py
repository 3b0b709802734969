from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesync.core.cost import PAGE, Prices
from imagesync.core.strategy import (
    FIRST_PROBES,
    PROBES,
    STRATEGIES,
    Chooser,
    Jump,
    PageOn,
    Probe,
    Step,
    choose_strategy,
    strategy_taken,
)
from imagesync.exceptions import InvalidRequest
from tests.core.paid import Bucket, requests_of

PRICES = Prices()
Dice = random.Random


def paid(bucket: Bucket, prices: Prices = PRICES) -> dict[str, float]:
    """What each strategy costs, in HEAD requests."""
    requests = {
        "auto": requests_of("auto", bucket, prices),
        "list": {"LIST": pages_of(bucket)},
        "head": {"HEAD": len(bucket.records)},
    }
    return {name: prices.of(asked) * 1000 / prices.get for name, asked in requests.items()}


def pages_of(bucket: Bucket) -> int:
    return math.ceil(bucket.objects / PAGE)


def after_page(chooser: Chooser, records: int, objects: int = PAGE) -> Step:
    return chooser.after_page(records=records, likely=records, objects=objects)


# -- worlds ------------------------------------------------------------------------------------------------


def lonely(dice: Dice, number: int) -> list[int]:
    """One object in ten thousand is named by a record."""
    return [dice.randrange(5_000, 15_000) for _ in range(number)]


def dense(dice: Dice, number: int) -> list[int]:
    return [dice.choice((1, 1, 1, 2)) for _ in range(number)]


def at_break_even(dice: Dice, number: int) -> list[int]:
    return [dice.randrange(1, 160) for _ in range(number)]


def half_as_close(dice: Dice, number: int) -> list[int]:
    return [dice.randrange(1, 320) for _ in range(number)]


def twice_as_close(dice: Dice, number: int) -> list[int]:
    return [dice.randrange(1, 80) for _ in range(number)]


def mixed(dice: Dice, number: int) -> list[int]:
    """Stretches of a hundred to a thousand, dense ones beside nearly empty ones."""
    kinds = chain.from_iterable(repeat((dense, lonely)))
    gaps: list[int] = []
    while len(gaps) < number:
        gaps += next(kinds)(dice, dice.randrange(100, 1_000))
    return gaps[:number]


def clustered(dice: Dice, number: int) -> list[int]:
    """A folder of a few dozen, then some thousand objects of others."""
    gaps: list[int] = []
    while len(gaps) < number:
        gaps += [dice.randrange(500, 5_000), *repeat(1, dice.randrange(60))]
    return gaps[:number]


def small_clusters(dice: Dice, number: int) -> list[int]:
    """Just worth a page, and the page behind holds nothing."""
    gaps: list[int] = []
    while len(gaps) < number:
        gaps += [dice.randrange(5_000, 10_000), *repeat(1, 14)]
    return gaps[:number]


def skewed(dice: Dice, number: int) -> list[int]:
    """Most records lie close, a few far, and some very far."""
    return [min(int(dice.paretovariate(0.8)), 300_000) for _ in range(number)]


def skewed_clusters(dice: Dice, number: int) -> list[int]:
    gaps: list[int] = []
    while len(gaps) < number:
        gaps += [1_500, *repeat(1, min(int(dice.paretovariate(0.5)), 2_000))]
    return gaps[:number]


def behind_others(dice: Dice, number: int) -> list[int]:
    """All in one folder, behind other folders."""
    return [20_000, *dense(dice, number - 1)]


def one_before_the_others(dice: Dice, number: int) -> list[int]:
    return [1, 1_200, *dense(dice, number - 2)]


WORLDS = [
    lonely,
    dense,
    at_break_even,
    half_as_close,
    twice_as_close,
    mixed,
    clustered,
    small_clusters,
    skewed,
    skewed_clusters,
    behind_others,
    one_before_the_others,
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("number", [130, 1_500])
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_chooser__costs_hardly_more_than_the_better_fixed_strategy(
    world: Callable[[Dice, int], list[int]], number: int, seed: int
) -> None:
    cost = paid(Bucket.of_gaps(world(Dice(seed), number), behind=500))

    first_probes = FIRST_PROBES * PRICES.break_even
    assert cost["auto"] <= 1.3 * cost["head"]
    assert cost["auto"] <= 1.3 * cost["list"] + first_probes


gaps = st.lists(
    st.tuples(st.sampled_from([0, 1, 30, 80, 300, 999, 1_001, 4_000, 50_000]), st.integers(1, 60)),
    min_size=3,
    max_size=12,
)


@given(gaps, st.integers(0, 3_000), st.sampled_from([100, 2_000]))
@settings(max_examples=150, deadline=None)
def test_chooser__never_costs_much_more_than_head(
    runs: list[tuple[int, int]], behind: int, chunk: int
) -> None:
    drawn = [gap for gap, number in runs for _ in range(number)]
    bucket = Bucket.of_gaps([1, *drawn], behind=behind)

    auto = requests_of("auto", bucket, PRICES, chunk=chunk)

    # the last page that is worth it has another one on its way, and after the last one in vain hardly anything is left
    # to probe; the same may be at the end of the records at hand
    ends = 1 + len(bucket.records) // chunk
    beyond = 2 * PRICES.break_even * ends
    assert PRICES.of(auto) * 1000 / PRICES.get <= 1.3 * len(bucket.records) + beyond


@pytest.mark.parametrize("prices", [Prices(list=0.005, get=0.00005), Prices(list=0.0005, get=0.0004)])
@pytest.mark.parametrize("world", [lonely, dense, half_as_close], ids=lambda world: world.__name__)
def test_chooser__knows_other_prices(world: Callable[[Dice, int], list[int]], prices: Prices) -> None:
    cost = paid(Bucket.of_gaps(world(Dice(3), 3_000)), prices)

    assert cost["auto"] <= 1.3 * cost["head"]
    assert cost["auto"] <= 1.3 * cost["list"] + FIRST_PROBES * prices.break_even


def test_chooser__where_a_page_costs_more_than_all_it_can_hold_asks_for_none() -> None:
    prices = Prices(list=0.5, get=0.0004)

    assert requests_of("auto", Bucket.of_gaps([1] * 3_000), prices) == {"HEAD": 3_000}
    assert requests_of("list", Bucket.of_gaps([1] * 3_000), prices) == {"LIST": 3}


def test_chooser__where_pages_cost_nothing_probes_none() -> None:
    prices = Prices(list=0.0)

    for strategy in ("auto", "list"):
        assert set(requests_of(strategy, Bucket.of_gaps([700] * 300), prices)) == {"LIST"}


@given(st.lists(st.integers(0, 2_000), max_size=40), st.integers(0, 3_000))
@settings(deadline=None)
def test_chooser__keeps_to_what_was_asked_for(drawn: list[int], behind: int) -> None:
    bucket = Bucket.of_gaps([1, *drawn], behind=behind)

    assert requests_of("list", bucket, PRICES) == {"LIST": pages_of(bucket)}
    assert requests_of("head", bucket, PRICES) == {"HEAD": len(bucket.records)}


def test_chooser__probes_twice_as_many_after_each_page_that_holds_too_few() -> None:
    chooser = Chooser("auto", break_even=10)
    first = chooser.first()
    second = after_page(chooser, 1)
    third = chooser.after_probes(40)
    fourth = after_page(chooser, 2)

    assert [first, second, third, fourth] == [PageOn(), Probe(40), Jump(), Probe(80)]
    assert chooser.after_probes(50) == Probe(30), "what was not at hand yet is probed as well"


def test_chooser__goes_on_with_pages_while_earlier_ones_have_saved_their_price() -> None:
    chooser = Chooser("auto", break_even=10)

    steps = [after_page(chooser, records) for records in (35, 1, 0, 1)]

    assert steps == [PageOn(), Jump(), Jump(), Probe(120 // 3 * 4)]


def test_chooser__what_is_only_likely_has_saved_nothing() -> None:
    chooser = Chooser("auto", break_even=10)

    assert chooser.after_page(records=1, likely=1000, objects=PAGE) == PageOn()
    assert after_page(chooser, 1) == Probe(40)


def test_chooser__takes_an_empty_page_for_no_sign() -> None:
    chooser = Chooser("auto", break_even=10)

    assert after_page(chooser, 0, objects=0) == PageOn()
    assert after_page(chooser, 1) == Probe(40)


# -- what was asked for, and what it came to -----------------------------------------------------------------


@pytest.mark.parametrize("asked", STRATEGIES)
def test_choose_strategy__is_what_was_asked_for(asked: str) -> None:
    assert choose_strategy(asked, names_single_records=False).name == asked
    assert choose_strategy(asked, names_single_records=True).name == "head"
    assert choose_strategy(asked, names_single_records=False).reason


def test_choose_strategy__refuses_what_it_does_not_know() -> None:
    with pytest.raises(InvalidRequest, match="choose one of auto, head, list"):
        choose_strategy("inventory", names_single_records=False)
    with pytest.raises(InvalidRequest, match="choose one of"):
        choose_strategy("", names_single_records=True)


@pytest.mark.parametrize(
    ("name", "counts", "taken"),
    [
        ("auto", {"records": 10, "probed": 10}, "head"),
        ("auto", {"records": 10, "probed": 0}, "list"),
        ("auto", {"records": 10}, "list"),
        ("auto", {"records": 10, "probed": 3}, "auto"),
        ("auto", {"records": 0}, "auto"),
        ("auto", {}, "auto"),
        ("head", {"records": 10, "probed": 0}, "head"),
        ("list", {"records": 10, "probed": 10}, "list"),
    ],
)
def test_strategy_taken__says_what_auto_came_to(name: str, counts: dict[str, int], taken: str) -> None:
    assert strategy_taken(name, counts) == taken


def test_probes__are_asked_for_some_hundreds_at_a_time() -> None:
    assert Chooser("head", break_even=12.5).first() == Probe(PROBES)
    assert Chooser("head", break_even=12.5).after_probes(PROBES) == Probe(PROBES)
