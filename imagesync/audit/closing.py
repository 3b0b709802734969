"""The end of an audit: is the store still fit, settle what was found, say how far the whole is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import router, transaction
from django.db.models import Sum

from imagesync import signals
from imagesync.audit.canaries import for_the_next
from imagesync.audit.course import Course
from imagesync.audit.failed_reads import close_failed_reads, disbelieve
from imagesync.audit.figures import figures_of
from imagesync.audit.identity import places_elsewhere
from imagesync.audit.ranges import counts_of, requests_of
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.reservoir import merged
from imagesync.core.strategy import strategy_taken
from imagesync.core.trust import Trust, trust_of
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit
from imagesync.storage.preflight import preflight

RANGES_AT_ONCE = 100
"""Of which the canaries are in memory."""


def close(course: Course) -> None:
    """End an audit whose ranges are all done. The caller holds its lease, so that it is ended once.

    A process killed in here leaves an audit that another one ends.
    """
    audit, source = course.audit, course.source
    opened_with = [Diagnosis(**reason) for reason in audit.reasons]
    failures = audit.ranges.filter(failure__isnull=False).values_list("failure", flat=True)
    reasons = [*opened_with, *(Diagnosis(**failure) for failure in failures if failure)]

    course.progress.begin("checking the store once more")
    after = preflight(source.store)
    course.book.settle(believed=after.fit, now=course.now())
    counts = counts_of(audit, believed=after.fit)
    why_unknown = [reason for reason, _count in course.book.failed_looks().most_common()]
    if Reason.WRITTEN_ELSEWHERE in why_unknown:
        reasons += places_elsewhere(audit, source)
    trust, judged_reasons = trust_of(
        counts=counts,
        reasons=reasons,
        fit_afterwards=after.fit,
        reasons_afterwards=list(after.reasons),
        why_unknown=why_unknown,
    )
    if not after.fit:
        audit.failed_reads = disbelieve(audit.failed_reads)
    finish(course, trust, judged_reasons, counts)
    # where everything is gone, or the store is another one, it is doubted before its records are
    if trust is not Trust.UNTRUSTWORTHY and not opened_with:
        close_failed_reads(audit, source, course.scope)


def finish(
    course: Course, trust: Trust, reasons: Sequence[Diagnosis], counts: Counter[str] | None = None
) -> None:
    """Write the end down and tell of it: the one place where an audit that was opened is finished.

    ``counts`` is None when nothing was compared. Raises AlreadyRunning when somebody else has taken over, or has
    paused or cancelled it, meanwhile.
    """
    audit, scope = course.audit, course.scope
    saw_all_objects = (
        counts is not None
        and not (scope.is_explicit or scope.job)
        and not audit.ranges.filter(whole=False).exists()
    )
    size = app_settings().canaries
    canaries: list[list[str]] = []
    if counts is not None:  # also where there was no record: a part without any keeps those of before
        canaries = for_the_next(audit, merged(_drawn(audit), size, seed=audit.pk), size)
    figures: dict[str, Any] = {}
    if audit.full_scope and trust is not Trust.UNTRUSTWORTHY:
        course.beat()
        figures = figures_of(audit, course.source)
    audit.requests = course.requests()
    with transaction.atomic(using=router.db_for_write(Audit)):
        audit.write(
            state=Audit.State.FINISHED,
            finished_at=course.now(),
            trust=trust.value,
            reasons=[reason.to_dict() for reason in reasons],
            counts=_all_counts(counts or Counter()),
            requests=dict(requests_of(audit)),
            saw_all_objects=saw_all_objects,
            unreferenced=_unreferenced(audit) if saw_all_objects else None,
            strategy=strategy_taken(audit.strategy, counts or Counter()),
            canaries=canaries,
            failed_reads=audit.failed_reads,
            versioning=audit.versioning,
            figures=figures,
            lease_owner="",
            lease_until=None,
        )
        audit.ranges.exclude(canaries=[]).update(canaries=[])
        signals.after_commit(signals.audit_finished, Audit, using=audit._state.db, audit=audit)


def _unreferenced(audit: Audit) -> int:
    summed: int = audit.ranges.aggregate(all=Sum("unreferenced", default=0))["all"]
    return summed


def _drawn(audit: Audit) -> Iterator[tuple[list[list[str]], int]]:
    """The canaries of each range, and out of how many they were drawn: a few ranges at a time."""
    ranges = audit.ranges.values_list("canaries", "counts").iterator(chunk_size=RANGES_AT_ONCE)
    for canaries, counts in ranges:
        yield canaries, counts.get(Verdict.PRESENT, 0)


def _all_counts(counts: Counter[str]) -> dict[str, int]:
    return {"records": counts["records"], **{verdict.value: counts[verdict.value] for verdict in Verdict}}
