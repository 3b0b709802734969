"""The audit itself: is the store fit, look at the canaries and at what visitors could not read, judge every
record, is the store still fit, settle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from imagesync import signals
from imagesync.audit.book import Book
from imagesync.audit.canaries import look_at_canaries
from imagesync.audit.failed_reads import close_failed_reads, disbelieve, look_at_failed_reads
from imagesync.audit.figures import figures_of
from imagesync.audit.identity import change_of_store, places_elsewhere
from imagesync.audit.judge import Judge
from imagesync.audit.pages import StorePages, sorted_pages
from imagesync.audit.requests import Requests
from imagesync.audit.scan import Batch, Pages, RangeScan
from imagesync.audit.walk import walk
from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.progress import Progress
from imagesync.core.reservoir import Reservoir
from imagesync.core.strategy import Chooser, strategy_taken
from imagesync.core.trust import Trust, listing_failed, trust_of
from imagesync.core.verdicts import Reason, Verdict
from imagesync.exceptions import NotInByteOrder
from imagesync.models import Audit, AuditRange
from imagesync.records import Chunk, Scope, Source, record_chunks
from imagesync.records.keyset import as_stored
from imagesync.records.presorted import PresortedRows, presorted_fields
from imagesync.records.splitting import estimated_records
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
        self.judge = Judge(source, self.scope, now=timezone.now)
        self.counts: Counter[str] = Counter()
        self.requests_before = Counter(audit.requests)
        self._presorted: Mapping[str, PresortedRows] = {}
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
        failed_reads = look_at_failed_reads(
            self.source, self.scope, self.judge, versioning=fit.versioning, heartbeat=self._beat
        )
        self._compare_ranges(fit.versioning)
        reasons += [Diagnosis(**part.failure) for part in self._ranges() if part.failure]

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

    def _compare_ranges(self, versioning: str) -> None:
        """Walk the ranges that are not done, each from its cursor on. Progress is committed with what it rests on."""
        total = estimated_records(self.source, self.scope)
        self.progress.begin(f"comparing {total:,} records with the store", total)
        self.counts = self._counts(believed=True)
        with (
            presorted_fields(self.source, self.scope, self._beat) as self._presorted,
            Requests(self.source.store, workers=self.source.workers, versioning=versioning) as requests,
        ):
            try:
                self._walk(requests, StorePages(requests, self._prefix()))
            except NotInByteOrder as disorder:
                self.audit.in_order = False
                with sorted_pages(self.source.store, self._prefix(), disorder, self._beat) as pages:
                    self._walk(requests, pages)

    def _walk(self, requests: Requests, pages: Pages) -> None:
        settings = app_settings()
        scans = (
            RangeScan(
                part,
                self._chunks(part),
                pages=pages,
                requests=requests,
                judge=self.judge,
                chooser=Chooser(self.audit.strategy, break_even=settings.prices.break_even),
                batch_size=settings.batch_size,
                canaries=self.canaries,
            )
            for part in self._ranges().exclude(state=AuditRange.State.DONE)
        )
        for scan, batch in walk(scans, side_by_side=self.source.workers, heartbeat=self._beat):
            self._write_down(scan.part, batch)
            self.progress.advance(self.counts["records"], missing=self.counts["missing"])

    def _chunks(self, part: AuditRange) -> Iterator[Chunk]:
        return record_chunks(
            self.source,
            self.scope,
            first_key=part.first_key,
            end_key=part.end_key,
            after=tuple(part.cursor) if part.cursor else None,
            presorted=self._presorted,
        )

    def _write_down(self, part: AuditRange, batch: Batch) -> None:
        with transaction.atomic():
            self.book.note(part, batch, timezone.now())
            if batch.upto is not None:
                key, label, pk = batch.upto
                part.cursor = [key, label, as_stored(pk)]
            part.counts = dict(Counter(part.counts) + batch.counts)
            part.unreferenced += batch.unnamed
            part.whole &= not batch.unseen
            if batch.failure is not None:
                part.failure = listing_failed(str(batch.failure), batch.failure.reason).to_dict()
            if batch.ends:
                part.state = AuditRange.State.DONE
            part.save(update_fields=["cursor", "counts", "unreferenced", "whole", "failure", "state"])
            self.audit.renew_lease()
        self.counts += batch.counts

    def _ranges(self) -> QuerySet[AuditRange]:
        return self.audit.ranges.all()

    def _prefix(self) -> str:
        return max(self.source.store.identity.prefix, self.scope.prefix, key=len)

    def _counts(self, *, believed: bool) -> Counter[str]:
        counts: Counter[str] = Counter()
        for part in self._ranges():
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
        audit.saw_all_objects = (
            counts is not None
            and not (self.scope.is_explicit or self.scope.job)
            and all(part.whole for part in self._ranges())
        )
        audit.unreferenced = (
            sum(part.unreferenced for part in self._ranges()) if audit.saw_all_objects else None
        )
        audit.strategy = strategy_taken(audit.strategy, counts or Counter())
        audit.canaries = self.canaries.kept if counts else []
        if audit.full_scope and trust is not Trust.UNTRUSTWORTHY:
            self._beat()
            audit.figures = figures_of(audit, self.source)
        self._stop(Audit.State.FINISHED)
        signals.after_commit(signals.audit_finished, Audit, using=audit._state.db, audit=audit)

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


def _all_counts(counts: Counter[str]) -> dict[str, int]:
    return {"records": counts["records"], **{verdict.value: counts[verdict.value] for verdict in Verdict}}
