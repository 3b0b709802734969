from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.planning import plan_purge, why_grown
from imagesync.core.plans import Candidate, Limits, PurgePlan
from imagesync.core.rails import RAILS, AuditFacts, StoreFacts, audit_gone, not_seen_again, plan_is_stale
from imagesync.core.union import OwnSlice
from imagesync.core.verdicts import Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = Limits()
AUDIT = AuditFacts(
    id=7,
    complete=True,
    full_scope=True,
    named_by_hand=False,
    trust="trustworthy",
    reasons=[],
    finished_at=NOW - timedelta(minutes=5),
    fingerprint="f",
    records=1000,
    present=900,
)
STORE = StoreFacts(bucket="media", fingerprint="f")


def candidates(number: int, **values: Any) -> list[Candidate]:
    ordinary: dict[str, Any] = {
        "field": "file",
        "action": "delete",
        "born_at": NOW - timedelta(days=9),
        "missing_since": NOW - timedelta(days=2),
        "seen_again_at": NOW - timedelta(minutes=5),
    }
    return [Candidate(record=f"a.B:{pk}", key=f"{pk}.jpg", **{**ordinary, **values}) for pk in range(number)]


def planned(
    number: int = 1,
    *,
    audit: AuditFacts = AUDIT,
    store: StoreFacts = STORE,
    limits: Limits = LIMITS,
    **values: Any,
) -> PurgePlan:
    return plan_purge(candidates(number, **values), audit=audit, store=store, limits=limits, now=NOW)


def refusal(plan: PurgePlan) -> str | None:
    return plan.refused.id if plan.refused else None


COLLAPSED = Diagnosis(id="collapse", fact="All gone.", hint="")
CHANGED = Diagnosis(id="store_changed", fact="Another store.", hint="Adopt it.")

REFUSALS = {
    "audit_incomplete": {"audit": replace(AUDIT, complete=False)},
    "audit_untrustworthy": {"audit": replace(AUDIT, trust="untrustworthy")},
    "other_store": {"audit": replace(AUDIT, fingerprint="g")},
    "audit_partial": {"audit": replace(AUDIT, full_scope=False)},
    "audit_stale": {"audit": replace(AUDIT, finished_at=NOW - timedelta(hours=25))},
    "store_unfit": {"store": replace(STORE, unfit=Diagnosis(id="unreachable", fact="No.", hint="Mend."))},
    "purge_running": {"store": replace(STORE, purge_running="Purge 3 is running.")},
    "max_delete": {"number": 6, "limits": replace(LIMITS, max_delete=5)},
    "collapse": {"audit": replace(AUDIT, trust="degraded", reasons=[COLLAPSED])},
    "store_changed": {"audit": replace(AUDIT, trust="degraded", reasons=[CHANGED])},
    "nothing_present": {"audit": replace(AUDIT, present=0)},
    "max_ratio": {"number": 101},
    "wrong_bucket_typed": {"limits": replace(LIMITS, all_missing="medla")},
}


@pytest.mark.parametrize(("id", "facts"), REFUSALS.items())
def test_rails__each_refuses_with_its_own_id(id: str, facts: dict[str, Any]) -> None:
    plan = planned(**facts)

    assert refusal(plan) == id
    assert plan.refused is not None
    assert plan.refused.fact
    assert plan.refused.hint


def test_rails__every_rail_has_a_test_and_a_sentence() -> None:
    by_receivers = {"vetoed", "receiver_failed"}  # tests/django/test_signals.py

    at_execution = {"plan_stale", "audit_gone", "not_seen_again"}

    assert {*REFUSALS, *at_execution, *by_receivers} == set(RAILS)


def test_plan_is_stale__after_its_time() -> None:
    day = timedelta(hours=24)
    stale = plan_is_stale(3, day + timedelta(seconds=1), day)

    assert plan_is_stale(3, day, day) is None
    assert stale is not None
    assert stale.id == "plan_stale"


@pytest.mark.parametrize("limit", [timedelta(hours=24), timedelta(days=300)])
def test_rails__what_was_made_in_the_future_is_stale(limit: timedelta) -> None:
    """A clock was wrong. Some seconds are no future: no two are quite in step."""
    limits = replace(LIMITS, audit_max_age=limit)
    soon, later = NOW + timedelta(seconds=50), NOW + timedelta(hours=2)

    assert refusal(planned(limits=limits, audit=replace(AUDIT, finished_at=soon))) is None
    from_the_future = planned(limits=limits, audit=replace(AUDIT, finished_at=later)).refused
    assert from_the_future is not None
    assert (from_the_future.id, "2 h in the future" in from_the_future.fact) == ("audit_stale", True)
    assert plan_is_stale(3, NOW - soon, limit) is None
    stale = plan_is_stale(3, NOW - later, limit)
    assert stale is not None
    assert (stale.id, "2 h in the future" in stale.fact) == ("plan_stale", True)


def test_rails__a_record_whose_slice_was_looked_at_in_the_future_waits() -> None:
    later = NOW + timedelta(hours=2)
    own = OwnSlice(looked_at=later, finished_at=later, audit=7)

    plan = planned(own_slice=own, found_by=7)

    assert [one.why for one in plan.keep] == ["its slice was looked at 2 h in the future; the limit is 1 d"]


@pytest.mark.parametrize(
    ("planned", "now", "why"),
    [
        ({}, {}, ""),
        ({"a.B": 2}, {"a.B": 2}, ""),
        ({"a.B": 2, "a.C": 1}, {"a.B": 1}, ""),
        ({"a.B": 2}, {"a.B": 1, "a.C": 1}, "a.C: 1 instead of 0"),
        ({"a.B": 2}, {"a.B": 5000, "a.C": 1}, "a.B: 5,000 instead of 2, a.C: 1 instead of 0"),
    ],
)
def test_why_grown__names_each_kind_of_which_more_goes_along(
    planned: dict[str, int], now: dict[str, int], why: str
) -> None:
    told = why_grown(planned, now)

    assert (f"({why})" in told) if why else not told


def test_audit_gone__says_what_to_do() -> None:
    gone = audit_gone(3)

    assert gone.id == "audit_gone"
    assert "purge 3" in gone.fact
    assert "check_s3_images" in gone.hint


@pytest.mark.parametrize("seen", [Verdict.PRESENT, Verdict.MISMATCHED, Verdict.ARCHIVED, Verdict.RECOVERABLE])
def test_not_seen_again__is_not_said_when_one_is_of_this_store(seen: Verdict) -> None:
    assert not_seen_again(7, [Verdict.MISSING, Verdict.UNKNOWN, seen], "media") is None


@pytest.mark.parametrize("failed", [Verdict.UNKNOWN, Verdict.DENIED])
def test_not_seen_again__is_said_when_the_others_are_gone_or_could_not_be_looked_at(failed: Verdict) -> None:
    refused = not_seen_again(7, [Verdict.MISSING, Verdict.MISSING, failed], "media")

    assert refused is not None
    assert refused.id == "not_seen_again"
    assert "2 are gone, 1 could not be looked at" in refused.fact
    all_failed = not_seen_again(7, [failed] * 3, "media")
    assert all_failed is not None
    assert "0 are gone, 3 could not" in all_failed.fact


def test_not_seen_again__is_a_collapse_when_all_are_gone_and_told_when_there_were_none() -> None:
    gone, without = not_seen_again(7, [Verdict.MISSING] * 3, "media"), not_seen_again(7, [], "media")

    assert gone is not None
    assert gone.id == "collapse"
    assert without is not None
    assert without.id == "not_seen_again"
    assert "Audit 7 kept none" in without.fact


def test_rails__none_refuses_an_ordinary_purge() -> None:
    assert refusal(planned(100)) is None
    assert refusal(planned(0, audit=replace(AUDIT, present=0))) is None


def test_rails__a_field_that_is_wholly_gone_is_doubted_whatever_part_of_all_it_is() -> None:
    gone = replace(AUDIT, gone_fields={"a.B.file": 20})
    other = replace(AUDIT, gone_fields={"a.C.file": 20})

    plan = planned(3, audit=gone)

    assert refusal(plan) == "nothing_present"
    assert plan.refused is not None
    assert "20 records of a.B.file" in plan.refused.fact
    assert refusal(planned(3, audit=other)) is None
    assert refusal(planned(0, audit=gone)) is None
    assert refusal(planned(3, audit=gone, limits=replace(LIMITS, all_missing="media"))) is None


@pytest.mark.parametrize("named_by_hand", [True, False])
def test_rails__an_audit_that_overlooked_a_field_will_not_do_however_it_was_found(
    named_by_hand: bool,
) -> None:
    overlooking = replace(AUDIT, overlooked=["a.A.file", "b.B.file", "c.C.file", "d.D.file"])

    refused = planned(audit=replace(overlooking, named_by_hand=named_by_hand)).refused

    assert refused is not None
    assert refused.id == "audit_partial"
    assert refused.fact == ("Audit 7 is not known to have looked at a.A.file, b.B.file, c.C.file and 1 more.")


def test_rails__a_partial_audit_that_was_named_will_do() -> None:
    assert refusal(planned(audit=replace(AUDIT, full_scope=False, named_by_hand=True))) is None


@pytest.mark.parametrize(
    ("records", "going", "limits", "refused"),
    [
        (12, 6, LIMITS, False),  # half, and under the free allowance
        (12, 7, LIMITS, True),
        (1, 1, LIMITS, True),
        (10_000, 1000, LIMITS, False),  # ten per cent
        (10_000, 1001, LIMITS, True),
        (150, 75, LIMITS, False),
        (1000, 100, replace(LIMITS, max_ratio=0.05), False),
        (1000, 100, replace(LIMITS, max_ratio=0.05, ratio_is_by_hand=True), True),
        (12, 12, replace(LIMITS, max_ratio=1.0, ratio_is_by_hand=True), False),
    ],
)
def test_rails__how_large_a_part_may_go(records: int, going: int, limits: Limits, refused: bool) -> None:
    plan = planned(going, audit=replace(AUDIT, records=records, present=1), limits=limits)

    assert (refusal(plan) == "max_ratio") is refused


def test_rails__cascaded_rows_count_too() -> None:
    plan = planned(50, cascades={"shop.ProductImage": 2})

    assert plan.rows == 150
    assert refusal(plan) == "max_ratio"


def test_rails__all_missing_lifts_what_an_empty_bucket_trips_and_nothing_else() -> None:
    lifted = replace(LIMITS, all_missing="media")

    assert refusal(planned(900, audit=replace(AUDIT, present=0, reasons=[COLLAPSED]), limits=lifted)) is None
    assert (
        refusal(planned(audit=replace(AUDIT, trust="untrustworthy"), limits=lifted)) == "audit_untrustworthy"
    )
    assert refusal(planned(6, limits=replace(lifted, max_delete=5))) == "max_delete"
    assert refusal(planned(audit=replace(AUDIT, complete=False), limits=lifted)) == "audit_incomplete"


@pytest.mark.parametrize(
    ("values", "limits", "why"),
    [
        ({"action": "report"}, LIMITS, 'the policy of its field is "report"'),
        ({"objection": "it is protected"}, LIMITS, "it is protected"),
        ({"born_at": NOW - timedelta(minutes=59)}, LIMITS, "younger than the grace period (1 h)"),
        (
            {"born_at": None, "missing_since": NOW - timedelta(minutes=5)},
            LIMITS,
            "younger than the grace period",
        ),
        (
            {"missing_since": NOW - timedelta(hours=23)},
            replace(LIMITS, ripen=timedelta(hours=24)),
            "no two audits",
        ),
        ({"restored_before": True}, replace(LIMITS, ripen=timedelta(hours=24)), "restored before"),
    ],
)
def test_rails__each_record_is_kept_with_its_reason(values: dict[str, Any], limits: Limits, why: str) -> None:
    plan = planned(limits=limits, **values)

    assert plan.go == ()
    [kept] = plan.keep
    assert why in kept.why


@pytest.mark.parametrize("took", [timedelta(hours=2), timedelta(days=3)])
def test_rails__an_audit_that_was_paused_for_days_is_no_second_look(took: timedelta) -> None:
    """It found the record missing when it began, and ended long after."""
    limits = replace(LIMITS, ripen=timedelta(hours=24))
    began = NOW - took
    first = planned(limits=limits, missing_since=began, seen_again_from=began, seen_again_at=NOW)
    another = planned(
        limits=limits, missing_since=began - timedelta(hours=22), seen_again_from=began, seen_again_at=NOW
    )

    assert (first.go, another.go) == ((), ())
    assert "no two audits" in first.keep[0].why


def test_rails__one_audit_a_day_ripens_in_a_day() -> None:
    minute = timedelta(minutes=1)
    limits = replace(LIMITS, ripen=timedelta(hours=24))

    assert planned(
        limits=limits,
        missing_since=NOW - timedelta(hours=24) - minute,
        seen_again_from=NOW - 2 * minute,
        seen_again_at=NOW,
    ).go


def test_rails__unattended_purges_take_what_has_ripened() -> None:
    assert len(planned(limits=replace(LIMITS, ripen=timedelta(hours=24))).go) == 1


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "action": st.sampled_from(["delete", "clear", "report"]),
                "objection": st.sampled_from(["", "", "no"]),
                "born_at": st.none()
                | st.integers(0, 9000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
                "restored_before": st.booleans(),
            }
        ),
        max_size=8,
    ),
    st.none() | st.just(timedelta(hours=24)),
)
def test_rails__every_candidate_goes_or_is_kept_with_a_reason(
    values: list[dict[str, Any]], ripen: timedelta | None
) -> None:
    given_ones = [candidates(1, **one)[0] for one in values]
    limits = replace(LIMITS, ripen=ripen)

    plan = plan_purge(given_ones, audit=AUDIT, store=STORE, limits=limits, now=NOW)

    assert len(plan.go) + len(plan.keep) == len(given_ones)
    assert all(kept.why for kept in plan.keep)
    assert all(one.action in ("delete", "clear") for one in plan.go)
