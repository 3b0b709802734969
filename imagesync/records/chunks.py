"""Records in key order, some thousands at a time, as columns.

An audit of a million records cannot afford a Python object for each: what is plain stays in columns, made by
whole-column operations, and a ``Record`` is made only of those that something is to be said about.

Records are read in keyset batches on (key, pk): no cursor and no transaction is held while S3 is asked. One that
is renamed meanwhile to a later key is met twice, one renamed to an earlier key not at all; the order holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from imagesync.core.compare import ascending
from imagesync.core.verdicts import Expected, Verdict
from imagesync.records.keyset import Row, RowsInKeyOrder
from imagesync.records.presorted import PresortedRows
from imagesync.records.scope import Scope
from imagesync.records.stream import Cursor, Record, explicit_records, unreadable_records
from imagesync.records.targets import Source, Target
from imagesync.storage.store import Store

CHUNK = 2000


@dataclass(slots=True)
class Columns:
    """Records of equal or different fields, in key order, column by column."""

    names: Sequence[str]
    keys: list[str | None]
    """None where a name has no exact key, or is no text."""
    pks: Sequence[Any]
    verdicts: Sequence[str | None]
    """None where the row says present, and where rows remember nothing."""
    stores: Sequence[str | None]
    """None where the row names this store, and where rows remember nothing."""
    sizes: Sequence[int | None]
    etags: Sequence[str | None]
    targets: Sequence[Target]
    readable: Sequence[bool]

    def __len__(self) -> int:
        return len(self.names)

    def part(self, begin: int, end: int) -> Columns:
        return Columns(*(getattr(self, one.name)[begin:end] for one in fields(self)))


class Chunk:
    """Records in the order (key, field label, pk). An index is a record's place in ``keys``.

    Raises OutOfOrder for columns in another order.
    """

    def __init__(self, store: Store, columns: Columns) -> None:
        self._columns = columns
        self.odd: Sequence[int] = ()
        """Indices of records whose name has no exact key, or is no text."""
        self.keys = ascending(self._keys(store))
        """Several records may name one key."""
        self.unmarked = _either(_filled(columns.verdicts), _filled(columns.stores))
        """Indices of records that remember a verdict, but not that they are present in this store."""
        self.expecting = _either(_filled(columns.sizes), _filled(columns.etags))
        """Indices of records that remember their object's size or ETag; ``sizes`` and ``etags`` hold them."""
        self.sizes, self.etags = columns.sizes, columns.etags

    def __len__(self) -> int:
        return len(self.keys)

    def cursor(self, index: int) -> Cursor:
        return self.keys[index], self._columns.targets[index].label, self._columns.pks[index]

    def record(self, index: int) -> Record:
        columns = self._columns
        target = columns.targets[index]
        name, pk = columns.names[index], columns.pks[index]
        exact = index not in self._odd
        if not target.remembers:
            return Record(self.keys[index], target, pk, name, exact, readable=columns.readable[index])
        verdict, store = columns.verdicts[index], columns.stores[index]
        return Record(
            self.keys[index],
            target,
            pk,
            name,
            exact,
            Verdict.PRESENT if verdict is None else verdict,
            self._fingerprint if store is None else store,
            Expected(size_bytes=columns.sizes[index], etag=columns.etags[index] or ""),
            columns.readable[index],
        )

    def _keys(self, store: Store) -> list[str]:
        keys = self._columns.keys
        odd = [index for index, key in enumerate(keys) if key is None] if None in keys else []
        for index in odd:  # it sorts where its name would
            keys[index] = store.identity.prefix + self._columns.names[index]
        self.odd, self._odd = odd, frozenset(odd)
        self._fingerprint = store.identity.fingerprint
        return keys  # type: ignore[return-value]  # None was replaced


class RecordChunks:
    """The records of a scope in the order (key, field, pk). Memory stays flat: ``size`` rows per field.

    The rows of the fields in ``presorted`` (by label) come from there instead of from the database.
    """

    def __init__(
        self,
        source: Source,
        scope: Scope,
        *,
        size: int = CHUNK,
        presorted: Mapping[str, PresortedRows] = MappingProxyType({}),
    ) -> None:
        self._store = source.store
        self._scope = scope
        self._size = size
        self._targets = sorted(source.targets, key=lambda target: target.label)
        self._rows: dict[str, Callable[..., Iterator[list[Row]]]] = {
            target.label: partial(presorted[target.label].between, size=size)
            if target.label in presorted
            else RowsInKeyOrder(target, source.store, scope, size=size).between
            for target in self._targets
            if not scope.is_explicit
        }

    def between(
        self, first_key: str = "", end_key: str | None = None, *, after: Cursor | None = None
    ) -> Iterator[Chunk]:
        """Those with keys from ``first_key`` (or behind ``after``) to before ``end_key``."""
        if self._scope.is_explicit:
            yield from self._named(after)
            return
        streams = []
        for target in self._targets:
            batches = self._rows[target.label](first_key, end_key, after=after)
            streams.append(_Stream(map(partial(_columns, target, self._store), batches)))
            if unreadable := self._unreadable(target, first_key, end_key, after):
                streams.append(_Stream(iter([_columns_of(unreadable, self._store)])))
        while columns := _next_in_order(streams):
            yield Chunk(self._store, columns)

    def _named(self, after: Cursor | None) -> Iterator[Chunk]:
        records = sorted(
            (
                record
                for target in self._targets
                for record in explicit_records(target, self._store, self._scope)
            ),
            key=attrgetter("cursor"),
        )
        behind = [record for record in records if _is_behind(record, after)]
        for start in range(0, len(behind), self._size):
            yield Chunk(self._store, _columns_of(behind[start : start + self._size], self._store))

    def _unreadable(
        self, target: Target, first_key: str, end_key: str | None, after: Cursor | None
    ) -> list[Record]:
        found = unreadable_records(target, self._store, self._scope)
        return [
            record
            for record in sorted(found, key=lambda record: record.key)
            if first_key <= record.key and (end_key is None or record.key < end_key)
            if _is_behind(record, after)
        ]


class _Stream:
    """One field's records, a piece at hand."""

    def __init__(self, pieces: Iterator[Columns]) -> None:
        self._pieces = pieces
        self.piece: Columns | None = next(pieces, None)

    def take(self, end: int) -> Columns:
        """The first ``end`` of the piece at hand; what is left is at hand next."""
        piece = self.piece
        assert piece is not None  # noqa: S101 - only asked of streams that have one
        if end == len(piece):
            self.piece = next(self._pieces, None)
            return piece
        self.piece = piece.part(end, len(piece))
        return piece.part(0, end)


def _next_in_order(streams: Iterable[_Stream]) -> Columns | None:
    """As many records of all streams as are certain to come before all others."""
    open_streams = [stream for stream in streams if stream.piece is not None]
    if not open_streams:
        return None
    if len(open_streams) == 1:
        return open_streams[0].take(len(open_streams[0].piece or ()))
    last = min(stream.piece.names[-1] for stream in open_streams if stream.piece)
    taken = []
    may_share_the_last_name = True
    for stream in open_streams:
        names = stream.piece.names if stream.piece else ()
        ends_with_it = names[-1] == last
        cut = bisect_right if may_share_the_last_name else bisect_left
        taken.append(stream.take(cut(names, last)))
        # this field's next rows may have the same name; they come before those of the fields behind it
        may_share_the_last_name = may_share_the_last_name and not ends_with_it
    return _merged([columns for columns in taken if len(columns)])


def _merged(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    joined = Columns(
        *([value for piece in pieces for value in getattr(piece, one.name)] for one in fields(Columns))
    )
    order = sorted(range(len(joined)), key=joined.names.__getitem__)  # stable: of one name, fields in order
    return Columns(*([getattr(joined, one.name)[index] for index in order] for one in fields(Columns)))


def _columns(target: Target, store: Store, rows: list[Row]) -> Columns:
    number = len(rows)
    # column by column: zip(*rows) makes an iterator for each row, which takes ten times as long
    pks, names, *remembered = ([row[place] for row in rows] for place in range(len(rows[0])))
    verdicts, stores, sizes, etags = remembered or [[None] * number] * 4
    keys = target.keys_of(names, store)
    return Columns(names, keys, pks, verdicts, stores, sizes, etags, [target] * number, [True] * number)


def _columns_of(records: Sequence[Record], store: Store) -> Columns:
    here = store.identity.fingerprint
    expected = [record.expected or Expected() for record in records]
    return Columns(
        [record.name for record in records],
        [record.key if record.exact else None for record in records],
        [record.pk for record in records],
        [_unless(Verdict.PRESENT, record.verdict, record) for record in records],
        [_unless(here, record.store, record) for record in records],
        [one.size_bytes for one in expected],
        [one.etag or None for one in expected],
        [record.target for record in records],
        [record.readable for record in records],
    )


def _filled(column: Sequence[Any]) -> list[int]:
    """Indices of what is not None; nearly always all or nothing is."""
    if column.count(None) == len(column):
        return []
    return [index for index, value in enumerate(column) if value is not None]


def _either(some: list[int], others: list[int]) -> list[int]:
    """Indices that are in either, ascending; nearly always one is empty, or they are the same."""
    return sorted({*some, *others}) if some and others and some != others else some or others


def _unless(usual: str, value: str, record: Record) -> str | None:
    return None if value == usual or not record.target.remembers else value


def _is_behind(record: Record, after: Cursor | None) -> bool:
    if after is None or (record.key, record.target.label) != after[:2]:
        return after is None or (record.key, record.target.label) > after[:2]
    return bool(record.pk > record.target.model._meta.pk.to_python(after[2]))
