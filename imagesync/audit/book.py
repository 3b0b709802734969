"""What an audit writes: findings and marks. Nothing that looked absent is settled before the end.

Findings are opened *unsettled* while the audit runs and settled in one go when the store has passed its
check afterwards; a kill at any moment leaves facts of the audit before, or this one's, never a mixture
within one record. What is unchanged costs no write.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db import router, transaction
from django.db.models import Count, QuerySet

from imagesync.audit.batch import Batch
from imagesync.audit.covered import Covered
from imagesync.audit.earlier import outlived, overtaken, unsettled_of_others
from imagesync.audit.held import rows_held
from imagesync.audit.judge import Judgement
from imagesync.audit.marks import mark
from imagesync.audit.outdated import outdated, rows_of
from imagesync.audit.standing import (
    Open,
    by_record,
    changes_of,
    looked_at,
    record_of,
    row_said_something_else,
    standings,
    supersedes,
)
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit, AuditRange, Finding
from imagesync.models.broken_off import again_if_broken_off
from imagesync.records import Scope, Source, Target
from imagesync.records.findings import FAILED_LOOKS, findings_of, of_records
from imagesync.records.stream import IN_CHUNK, RecordKey
from imagesync.records.unreadable import readable

SETTLE_BATCH = 500
WRITE_BATCH = 1000

T = TypeVar("T")


class Book:
    """Writes down one audit of one source."""

    def __init__(self, audit: Audit, source: Source) -> None:
        self.audit = audit
        self.scope = Scope.from_dict(audit.scope)
        self.targets = {(target.content_type.pk, target.field.name): target for target in source.targets}

    def note(self, part: AuditRange, batch: Batch, now: datetime) -> None:
        """Write what changed in one batch of a range.

        The caller holds a transaction, together with the range's cursor.
        """
        again_if_broken_off(partial(self._note_part, part, batch, now))

    def _note_part(self, part: AuditRange, batch: Batch, now: datetime) -> None:
        where = Covered(self.scope, self.targets, part, batch)
        with transaction.atomic(using=router.db_for_write(Finding)):
            for older in _some(self._older_looks(where)):
                with rows_held(
                    rows_of(older, self.targets).values()
                ):  # else they are being settled, row by row
                    self._forget(older)
            windows = where.among(self._open_before())
            standing = by_record(row for some in windows for row in standings(some) if where.holds(row))
            self._note(batch.judgements, standing, now)

    def note_looks(self, judgements: Sequence[Judgement], standing: Open, now: datetime) -> None:
        """Write what changed at single records, whose findings ``standing`` were read in the same transaction."""
        self._note(judgements, dict(standing), now)

    def standing_of(self, judgements: Sequence[Judgement]) -> Open:
        """The open findings of these records."""
        here = [judgement.record.identity for judgement in judgements]
        return by_record(
            row for some in _some(here) for row in standings(self._open_before().filter(of_records(some)))
        )

    def _note(self, judgements: Iterable[Judgement], open_before: Open, now: datetime) -> None:
        news: list[Finding] = []
        over: list[int] = []
        seen_here: dict[Target, dict[Any, str]] = defaultdict(dict)
        for judgement in judgements:
            standing = open_before.pop(judgement.record.identity, [])
            opened, closed = changes_of(judgement, standing)
            over += closed
            if opened or self._lost_its_mark(judgement):
                news.append(self._finding(judgement, now))
            if judgement.look.verdict is Verdict.PRESENT and self._row_differs(judgement):
                seen_here[judgement.record.target][judgement.record.pk] = judgement.record.name
        # of the records that only count as present, and of a record that is no more, every finding is over
        over += [standing.pk for findings in open_before.values() for standing in findings]
        # rows before findings, as everybody has it who locks both
        for target, names in sorted(seen_here.items(), key=lambda one: one[0].label):
            for some in _some(sorted(names)):
                # a file that was replaced meanwhile was not looked at
                rows = target.model._base_manager.filter(pk__in=some, file__in={names[pk] for pk in some})
                if self.audit.comparing_since is not None:
                    rows = rows.exclude(verdict_at__gt=self.audit.comparing_since)
                mark(rows, Verdict.PRESENT, now, store=self.audit.fingerprint, audit=self._told_by)
        Finding.objects.bulk_create(news, batch_size=WRITE_BATCH)
        for pks in _some(sorted(over)):
            self._close(Finding.objects.filter(pk__in=pks), now)

    def settle(self, *, believed: bool, now: datetime) -> None:
        """Make the audit's findings count, after the store was looked at once more.

        When it is not believed any more, what looked absent becomes ``unknown``.
        """
        ours = self._unsettled()
        if not believed:
            ours.filter(verdict=Verdict.MISSING).update(
                verdict=Verdict.UNKNOWN, reason=Reason.STORE_UNFIT_AFTERWARDS
            )
        while batch := list(ours.order_by("pk")[:SETTLE_BATCH]):
            again_if_broken_off(partial(self._settle_batch, batch, now))

    def forget_older_looks(self, judgements: Iterable[Judgement]) -> None:
        """Remove what audits under way saw of these records before, and would settle at their end.

        Of what is there nothing is written down, so that end could not tell that somebody looked since.
        """
        known = {one.record.identity: one.look for one in judgements if one.look.verdict.is_known}
        unsettled = Finding.objects.filter(fingerprint=self.audit.fingerprint, settled=False)
        self._forget(
            finding
            for some in _some(list(known))
            for finding in outlived(unsettled.filter(of_records(some)), known)
        )

    def mark_again(self, judgements: Iterable[Judgement], now: datetime) -> None:
        """Mark rows that lost their mark while the finding stayed open: by an upload, say, that is gone again.

        To be called when the store was looked at once more and is believed.
        """
        self._mark_settled([self._finding(one, now) for one in judgements], now)

    def failed_looks(self) -> Counter[str]:
        """Why looks of this audit failed, by reason code."""
        failed = findings_of(self.audit).filter(verdict__in=FAILED_LOOKS).order_by()
        return Counter(dict(failed.values_list("reason").annotate(number=Count("pk"))))

    def _unsettled(self) -> QuerySet[Finding]:
        return Finding.objects.filter(opened_by=self.audit, settled=False)

    def _settle_batch(self, batch: list[Finding], now: datetime) -> None:
        with transaction.atomic():
            self.audit.renew_lease()  # who cancels the audit waits, and nothing is settled behind that
            rows = rows_of(batch, self.targets)
            with rows_held(rows.values()) as names:
                left = self._unsettled().filter(pk__in=[one.pk for one in batch])
                true = set(left.values_list("pk", flat=True))
                true -= outdated(batch, rows, names, prefix=self.audit.prefix)
                true -= overtaken((one for one in batch if one.pk in true), self._open())
                left.exclude(pk__in=true).delete()
                self._settle([one for one in batch if one.pk in true], now)

    def _settle(self, batch: list[Finding], now: datetime) -> None:
        """Of records whose rows are locked."""
        standing = by_record(standings(self._open().filter(of_records(map(record_of, batch)))))
        over: list[int] = []
        found: dict[tuple[RecordKey, str], Finding] = {}
        """What the rows say then, also where the finding stood all the time: a row may have lost its mark."""
        settled: dict[tuple[RecordKey, str], Finding] = {}
        for finding in batch:
            found[record_of(finding), finding.verdict] = finding
            others = standing.get(record_of(finding), [])
            ended = [
                other
                for other in others
                if other.key != finding.key or supersedes(finding.verdict, other.verdict)
            ]
            over += [other.pk for other in ended]
            if not any(other.verdict == finding.verdict for other in others if other not in ended):
                # a record that was renamed under the audit was met twice: where it was met last counts
                settled[record_of(finding), finding.verdict] = finding
        self._close(Finding.objects.filter(pk__in=over), now)
        keep = {finding.pk for finding in settled.values()}
        # what another audit settled meanwhile need not be said twice
        Finding.objects.filter(pk__in=[finding.pk for finding in batch if finding.pk not in keep]).delete()
        Finding.objects.filter(pk__in=keep).update(settled=True)
        if self.audit.marks:
            self._mark_settled(found.values(), now)

    def _mark_settled(self, findings: Iterable[Finding], now: datetime) -> None:
        to_mark: dict[tuple[Target, str], list[Finding]] = defaultdict(list)
        for finding in findings:
            target = self.targets.get((finding.content_type_id or 0, finding.field))
            if target is not None:
                to_mark[target, finding.verdict].append(finding)
        for (target, verdict), some in to_mark.items():
            self._mark_named(target, Verdict(verdict), some, now)

    def _mark_named(self, target: Target, verdict: Verdict, findings: list[Finding], now: datetime) -> None:
        """Mark the rows whose name is still the one that was looked at, and that were not stored anew."""
        if not target.remembers:
            return
        names = {target.model._meta.pk.to_python(one.object_pk): one.key for one in findings}
        prefix = self.audit.prefix
        first_look = min(map(looked_at, findings))
        rows = target.model._base_manager.filter(pk__in=list(names), updated_at__lte=first_look)
        named = readable(rows, "file").values_list("pk", "file")
        unchanged = [pk for pk, name in named if prefix + name == names[pk]]
        store = self.audit.fingerprint if verdict is Verdict.MISSING and self.scope.adopt else ""
        mark(rows.filter(pk__in=unchanged), verdict, now, store=store, audit=self._told_by)

    @property
    def _told_by(self) -> Audit | None:
        """None for looks that are kept as no audit."""
        return self.audit if self.audit.pk else None

    def _row_differs(self, judgement: Judgement) -> bool:
        record = judgement.record
        return (
            self.audit.marks
            and record.target.remembers
            and (record.verdict, record.store) != (Verdict.PRESENT, self.audit.fingerprint)
        )

    def _lost_its_mark(self, judgement: Judgement) -> bool:
        """Whether its row says something else although the finding stands: a file was stored anew, and is gone again.

        Looks that are kept as no audit have nothing to settle; they call ``mark_again``.
        """
        is_settled = self.audit.marks and self._told_by is not None
        return is_settled and judgement.look.verdict.needs_attention and row_said_something_else(judgement)

    def _open(self) -> QuerySet[Finding]:
        return Finding.objects.open().filter(fingerprint=self.audit.fingerprint)

    def _open_before(self) -> QuerySet[Finding]:
        """Those that what we saw may end: what was found since we began, a watch may have seen later than we did."""
        since = self.audit.comparing_since
        return self._open() if since is None else self._open().filter(opened_at__lte=since)

    def _older_looks(self, where: Covered) -> list[Finding]:
        """What audits under way saw of a batch's records before, and of which it tells something else.

        Not of those that look missing: that is believed at the end, and what others settle meanwhile is held against it.
        """
        unsettled = unsettled_of_others(self.audit)
        if unsettled is None:
            return []
        looks = {one.record.identity: one.look for one in where.batch.judgements}
        not_there = {record for record, look in looks.items() if look.verdict is Verdict.MISSING}
        here = [one for some in where.among(unsettled) for one in some if where.holds(one)]
        seen = [one for one in here if record_of(one) not in not_there]
        return outlived(seen, looks, since=self.audit.comparing_since)

    def _forget(self, older: Iterable[Finding]) -> None:
        for pks in _some([finding.pk for finding in older]):
            Finding.objects.filter(pk__in=pks, settled=False).delete()

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
        findings.filter(closed_at=None).update(closed_by=self.audit, closed_at=now)


def _some(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """``values``, as many at a time as a query may name."""
    for start in range(0, len(values), IN_CHUNK):
        yield values[start : start + IN_CHUNK]
