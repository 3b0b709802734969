"""Keys that come in any order, put in byte order on disk: flat memory, whatever their number."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from imagesync.exceptions import NotSorted

CACHE_KIB = 16_384
STEPS_BETWEEN_BEATS = 5_000_000
"""Of SQLite's machine, a second or less."""


class SortedSpool:
    """Rows (key, ...) kept in a temporary SQLite file, which is gone with the context.

    SQLite compares BLOBs by their bytes ("Datatypes In SQLite", 4.1), so the order is that of the keys' UTF-8.
    Everything raises NotSorted when the disk is full or fails.
    """

    def __init__(self, columns: int = 0) -> None:
        self._columns = columns
        self._insert = f"INSERT INTO spool VALUES (?{', ?' * columns})"  # noqa: S608 - a number of question marks

    def __enter__(self) -> SortedSpool:
        with _disk():
            self._folder = tempfile.TemporaryDirectory(prefix="imagesync-")
        try:
            self._open()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def _open(self) -> None:
        others = "".join(f", c{number}" for number in range(self._columns))
        with _disk():
            self._database = sqlite3.connect(
                Path(self._folder.name) / "spool",
                isolation_level=None,
                check_same_thread=False,  # filled by one thread, then read by another
            )
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                f"PRAGMA cache_size = -{CACHE_KIB}",
                f"CREATE TABLE spool (key BLOB{others})",
                "BEGIN",
            ):
                self._database.execute(statement)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows whose key is text; a lone surrogate has no bytes and raises UnicodeEncodeError."""
        with _disk():
            self._database.executemany(self._insert, ((row[0].encode(), *row[1:]) for row in rows))

    def sort(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """To be called once, when all is added. ``heartbeat`` is called now and then; what it raises ends the sorting."""
        failures: list[Exception] = []

        def beat() -> bool:
            try:
                heartbeat()
            except Exception as failure:  # noqa: BLE001 - SQLite would swallow it; it is raised below
                failures.append(failure)
            return bool(failures)

        self._database.set_progress_handler(beat, STEPS_BETWEEN_BEATS)
        then = ", c0" if self._columns else ""
        try:
            with _disk():
                self._database.execute(f"CREATE INDEX by_key ON spool (key{then})")
        except NotSorted:
            if failures:
                raise failures[0] from None
            raise
        finally:
            self._database.set_progress_handler(None, 0)

    def behind(self, key: str, number: int) -> list[tuple[Any, ...]]:
        """Up to ``number`` rows with greater keys, ascending, one of each key."""
        with _disk():
            found = self._database.execute(
                "SELECT * FROM spool WHERE key > ? GROUP BY key ORDER BY key LIMIT ?", (key.encode(), number)
            )
            return [(row[0].decode(), *row[1:]) for row in found]

    def ordered(self, first: str = "", end: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Rows with keys from ``first`` to before ``end``, those of one key by their next column: numbers, texts by bytes."""
        where, bounds = "key >= ?", [first.encode()]
        if end is not None:
            where, bounds = "key >= ? AND key < ?", [first.encode(), end.encode()]
        with _disk():
            query = f"SELECT * FROM spool WHERE {where} ORDER BY key, c0"  # noqa: S608 - one of two texts
            rows = self._database.execute(query, bounds)
        while True:
            with _disk():
                row = next(rows, None)
            if row is None:
                return
            yield (row[0].decode(), *row[1:])


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise NotSorted(
            f"Keys could not be sorted on disk: {error}. Make room for temporary files, or name a folder that "
            "has it in TMPDIR, and resume the audit."
        ) from error
