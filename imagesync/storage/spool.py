"""Keys that come in any order, put in byte order on disk: flat memory, whatever their number."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

CACHE_KIB = 16_384


class SortedSpool:
    """Rows (key, ...) kept in a temporary SQLite file, which is gone with the context.

    SQLite compares BLOBs by their bytes ("Datatypes In SQLite", 4.1), so the order is that of the keys' UTF-8.
    """

    def __init__(self, columns: int = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="imagesync-")
        self._database = sqlite3.connect(Path(self._folder.name) / "spool", isolation_level=None)
        others = "".join(f", c{number}" for number in range(columns))
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"PRAGMA cache_size = -{CACHE_KIB}",
            f"CREATE TABLE spool (key BLOB{others})",
            "BEGIN",
        ):
            self._database.execute(statement)
        self._insert = f"INSERT INTO spool VALUES (?{', ?' * columns})"  # noqa: S608 - a number of question marks

    def __enter__(self) -> SortedSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows whose key is text; a lone surrogate has no bytes and raises UnicodeEncodeError."""
        self._database.executemany(self._insert, ((row[0].encode(), *row[1:]) for row in rows))

    def sort(self) -> None:
        """To be called once, when all is added."""
        self._database.execute("CREATE INDEX by_key ON spool (key)")

    def behind(self, key: str, number: int) -> list[tuple[Any, ...]]:
        """Up to ``number`` rows with greater keys, ascending, one of each key."""
        found = self._database.execute(
            "SELECT * FROM spool WHERE key > ? GROUP BY key ORDER BY key LIMIT ?", (key.encode(), number)
        )
        return [(row[0].decode(), *row[1:]) for row in found]

    def ordered(self, first: str = "", end: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Rows with keys from ``first`` to before ``end``; those of one key in the order in which they were added."""
        where, bounds = "key >= ?", [first.encode()]
        if end is not None:
            where, bounds = "key >= ? AND key < ?", [first.encode(), end.encode()]
        query = f"SELECT * FROM spool WHERE {where} ORDER BY key, rowid"  # noqa: S608 - one of two texts
        for row in self._database.execute(query, bounds):
            yield (row[0].decode(), *row[1:])
