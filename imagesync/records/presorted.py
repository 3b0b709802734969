"""Fields without an index in byte order: their names are sorted once, on this machine's disk.

Asking the database for such a field's rows by keyset batches would have it read and sort the whole table for each
batch. Here the table is read once, by primary key, into a temporary file that is sorted there: flat memory, no long
transaction. The names are those at the beginning of the audit; a record that is renamed meanwhile is judged by the
name it had, and neither marked nor purged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import dropwhile, islice

from imagesync.models.indexes import has_byte_order_index
from imagesync.records.keyset import Row, as_stored, rows_by_pk
from imagesync.records.scope import Scope
from imagesync.records.splitting import estimated_rows
from imagesync.records.stream import Cursor
from imagesync.records.targets import Source, Target
from imagesync.storage.spool import SortedSpool

SORTED_BY_THE_DATABASE = 20_000
"""A field with fewer rows is left to the database, which sorts them anew for each batch."""
READ_AT_ONCE = 5_000


class PresortedRows:
    """One field's rows in the order (name, pk), out of a spool."""

    def __init__(self, target: Target, prefix: str, spool: SortedSpool) -> None:
        self._target = target
        self._prefix = prefix
        self._spool = spool

    def between(
        self, first_key: str = "", end_key: str | None = None, *, after: Cursor | None = None, size: int
    ) -> Iterator[list[Row]]:
        """As ``RowsInKeyOrder.between``."""
        begin = len(self._prefix)
        first = first_key if after is None else after[0]
        rows = self._rows(first[begin:], None if end_key is None else end_key[begin:])
        if after is not None:
            rows = self._behind(rows, after, after[0][begin:])
        while batch := list(islice(rows, size)):
            yield batch

    def _rows(self, first: str, end: str | None) -> Iterator[Row]:
        to_python = self._target.model._meta.pk.to_python
        for name, pk, *remembered in self._spool.ordered(first, end):
            yield (to_python(pk), name, *remembered)

    def _behind(self, rows: Iterator[Row], after: Cursor, name: str) -> Iterator[Row]:
        _key, label, pk = after
        if self._target.label > label:  # of equal keys, this field's come behind
            return rows
        if self._target.label < label:
            return dropwhile(lambda row: row[1] == name, rows)
        last = self._target.model._meta.pk.to_python(pk)
        return dropwhile(lambda row: row[1] == name and row[0] <= last, rows)


@contextmanager
def presorted_fields(
    source: Source, scope: Scope, heartbeat: Callable[[], None]
) -> Iterator[Mapping[str, PresortedRows]]:
    """The fields of a source that need it, by label; ``heartbeat`` is called while they are read."""
    prefix = source.store.identity.prefix
    with ExitStack() as stack:
        found = {}
        for target in source.targets:
            if not scope.is_explicit and _needs_sorting(target, source, scope):
                spool = stack.enter_context(_spooled(target, source, scope, heartbeat))
                found[target.label] = PresortedRows(target, prefix, spool)
        yield found


def fields_to_sort(source: Source, scope: Scope) -> list[str]:
    """The fields of a source that would be, by label."""
    if scope.is_explicit:
        return []
    return [target.label for target in source.targets if _needs_sorting(target, source, scope)]


def _needs_sorting(target: Target, source: Source, scope: Scope) -> bool:
    return not has_byte_order_index(target.model, target.field) and (
        estimated_rows(target, source, scope) > SORTED_BY_THE_DATABASE
    )


@contextmanager
def _spooled(
    target: Target, source: Source, scope: Scope, heartbeat: Callable[[], None]
) -> Iterator[SortedSpool]:
    with SortedSpool(columns=5 if target.remembers else 1) as spool:
        for rows in rows_by_pk(target, source.store, scope, size=READ_AT_ONCE):
            spool.add((name, as_stored(pk), *remembered) for pk, name, *remembered in rows)
            heartbeat()
        spool.sort(heartbeat)
        yield spool
