"""What a sample says about all records: a share, and the interval in which the true one lies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imagesync.core.verdicts import Verdict

CONFIDENCE = 0.95
_Z = 1.959964  # standard normal deviate of 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of the records that are missing; shares are from 0 to 1."""

    population: int
    sampled: int
    share: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def records(self) -> tuple[int, int]:
        """The interval in records, widened to whole ones."""
        return math.floor(self.low * self.population), math.ceil(self.high * self.population)

    def to_dict(self) -> dict[str, Any]:
        low, high = self.records
        return {**asdict(self), "records_low": low, "records_high": high}


def estimate_missing(counts: Mapping[str, int], population: int) -> Estimate | None:
    """Wilson's score interval ("Engineering Statistics Handbook", NIST, 7.2.4.1) with the correction for a finite population.

    ``counts`` are those of an audit of a uniform sample without replacement. None when a look failed: then the
    sample is no longer uniform, for what could not be looked at is seldom drawn at random.
    """
    sampled = counts.get("records", 0)
    failed = sum(counts.get(verdict, 0) for verdict in (Verdict.UNKNOWN, Verdict.DENIED))
    if not sampled or failed or population < sampled:
        return None
    missing = counts.get(Verdict.MISSING, 0)
    share = missing / sampled
    drawn = (population - sampled) / (population - 1) if population > 1 else 0.0
    z2 = _Z**2 * drawn  # all of it drawn: nothing is left to estimate
    centre = (share + z2 / (2 * sampled)) / (1 + z2 / sampled)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * sampled)) / sampled) / (1 + z2 / sampled)
    # what was seen is certain, whatever the interval says
    low = max(centre - half, missing / population)
    high = min(centre + half, 1 - (sampled - missing) / population)
    return Estimate(population, sampled, share, min(low, share), max(high, share))
