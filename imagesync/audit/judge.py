"""Records against a store: every record gets a judgement, in key order, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagesync.core.classify import classify_there, is_elsewhere
from imagesync.core.compare import Matched, Unlisted, Unnamed, compare
from imagesync.core.ranges import just_before
from imagesync.core.verdicts import Evidence, Look, Reason, Verdict
from imagesync.exceptions import ListingBroken
from imagesync.records import Record, Scope, Source
from imagesync.storage.contents import ListedObject
from imagesync.storage.listing import listed
from imagesync.storage.probe import Asking, confirm, look, look_all

HEARTBEAT_SECONDS = 5.0

Named = Matched[Record, ListedObject] | Unlisted[Record]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One record's verdict with its evidence."""

    record: Record
    look: Look


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of an audit brought."""

    judgements: list[Judgement]
    unnamed: int
    """Objects passed that no record names."""


class Judge:
    """Looks at the records of one source, by listing (``list``) or one by one (``head``)."""

    def __init__(
        self,
        source: Source,
        scope: Scope,
        *,
        versioning: str,
        workers: int,
        batch_size: int,
        heartbeat: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self.store = source.store
        self.scope = scope
        self.versioning = versioning
        self.workers = workers
        self.batch_size = batch_size
        self.heartbeat = heartbeat
        self.now = now
        self.listing: _Listing | None = None

    @property
    def listing_failure(self) -> ListingBroken | None:
        """Why the listing ended before its end, if it did."""
        return self.listing.failure if self.listing else None

    def batches(self, records: Iterator[Record], *, strategy: str, passed: str = "") -> Iterator[Batch]:
        """Judge ``records``, which come in key order.

        ``passed`` is the key that an interrupted audit had come to; objects up to it were counted then.
        """
        joined = self._joined(records, passed) if strategy == "list" else map(Unlisted, records)
        for named, unnamed in self._parts(joined, passed):
            yield Batch(list(self._judged(named, how=confirm if self.listing else look)), unnamed)

    def confirmed(self, records: Iterable[Record]) -> list[Judgement]:
        """Judge single records by a GET each, outside of any listing."""
        return list(self._judged([Unlisted(record) for record in records], how=confirm))

    def _joined(self, records: Iterator[Record], passed: str) -> Iterator[Named | Unnamed[ListedObject]]:
        prefix = max(self.store.identity.prefix, self.scope.prefix, key=len)
        start_after = just_before(passed) if passed else ""
        objects = listed(self.store, prefix=prefix, start_after=start_after, heartbeat=self.heartbeat)
        self.listing = _Listing(objects)
        return compare(records, self.listing)

    def _parts(
        self, joined: Iterable[Named | Unnamed[ListedObject]], passed: str
    ) -> Iterator[tuple[list[Named], int]]:
        named: list[Named] = []
        unnamed = 0
        beat_at = time.monotonic()
        for one in joined:
            if isinstance(one, Unnamed):
                unnamed += one.object.key > passed
            else:
                named.append(one)
            if len(named) == self.batch_size:
                yield named, unnamed
                named, unnamed = [], 0
            if time.monotonic() - beat_at > HEARTBEAT_SECONDS:
                self.heartbeat()
                beat_at = time.monotonic()
        if named or unnamed:
            yield named, unnamed

    def _judged(self, part: Sequence[Named], *, how: Asking) -> Iterator[Judgement]:
        """Judgements in the order of ``part``: what needs no request at once, the rest from the pool."""
        looks: dict[int, Look] = {}
        to_ask: list[int] = []
        for index, one in enumerate(part):
            at_once = self._without_asking(one)
            if at_once is None:
                to_ask.append(index)
            else:
                looks[index] = at_once
        wanted = ((index, part[index].record.key, part[index].record.expected) for index in to_ask)
        asked = look_all(
            self.store,
            wanted,
            how=how,
            versioning=self.versioning,
            workers=self.workers,
            heartbeat=self.heartbeat,
        )
        for index, seen in asked:
            looks[index] = self._unless_written_elsewhere(part[index].record, seen)
        return (Judgement(one.record, looks[index]) for index, one in enumerate(part))

    def _without_asking(self, one: Named) -> Look | None:
        record = one.record
        if not record.readable:
            return self._look(record, Verdict.UNKNOWN, Reason.UNSENDABLE_KEY, Evidence(operation=""))
        if not record.exact:
            return self._look(record, Verdict.AMBIGUOUS, Reason.NAME_REWRITTEN, Evidence(operation=""))
        if isinstance(one, Matched):
            evidence = _listing_evidence(one.object)
            verdict, reason = classify_there(evidence, record.expected)
            return self._look(record, verdict, reason, evidence)
        failure = self.listing_failure
        if failure is not None and self.listing is not None and record.key > self.listing.last_key:
            evidence = Evidence(operation="ListObjectsV2", code="")
            return self._look(record, Verdict.UNKNOWN, failure.reason, evidence)
        return None

    def _look(self, record: Record, verdict: Verdict, reason: str, evidence: Evidence) -> Look:
        if verdict is not Verdict.PRESENT:
            evidence = replace(evidence, store=self.store.identity.fingerprint, at=self.now())
        return Look(key=record.key, verdict=verdict, reason=reason, evidence=evidence)

    def _unless_written_elsewhere(self, record: Record, seen: Look) -> Look:
        """Absence here says nothing about a record that was last seen in another store."""
        here = (self.store.identity.fingerprint, *self.scope.adopt)
        if not is_elsewhere(seen.verdict, last_seen_in=record.store, here=here):
            return seen
        return Look(
            key=seen.key, verdict=Verdict.UNKNOWN, reason=Reason.WRITTEN_ELSEWHERE, evidence=seen.evidence
        )


class _Listing:
    """A listing that ends instead of raising, and remembers why and how far it came.

    What it lacks behind ``last_key`` is then not absent but unseen.
    """

    def __init__(self, objects: Iterator[ListedObject]) -> None:
        self._objects = objects
        self.failure: ListingBroken | None = None
        self.last_key = ""

    def __iter__(self) -> Iterator[ListedObject]:
        try:
            for one in self._objects:
                self.last_key = one.key
                yield one
        except ListingBroken as failure:
            self.failure = failure


def _listing_evidence(one: ListedObject) -> Evidence:
    return Evidence(
        operation="ListObjectsV2",
        status=200,
        size_bytes=one.size_bytes,
        etag=one.etag,
        storage_class=one.storage_class,
    )
