"""The beginning of an audit: is the store fit, what do the canaries say, what could visitors not read."""

from __future__ import annotations

from typing import Any

from imagesync.audit.canaries import look_at_canaries
from imagesync.audit.closing import finish
from imagesync.audit.course import Course
from imagesync.audit.failed_reads import look_at_failed_reads
from imagesync.audit.identity import change_of_store
from imagesync.audit.ranges import counts_of
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.trust import Trust, doubts_that_ended
from imagesync.models import Audit
from imagesync.records.splitting import estimated_records
from imagesync.storage.preflight import preflight


def begin(course: Course, **values: Any) -> bool:
    """Whether there is anything to compare: an audit of a store that is not fit ends here, untrustworthy.
    So does one that was taken up again, of a store that was doubted when it began before and is not any more.

    What was found is written down, together with ``values``, under the lease of the audit. ``Audit.reasons`` are then
    what already speaks against the store.
    """
    audit, source = course.audit, course.source
    course.progress.begin("checking that the store can be believed")
    fit = preflight(source.store)
    audit.versioning = fit.versioning
    news = change_of_store(audit)
    if not fit.fit:
        finish(course, Trust.UNTRUSTWORTHY, [*news, *fit.reasons])
        return False
    canaries = look_at_canaries(
        audit, source, versioning=fit.versioning, heartbeat=course.beat, now=course.now
    )
    if canaries.trust is Trust.UNTRUSTWORTHY:
        finish(course, Trust.UNTRUSTWORTHY, [*news, *canaries.reasons])
        return False
    before = [Diagnosis(**reason) for reason in audit.reasons]
    ended = doubts_that_ended(before, [*news, *canaries.reasons])
    if ended:
        finish(course, Trust.UNTRUSTWORTHY, [*ended, *news, *canaries.reasons])
        return False
    failed_reads = look_at_failed_reads(
        source, course.scope, course.judge, versioning=fit.versioning, heartbeat=course.beat
    )
    audit.write(
        stage=Audit.Stage.COMPARING,
        versioning=fit.versioning,
        reasons=[reason.to_dict() for reason in (*news, *canaries.reasons)],
        failed_reads=failed_reads,
        canaries=[] if audit.full_scope else canaries.present,
        expected_records=estimated_records(source, course.scope),
        comparing_since=course.now(),
        comparing_from=counts_of(audit)["records"],
        requests=course.requests(),
        **values,
    )
    return True
