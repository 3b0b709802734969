"""One key -> a verdict with evidence."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from imagesync.core.classify import classify_get, classify_head
from imagesync.core.ranges import key_is_sendable
from imagesync.core.verdicts import Evidence, Expected, Look, Reason, Verdict
from imagesync.storage.contract import Store

HEARTBEAT_SECONDS = 5.0

T = TypeVar("T")


class Asking(Protocol):
    def __call__(
        self, store: Store, key: str, *, versioning: str, expected: Expected | None = None
    ) -> Look: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def confirm(store: Store, key: str, *, versioning: str, expected: Expected | None = None) -> Look:
    """Look by a ranged GET, the only answer that can prove absence.

    Where ``versioning`` is not known to be off, a clean NoSuchKey is followed by a look for versions: some
    servers hide a delete marker without saying so.
    """
    if not key_is_sendable(key):
        return _unsendable(store, key)
    evidence = store.get(key)
    if _is_clean_absence(evidence) and versioning != "off":
        evidence = replace(evidence, versions=store.versions_of(key))
    verdict, reason = classify_get(evidence, expected)
    return _look(store, key, verdict, reason, evidence)


def look(store: Store, key: str, *, versioning: str, expected: Expected | None = None) -> Look:
    """Look by HEAD, and by GET for every answer but 200: a HEAD has no body, so it cannot say why."""
    if not key_is_sendable(key):
        return _unsendable(store, key)
    evidence = store.head(key)
    judged = classify_head(evidence, expected)
    if judged is None:
        return confirm(store, key, versioning=versioning, expected=expected)
    return _look(store, key, *judged, evidence)


def look_all(
    store: Store,
    wanted: Iterable[tuple[T, str, Expected | None]],
    *,
    how: Asking,
    versioning: str,
    workers: int,
    heartbeat: Callable[[], None] = lambda: None,
) -> Iterator[tuple[T, Look]]:
    """Look at many keys from a bounded pool of threads, in the order given.

    ``wanted`` is (whatever identifies it, key, what is expected), consumed as places get free. While it
    waits, ``heartbeat`` is called every few seconds. When the consumer stops early nothing new is asked.
    """
    under_way: deque[tuple[T, Future[Look]]] = deque()
    beat_at = time.monotonic()
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="imagesync-look")
    try:
        for item, key, expected in wanted:
            under_way.append((item, pool.submit(how, store, key, versioning=versioning, expected=expected)))
            if len(under_way) >= 4 * workers:
                yield _first_done(under_way, heartbeat)
            if time.monotonic() - beat_at > HEARTBEAT_SECONDS:
                heartbeat()
                beat_at = time.monotonic()
        while under_way:
            yield _first_done(under_way, heartbeat)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _first_done(under_way: deque[tuple[T, Future[Look]]], heartbeat: Callable[[], None]) -> tuple[T, Look]:
    item, future = under_way.popleft()
    while True:
        try:
            return item, future.result(timeout=HEARTBEAT_SECONDS)
        except FutureTimeout:
            heartbeat()


def _is_clean_absence(evidence: Evidence) -> bool:
    return (
        evidence.operation == "GetObject"
        and evidence.status == 404
        and evidence.code == "NoSuchKey"
        and evidence.headers.get("x-amz-delete-marker") != "true"
    )


def _unsendable(store: Store, key: str) -> Look:
    return _look(store, key, Verdict.UNKNOWN, Reason.UNSENDABLE_KEY, Evidence(operation=""))


def _look(store: Store, key: str, verdict: Verdict, reason: str, evidence: Evidence) -> Look:
    stamped = replace(evidence, store=store.identity.fingerprint, at=utc_now())
    return Look(key=key, verdict=verdict, reason=reason, evidence=stamped)
