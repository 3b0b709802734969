"""Freshness: the key space in slices, each looked at in its turn, so that every record is within a given time.

Pure: when the next slice is due, which one it is, how slices are cut and laid over each other, and how far behind all of
it is. No clock: the time comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

SPREAD = 0.9
"""Slices are spread over this part of the time, so that a late run or one that failed breaks no promise."""
FIRST_RETRY, LAST_RETRY = timedelta(minutes=5), timedelta(hours=6)
"""After a look that failed, the store is left alone for a while, twice as long after each further one."""
SLICE_RETRY = 0.05
"""For this part of the time the others come before a slice whose look failed, six hours at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFacts:
    """A stretch of the key space that is looked at in one go, and what its last look brought."""

    first_key: str = ""
    """Inclusive; empty for the beginning."""
    end_key: str | None = None
    """Exclusive; None for the end."""
    looked_at: datetime | None = None
    """When the last look that counts began: every record in it was looked at then or later. None: never."""
    finished_at: datetime | None = None
    """When that look was settled."""
    audit: int | None = None
    """The audit that looked."""
    sound: bool = False
    """Whether that audit doubted nothing about the store."""
    records: int = 0
    present: int = 0
    failed_at: datetime | None = None
    """When a look failed, since the last one that counts."""

    def holds(self, key: str) -> bool:
        return self.first_key <= key and (self.end_key is None or key < self.end_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How fresh a store's records are."""

    within: timedelta
    slices: int
    never: int
    """Slices that nobody has looked at yet."""
    doubted: int
    """Slices whose last look doubted the store, or whose look failed since."""
    records: int
    fresh: int
    """Records in slices that were looked at within the time."""
    stalest_at: datetime | None
    """When the stalest slice was looked at; None when one never was."""
    newest_at: datetime | None
    """When the last look that counts began; None when none did."""
    behind: timedelta
    """How much longer ago than promised the stalest slice was looked at."""

    @property
    def share(self) -> float:
        """Of the records that are fresh, from 0 to 1; 1 when there are none and everything was looked at."""
        if not self.records:
            return 0.0 if self.never else 1.0
        return self.fresh / self.records


def standing_of(
    slices: Sequence[SliceFacts], *, began_at: datetime, within: timedelta, now: datetime
) -> Standing:
    """``began_at`` is since when the records are kept fresh: what was never looked at is as stale as that."""
    looked = [one.looked_at for one in slices if one.looked_at is not None]
    never = len(slices) - len(looked)
    oldest = min([*looked, began_at] if never else looked, default=began_at)
    return Standing(
        within=within,
        slices=len(slices),
        never=never,
        doubted=sum(
            not one.sound or one.failed_at is not None for one in slices if one.looked_at is not None
        ),
        records=sum(one.records for one in slices),
        fresh=sum(one.records for one in slices if _is_fresh(one, within, now)),
        stalest_at=None if never else oldest,
        newest_at=max(looked, default=None),
        behind=max(now - oldest - within, timedelta(0)),
    )


def _is_fresh(one: SliceFacts, within: timedelta, now: datetime) -> bool:
    return one.looked_at is not None and now - one.looked_at <= within


# --- when, and which ------------------------------------------------------------------------------------


def due_at(slices: Sequence[SliceFacts], *, began_at: datetime, within: timedelta) -> datetime | None:
    """When the next slice is to be looked at; None when there is none.

    With n slices the pace is one in every n-th part of the time. One is due as soon as the k freshest were looked at
    longer than k paces ago, for any k: so looks are spread evenly, also after an audit that looked at all at once, a
    run that comes late does as many as are due, and the stalest (k = n) is never older than the time.
    """
    if not slices:
        return None
    pace = within * SPREAD / len(slices)
    # those that nobody looked at begin at once, and are spread over the first period like all others
    looked = sorted((one.looked_at or began_at - pace for one in slices), reverse=True)
    return min(at + place * pace for place, at in enumerate(looked, start=1))


def not_waiting(slices: Sequence[SliceFacts], *, within: timedelta, now: datetime) -> list[SliceFacts]:
    """Those whose last look did not fail just now: one bad stretch must not keep the others waiting."""
    wait = min(within * SLICE_RETRY, LAST_RETRY)
    return [one for one in slices if one.failed_at is None or now - one.failed_at >= wait]


def next_stretch(
    slices: Sequence[SliceFacts], *, within: timedelta, now: datetime, size: int
) -> list[SliceFacts]:
    """The stalest slice, with small neighbours that are stale too as long as all have at most ``size`` records.

    ``slices`` are in key order. The answer is a contiguous stretch; empty when there is nothing to choose from.
    """
    free = {id(one) for one in not_waiting(slices, within=within, now=now)}
    candidates = [place for place, one in enumerate(slices) if id(one) in free]
    if not candidates:
        return []
    begin = min(candidates, key=lambda place: _age_order(slices[place]))
    end, records = begin + 1, slices[begin].records

    def goes_along(place: int) -> bool:
        if not 0 <= place < len(slices) or id(slices[place]) not in free:
            return False
        one = slices[place]
        if one.failed_at or slices[begin].failed_at:  # each alone, so that the bad one is found
            return False
        is_stale = one.looked_at is None or now - one.looked_at > within / 2
        return is_stale and records + one.records <= size

    while goes_along(end):
        records += slices[end].records
        end += 1
    while goes_along(begin - 1):
        begin -= 1
        records += slices[begin].records
    return list(slices[begin:end])


def _age_order(one: SliceFacts) -> tuple[float, str]:
    return (one.looked_at.timestamp() if one.looked_at is not None else float("-inf"), one.first_key)


def retry_after(failures: int) -> timedelta:
    """How long to wait after so many failed looks in a row."""
    doublings = min(max(failures, 1) - 1, 16)
    return min(timedelta(seconds=FIRST_RETRY.total_seconds() * 2**doublings), LAST_RETRY)


# --- cutting and laying over ------------------------------------------------------------------------------


def grouped(ranges: Sequence[SliceFacts], size: int) -> list[SliceFacts]:
    """Adjacent ranges of one audit, in key order, put together to slices of about ``size`` records.

    They have a quarter more at most, unless a single range has. Any two neighbours have more together.
    """
    made: list[SliceFacts] = []
    for one in ranges:
        if made and made[-1].records + one.records <= 1.25 * size:
            made[-1] = joined([made[-1], one])
        else:
            made.append(one)
    return made


def joined(slices: Sequence[SliceFacts]) -> SliceFacts:
    """Adjacent slices as one: no fresher, and no sounder, than the worst of them."""
    looked = [one.looked_at for one in slices]
    finished = [one.finished_at for one in slices]
    failed = [one.failed_at for one in slices if one.failed_at is not None]
    audits = {one.audit for one in slices}
    return SliceFacts(
        first_key=slices[0].first_key,
        end_key=slices[-1].end_key,
        looked_at=None if None in looked else min(at for at in looked if at is not None),
        # a finding counts for a purge when it is older than the end of its slice's look
        finished_at=None if None in finished else min(at for at in finished if at is not None),
        audit=audits.pop() if len(audits) == 1 else None,
        sound=all(one.sound for one in slices),
        records=sum(one.records for one in slices),
        present=sum(one.present for one in slices),
        failed_at=max(failed, default=None),
    )


def cut(one: SliceFacts, keys: Sequence[str], records: int) -> list[SliceFacts]:
    """A slice that grew, cut at ascending keys inside of it. What each part holds is not counted yet, so no purge
    rests on it before it was looked at.
    """
    edges = [one.first_key, *keys]
    ends = [*keys, one.end_key]
    return [
        replace(one, first_key=first, end_key=end, records=records // len(edges), present=0, sound=False)
        for first, end in zip(edges, ends, strict=True)
    ]


def laid_over(slices: Sequence[SliceFacts], news: Sequence[SliceFacts]) -> list[SliceFacts] | None:
    """All slices, after one audit looked at the stretch that ``news`` cover; None when it cannot be laid over them.

    That is so when its borders are not those of slices, or a slice was looked at since the audit began: what is newer
    stays. Both are in key order and without gaps.
    """
    first, end = news[0].first_key, news[-1].end_key
    before = [one for one in slices if one.first_key < first]
    behind = [one for one in slices if end is not None and one.first_key >= end]
    inside = slices[len(before) : len(slices) - len(behind)]
    if not inside or (inside[0].first_key, inside[-1].end_key) != (first, end):
        return None
    looked_at = news[0].looked_at
    if looked_at is None or any(one.looked_at is not None and one.looked_at >= looked_at for one in inside):
        return None
    return [*before, *news, *behind]


def covers_everything(slices: Sequence[SliceFacts]) -> bool:
    """Whether slices, in key order, leave no key out and hold none twice."""
    if not slices or slices[0].first_key or slices[-1].end_key is not None:
        return False
    return all(one.end_key == other.first_key for one, other in pairwise(slices))


def slice_of(slices: Sequence[SliceFacts], key: str) -> SliceFacts | None:
    """The slice that holds a key; ``slices`` are in key order and cover everything."""
    low, high = 0, len(slices)
    while low < high:
        middle = (low + high) // 2
        if slices[middle].first_key <= key:
            low = middle + 1
        else:
            high = middle
    found = slices[low - 1] if low else None
    return found if found is not None and found.holds(key) else None
