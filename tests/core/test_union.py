"""Slices that a purge may rest on: what goes is proven missing, in a slice that is fresh, in a whole that is sound."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.freshness import SliceFacts
from imagesync.core.planning import plan_purge
from imagesync.core.plans import Candidate, Limits, PurgePlan
from imagesync.core.rails import AuditFacts, StoreFacts
from imagesync.core.union import OwnSlice, Union, union_of

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
WEEK, DAY, HOUR = timedelta(days=7), timedelta(days=1), timedelta(hours=1)
LIMITS = Limits(freshness=WEEK)
STORE = StoreFacts(bucket="media", fingerprint="f")


def slices(*ages: timedelta, **values: Any) -> list[SliceFacts]:
    """One for each age, of 100 records each, with the borders "1", "2" and so on."""
    edges = [str(place) for place in range(1, len(ages))]
    ordinary: dict[str, Any] = {"audit": 1, "sound": True, "records": 100, "present": 90}
    return [
        SliceFacts(
            first_key=first,
            end_key=end,
            looked_at=NOW - age,
            finished_at=NOW - age + timedelta(minutes=1),
            **{**ordinary, **values},
        )
        for first, end, age in zip(["", *edges], [*edges, None], ages, strict=True)
    ]


def planned(union: Union, *candidates: Candidate, limits: Limits = LIMITS) -> PurgePlan:
    facts = AuditFacts(
        id=1, complete=True, full_scope=True, named_by_hand=False, trust="trustworthy", reasons=[],
        finished_at=union.oldest_at, fingerprint="f", records=union.records, present=union.present,
        slices=len(union.slices),
    )  # fmt: skip
    return plan_purge(candidates, audit=facts, store=STORE, limits=limits, now=NOW)


def candidate(union: Union, key: str, found: timedelta, **values: Any) -> Candidate:
    """``found`` is how long ago the record was found missing."""
    own = union.own_slice(key)
    assert own is not None
    ordinary: dict[str, Any] = {
        "record": f"a.B:{key}", "field": "file", "key": key, "action": "delete", "born_at": NOW - 30 * DAY,
        "missing_since": NOW - found, "seen_again_at": own.looked_at, "own_slice": own, "found_by": 1,
    }  # fmt: skip
    return Candidate(**{**ordinary, **values})


def union(*ages: timedelta, **values: Any) -> Union:
    found = union_of(slices(*ages, **values), within=WEEK, now=NOW)
    assert found is not None
    return found


def test_union__of_slices_within_the_time_counts_all_of_them() -> None:
    found = union(HOUR, 6 * DAY, 3 * DAY)

    assert (found.records, found.present, found.oldest_at) == (300, 270, NOW - 6 * DAY)
    assert found.own_slice("1x") == OwnSlice(
        looked_at=NOW - 6 * DAY, finished_at=NOW - 6 * DAY + timedelta(minutes=1), audit=1
    )


@pytest.mark.parametrize(
    "change",
    [
        {"looked_at": None},
        {"looked_at": NOW - WEEK - timedelta(seconds=1)},
        {"looked_at": NOW + HOUR},
        {"finished_at": None},
        {"sound": False},
        {"failed_at": NOW},
        {"end_key": "1x"},
        {"first_key": "1x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_union__one_slice_that_is_stale_doubted_or_misplaced_spoils_it(change: dict[str, Any]) -> None:
    found = slices(HOUR, HOUR, HOUR)
    found[1] = replace(found[1], **change)

    assert union_of(found, within=WEEK, now=NOW) is None


def test_union__of_nothing_or_of_a_part_is_none() -> None:
    found = slices(HOUR, HOUR, HOUR)

    assert union_of([], within=WEEK, now=NOW) is None
    assert union_of(found[1:], within=WEEK, now=NOW) is None
    assert union_of(found[:2], within=WEEK, now=NOW) is None


def test_purge__of_a_union_takes_what_is_in_a_fresh_range_and_lets_the_others_wait() -> None:
    found = union(HOUR, 6 * DAY)

    plan = planned(found, candidate(found, "0", 6 * DAY), candidate(found, "1", 6 * DAY))

    assert [one.key for one in plan.go] == ["0"]
    assert [one.why for one in plan.keep] == ["its slice was looked at 6 d ago; the limit is 1 d"]
    assert plan.refused is None


def test_purge__of_a_union_takes_nothing_that_its_own_slice_has_not_confirmed() -> None:
    found = union(2 * HOUR)

    plan = planned(found, candidate(found, "0", HOUR))

    assert plan.go == ()
    assert "not looked at since it was found missing" in plan.keep[0].why


@pytest.mark.parametrize(("found_by", "audit"), [(8, 7), (None, 7), (7, None)])
def test_purge__of_a_union_takes_nothing_that_a_later_look_found_whatever_its_clock_said(
    found_by: int | None, audit: int | None
) -> None:
    """A watch of events whose machine is days behind dates what it finds before the slice's look, which saw it present."""
    found = union(HOUR, audit=audit)

    plan = planned(
        found, candidate(found, "0", 6 * DAY, found_by=found_by), limits=replace(LIMITS, ripen=DAY)
    )

    assert plan.go == ()
    assert "not looked at since it was found missing" in plan.keep[0].why
    assert planned(union(HOUR, audit=7), candidate(union(HOUR, audit=7), "0", 6 * DAY, found_by=7)).go


def test_purge__of_a_union_counts_those_that_wait_for_the_ratio() -> None:
    """Else a tenth could go each day, and everything within a week."""
    found = union(HOUR, *[6 * DAY] * 9)  # 1,000 records
    missing = [
        candidate(found, f"{place}", 6 * DAY, record=f"a.B:{n}") for n, place in enumerate([*range(10)] * 15)
    ]

    plan = planned(found, *missing, limits=replace(LIMITS, max_free=0))

    assert len(plan.go) == 15
    assert plan.waiting == 135
    assert plan.refused is not None
    assert plan.refused.id == "max_ratio"
    assert "150 rows would go" in plan.refused.fact
    assert planned(found, *missing[:90], limits=replace(LIMITS, max_free=0)).refused is None


def test_purge__of_a_union_that_has_aged_is_refused() -> None:
    found = union(6 * DAY, HOUR)

    plan = planned(found, candidate(found, "1", DAY), limits=replace(LIMITS, freshness=5 * DAY))

    assert plan.refused is not None
    assert plan.refused.id == "audit_stale"
    assert plan.refused.fact == "The union of 2 slices is 6 d old; the limit is 5 d."
    without = planned(found, candidate(found, "1", DAY), limits=replace(LIMITS, freshness=None))
    assert without.refused is not None


def test_purge__unattended_needs_two_looks_that_far_apart() -> None:
    limits = replace(LIMITS, ripen=DAY)
    found = union(HOUR)

    assert planned(found, candidate(found, "0", DAY + 2 * HOUR), limits=limits).go
    assert not planned(found, candidate(found, "0", DAY), limits=limits).go
    once_restored = candidate(found, "0", 3 * DAY, restored_before=True)
    assert not planned(found, once_restored, limits=limits).go


mostly_within = st.timedeltas(timedelta(0), WEEK) | st.timedeltas(timedelta(0), DAY) | st.just(8 * DAY)
looks_of_slices = st.lists(
    st.tuples(
        mostly_within,
        st.sampled_from([True] * 19 + [False]),
        st.sampled_from([None] * 19 + [HOUR]),
        st.integers(0, 200),
    ),
    min_size=1,
    max_size=6,
)


@given(
    looks=looks_of_slices,
    found=st.lists(st.tuples(st.integers(0, 5), st.timedeltas(timedelta(0), timedelta(days=9))), max_size=12),
    ripen=st.none() | st.just(DAY),
)
def test_purge__of_a_union_never_takes_what_is_not_proven_missing_in_a_fresh_range_of_a_sound_whole(
    looks: list[tuple[timedelta, bool, timedelta | None, int]],
    found: list[tuple[int, timedelta]],
    ripen: timedelta | None,
) -> None:
    made = [
        replace(
            one,
            sound=sound,
            failed_at=None if failed is None else NOW - failed,
            records=records,
            present=records,
        )
        for one, (_age, sound, failed, records) in zip(
            slices(*(look[0] for look in looks)), looks, strict=True
        )
    ]
    whole = union_of(made, within=WEEK, now=NOW)

    good = all(sound and failed is None and age <= WEEK for age, sound, failed, _records in looks)
    assert (whole is not None) == good
    if whole is None:
        return
    candidates = [
        candidate(whole, str(place), age, record=f"a.B:{number}") for number, (place, age) in enumerate(found)
    ]
    plan = planned(whole, *candidates, limits=replace(LIMITS, ripen=ripen))

    assert len(plan.go) + len(plan.keep) == len(candidates)
    by_record = {one.record: one for one in candidates}
    for one in plan.go:
        proven = by_record[one.record]
        own = proven.own_slice
        assert own is not None
        assert NOW - own.looked_at <= LIMITS.audit_max_age
        assert proven.missing_since <= own.finished_at
        assert ripen is None or own.looked_at - proven.missing_since >= ripen
    if plan.go and plan.refused is None:
        rows = plan.rows + plan.waiting
        records = sum(look[3] for look in looks)
        assert rows <= 0.1 * records or (rows <= LIMITS.max_free and rows <= records / 2)
