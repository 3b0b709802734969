"""HEAD or LIST: how the object side is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from imagesync.exceptions import InvalidRequest

STRATEGIES = ("auto", "head", "list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    name: str
    """``head`` or ``list``."""
    reason: str


def choose_strategy(asked: str, *, names_single_records: bool) -> Strategy:
    """The strategy that was asked for, or for ``auto`` the cheaper one.

    A LIST request names a thousand objects at the price of about twelve HEADs (Amazon S3 pricing,
    requests), so listing wins as soon as more than a handful of records share a stretch of keys. Single
    records say nothing about where the others are: they are asked for one by one. Raises InvalidRequest.
    """
    if asked not in STRATEGIES:
        raise InvalidRequest(f"--strategy {asked!r}: choose one of {', '.join(STRATEGIES)}.")
    if asked != "auto":
        return Strategy(name=asked, reason="asked for")
    if names_single_records:
        return Strategy(name="head", reason="single records were named; each is one request")
    return Strategy(name="list", reason="one LIST names 1,000 objects; every record takes part")
