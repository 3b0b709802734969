"""What was looked at earlier never counts over what was looked at later, whoever looked.

An audit settles at its end what it saw in its course, and may have been interrupted for days in between. So who looks at
a record removes what others saw of it before and have not settled; and who settles leaves out what others settled of
later looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import QuerySet

from imagesync.audit.standing import looked_at, record_of, supersedes
from imagesync.core.verdicts import Look, Verdict
from imagesync.models import Audit, Finding
from imagesync.records.findings import FAILED_LOOKS, of_records
from imagesync.records.stream import RecordKey

UNDER_WAY = (Audit.State.RUNNING, Audit.State.INTERRUPTED, Audit.State.PAUSED)
"""An audit in one of these may settle something yet."""


def unsettled_of_others(audit: Audit) -> QuerySet[Finding] | None:
    """What other audits of the same store saw and have not settled; None, as a rule, when there is no such audit."""
    others = Audit.objects.filter(fingerprint=audit.fingerprint, state__in=UNDER_WAY).exclude(pk=audit.pk)
    pks = list(others.values_list("pk", flat=True))
    return Finding.objects.filter(opened_by__in=pks, settled=False) if pks else None


def outlived(
    findings: Iterable[Finding], looks: Mapping[RecordKey, Look], *, since: datetime | None = None
) -> list[Finding]:
    """Those whose record was looked at later, with another outcome that is known.

    ``since``: a record that is not among ``looks`` was seen present after that. So was what a page listed, which is stamped
    when it is compared: maybe behind a look that was later than the page.
    """
    return [one for one in findings if _is_outlived(one, looks.get(record_of(one)), since)]


def _is_outlived(finding: Finding, later: Look | None, since: datetime | None) -> bool:
    verdict = Verdict.PRESENT if later is None else later.verdict
    by_itself = later is not None and later.evidence.operation != "ListObjectsV2"
    at = later.evidence.at if later is not None and by_itself else since
    return at is not None and verdict.is_known and verdict != finding.verdict and looked_at(finding) < at


def overtaken(findings: Iterable[Finding], settled: QuerySet[Finding]) -> set[int]:
    """Those of which ``settled``, open findings of the same store, tell something else that is known, from a later look."""
    ours: dict[RecordKey, list[Finding]] = defaultdict(list)
    for finding in findings:
        ours[record_of(finding)].append(finding)
    if not ours:
        return set()
    first_look = min(looked_at(one) for some in ours.values() for one in some)
    # written down behind its look, so the few that can be meant are found by that
    later = settled.filter(of_records(ours), opened_at__gt=first_look).exclude(verdict__in=FAILED_LOOKS)
    return {
        finding.pk
        for other in later
        for finding in ours[record_of(other)]
        if supersedes(other.verdict, finding.verdict) and looked_at(finding) < looked_at(other)
    }
