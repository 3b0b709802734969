"""No notice without a change, no change above the threshold without a notice, and never the same one twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.news import BROKEN, TROUBLES, Kind, News, Standing, Told, news_of

COUNTS = st.dictionaries(st.sampled_from([one.value for one in BROKEN]), st.integers(0, 12), max_size=4)
REASONS = st.frozensets(st.sampled_from(["wrong_region", "timed_out", "list_denied"]), max_size=3)
TROUBLE = st.dictionaries(st.sampled_from([one.value for one in TROUBLES]), REASONS, max_size=3)
STANDINGS = st.lists(
    st.builds(Standing, broken=st.none() | COUNTS, troubles=TROUBLE, audit=st.integers(1, 3)), max_size=12
)


def tell(
    standings: list[Standing], *, threshold: int = 1, told: Told | None = None
) -> tuple[list[list[News]], Told]:
    """One after the other, each at an audit of its own."""
    told = told or Told()
    heard = []
    for number, one in enumerate(standings, 1):
        now = Standing(audit=number, broken=one.broken, troubles=one.troubles)
        news, told = news_of(told, now, threshold=threshold)
        heard.append(news)
    return heard, told


def broken(*counts: int) -> list[Standing]:
    return [Standing(broken={"missing": number}) for number in counts]


def kinds(heard: list[list[News]]) -> list[str]:
    return [
        " ".join(f"{one.kind}:{one.of}" if one.kind != one.of else str(one.kind) for one in news)
        for news in heard
    ]


@pytest.mark.parametrize(
    ("counts", "threshold", "expected"),
    [
        ([0, 0], 1, ["", ""]),
        ([6], 1, ["breakage"]),
        ([6, 6, 6], 1, ["breakage", "", ""]),
        ([6, 7, 7], 1, ["breakage", "breakage", ""]),
        ([6, 0, 0, 0], 1, ["breakage", "", "recovery:breakage", ""]),
        ([6, 0, 6, 0, 6, 0, 6], 1, ["breakage", "", "", "", "", "", ""]),
        ([9, 9], 10, ["", ""]),
        ([100, 109, 110], 10, ["breakage", "", "breakage"]),
        ([100, 95, 90, 90], 10, ["breakage", "", "", "recovery:breakage"]),
        ([100, 3, 0, 0], 200, ["", "", "", ""]),
    ],
)
def test_news__of_counts(counts: list[int], threshold: int, expected: list[str]) -> None:
    heard, _told = tell(broken(*counts), threshold=threshold)

    assert kinds(heard) == expected


def test_news__the_last_ones_repaired_are_a_recovery_below_the_threshold_too() -> None:
    heard, told = tell(broken(0, 0), threshold=10, told=Told(broken={"missing": 6}))

    assert kinds(heard) == ["", "recovery:breakage"]
    assert (told.broken, told.troubles, told.better_since) == ({}, {}, {})


def test_news__mismatched_that_went_missing_is_a_breakage_although_the_sum_is_the_same() -> None:
    standings = [Standing(broken={"mismatched": 5}), Standing(broken={"missing": 5})]

    assert kinds(tell(standings)[0]) == ["breakage", "breakage"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_news__trouble_is_told_once_until_it_changes_or_is_over(kind: Kind) -> None:
    bad, worse, well = (Standing(troubles={kind: frozenset(why)}) for why in ({"a"}, {"a", "b"}, set()))
    well = Standing()

    heard, told = tell([bad, bad, worse, bad, well, bad, well, well, bad])

    assert kinds(heard) == [kind, "", kind, "", "", "", "", f"recovery:{kind}", kind]
    assert told.troubles == {kind: frozenset({"a"})}


def test_news__an_audit_that_is_not_believed_says_nothing_of_counts() -> None:
    standings = [
        *broken(6),
        Standing(broken=None, troubles={"untrustworthy": frozenset({"wrong_region"})}),
        *broken(6),
    ]

    heard, told = tell(standings)

    assert kinds(heard) == ["breakage", "untrustworthy", ""]
    assert heard[0][0].rises == {"missing": 6}
    assert heard[1][0].reasons == ("wrong_region",)
    assert told.broken == {"missing": 6}


def test_news__an_audit_that_is_not_believed_confirms_no_recovery() -> None:
    unbelieved = Standing(broken=None, troubles={"untrustworthy": frozenset({"timed_out"})})

    heard, _told = tell([*broken(6, 0), unbelieved, *broken(0)])

    assert kinds(heard) == ["breakage", "", "untrustworthy", "recovery:breakage"]


@given(STANDINGS, st.integers(1, 8))
def test_news__what_was_told_is_not_told_again(standings: list[Standing], threshold: int) -> None:
    """However often the same standing is looked at, by whichever audits: at most one recovery more, then silence."""
    _heard, told = tell(standings, threshold=threshold)
    now = standings[-1] if standings else Standing()

    heard, _told = tell([now, now, now, now, now], threshold=threshold, told=told)

    later = [one for news in heard for one in news]
    assert all(one.kind is Kind.RECOVERY for one in later)
    assert len({(one.kind, one.of) for one in later}) == len(later)
    assert heard[-1] == []


@given(STANDINGS, st.integers(1, 8))
def test_news__the_same_audit_looked_at_again_says_nothing(standings: list[Standing], threshold: int) -> None:
    told = Told()
    for now in standings:
        _news, told = news_of(told, now, threshold=threshold)
        again, same = news_of(told, now, threshold=threshold)
        assert (again, same) == ([], told)


@given(STANDINGS, st.integers(1, 8))
def test_news__no_notice_without_change_and_no_rise_above_the_threshold_without_notice(
    standings: list[Standing], threshold: int
) -> None:
    told = Told()
    for number, one in enumerate(standings, 1):
        now = Standing(audit=number, broken=one.broken, troubles=one.troubles)
        news, after = news_of(told, now, threshold=threshold)
        heard = {(one.kind, one.of): one for one in news}
        rise, fall = _rise_and_fall(told.broken, now.broken)

        assert ((Kind.BREAKAGE, Kind.BREAKAGE) in heard) == (rise >= threshold)
        if (Kind.RECOVERY, Kind.BREAKAGE) in heard:
            assert fall >= threshold or (fall and not sum((now.broken or {}).values()))
        for kind in TROUBLES:
            new = kind in now.troubles and (
                kind not in told.troubles or now.troubles[kind] - told.troubles[kind]
            )
            assert ((kind, kind) in heard) == bool(new)
            if (Kind.RECOVERY, kind) in heard:
                assert kind in told.troubles
                assert kind not in now.troubles
        for one in news:
            assert one.kind in TROUBLES or one.of in TROUBLES or dict(one.before) != dict(one.now)
        if not news:
            assert (after.broken, after.troubles) == (told.broken, told.troubles)
        told = after


@given(STANDINGS, st.integers(1, 8))
def test_news__a_change_for_the_better_that_lasts_is_told(standings: list[Standing], threshold: int) -> None:
    """When all is well at two audits, people know of nothing that is wrong."""
    _heard, told = tell(standings, threshold=threshold)

    _heard, told = tell([Standing(broken={}), Standing(broken={})], threshold=threshold, told=told)

    assert (told.broken, told.troubles, told.better_since) == ({}, {}, {})


@given(STANDINGS, st.integers(1, 8))
def test_told__survives_the_database(standings: list[Standing], threshold: int) -> None:
    _heard, told = tell(standings, threshold=threshold)

    assert Told.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    assert Told.from_dict({}) == Told()


def _rise_and_fall(before: Any, now: Any) -> tuple[int, int]:
    if now is None:
        return 0, 0
    differences = [now.get(one, 0) - before.get(one, 0) for one in {*now, *before}]
    return sum(one for one in differences if one > 0), -sum(one for one in differences if one < 0)
