"""The middle of an audit: as many of its ranges as can be had, compared with the store."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from django.db import router, transaction

from imagesync import logs
from imagesync.audit.batch import Batch
from imagesync.audit.course import Course
from imagesync.audit.pages import Pages, StorePages, sorted_pages
from imagesync.audit.ranges import Claims, beat_seconds, counts_of
from imagesync.audit.reading import Reading, reading_of
from imagesync.audit.requests import Requests
from imagesync.audit.scan import RangeScan
from imagesync.audit.walk import HEARTBEAT_SECONDS, walk
from imagesync.conf import app_settings
from imagesync.core.reservoir import Reservoir
from imagesync.core.strategy import Chooser
from imagesync.core.trust import listing_failed
from imagesync.exceptions import NotInByteOrder
from imagesync.models import AuditRange
from imagesync.records import RecordChunks
from imagesync.records.keyset import as_stored
from imagesync.records.presorted import PresortedRows, presorted_fields


def never() -> bool:
    return False


class Comparing:
    """Walks ranges, each from its cursor on. Progress is committed with what it rests on.

    ``side_by_side`` ranges are under way at most. When ``is_over`` says so no other is begun, and those under way are
    left where they are, written down, for others to go on with. ``claimed_at_once``: see Claims.
    """

    def __init__(
        self,
        course: Course,
        *,
        side_by_side: int,
        claimed_at_once: int = 1,
        is_over: Callable[[], bool] = never,
    ) -> None:
        self.course = course
        self.audit = course.audit
        self.source = course.source
        self.claims = Claims(course.audit, at_once=claimed_at_once)
        self.counts: Counter[str] = Counter()
        """Of the whole audit, as far as this process knows."""
        self._side_by_side = side_by_side
        self._is_over = is_over
        self._presorted: Mapping[str, PresortedRows] = {}

    def run(self) -> int:
        """Returns how many records were judged here. Raises AlreadyRunning when the audit, or a range, was lost to another process, or somebody paused it."""
        total = self.audit.expected_records or 0
        self.course.progress.begin(f"comparing {total:,} records with the store", total)
        self.counts = counts_of(self.audit)
        before = self.counts["records"]
        try:
            with (
                presorted_fields(self.source, self.course.scope, self.claims.renew) as self._presorted,
                Requests(
                    self.source.store,
                    workers=self.source.workers,
                    versioning=self.audit.versioning,
                    now=self.course.now,
                ) as requests,
            ):
                self._compare(requests)
        finally:
            self.claims.release()
        return self.counts["records"] - before

    def _compare(self, requests: Requests) -> None:
        prefix = max(self.source.store.identity.prefix, self.course.scope.prefix, key=len)
        try:
            self._walk(requests, StorePages(requests, prefix))
        except NotInByteOrder:
            self.audit.write(in_order=False)
            text = "the store does not list in byte order; its listing is sorted on disk"
            logs.of_audit("listing_sorted", self.audit, text, level=logging.WARNING)
            self.claims.release()
            self._is_over = never  # the whole listing is sorted, so it had better be used
            with sorted_pages(self.source.store, prefix, self.claims.renew) as pages:
                self._walk(requests, pages)

    def _walk(self, requests: Requests, pages: Pages) -> None:
        beat_every = min(HEARTBEAT_SECONDS, beat_seconds())
        with reading_of(self.source) as reading:
            for scan, batch in walk(
                self._scans(reading, requests, pages),
                side_by_side=self._side_by_side,
                may_begin=lambda: reading.is_idle,
                heartbeat=partial(self._renew, reading),
                beat_every=beat_every,
            ):
                with reading.alone():
                    self._write_down(scan, batch)
                    self.claims.renew_if_due()
                    self.course.progress.advance(self.counts["records"], missing=self.counts["missing"])

    def _renew(self, reading: Reading) -> None:
        with reading.alone():
            self.claims.renew()

    def _next_part(self, reading: Reading) -> AuditRange | None:
        with reading.alone():
            return None if self._is_over() else self.claims.take()

    def _scans(self, reading: Reading, requests: Requests, pages: Pages) -> Iterator[RangeScan]:
        settings = app_settings()
        chunks = RecordChunks(self.source, self.course.scope, presorted=self._presorted)
        while (part := self._next_part(reading)) is not None:
            yield RangeScan(
                part,
                chunks.between(
                    part.first_key, part.end_key, after=tuple(part.cursor) if part.cursor else None
                ),
                reading=reading,
                pages=pages,
                requests=requests,
                judge=self.course.judge,
                chooser=Chooser(self.audit.strategy, break_even=settings.prices.break_even),
                batch_size=settings.batch_size,
                canaries=Reservoir(settings.canaries, seed=part.pk, kept=part.canaries),
                is_over=self._is_over,
            )

    def _write_down(self, scan: RangeScan, batch: Batch) -> None:
        part = scan.part
        values: dict[str, Any] = {
            "counts": dict(Counter(part.counts) + batch.counts),
            "requests": dict(Counter(part.requests) + self.course.spent.take()),
            "canaries": scan.canaries.kept,
            "unreferenced": part.unreferenced + batch.unnamed,
            "whole": part.whole and not batch.unseen,
        }
        if batch.upto is not None:
            key, label, pk = batch.upto
            values["cursor"] = [key, label, as_stored(pk)]
        if batch.failure is not None:
            values["failure"] = listing_failed(str(batch.failure), batch.failure.reason).to_dict()
        if batch.ends:
            values |= {"state": AuditRange.State.DONE, "lease_owner": "", "lease_until": None}
        with transaction.atomic(using=router.db_for_write(AuditRange)):
            self.claims.write(part, **values)
            self.course.book.note(part, batch, self.course.now())
        self.counts += batch.counts
