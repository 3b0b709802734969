"""From candidates to a plan: each record goes or stays, for a reason; then the rails judge the whole of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from imagesync.core.ages import is_too_old, told
from imagesync.core.plans import Candidate, Kept, Limits, Planned, PurgePlan, rows_of
from imagesync.core.rails import AuditFacts, StoreFacts, first_refusal
from imagesync.core.spans import span


def plan_purge(
    candidates: Iterable[Candidate], *, audit: AuditFacts, store: StoreFacts, limits: Limits, now: datetime
) -> PurgePlan:
    """Decide what would go and what stays, and whether a rail refuses the whole of it."""
    go: list[Planned] = []
    keep: list[Kept] = []
    waiting = 0
    for one in candidates:
        why = _why_kept(one, limits, now)
        if not why and (why := _why_waiting(one, limits, now)):
            waiting += rows_of(one)
        if why:
            keep.append(Kept(record=one.record, key=one.key, why=why))
        else:
            go.append(_planned(one))
    plan = PurgePlan(go=tuple(go), keep=tuple(keep), refused=None, waiting=waiting)
    return replace(plan, refused=first_refusal(plan, audit, store, limits, now))


def _planned(one: Candidate) -> Planned:
    return Planned(record=one.record, field=one.field, key=one.key, action=one.action, cascades=one.cascades)


def _why_kept(one: Candidate, limits: Limits, now: datetime) -> str:
    if one.action not in ("delete", "clear"):
        return f'the policy of its field is "{one.action}"'
    if one.objection:
        return one.objection
    born_at = one.born_at or one.missing_since
    if now - born_at < limits.grace_period:
        return f"it is younger than the grace period ({span(limits.grace_period)})"
    if limits.ripen is not None:
        if one.restored_before:
            return "it was restored before, so only people may purge it again"
        if _seen_again_at(one, limits.ripen) - one.missing_since < limits.ripen:
            return f"no two audits at least {span(limits.ripen)} apart both say missing yet"
    return ""


def _seen_again_at(one: Candidate, ripen: timedelta) -> datetime:
    """When the last look was, as far as it counts. An audit of some minutes counts by its end, so that one a day ripens in
    a day; one that took long, or was paused for days, by its beginning and no more than a 24th of RIPEN. So it never
    counts for two."""
    seen_again_at = one.seen_again_at or one.missing_since
    if one.seen_again_from is None:
        return seen_again_at
    return min(seen_again_at, one.seen_again_from + ripen / 24)


def _why_waiting(one: Candidate, limits: Limits, now: datetime) -> str:
    """Why a record stays until its own slice is looked at again, where the plan rests on slices."""
    own = one.own_slice
    if own is None:
        return ""
    if not own.saw(opened_by=one.found_by, opened_at=one.missing_since):
        return "its slice was not looked at since it was found missing"
    age = now - own.looked_at
    if is_too_old(age, limits.audit_max_age):
        return f"its slice was looked at {told(age, 'ago')}; the limit is {span(limits.audit_max_age)}"
    return ""


def why_grown(planned: Mapping[str, int], now: Mapping[str, int]) -> str:
    """Why a record stays of which more goes along now, by label, than its plan says; or nothing.

    The limits, somebody's confirmation and their rights were about the plan's figures. What became less since goes.
    """
    more = [
        f"{label}: {number:,} instead of {planned.get(label, 0):,}"
        for label, number in sorted(now.items())
        if number > planned.get(label, 0)
    ]
    if not more:
        return ""
    return f"more would go along than was planned ({', '.join(more)}); the next purge takes it"
