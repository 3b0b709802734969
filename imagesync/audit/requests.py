"""Requests under way: a bounded pool of threads that only ask the store, and what was answered.

Everything else (records, comparing, writing) stays in the caller's thread, with the caller's database connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Any, Generic, TypeVar

from imagesync.core.verdicts import Look
from imagesync.records import Record
from imagesync.storage.listing import ListedPage, list_page
from imagesync.storage.probe import Asking, look_safely, utc_now
from imagesync.storage.store import Store

T = TypeVar("T")


def _nothing() -> None:
    pass


def _only(futures: Sequence[Future[T]]) -> T:
    return futures[0].result()


def _all(futures: Sequence[Future[T]]) -> list[T]:
    return [future.result() for future in futures]


class Answer(Generic[T]):
    """What was asked, once it is answered. ``then`` is called, by whichever thread, when it is."""

    def __init__(self, futures: Sequence[Future[Any]], result: Callable[[Sequence[Future[Any]]], T]) -> None:
        self._futures = futures
        self._result = result
        self._left = len(futures) + 1
        self._lock = Lock()
        self._then: Callable[[], None] = _nothing

    @classmethod
    def of(cls, future: Future[T]) -> Answer[T]:
        """What one future brings."""
        return cls([future], _only)

    @classmethod
    def known(cls, value: T) -> Answer[T]:
        """What need not be asked for."""
        future: Future[T] = Future()
        future.set_result(value)
        return cls.of(future)

    @classmethod
    def failed(cls, error: Exception) -> Answer[T]:
        """What could not be asked for; its result raises ``error``."""
        future: Future[T] = Future()
        future.set_exception(error)
        return cls.of(future)

    @property
    def is_here(self) -> bool:
        return all(future.done() for future in self._futures)

    def when_here(self, then: Callable[[], None]) -> None:
        self._then = then
        for future in self._futures:
            future.add_done_callback(self._one_is_here)
        self._one_is_here()

    def result(self) -> T:
        """To be called once, when it is here. Raises what asking raised."""
        result, futures = self._result, self._futures
        # futures know us by their callbacks and we them: apart at once, or pages wait for the garbage collector
        self._futures, self._then = (), _nothing
        try:
            return result(futures)
        finally:
            del self._result

    def _one_is_here(self, _future: Future[Any] | None = None) -> None:
        with self._lock:
            self._left -= 1
            is_here = self._left == 0
        if is_here:
            self._then()


class Requests:
    """Asks one store from ``workers`` threads. Use it as a context; on the way out nothing new is asked."""

    def __init__(
        self, store: Store, *, workers: int, versioning: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._versioning = versioning
        self._now = now
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="imagesync-ask")

    def __enter__(self) -> Requests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def page(self, *, prefix: str, start_after: str, token: str, after: str) -> Answer[ListedPage]:
        """A validated listing page (``list_page``); its result raises ListingBroken."""
        return Answer.of(
            self._pool.submit(
                list_page, self._store, prefix=prefix, start_after=start_after, token=token, after=after
            )
        )

    def looks(self, records: Sequence[Record], how: Asking) -> Answer[list[Look]]:
        """One look per record, in their order."""
        futures = [
            self._pool.submit(
                look_safely,
                how,
                self._store,
                record.key,
                versioning=self._versioning,
                expected=record.expected,
                now=self._now,
            )
            for record in records
        ]
        return Answer(futures, _all)
