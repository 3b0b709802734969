"""When the records looked at first say that the store was emptied, or is the wrong one."""

from __future__ import annotations

import pytest

from imagesync.core.trust import collapse
from imagesync.core.verdicts import Verdict


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
