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

from imagesync.core.verdicts import Expected, Verdict
from imagesync.records.keyset import Row, rows_in_key_order
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
    pks: Sequence[Any]
    verdicts: Sequence[str | None]
    """None where the row is marked present in this store, and where rows remember nothing."""
    stores: Sequence[str | None]
    sizes: Sequence[int | None]
    etags: Sequence[str | None]
    targets: Sequence[Target]
    readable: Sequence[bool]

    def __len__(self) -> int:
        return len(self.names)

    def part(self, begin: int, end: int) -> Columns:
        return Columns(*(getattr(self, one.name)[begin:end] for one in fields(self)))


class Chunk:
    """Records in the order (key, field label, pk). An index is a record's place in ``keys``."""

    def __init__(self, store: Store, columns: Columns) -> None:
        self._columns = columns
        self.odd: Sequence[int] = ()
        """Indices of records whose name has no exact key, or is no text."""
        self.keys = self._keys(store)
        """Ascending; several records may name one key."""
        self.unmarked = _filled(columns.verdicts)
        """Indices of records that remember a verdict, but not that they are present in this store."""
        sized, tagged = _filled(columns.sizes), _filled(columns.etags)
        self.expecting: Sequence[int] = sorted({*sized, *tagged}) if tagged and sized != tagged else sized
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
        names, readable = self._columns.names, self._columns.readable
        keys = store.keys_for(names)
        odd = [index for index, key in enumerate(keys) if key is None] if None in keys else []
        if False in readable:
            odd = sorted({*odd, *(index for index, whether in enumerate(readable) if not whether)})
        for index in odd:  # it sorts where its name would
            keys[index] = store.identity.prefix + names[index]
        self.odd, self._odd = odd, frozenset(odd)
        self._fingerprint = store.identity.fingerprint
        return keys  # type: ignore[return-value]  # None was replaced


def record_chunks(
    source: Source,
    scope: Scope,
    *,
    first_key: str = "",
    end_key: str | None = None,
    after: Cursor | None = None,
    size: int = CHUNK,
    presorted: Mapping[str, PresortedRows] = MappingProxyType({}),
) -> Iterator[Chunk]:
    """The records of a scope with keys from ``first_key`` to before ``end_key``, in the order (key, field, pk).

    They begin just behind ``after`` when that is given. Memory stays flat: ``size`` rows per field. The rows of the
    fields in ``presorted`` (by label) come from there instead of from the database.
    """
    store = source.store
    if scope.is_explicit:
        records = sorted(
            (record for target in source.targets for record in explicit_records(target, store, scope)),
            key=attrgetter("cursor"),
        )
        behind = [record for record in records if _is_behind(record, after)]
        for start in range(0, len(behind), size):
            yield Chunk(store, _columns_of(behind[start : start + size], store))
        return
    streams = []
    for target in sorted(source.targets, key=lambda target: target.label):
        in_key_order: Callable[..., Iterator[list[Row]]] = partial(rows_in_key_order, target, store, scope)
        if target.label in presorted:
            in_key_order = presorted[target.label].in_key_order
        batches = in_key_order(first_key=first_key, end_key=end_key, after=after, size=size)
        streams.append(_Stream(map(partial(_columns, target), batches)))
        unreadable = [
            record
            for record in sorted(unreadable_records(target, store, scope), key=lambda record: record.key)
            if first_key <= record.key and (end_key is None or record.key < end_key)
            if _is_behind(record, after)
        ]
        if unreadable:
            streams.append(_Stream(iter([_columns_of(unreadable, store)])))
    while columns := _next_in_order(streams):
        yield Chunk(store, columns)


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


def _columns(target: Target, rows: list[Row]) -> Columns:
    number = len(rows)
    # column by column: zip(*rows) makes an iterator for each row, which takes ten times as long
    pks, names, *remembered = ([row[place] for row in rows] for place in range(len(rows[0])))
    verdicts, stores, sizes, etags = remembered or [[None] * number] * 4
    return Columns(names, pks, verdicts, stores, sizes, etags, [target] * number, [True] * number)


def _columns_of(records: Sequence[Record], store: Store) -> Columns:
    marked = (Verdict.PRESENT, store.identity.fingerprint)
    steady = [not record.target.remembers or (record.verdict, record.store) == marked for record in records]
    expected = [record.expected or Expected() for record in records]
    return Columns(
        [record.name for record in records],
        [record.pk for record in records],
        [None if is_steady else record.verdict for record, is_steady in zip(records, steady, strict=True)],
        [None if is_steady else record.store for record, is_steady in zip(records, steady, strict=True)],
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


def _is_behind(record: Record, after: Cursor | None) -> bool:
    if after is None or (record.key, record.target.label) != after[:2]:
        return after is None or (record.key, record.target.label) > after[:2]
    return bool(record.pk > record.target.model._meta.pk.to_python(after[2]))
