"""What is known already of records, and what a look at one of them changes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet

from imagesync.audit.judge import Judgement
from imagesync.core.verdicts import Verdict
from imagesync.models import Finding
from imagesync.records.stream import RecordKey


class Standing(NamedTuple):
    """What is needed of a finding that is open: there may be very many."""

    pk: int
    content_type_id: int
    object_pk: str
    field: str
    key: str
    verdict: str


Open = dict[RecordKey, list[Standing]]
"""Open findings by their record."""


def standings(findings: QuerySet[Finding]) -> Iterable[Standing]:
    return map(
        Standing._make, findings.values_list("pk", "content_type_id", "object_pk", "field", "key", "verdict")
    )


def record_of(finding: Finding) -> RecordKey:
    return finding.content_type_id or 0, finding.object_pk, finding.field


def looked_at(finding: Finding) -> datetime:
    """When the look was that it tells of last."""
    at = finding.last_evidence.get("at")
    return datetime.fromisoformat(at) if at else finding.opened_at


def by_record(findings: Iterable[Standing]) -> Open:
    grouped: Open = defaultdict(list)
    for one in findings:
        grouped[one.content_type_id, one.object_pk, one.field].append(one)
    return grouped


def news_among(judgements: Iterable[Judgement], standing: Open) -> list[Judgement]:
    """Those that would open or close a finding; the others are known, or change a mark at most."""
    return [one for one in judgements if any(changes_of(one, standing.get(one.record.identity, [])))]


def changes_of(judgement: Judgement, standing: list[Standing]) -> tuple[bool, list[int]]:
    """Whether a finding is to be opened, and which are over at once.

    What is known and differs is closed only when the new finding is settled.
    """
    verdict = judgement.look.verdict
    if not verdict.needs_attention:
        return False, [finding.pk for finding in standing]
    same = [
        finding for finding in standing if finding.verdict == verdict and finding.key == judgement.record.key
    ]
    if not same:
        renamed = [finding.pk for finding in standing if finding.key != judgement.record.key]
        return True, renamed
    over = [other.pk for other in standing if other not in same and supersedes(verdict, other.verdict)]
    return False, over


def supersedes(verdict: str, other: str) -> bool:
    """Whether a look that brought ``verdict`` ends a finding of ``other``: a failed look ends no known one."""
    return other != verdict and (Verdict(verdict).is_known or not Verdict(other).is_known)


def row_said_something_else(judgement: Judgement) -> bool:
    """Whether what was found, and is known, differs from what the record's row remembers."""
    record, verdict = judgement.record, judgement.look.verdict
    return record.target.remembers and verdict.is_known and record.verdict != verdict
