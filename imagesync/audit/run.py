"""The audit itself: is the store fit, look at the canaries and at what visitors could not read, judge every
record, is the store still fit, settle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from imagesync.audit.book import Book
from imagesync.audit.canaries import Reservoir, look_at_canaries
from imagesync.audit.failed_reads import close_failed_reads, disbelieve, look_at_failed_reads
from imagesync.audit.identity import change_of_store, places_elsewhere
from imagesync.audit.judge import Batch, Judge
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.progress import Progress
from imagesync.core.trust import Trust, listing_failed, trust_of
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit, AuditRange
from imagesync.records import Record, Scope, Source, count_records, ordered_records
from imagesync.storage.preflight import preflight


def carry_out(audit: Audit, source: Source, progress: Progress | None = None) -> Audit:
    """Work an opened or resumed audit off, to its end.

    The audit ends with a ``trust`` and its reasons; nothing that S3 answers raises. Interrupted from
    outside (Ctrl-C, a lost database, a lost lease), it can be resumed where it was.
    """
    running = _Running(audit, source, progress or Progress())
    try:
        running.run()
    finally:
        running.release_if_unfinished()
    return audit


class _Running:
    def __init__(self, audit: Audit, source: Source, progress: Progress) -> None:
        self.audit = audit
        self.source = source
        self.scope = Scope.from_dict(audit.scope)
        self.progress = progress
        self.book = Book(audit, source)
        self.requests_before = Counter(audit.requests)
        self.canaries = Reservoir(app_settings().canaries, seed=audit.pk, kept=audit.canaries)

    def run(self) -> None:
        self.progress.begin("checking that the store can be believed")
        fit = preflight(self.source.store)
        self.audit.versioning = fit.versioning
        news = change_of_store(self.audit)
        if not fit.fit:
            self._finish(Trust.UNTRUSTWORTHY, [*news, *fit.reasons])
            return
        canaries = look_at_canaries(self.audit, self.source, versioning=fit.versioning, heartbeat=self._beat)
        if canaries.trust is Trust.UNTRUSTWORTHY:
            self._finish(Trust.UNTRUSTWORTHY, [*news, *canaries.reasons])
            return
        reasons = [*news, *canaries.reasons]
        failed_reads = look_at_failed_reads(self.source, self.scope, self._judge(fit.versioning))
        for part in self.audit.ranges.exclude(state=AuditRange.State.DONE):
            reasons += self._work_off(part, fit.versioning)

        self.progress.begin("checking the store once more")
        after = preflight(self.source.store)
        self.book.settle(believed=after.fit, now=timezone.now())
        counts = self._counts(believed=after.fit)
        why_unknown = self._why_unknown()
        if Reason.WRITTEN_ELSEWHERE in why_unknown:
            reasons += places_elsewhere(self.audit, self.source)
        trust, judged_reasons = trust_of(
            counts=counts,
            reasons=reasons,
            fit_afterwards=after.fit,
            reasons_afterwards=list(after.reasons),
            why_unknown=why_unknown,
        )
        self.audit.failed_reads = failed_reads if after.fit else disbelieve(failed_reads)
        self._finish(trust, judged_reasons, counts)
        # where everything is gone, or the store is another one, it is doubted before its records are
        if trust is not Trust.UNTRUSTWORTHY and canaries.trust is Trust.TRUSTWORTHY and not news:
            close_failed_reads(self.audit, self.source, self.scope)

    def _judge(self, versioning: str) -> Judge:
        return Judge(
            self.source,
            self.scope,
            versioning=versioning,
            workers=self.source.workers,
            batch_size=app_settings().batch_size,
            heartbeat=self._beat,
            now=timezone.now,
        )

    def _work_off(self, part: AuditRange, versioning: str) -> list[Diagnosis]:
        """Judge one range, from its cursor on. Progress is committed with what it rests on."""
        total = count_records(self.source, self.scope)
        self.progress.begin(f"comparing {total:,} records with the store", total)
        judge = self._judge(versioning)
        cursor = tuple(part.cursor) if part.cursor else None
        records: Iterator[Record] = ordered_records(self.source, self.scope, after=cursor)
        passed = cursor[0] if cursor else ""
        for batch in judge.batches(records, strategy=self.audit.strategy, passed=passed):
            self._write_down(part, batch, timezone.now())
            self.progress.advance(part.counts.get("records", 0), missing=part.counts.get("missing", 0))
        with transaction.atomic():
            self.book.note([], behind=part.cursor[0] if part.cursor else "", upto=None, now=timezone.now())
            part.state = AuditRange.State.DONE
            part.save(update_fields=["state"])
        failure = judge.listing_failure
        self.audit.saw_all_objects = (
            self.audit.strategy == "list" and failure is None and not self.scope.is_explicit
        )
        return [] if failure is None else [listing_failed(str(failure), failure.reason)]

    def _write_down(self, part: AuditRange, batch: Batch, now: datetime) -> None:
        last = batch.judgements[-1].record if batch.judgements else None
        behind = part.cursor[0] if part.cursor else ""
        with transaction.atomic():
            if last is not None:
                self.book.note(batch.judgements, behind=behind, upto=last.key, now=now)
                part.cursor = [last.key, last.target.label, _plain(last.pk)]
            part.counts = dict(Counter(part.counts) + _count(batch))
            part.unreferenced += batch.unnamed
            part.save(update_fields=["cursor", "counts", "unreferenced"])
            self.audit.renew_lease()
        for judgement in batch.judgements:
            if judgement.look.verdict is Verdict.PRESENT:
                self.canaries.offer(judgement.record)

    def _counts(self, *, believed: bool) -> Counter[str]:
        counts: Counter[str] = Counter()
        for part in self.audit.ranges.all():
            counts.update(part.counts)
        if not believed:
            counts[Verdict.UNKNOWN] += counts.pop(Verdict.MISSING, 0)
        return counts

    def _why_unknown(self) -> list[str]:
        found = self.book.failed_looks()
        return [reason for reason, _count in found.most_common()]

    def _finish(self, trust: Trust, reasons: list[Diagnosis], counts: Counter[str] | None = None) -> None:
        audit = self.audit
        audit.trust = trust.value
        audit.reasons = [reason.to_dict() for reason in reasons]
        audit.counts = _all_counts(counts or Counter())
        audit.unreferenced = (
            sum(part.unreferenced for part in audit.ranges.all()) if audit.saw_all_objects else None
        )
        audit.canaries = self.canaries.kept if counts else []
        self._stop(Audit.State.FINISHED)

    def _stop(self, state: Audit.State) -> None:
        """Write the end down, unless somebody else has taken over meanwhile."""
        audit = self.audit
        audit.renew_lease()
        audit.state = state
        audit.finished_at = timezone.now() if state == Audit.State.FINISHED else None
        audit.requests = dict(self.requests_before + self.source.store.requests)
        audit.lease_owner, audit.lease_until = "", None
        audit.save()

    def release_if_unfinished(self) -> None:
        """Give the lease back so that the audit can be resumed at once."""
        if self.audit.state == Audit.State.RUNNING:
            Audit.objects.filter(
                pk=self.audit.pk, state=Audit.State.RUNNING, lease_owner=self.audit.lease_owner
            ).update(
                state=Audit.State.INTERRUPTED,
                lease_owner="",
                lease_until=None,
                requests=dict(self.requests_before + self.source.store.requests),
                canaries=self.canaries.kept,
                versioning=self.audit.versioning,
            )

    def _beat(self) -> None:
        self.audit.renew_lease()


def _count(batch: Batch) -> Counter[str]:
    counts: Counter[str] = Counter(judgement.look.verdict.value for judgement in batch.judgements)
    counts["records"] = len(batch.judgements)
    return counts


def _all_counts(counts: Counter[str]) -> dict[str, int]:
    return {"records": counts["records"], **{verdict.value: counts[verdict.value] for verdict in Verdict}}


def _plain(pk: object) -> object:
    """A pk as JSON can hold it; the field's ``to_python`` understands it again."""
    return pk if isinstance(pk, int | str) else str(pk)
