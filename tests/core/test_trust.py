"""When the records looked at first say that the store was emptied, or is the wrong one."""

from __future__ import annotations

import pytest

from imagesync.core.trust import canary_failure, collapse, doubts_that_ended, store_changed
from imagesync.core.verdicts import Evidence, Look, Reason, Verdict


@pytest.mark.parametrize("canaries", [1, 20])
def test_collapse__is_said_when_all_of_them_are_missing(canaries: int) -> None:
    gone = collapse([Verdict.MISSING] * canaries, "media")

    assert gone is not None
    assert gone.id == "collapse"
    assert f"All {canaries} records" in gone.fact
    assert "'media'" in gone.fact
    assert "--all-missing media" in gone.hint


@pytest.mark.parametrize("other", [verdict for verdict in Verdict if verdict is not Verdict.MISSING])
def test_collapse__is_not_said_when_a_single_one_is_anything_else(other: Verdict) -> None:
    assert collapse([Verdict.MISSING, Verdict.MISSING, other], "media") is None


def test_collapse__is_not_said_when_nobody_looked_at_any() -> None:
    assert collapse([], "media") is None


GONE = collapse([Verdict.MISSING], "media")
CHANGED = store_changed("default", now="s3://b/", before="s3://a/", last=1, fingerprint="a" * 16)
FAILED = canary_failure(
    1,
    20,
    Look(key="k", verdict=Verdict.UNKNOWN, reason=Reason.THROTTLED, evidence=Evidence(operation="GetObject")),
)


def test_doubts__that_ended_are_told_with_what_was_said_then() -> None:
    assert GONE is not None

    [ended] = doubts_that_ended([GONE, FAILED], [])

    assert ended.id == "collapse"
    assert ended.fact.startswith(GONE.fact)
    assert "not any more" in ended.fact
    assert "check_s3_images again" in ended.hint
    assert [one.id for one in doubts_that_ended([GONE, CHANGED], [GONE])] == ["store_changed"]
    assert doubts_that_ended([GONE, CHANGED], [CHANGED, GONE]) == []
    assert doubts_that_ended([], [GONE, CHANGED]) == []
