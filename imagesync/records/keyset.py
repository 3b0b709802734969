"""One field's rows in the byte order of its names, by keyset batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import (
    CharField,
    F,
    FileField,
    IntegerField,
    Model,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import NullIf

from imagesync.core.verdicts import Verdict
from imagesync.records.scope import Scope
from imagesync.records.stream import Cursor, byte_ordered, rows_in_scope
from imagesync.records.targets import Target
from imagesync.records.unreadable import readable
from imagesync.storage.store import Store

Row = tuple[Any, ...]
"""(pk, name), and for rows that remember: verdict (None: present), store (None: this one), size, ETag."""


class RowsInKeyOrder:
    """One field's rows in the order (name, pk), readable names only; Django's part of a query is done once for all ranges."""

    def __init__(self, target: Target, store: Store, scope: Scope, *, size: int) -> None:
        rows = readable(rows_in_scope(target, store, scope), target.field.attname)
        if _pk_is_text(target.model):
            rows = rows.annotate(byte_pk=byte_ordered(F("pk"), rows.db))
        self._rows = _columns(rows, target, store.identity.fingerprint)
        self._target = target
        self._prefix = store.identity.prefix
        self._size = size
        self._statements: dict[tuple[str, ...], _Statement] = {}

    def between(
        self, first_key: str = "", end_key: str | None = None, *, after: Cursor | None = None
    ) -> Iterator[list[Row]]:
        """Batches of up to ``size`` rows, from ``first_key`` (or behind ``after``) to before ``end_key``."""
        begin = len(self._prefix)
        end = {} if end_key is None else {"byte_name__lt": end_key[begin:]}
        batch = self._first(first_key[begin:], after, end)
        while batch:
            was_full = len(batch) == self._size
            whole = _names_that_are_whole(batch) if was_full else len(batch)
            pk, name = batch[(whole or self._size) - 1][:2]
            yield batch[:whole] if whole else batch
            del batch  # its columns are at work; the rows are not needed beside them
            if not was_full:
                return
            # a name that fills a batch, or more, goes on by its pks
            batch = self._batch({"byte_name__gt": name, **end}) if whole else self._behind(name, pk, end)

    def _first(self, first: str, after: Cursor | None, end: dict[str, str]) -> list[Row]:
        """From ``first`` on, or from where ``after`` (of this field or of another) leaves off."""
        if after is None:
            return self._batch({"byte_name__gte": first, **end} if first else end)
        key, label, pk = after
        name = key[len(self._prefix) :]
        if self._target.label == label:
            return self._behind(name, self._target.model._meta.pk.to_python(pk), end)
        if self._target.label < label:  # of equal keys, this field's came first
            return self._batch({"byte_name__gt": name, **end})
        return self._batch({"byte_name__gte": name, **end})

    def _behind(self, name: str, pk: Any, end: dict[str, str]) -> list[Row]:
        """The rows behind (name, pk): the rest of that name, then what follows.

        Two queries, each of which the index answers from where it stands. "name > x OR (name = x AND pk > y)" would be
        read from the first row of that name on, every time.
        """
        rest = self._rows.filter(byte_name=name, **{f"{_pk_order(self._rows.model)}__gt": pk}, **end)
        same = _fetched(self._in_order(rest))
        if len(same) == self._size:
            return same
        return same + self._batch({"byte_name__gt": name, **end})[: self._size - len(same)]

    def _batch(self, conditions: dict[str, str]) -> list[Row]:
        """The first rows whose names are as the conditions say."""
        if not _need_no_conversion(self._rows.model):
            return list(self._in_order(self._rows.filter(**conditions)))
        kind = tuple(conditions)
        if kind not in self._statements:
            places = {lookup: _Place(lookup) for lookup in kind}
            self._statements[kind] = _Statement(self._in_order(self._rows.filter(**places)))
        return self._statements[kind].run(conditions)

    def _in_order(self, rows: QuerySet[Any, Row]) -> QuerySet[Any, Row]:
        return rows.order_by("byte_name", _pk_order(rows.model))[: self._size]


def rows_by_pk(target: Target, store: Store, scope: Scope, *, size: int) -> Iterator[list[Row]]:
    """The same rows in the order of their primary keys, which every table has an index for."""
    rows = readable(rows_in_scope(target, store, scope), target.field.attname)
    rows = _columns(rows, target, store.identity.fingerprint).order_by("pk")
    batch = _fetched(rows[:size])
    while batch:
        yield batch
        batch = _fetched(rows.filter(pk__gt=batch[-1][0])[:size]) if len(batch) == size else []


def as_stored(pk: object) -> object:
    """A pk as JSON and a spool can hold it; the field's ``to_python`` understands it again."""
    return pk if isinstance(pk, int | str) else str(pk)


def _names_that_are_whole(batch: list[Row]) -> int:
    """How many rows of a full batch come before those of its last name, of which there may be more."""
    last = batch[-1][1]
    number = len(batch) - 1
    while number and batch[number - 1][1] == last:
        number -= 1
    return number


def _columns(rows: QuerySet[Model], target: Target, fingerprint: str) -> QuerySet[Any, Row]:
    name = target.field.attname
    if not target.remembers:
        return rows.values_list("pk", name)
    rows = rows.annotate(
        other_verdict=NullIf(F("verdict"), Value(Verdict.PRESENT.value)),
        other_store=NullIf(F("store"), Value(fingerprint)),
        known_etag=NullIf(F("etag"), Value("")),
    )
    return rows.values_list("pk", name, "other_verdict", "other_store", "size_bytes", "known_etag")


class _Place(Value):
    """Stands, in a compiled query, for the value of a lookup."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class _Statement:
    """A query, compiled once, whose places are filled anew each time it is run."""

    def __init__(self, rows: QuerySet[Any, Row]) -> None:
        self._using = rows.db
        compiler = rows.query.get_compiler(connection=connections[rows.db])
        try:
            self._sql, self._parameters = compiler.as_sql()
        except EmptyResultSet:
            self._sql = ""

    def run(self, values: dict[str, str]) -> list[Row]:
        if not self._sql:
            return []
        filled = [values[one.value] if isinstance(one, _Place) else one for one in self._parameters]
        return _run(self._using, self._sql, filled)


def _fetched(batch: QuerySet[Any, Row]) -> list[Row]:
    return _Statement(batch).run({}) if _need_no_conversion(batch.model) else list(batch)


def _pk_order(model: type[Model]) -> str:
    """By bytes like everything else, also where a primary key is text: a cursor's place is compared in Python too."""
    return "byte_pk" if _pk_is_text(model) else "pk"


def _pk_is_text(model: type[Model]) -> bool:
    pk: Any = model._meta.pk
    while pk.remote_field is not None:
        pk = pk.target_field
    return isinstance(pk, CharField | TextField)


def _need_no_conversion(model: type[Model]) -> bool:
    """Whether Django would hand on what the driver gives: whole numbers and text."""
    pk = model._meta.pk
    files = [field for field in model._meta.concrete_fields if isinstance(field, FileField)]
    return isinstance(pk, IntegerField) and not any(hasattr(field, "from_db_value") for field in (pk, *files))


def _run(using: str, sql: str, parameters: Sequence[Any]) -> list[Row]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
