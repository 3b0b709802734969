"""What an audit writes: findings and marks. Nothing that looked absent is settled before the end.

Findings are opened *unsettled* while the audit runs and settled in one go when the store has passed its
check afterwards; a kill at any moment leaves facts of the audit before, or this one's, never a mixture
within one record. What is unchanged costs no write.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from imagesync.audit.judge import Judgement
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit, Finding
from imagesync.records import Scope, Source, Target
from imagesync.records.findings import FAILED_LOOKS, findings_of, in_scope, of_fields, of_records
from imagesync.records.stream import RecordKey, byte_ordered
from imagesync.records.unreadable import readable

SETTLE_BATCH = 500


class Book:
    """Writes down one audit of one source."""

    def __init__(self, audit: Audit, source: Source) -> None:
        self.audit = audit
        self.scope = Scope.from_dict(audit.scope)
        self.targets = {(target.content_type.pk, target.field.name): target for target in source.targets}

    def note(self, judgements: list[Judgement], *, behind: str, upto: str | None, now: datetime) -> None:
        """Write what changed in one batch, whose keys lie behind ``behind`` and up to ``upto``.

        The caller holds a transaction, together with the cursor of the range.
        """
        open_before = self._open_findings(judgements, behind, upto)
        news: list[Finding] = []
        over: list[int] = []
        seen_here: dict[Target, dict[Any, str]] = defaultdict(dict)
        for judgement in judgements:
            standing = open_before.pop(judgement.record.identity, [])
            opened, closed = _changes(judgement, standing)
            over += closed
            if opened:
                news.append(self._finding(judgement, now))
            if judgement.look.verdict is Verdict.PRESENT and self._row_differs(judgement):
                seen_here[judgement.record.target][judgement.record.pk] = judgement.record.name
        if not self.scope.is_explicit:  # in a stretch of keys, a finding without its record is over
            over += [finding.pk for standing in open_before.values() for finding in standing]
        Finding.objects.bulk_create(news)
        self._close(Finding.objects.filter(pk__in=over), now)
        for target, names in seen_here.items():
            # a file that was replaced meanwhile was not looked at
            rows = target.model._base_manager.filter(pk__in=list(names), file__in=set(names.values()))
            _mark(rows, Verdict.PRESENT, now, store=self.audit.fingerprint)

    def settle(self, *, believed: bool, now: datetime) -> None:
        """Make the audit's findings count, after the store was looked at once more.

        When it is not believed any more, what looked absent becomes ``unknown``.
        """
        ours = Finding.objects.filter(opened_by=self.audit, settled=False)
        if not believed:
            ours.filter(verdict=Verdict.MISSING).update(
                verdict=Verdict.UNKNOWN, reason=Reason.STORE_UNFIT_AFTERWARDS
            )
        while batch := list(ours.order_by("pk")[:SETTLE_BATCH]):
            with transaction.atomic():
                self._settle(batch, now)
            self.audit.renew_lease()

    def failed_looks(self) -> Counter[str]:
        """Why looks of this audit failed, by reason code."""
        failed = findings_of(self.audit).filter(verdict__in=FAILED_LOOKS).order_by()
        return Counter(dict(failed.values_list("reason").annotate(number=Count("pk"))))

    def _settle(self, batch: list[Finding], now: datetime) -> None:
        standing = _by_record(self._open().filter(of_records(map(_finding_key, batch))))
        to_mark: dict[tuple[Target, str], list[Finding]] = defaultdict(list)
        for finding in batch:
            others = standing.get(_finding_key(finding), [])
            over = [
                other
                for other in others
                if other.key != finding.key or _supersedes(finding.verdict, other.verdict)
            ]
            self._close(Finding.objects.filter(pk__in=[other.pk for other in over]), now)
            if any(other.verdict == finding.verdict for other in others if other not in over):
                finding.delete()  # another audit settled the same meanwhile
                continue
            Finding.objects.filter(pk=finding.pk).update(settled=True)
            target = self.targets.get((finding.content_type_id or 0, finding.field))
            if target is not None:
                to_mark[target, finding.verdict].append(finding)
        if self.audit.marks:
            for (target, verdict), findings in to_mark.items():
                self._mark_named(target, Verdict(verdict), findings, now)

    def _mark_named(self, target: Target, verdict: Verdict, findings: list[Finding], now: datetime) -> None:
        """Mark the rows whose name is still the one that was looked at, and that were not stored anew."""
        if not target.remembers:
            return
        names = {target.model._meta.pk.to_python(one.object_pk): one.key for one in findings}
        prefix = self.audit.prefix
        looked_at = min(
            datetime.fromisoformat(one.last_evidence["at"]) if "at" in one.last_evidence else one.opened_at
            for one in findings
        )
        rows = target.model._base_manager.filter(pk__in=list(names), updated_at__lte=looked_at)
        named = readable(rows, "file").values_list("pk", "file")
        unchanged = [pk for pk, name in named if prefix + name == names[pk]]
        store = self.audit.fingerprint if verdict is Verdict.MISSING and self.scope.adopt else ""
        _mark(rows.filter(pk__in=unchanged), verdict, now, store=store)

    def _row_differs(self, judgement: Judgement) -> bool:
        record = judgement.record
        return (
            self.audit.marks
            and record.target.remembers
            and (record.verdict, record.store) != (Verdict.PRESENT, self.audit.fingerprint)
        )

    def _open(self) -> QuerySet[Finding]:
        return Finding.objects.open().filter(fingerprint=self.audit.fingerprint)

    def _open_findings(
        self, judgements: list[Judgement], behind: str, upto: str | None
    ) -> dict[RecordKey, list[Finding]]:
        ours = self._open().filter(of_fields(self.targets.values()))
        if self.scope.is_explicit:
            pks: dict[int, set[str]] = defaultdict(set)
            for judgement in judgements:
                pks[judgement.record.target.content_type.pk].add(str(judgement.record.pk))
            wanted = Q(pk__in=[])
            for content_type, texts in pks.items():
                wanted |= Q(content_type=content_type, object_pk__in=texts)
            return _by_record(ours.filter(wanted))
        keyed: QuerySet[Any] = ours.annotate(byte_key=byte_ordered(F("key"), ours.db))
        # outside of the scope's prefix nobody looked, so nothing there is over
        window: QuerySet[Any] = in_scope(keyed, Scope(prefix=self.scope.prefix))
        window = window.filter(byte_key__gte=behind)
        if upto is not None:
            window = window.filter(byte_key__lte=upto)
        standing = _by_record(window)
        here = {judgement.record.identity for judgement in judgements}
        # at the two edges a key's other records belong to the neighbouring batches
        return {
            record: findings
            for record, findings in standing.items()
            if record in here or all(behind < finding.key and finding.key != upto for finding in findings)
        }

    def _finding(self, judgement: Judgement, now: datetime) -> Finding:
        record, seen = judgement.record, judgement.look
        evidence = seen.evidence.to_dict()
        return Finding(
            fingerprint=self.audit.fingerprint,
            content_type=record.target.content_type,
            object_pk=str(record.pk),
            field=record.target.field.name,
            key=record.key,
            verdict=seen.verdict.value,
            reason=str(seen.reason),
            first_evidence=evidence,
            last_evidence=evidence,
            opened_by=self.audit,
            opened_at=now,
        )

    def _close(self, findings: QuerySet[Finding], now: datetime) -> None:
        findings.update(closed_by=self.audit, closed_at=now)


def _changes(judgement: Judgement, standing: list[Finding]) -> tuple[bool, list[int]]:
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
    over = [other.pk for other in standing if other not in same and _supersedes(verdict, other.verdict)]
    return False, over


def _supersedes(verdict: str, other: str) -> bool:
    """Whether a look that brought ``verdict`` ends a finding of ``other``: a failed look ends no known one."""
    return other != verdict and (Verdict(verdict).is_known or not Verdict(other).is_known)


def _mark(rows: QuerySet[Any], verdict: Verdict, now: datetime, *, store: str) -> None:
    """Write a verdict on the rows where it changes; a failed look never overwrites what is known."""
    values: dict[str, Any] = {"verdict": verdict.value, "verdict_at": now, "missing_since": None}
    if store:
        values["store"] = store
    if verdict is Verdict.MISSING:
        values["missing_since"] = now
    if not verdict.is_known:
        rows = rows.filter(verdict__in=FAILED_LOOKS)
    if store:
        rows.filter(verdict=verdict.value).exclude(store=store).update(store=store)
    rows.exclude(verdict=verdict.value).update(**values)


def _by_record(findings: Iterable[Finding]) -> dict[RecordKey, list[Finding]]:
    grouped: dict[RecordKey, list[Finding]] = defaultdict(list)
    for finding in findings:
        grouped[_finding_key(finding)].append(finding)
    return grouped


def _finding_key(finding: Finding) -> RecordKey:
    return finding.content_type_id or 0, finding.object_pk, finding.field
