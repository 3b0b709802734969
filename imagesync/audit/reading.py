"""Where the chunks of a scan come from: read by a thread of its own while pages are compared.

Waiting for rows is a third of an audit's time, and a database works while Python does something else. The thread reads
over the caller's own connection, never over one of its own: only that surely sees what the caller sees (the transaction
of a test, a tenant's schema, a role), and rows that a reader does not see would be taken for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Protocol

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from imagesync.audit.requests import Answer
from imagesync.records import Chunk, Source

CAN_BE_SHARED = ("postgresql",)
"""SQLite reads in the process itself: another thread would gain nothing."""


class Reading(Protocol):
    """Reads for all scans of a walk."""

    def next_of(self, chunks: Iterator[Chunk]) -> Answer[Chunk | None]:
        """The next chunk, or None at the end. Asking for it or its result raises what reading raises."""
        ...

    def alone(self) -> AbstractContextManager[object]:
        """To be held while the database is used for anything else than reading chunks."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read."""
        ...


@contextmanager
def reading_of(source: Source) -> Iterator[Reading]:
    """Reads the records of a source, in the way that suits its database."""
    used = {router.db_for_read(target.model) for target in source.targets}
    if all(connections[alias].vendor in CAN_BE_SHARED for alias in used):
        with _reading_beside([connections[alias] for alias in sorted(used)]) as reading:
            yield reading
    else:
        yield ReadingAtOnce()


class ReadingAtOnce:
    """In the caller's thread, when asked."""

    is_idle = True

    def next_of(self, chunks: Iterator[Chunk]) -> Answer[Chunk | None]:
        return Answer.known(next(chunks, None))

    def alone(self) -> AbstractContextManager[object]:
        return nullcontext()


class ReadingBeside:
    """In one thread, one chunk after the other."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._last: Future[Chunk | None] | None = None
        # of a transaction's statements none may be another thread's: what that one reads would end with it, or end it
        self._connection_is_used = Lock()

    @property
    def is_idle(self) -> bool:
        return self._last is None or self._last.done()

    def next_of(self, chunks: Iterator[Chunk]) -> Answer[Chunk | None]:
        self._last = self._pool.submit(self._next_of, chunks)
        return Answer.of(self._last)

    def alone(self) -> AbstractContextManager[object]:
        return self._connection_is_used

    def _next_of(self, chunks: Iterator[Chunk]) -> Chunk | None:
        with self._connection_is_used:
            return next(chunks, None)


@contextmanager
def _reading_beside(ours: Iterable[BaseDatabaseWrapper]) -> Iterator[ReadingBeside]:
    """On the way out nothing more is read; what is being read is waited for."""

    def share() -> None:
        for connection in ours:
            connections[connection.alias] = connection

    for connection in ours:
        connection.inc_thread_sharing()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imagesync-read", initializer=share)
    try:
        yield ReadingBeside(pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for connection in ours:
            connection.dec_thread_sharing()
