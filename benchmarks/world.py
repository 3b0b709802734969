"""The work that everybody is measured on: sorted keys of a bucket, and the records of a database beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

SHAPES = ("flat", "dated", "hashed", "skewed")
COLUMNS = "file, title, created_at, updated_at, store, verdict, verdict_at, missing_since, size_bytes, etag, width, height"


@dataclass(frozen=True)
class World:
    """``records`` of ``objects`` have a record; ``missing`` more records have no object."""

    records: int
    objects: int
    missing: int
    shape: str = "dated"

    @property
    def name(self) -> str:
        return f"{self.shape}, {short(self.records)} records, {short(self.objects)} objects"

    def keys(self) -> Iterator[str]:
        """Of the objects, ascending."""
        return (key for key, is_object, _is_record in self._places() if is_object)

    def names(self) -> Iterator[str]:
        """Of the records, ascending."""
        return (key for key, _is_object, is_record in self._places() if is_record)

    def gone(self) -> Iterator[str]:
        """Of the records without an object, ascending."""
        return (key for key, is_object, _is_record in self._places() if not is_object)

    def _places(self) -> Iterator[tuple[str, bool, bool]]:
        """(key, is an object, is a record), ascending; records and missing ones evenly spread."""
        total = self.objects + self.missing
        named = self.records - self.missing
        keys = _KEYS[self.shape](total)
        missed = named_so_far = objects = 0
        for place, key in enumerate(keys, start=1):
            if missed < place * self.missing // total:
                missed += 1
                yield key, False, True
                continue
            objects += 1
            is_record = named_so_far < objects * named // self.objects
            named_so_far += is_record
            yield key, True, is_record


def _flat(total: int) -> Iterator[str]:
    return (f"{number:012d}.jpg" for number in range(total))


def _dated(total: int) -> Iterator[str]:
    per_day = max(total // 3000, 1)
    for number in range(total):
        day = number // per_day
        yield f"images/{2018 + day // 336:04d}/{day // 28 % 12 + 1:02d}/{day % 28 + 1:02d}/photo-{number % per_day:08d}.jpg"


def _hashed(total: int) -> Iterator[str]:
    digests = sorted(hashlib.sha1(str(number).encode()).hexdigest() for number in range(total))
    return (f"{one[:2]}/{one[2:4]}/{one}.jpg" for one in digests)


def _skewed(total: int) -> Iterator[str]:
    """Nine of ten under one prefix."""
    lonely = total // 10
    yield from (f"a/{number:09d}.png" for number in range(lonely))
    yield from (f"m/uploads/originals/{number:012d}.jpg" for number in range(total - lonely))


_KEYS = {"flat": _flat, "dated": _dated, "hashed": _hashed, "skewed": _skewed}


def fill(url: str, world: World, *, seen_in: str = "") -> None:
    """Replace the images of a migrated database by the world's, in an order of their own, as a site's would be.

    ``seen_in``: each is marked present in the store of that fingerprint, as an audit before would have left it.
    """
    verdict = "'present', now()" if seen_in else "'unchecked', NULL"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE imagesync_image, imagesync_audit, imagesync_auditrange, imagesync_finding, imagesync_purge, "
            "imagesync_tombstone CASCADE"
        )
        connection.execute("CREATE TEMPORARY TABLE names (n bigserial, name text)")
        with connection.cursor().copy("COPY names (name) FROM STDIN") as copy:
            names = world.names()
            while block := list(islice(names, 10_000)):
                copy.write("".join(f"{name}\n" for name in block))
        with _without_indexes(connection):
            connection.execute(
                f"INSERT INTO imagesync_image ({COLUMNS}) SELECT name, '', now() - interval '2 days', "
                f"now() - interval '2 days', %s, {verdict}, NULL, NULL, '', NULL, NULL FROM names ORDER BY md5(n::text)",
                [seen_in],
            )
        connection.execute("DROP TABLE names")
        connection.execute("VACUUM ANALYZE imagesync_image")


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Those of images are made anew behind the rows: sorted once instead of row by row."""
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'imagesync_image' AND indexname NOT LIKE %s",
        ["%_pkey"],
    ).fetchall()
    for name, _definition in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for _name, definition in indexes:
        connection.execute(definition)


def short(number: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size and number * 100 % size == 0:
            return f"{number / size:g} {unit}"
    return f"{number:,}"
