"""One key -> a verdict with evidence."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from imagesync.core.classify import classify_get, classify_head, failure_reason, hides_versions
from imagesync.core.ranges import key_is_sendable
from imagesync.core.verdicts import Evidence, Expected, Look, Reason, Verdict
from imagesync.storage.contract import DELETE_MARKER, Store, clean_code

HEARTBEAT_SECONDS = 5.0

T = TypeVar("T")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Asking(Protocol):
    def __call__(
        self,
        store: Store,
        key: str,
        *,
        versioning: str,
        expected: Expected | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> Look: ...


def confirm(
    store: Store,
    key: str,
    *,
    versioning: str,
    expected: Expected | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Look:
    """Look by a ranged GET, the only answer that can prove absence.

    Where ``versioning`` is not known to be off, a clean NoSuchKey is followed by a look for versions: some
    servers hide a delete marker without saying so.
    """
    if not key_is_sendable(key):
        return _unsendable(store, key, now())
    evidence = store.get(key)
    if _is_clean_absence(evidence) and versioning != "off":
        evidence = replace(evidence, versions=store.versions_of(key))
    verdict, reason = classify_get(evidence, expected)
    return _look(store, key, verdict, reason, evidence, now())


def look(
    store: Store,
    key: str,
    *,
    versioning: str,
    expected: Expected | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Look:
    """Look by HEAD, and by GET for every answer but 200: a HEAD has no body, so it cannot say why."""
    if not key_is_sendable(key):
        return _unsendable(store, key, now())
    evidence = store.head(key)
    judged = classify_head(evidence, expected)
    if judged is not None:
        return _look(store, key, *judged, evidence, now())
    seen = confirm(store, key, versioning=versioning, expected=expected, now=now)
    return _hidden(seen) if seen.verdict is Verdict.MISSING and hides_versions(evidence) else seen


def look_safely(
    how: Asking,
    store: Store,
    key: str,
    *,
    versioning: str,
    expected: Expected | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Look:
    """``how``, and ``unknown`` when it raises: one bad key never ends a run, and a store of one's own may raise."""
    try:
        return how(store, key, versioning=versioning, expected=expected, now=now)
    except Exception as error:  # noqa: BLE001 - see above
        evidence = Evidence(operation="", code=clean_code(type(error).__name__))
        return _look(store, key, Verdict.UNKNOWN, failure_reason(evidence), evidence, now())


def look_all(
    store: Store,
    wanted: Iterable[tuple[T, str, Expected | None]],
    *,
    how: Asking,
    versioning: str,
    workers: int,
    heartbeat: Callable[[], None] = lambda: None,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[tuple[T, Look]]:
    """Look at many keys from a bounded pool of threads, in the order given.

    ``wanted`` is (whatever identifies it, key, what is expected), consumed as places get free. While it
    waits, ``heartbeat`` is called every few seconds. When the consumer stops early nothing new is asked.
    """
    waiting: _Waiting[T] = _Waiting(heartbeat)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="imagesync-look")

    try:
        for item, key, expected in wanted:
            asked = pool.submit(
                look_safely, how, store, key, versioning=versioning, expected=expected, now=now
            )
            waiting.queue.append((item, asked))
            if len(waiting.queue) >= 4 * workers:
                yield waiting.first()
            waiting.beat_if_due()
        while waiting.queue:
            yield waiting.first()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Waiting(Generic[T]):
    """What is under way, oldest first, and a heartbeat that stays regular however it is waited for."""

    def __init__(self, heartbeat: Callable[[], None]) -> None:
        self.queue: deque[tuple[T, Future[Look]]] = deque()
        self._heartbeat = heartbeat
        self._beat_at = time.monotonic()

    def first(self) -> tuple[T, Look]:
        item, future = self.queue.popleft()
        while True:
            try:
                due_in = self._beat_at + HEARTBEAT_SECONDS - time.monotonic()
                return item, future.result(timeout=max(due_in, 0.0))
            except FutureTimeout:
                self.beat_if_due()

    def beat_if_due(self) -> None:
        if time.monotonic() - self._beat_at >= HEARTBEAT_SECONDS:
            self._heartbeat()
            self._beat_at = time.monotonic()


def _hidden(seen: Look) -> Look:
    """A delete marker that HEAD told of and GET did not (some servers): what looks absent can be brought back."""
    headers = {**seen.evidence.headers, DELETE_MARKER: "true"}
    return replace(seen, verdict=Verdict.RECOVERABLE, evidence=replace(seen.evidence, headers=headers))


def _is_clean_absence(evidence: Evidence) -> bool:
    return (
        evidence.operation == "GetObject"
        and evidence.status == 404
        and evidence.code == "NoSuchKey"
        and not hides_versions(evidence)
    )


def _unsendable(store: Store, key: str, at: datetime) -> Look:
    return _look(store, key, Verdict.UNKNOWN, Reason.UNSENDABLE_KEY, Evidence(operation=""), at)


def _look(store: Store, key: str, verdict: Verdict, reason: str, evidence: Evidence, at: datetime) -> Look:
    stamped = replace(evidence, store=store.identity.fingerprint, at=at)
    return Look(key=key, verdict=verdict, reason=reason, evidence=stamped)
