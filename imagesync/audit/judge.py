"""What is concluded of one record, from a listing, from a look of its own, or from neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from imagesync.core.classify import classify_there, is_elsewhere
from imagesync.core.verdicts import Evidence, Look, Reason, Verdict
from imagesync.records import Record, Scope, Source
from imagesync.storage.contents import ListedObject
from imagesync.storage.probe import confirm, look_all


@dataclass(frozen=True, slots=True)
class Judgement:
    """One record's verdict with its evidence."""

    record: Record
    look: Look


class Judge:
    """Judges the records of one source."""

    def __init__(self, source: Source, scope: Scope, *, now: Callable[[], datetime]) -> None:
        self.fingerprint = source.store.identity.fingerprint
        self.here = (self.fingerprint, *scope.adopt)
        self.now = now

    def nameless(self, record: Record) -> Judgement:
        """A record whose stored name has no one exact key: there is nothing to ask for."""
        if not record.readable:
            return self._judged(record, Verdict.UNKNOWN, Reason.UNSENDABLE_KEY, Evidence(operation=""))
        return self._judged(record, Verdict.AMBIGUOUS, Reason.NAME_REWRITTEN, Evidence(operation=""))

    def present(self, record: Record) -> Judgement:
        """A record whose object a validated page named, with nothing about it that needs a second look."""
        return self._judged(record, Verdict.PRESENT, "", Evidence(operation="ListObjectsV2", status=200))

    def listed(self, record: Record, one: ListedObject) -> Judgement:
        """A record whose object a validated listing page named."""
        evidence = Evidence(
            operation="ListObjectsV2",
            status=200,
            size_bytes=one.size_bytes,
            etag=one.etag,
            storage_class=one.storage_class,
        )
        verdict, reason = classify_there(evidence, record.expected)
        return self._judged(record, verdict, reason, evidence)

    def unseen(self, record: Record, reason: str) -> Judgement:
        """A record behind the point where the listing broke off: not absent but unseen."""
        return self._judged(record, Verdict.UNKNOWN, reason, Evidence(operation="ListObjectsV2", code=""))

    def looked_at(self, record: Record, seen: Look) -> Judgement:
        """A record that was asked for. Its absence here says nothing when it was last seen in another store."""
        if is_elsewhere(seen.verdict, last_seen_in=record.store, here=self.here):
            seen = replace(seen, verdict=Verdict.UNKNOWN, reason=Reason.WRITTEN_ELSEWHERE)
        return Judgement(record, seen)

    def _judged(self, record: Record, verdict: Verdict, reason: str, evidence: Evidence) -> Judgement:
        if verdict is not Verdict.PRESENT:
            evidence = replace(evidence, store=self.fingerprint, at=self.now())
        return Judgement(record, Look(key=record.key, verdict=verdict, reason=reason, evidence=evidence))


def confirmed(
    judge: Judge,
    source: Source,
    records: Iterable[Record],
    *,
    versioning: str,
    heartbeat: Callable[[], None],
) -> list[Judgement]:
    """Judge single records by a GET each, outside of any listing."""
    nameless: list[Judgement] = []
    wanted: list[Record] = []
    for record in records:
        if record.exact and record.readable:
            wanted.append(record)
        else:
            nameless.append(judge.nameless(record))
    looked = look_all(
        source.store,
        ((record, record.key, record.expected) for record in wanted),
        how=confirm,
        versioning=versioning,
        workers=source.workers,
        heartbeat=heartbeat,
        now=judge.now,
    )
    return [*nameless, *(judge.looked_at(record, seen) for record, seen in looked)]
