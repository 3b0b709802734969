"""Canaries: records last seen present, looked at before everything else.

If they are all gone, the store was emptied or is the wrong one, and that is said before a million
records are called missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagesync.audit.identity import last_with_canaries
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.trust import Trust, canary_failure, collapse
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit
from imagesync.records import Cursor, Record, Scope, Source, Target, ordered_records
from imagesync.records.stream import base_rows
from imagesync.storage.client import and_a_few_more
from imagesync.storage.probe import look, look_all, utc_now

PART_THAT_IS_NEW = 4
"""An audit of a part of the records changes one in so many canaries."""


def canary(place: Cursor) -> list[str]:
    """A record that was seen present, as ``Audit.canaries`` holds it."""
    key, label, pk = place
    return [label, str(pk), key]


@dataclass(frozen=True)
class Sighting:
    """What the canaries say about the store."""

    trust: Trust
    reasons: list[Diagnosis] = field(default_factory=list)
    present: list[list[str]] = field(default_factory=list)
    """Those that are there."""
    verdicts: list[Verdict] = field(default_factory=list)
    """What each look brought; none when there was nothing to look at."""


def look_at_canaries(
    audit: Audit,
    source: Source,
    *,
    versioning: str,
    heartbeat: Callable[[], None],
    now: Callable[[], datetime] = utc_now,
) -> Sighting:
    """Look at up to ``IMAGESYNC["CANARIES"]`` records last seen present in this store."""
    canaries = _canaries(audit, source, app_settings().canaries)
    wanted = ((record, record.key, None) for record in canaries)
    looks = [
        (record, seen)
        for record, seen in look_all(
            source.store,
            wanted,
            how=look,
            versioning=versioning,
            workers=and_a_few_more(source.workers),
            heartbeat=heartbeat,
            now=now,
        )
    ]
    verdicts = [seen.verdict for _record, seen in looks]
    failed = [seen for _record, seen in looks if not seen.verdict.is_known]
    if failed:
        failure = canary_failure(len(failed), len(looks), failed[0])
        return Sighting(Trust.UNTRUSTWORTHY, [failure], verdicts=verdicts)
    gone = collapse(verdicts, source.store.identity.bucket)
    if gone is not None:
        return Sighting(Trust.DEGRADED, [gone], verdicts=verdicts)
    present = [canary(record.cursor) for record, seen in looks if seen.verdict is Verdict.PRESENT]
    return Sighting(Trust.TRUSTWORTHY, present=present, verdicts=verdicts)


def for_the_next(audit: Audit, drawn: list[list[str]], size: int) -> list[list[str]]:
    """The canaries that an audit leaves, of which ``drawn`` are from the records that it looked at.

    They are to speak for the whole store. So an audit of a part keeps most of those that it saw present at its
    beginning (``audit.canaries``): records of one folder alone would be gone with that folder.
    """
    if audit.full_scope:
        return drawn
    before = [one for one in audit.canaries if one not in drawn]
    new = drawn[: max(size // PART_THAT_IS_NEW, size - len(before))]
    chance = random.Random(audit.pk)  # noqa: S311 - a sample, not a secret
    return [*new, *chance.sample(before, min(len(before), size - len(new)))]


def _canaries(audit: Audit, source: Source, size: int) -> list[Record]:
    found: dict[str, Record] = {}
    for record in (*_from_last_audit(audit, source), *_from_marks(source, size)):
        if len(found) == size:
            break
        if record.exact:
            found.setdefault(record.label, record)
    return list(found.values())


def _from_last_audit(audit: Audit, source: Source) -> Iterator[Record]:
    """Those that the last believed audit drew, as far as their records still have the same stored name.

    When its fields were in another store then, those of that audit: if none of them is here, this is the wrong one.
    """
    last = last_with_canaries(audit)
    if last is None or not last.canaries:
        return
    drawn = {
        (label.rpartition(".")[0], pk): key.removeprefix(last.prefix) for label, pk, key in last.canaries
    }
    for record in ordered_records(source, Scope(ids=tuple(sorted(drawn)))):
        if drawn.get((record.target.model._meta.label, str(record.pk))) == record.name:
            yield record


def _from_marks(source: Source, size: int) -> Iterator[Record]:
    """Those whose row says that they were seen present, in this store or before stores were noted."""
    for target in source.targets:
        if target.remembers:
            pks = _marked_present(target, source, size)
            ids = tuple((target.model._meta.label, str(pk)) for pk in pks)
            records = ordered_records(source, Scope(ids=ids)) if ids else ()
            yield from (record for record in records if record.target is target)


def _marked_present(target: Target, source: Source, size: int) -> list[Any]:
    rows = base_rows(target.model).filter(
        verdict=Verdict.PRESENT, store__in=("", source.store.identity.fingerprint)
    )
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:size])
