"""The end of an audit: is the store still fit, settle what was found, say how far the whole is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import router, transaction

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


def close(course: Course) -> None:
    """End an audit whose ranges are all done. The caller holds its lease, so that it is ended once.

    A process killed in here leaves an audit that another one ends.
    """
    audit, source = course.audit, course.source
    opened_with = [Diagnosis(**reason) for reason in audit.reasons]
    ranges = list(audit.ranges.all())
    reasons = [*opened_with, *(Diagnosis(**part.failure) for part in ranges if part.failure)]

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
    ranges = list(audit.ranges.all())
    saw_all_objects = (
        counts is not None and not (scope.is_explicit or scope.job) and all(part.whole for part in ranges)
    )
    drawn = [(part.canaries, part.counts.get(Verdict.PRESENT, 0)) for part in ranges]
    size = app_settings().canaries
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
            unreferenced=sum(part.unreferenced for part in ranges) if saw_all_objects else None,
            strategy=strategy_taken(audit.strategy, counts or Counter()),
            canaries=for_the_next(audit, merged(drawn, size, seed=audit.pk), size) if counts else [],
            failed_reads=audit.failed_reads,
            versioning=audit.versioning,
            figures=figures,
            lease_owner="",
            lease_until=None,
        )
        audit.ranges.exclude(canaries=[]).update(canaries=[])
        signals.after_commit(signals.audit_finished, Audit, using=audit._state.db, audit=audit)


def _all_counts(counts: Counter[str]) -> dict[str, int]:
    return {"records": counts["records"], **{verdict.value: counts[verdict.value] for verdict in Verdict}}
