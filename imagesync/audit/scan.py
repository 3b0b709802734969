"""One range of keys: its records against the store, a batch at a time.

A scan is a generator. It yields an ``Answer`` when it can only go on once that is here, and a ``Batch`` whenever
something can be written down; so that one thread drives many scans whose requests are under way together.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from imagesync.audit.batch import Batch
from imagesync.audit.canaries import canary
from imagesync.audit.judge import Judge, Judgement
from imagesync.audit.pages import Pages
from imagesync.audit.reading import Reading
from imagesync.audit.requests import Answer, Requests
from imagesync.core.compare import Comparison, Stretch
from imagesync.core.ranges import just_before
from imagesync.core.reservoir import Reservoir
from imagesync.core.strategy import Chooser, Jump, PageOn, Probe, Step
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import ListingBroken, NotInByteOrder
from imagesync.models import AuditRange
from imagesync.records import Chunk, Cursor, Record
from imagesync.storage.contents import ListedObject
from imagesync.storage.listing import MAX_EMPTY_PAGES, ListedPage
from imagesync.storage.probe import Asking, confirm, look

MOST_TO_WRITE = 1000
"""Judgements that are held before they are written down."""
SECONDS_BETWEEN_BATCHES = 5.0


class RangeScan:
    """The walk through one range, from its cursor on."""

    def __init__(
        self,
        part: AuditRange,
        chunks: Iterator[Chunk],
        *,
        reading: Reading,
        pages: Pages,
        requests: Requests,
        judge: Judge,
        chooser: Chooser,
        batch_size: int,
        canaries: Reservoir[list[str]],
        is_over: Callable[[], bool],
    ) -> None:
        self.part = part
        self._chunks = chunks
        self._reading = reading
        self._pages = pages
        self._requests = requests
        self._judge = judge
        self._chooser = chooser
        self._batch_size = batch_size
        self.canaries = canaries
        self._is_over = is_over
        cursor: Cursor | None = tuple(part.cursor) if part.cursor else None
        self._comparison = Comparison(
            first=part.first_key, end=part.end_key, passed=cursor[0] if cursor else ""
        )
        self._begun_behind = cursor
        self._batch = Batch(behind=cursor)
        self._begun_at = time.monotonic()
        self._candidates: list[Record] = []
        self._unnamed_behind = 0  # objects behind the last record: they are counted with the next one
        self._chunk: Chunk | None = None
        self._page: ListedPage | None = None
        self._details: dict[str, ListedObject] | None = None
        self._listed_to = just_before(cursor[0] if cursor else part.first_key)
        self._ahead: Answer[ListedPage] | None = None
        self._empty_pages = 0
        self._step: Step = chooser.first()

    def steps(self) -> Iterator[Answer[Any] | Batch]:
        ends = True
        try:
            ends = yield from self._walk()
        except ListingBroken as failure:
            if isinstance(failure, NotInByteOrder):
                raise
            self._batch.failure = failure
            yield from self._leave_unseen(failure)
        if ends:
            yield from self._flush(ends=True)

    # --- walking ---------------------------------------------------------------------------------------

    def _walk(self) -> Generator[Answer[Any] | Batch, None, bool]:
        """Whether the end was reached: when time is up, what there is is handed over and the rest left to others."""
        if isinstance(self._step, PageOn):
            self._ahead = self._ask(None)  # on its way while the rows are read
        while (chunk := (yield from self._next_chunk())) is not None:
            while (key := self._comparison.next_key) is not None:
                if self._comparison.next_is_listed:
                    self._compare(chunk, self._comparison.stretch())
                elif isinstance(self._step, Probe):
                    yield from self._probe(chunk, self._step)
                else:
                    yield from self._next_page(next_key=key)
                if self._is_full() or self._may_stop():
                    yield from self._flush()
                    if self._may_stop():
                        return False
        return (yield from self._to_the_end())

    def _next_chunk(self) -> Generator[Answer[Any] | Batch, None, Chunk | None]:
        answer = self._reading.next_of(self._chunks)
        self._chunk = None  # it is not needed beside the next one
        yield answer
        self._chunk = answer.result()
        if self._chunk is not None:
            self._comparison.records(self._chunk.keys)
        return self._chunk

    def _to_the_end(self) -> Generator[Answer[Any] | Batch, None, bool]:
        """No record is left: the objects behind the last one are counted, as far as that is worth its requests."""
        self._pass_objects()
        while not self._comparison.listing_ended and isinstance(self._step, PageOn):
            yield from self._next_page(next_key=None)
            self._pass_objects()
            if self._is_full():
                yield from self._flush()
        self._batch.unseen |= not self._comparison.listing_ended
        return True

    def _next_page(self, *, next_key: str | None) -> Iterator[Answer[Any]]:
        self._pass_objects()
        if self._ahead is None:
            self._ahead = self._ask(next_key)
        answer, self._ahead = self._ahead, None
        yield answer
        self._take(answer.result(), next_key)

    def _take(self, page: ListedPage, next_key: str | None) -> None:
        """The next request is decided, and on its way, before this page is compared."""
        objects = self._comparison.page(page.keys, last=not page.next_token)
        self._page, self._details = page, None
        if page.keys:
            self._listed_to = page.keys[-1]
        if self._comparison.listing_ended:
            return
        self._empty_pages = 0 if page.keys else self._empty_pages + 1
        if self._empty_pages > MAX_EMPTY_PAGES:
            raise ListingBroken(f"The listing gave {self._empty_pages} pages without a key and does not end.")
        comparison = self._comparison
        self._step = self._chooser.after_page(
            records=comparison.records_on_page, likely=comparison.likely_on_page, objects=objects
        )
        if isinstance(self._step, PageOn):
            self._ahead = self._pages.ask(start_after="", token=page.next_token, after=self._listed_to)

    def _ask(self, next_key: str | None) -> Answer[ListedPage]:
        """A page that follows on none: the first one, or one that a jump leads to."""
        if isinstance(self._step, Jump) and next_key is not None:
            self._batch.unseen = True
            self._listed_to = max(self._listed_to, just_before(next_key))
        return self._pages.ask(start_after=self._listed_to, token="", after=self._listed_to)

    def _pass_objects(self) -> None:
        self._unnamed_behind += self._comparison.rest()

    # --- judging ---------------------------------------------------------------------------------------

    def _compare(self, chunk: Chunk, stretch: Stretch) -> None:
        begin, end = stretch.begin, stretch.end
        self._batch.unnamed += stretch.unnamed
        if begin < end:
            self._batch.unnamed += self._unnamed_behind
            self._unnamed_behind = 0
        self._unnamed_behind += stretch.unnamed_behind
        nameless = _within(chunk.odd, begin, end)
        not_there = {*nameless, *stretch.unlisted}
        self._candidates += [chunk.record(index) for index in stretch.unlisted if index not in nameless]
        for index in nameless:
            self._note(self._judge.nameless(chunk.record(index)))
        for judgement, index in self._differing(chunk, begin, end, not_there):
            self._note(judgement)
            not_there.add(index)
        self._note_present(chunk, begin, end, not_there)
        self._reached(chunk, begin, end)

    def _differing(
        self, chunk: Chunk, begin: int, end: int, not_there: set[int]
    ) -> list[tuple[Judgement, int]]:
        """Those whose object is there, and is not as it should be: the few that a listing's details tell."""
        page = self._page
        expecting = _within(chunk.expecting, begin, end)
        if page is None or (page.ordinary and not expecting):
            return []
        if self._details is None:
            self._details = {one.key: one for one in page.objects()}
        found = []
        keys, sizes, etags = chunk.keys, chunk.sizes, chunk.etags
        for index in expecting if page.ordinary else range(begin, end):
            if index in not_there:
                continue
            one = self._details[keys[index]]
            if page.ordinary and one.size_bytes == sizes[index] and one.etag == etags[index]:
                continue
            judgement = self._judge.listed(chunk.record(index), one)
            if judgement.look.verdict is not Verdict.PRESENT:
                found.append((judgement, index))
        return found

    def _note_present(self, chunk: Chunk, begin: int, end: int, not_present: set[int]) -> None:
        self._batch.counts[Verdict.PRESENT] += end - begin - len(not_present)
        self._batch.judgements += [
            self._judge.present(chunk.record(index))
            for index in _within(chunk.unmarked, begin, end)
            if index not in not_present
        ]
        self._offer_canaries(chunk, begin, end, not_present)

    def _offer_canaries(self, chunk: Chunk, begin: int, end: int, not_present: set[int]) -> None:
        if not not_present:
            self.canaries.offer(end - begin, lambda n: canary(chunk.cursor(begin + n)))
            return
        present = [index for index in range(begin, end) if index not in not_present]
        self.canaries.offer(len(present), lambda n: canary(chunk.cursor(present[n])))

    def _note(self, judgement: Judgement) -> None:
        self._batch.counts[judgement.look.verdict] += 1
        self._batch.judgements.append(judgement)

    # --- asking for single records -----------------------------------------------------------------------

    def _probe(self, chunk: Chunk, step: Probe) -> Iterator[Answer[Any]]:
        """Ask for the next records one by one; what else lies between them stays unseen."""
        self._pass_objects()
        self._batch.unseen = True
        passed = self._comparison.skip(step.records)
        nameless = _within(chunk.odd, passed.start, passed.stop)
        for index in nameless:
            self._note(self._judge.nameless(chunk.record(index)))
        records = [chunk.record(index) for index in passed if index not in nameless]
        yield from self._ask_for(records, look)
        self._reached(chunk, passed.start, passed.stop)
        self._batch.counts["probed"] += len(passed)
        self._step = self._chooser.after_probes(len(passed))

    def _ask_for(self, records: list[Record], how: Asking) -> Iterator[Answer[Any]]:
        answer = self._requests.looks(records, how)
        yield answer
        for record, seen in zip(records, answer.result(), strict=True):
            judgement = self._judge.looked_at(record, seen)
            self._note(judgement)
            if judgement.look.verdict is Verdict.PRESENT:
                self.canaries.offer(1, lambda _n, place=record.cursor: canary(place))  # type: ignore[misc]

    def _leave_unseen(self, failure: ListingBroken) -> Iterator[Answer[Any] | Batch]:
        """The listing broke off: what lies behind is not absent but unseen."""
        self._batch.unseen = True
        chunk = self._chunk or (yield from self._next_chunk())
        while chunk is not None:
            for index in (passed := self._comparison.skip(len(chunk))):
                self._note(self._judge.unseen(chunk.record(index), failure.reason))
            self._reached(chunk, passed.start, passed.stop)
            yield from self._flush()
            chunk = yield from self._next_chunk()

    # --- handing over ------------------------------------------------------------------------------------

    def _reached(self, chunk: Chunk, begin: int, end: int) -> None:
        self._batch.counts["records"] += end - begin
        if begin < end:
            self._batch.upto = chunk.cursor(end - 1)

    def _is_full(self) -> bool:
        batch = self._batch
        return (
            batch.counts["records"] >= self._batch_size
            or len(batch.judgements) + len(self._candidates) >= MOST_TO_WRITE
            or time.monotonic() - self._begun_at > SECONDS_BETWEEN_BATCHES
        )

    def _may_stop(self) -> bool:
        """Only behind a record: who goes on begins there, and would never get past what lies before it."""
        return self._is_over() and (self._batch.upto or self._batch.behind) != self._begun_behind

    def _flush(self, *, ends: bool = False) -> Iterator[Answer[Any] | Batch]:
        """Confirm what the listing lacks, and hand over what there is."""
        candidates, self._candidates = self._candidates, []
        yield from self._ask_for(candidates, confirm)
        batch = self._batch
        if ends:
            batch.ends = True
            batch.unnamed += self._unnamed_behind
        self._batch = Batch(behind=batch.upto or batch.behind)
        self._begun_at = time.monotonic()
        yield batch


def _within(indices: Sequence[int], begin: int, end: int) -> Sequence[int]:
    """The part of ascending ``indices`` from ``begin`` to ``end`` (exclusive)."""
    return indices[bisect_left(indices, begin) : bisect_left(indices, end)] if indices else ()
