"""What a scan hands over to be written down."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from imagesync.audit.judge import Judgement
from imagesync.exceptions import ListingBroken
from imagesync.records import Cursor


@dataclass(slots=True)
class Batch:
    """What a scan brought since the batch before."""

    behind: Cursor | None
    """The last record of the batch before; None at the beginning of the range."""
    upto: Cursor | None = None
    """The last record of this batch; None when there is none."""
    counts: Counter[str] = field(default_factory=Counter)
    """Records, records by verdict, and those that no page was asked for (``probed``)."""
    judgements: list[Judgement] = field(default_factory=list)
    """Those that need attention, and those that are present and not marked so yet."""
    unnamed: int = 0
    """Objects that no record names."""
    unseen: bool = False
    """Whether a stretch of the range's objects was not looked at."""
    failure: ListingBroken | None = None
    """Why the listing broke off."""
    ends: bool = False
    """Whether the range is done with this."""
