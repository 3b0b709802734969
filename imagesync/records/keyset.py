"""One field's rows in the byte order of its names, by keyset batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import (
    Case,
    CharField,
    F,
    FileField,
    IntegerField,
    Model,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import NullIf

from imagesync.core.verdicts import Verdict
from imagesync.records.scope import Scope
from imagesync.records.stream import Cursor, byte_ordered, rows_in_scope
from imagesync.records.targets import Target
from imagesync.records.unreadable import readable
from imagesync.storage.store import Store

Row = tuple[Any, ...]
"""(pk, name), and for rows that remember: verdict and store (None where marked present here), size, ETag."""


def rows_in_key_order(
    target: Target,
    store: Store,
    scope: Scope,
    *,
    first_key: str,
    end_key: str | None,
    after: Cursor | None,
    size: int,
) -> Iterator[list[Row]]:
    """Batches of up to ``size`` rows of a field, in the order (name, pk), readable names only."""
    rows = readable(rows_in_scope(target, store, scope), target.field.attname)
    if _pk_is_text(target.model):
        rows = rows.annotate(byte_pk=byte_ordered(F("pk"), rows.db))
    rows = _columns(rows, target, store.identity.fingerprint)
    begin = len(store.identity.prefix)
    if end_key is not None:
        rows = rows.filter(byte_name__lt=end_key[begin:])
    batch = _after_cursor(rows, target, after, first_key[begin:], begin, size)
    following = _Following(rows, size)
    while batch:
        was_full = len(batch) == size
        whole = _names_that_are_whole(batch) if was_full else len(batch)
        pk, name = batch[(whole or size) - 1][:2]
        yield batch[:whole] if whole else batch
        del batch  # its columns are at work; the rows are not needed beside them
        if not was_full:
            return
        # a name that fills a batch, or more, goes on by its pks
        batch = following.batch(name) if whole else _behind(rows, name, pk, size)


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
    marked = Q(verdict=Verdict.PRESENT.value, store=fingerprint)
    rows = rows.annotate(
        unmarked_verdict=Case(When(marked, then=Value(None)), default=F("verdict"), output_field=CharField()),
        other_store=Case(When(marked, then=Value(None)), default=F("store"), output_field=CharField()),
        known_etag=NullIf(F("etag"), Value("")),
    )
    return rows.values_list("pk", name, "unmarked_verdict", "other_store", "size_bytes", "known_etag")


def _after_cursor(
    rows: QuerySet[Any, Row], target: Target, after: Cursor | None, first: str, begin: int, size: int
) -> list[Row]:
    """The first batch: from ``first`` on, or from where ``after`` (of this field or of another) leaves off."""
    if after is None:
        return _batch(rows.filter(byte_name__gte=first) if first else rows, size)
    key, label, pk = after
    name = key[begin:]
    if target.label == label:
        return _behind(rows, name, target.model._meta.pk.to_python(pk), size)
    if target.label < label:  # of equal keys, this field's came first
        return _batch(rows.filter(byte_name__gt=name), size)
    return _batch(rows.filter(byte_name__gte=name), size)


def _behind(rows: QuerySet[Any, Row], name: str, pk: Any, size: int) -> list[Row]:
    """The rows behind (name, pk): the rest of that name, then what follows.

    Two queries, each of which the index answers from where it stands. "name > x OR (name = x AND pk > y)" would be
    read from the first row of that name on, every time.
    """
    same = _batch(rows.filter(byte_name=name, **{f"{_pk_order(rows.model)}__gt": pk}), size)
    if len(same) == size:
        return same
    return same + _batch(rows.filter(byte_name__gt=name), size - len(same))


def _batch(rows: QuerySet[Any, Row], size: int) -> list[Row]:
    return _fetched(rows.order_by("byte_name", _pk_order(rows.model))[:size])


class _Following:
    """Asks for the batch behind a name, again and again: Django's part of it is done once."""

    def __init__(self, rows: QuerySet[Any, Row], size: int) -> None:
        self._rows = rows
        self._size = size
        self._statement: tuple[str, list[Any]] | None = None

    def batch(self, name: str) -> list[Row]:
        if not _need_no_conversion(self._rows.model):
            return _batch(self._rows.filter(byte_name__gt=name), self._size)
        if self._statement is None:
            self._statement = self._compiled()
        sql, parameters = self._statement
        return _run(self._rows.db, sql, [name if one is _NO_NAME else one for one in parameters])

    def _compiled(self) -> tuple[str, list[Any]]:
        rows = self._rows.filter(byte_name__gt=_NO_NAME)
        rows = rows.order_by("byte_name", _pk_order(rows.model))[: self._size]
        sql, parameters = rows.query.get_compiler(connection=connections[rows.db]).as_sql()
        return sql, [_NO_NAME if one == _NO_NAME else one for one in parameters]


_NO_NAME = "\0"  # no database holds it in a text, so it marks the place of a name


def _fetched(batch: QuerySet[Any, Row]) -> list[Row]:
    return _as_the_driver_gives_them(batch) if _need_no_conversion(batch.model) else list(batch)


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


def _as_the_driver_gives_them(batch: QuerySet[Any, Row]) -> list[Row]:
    try:
        sql, parameters = batch.query.get_compiler(connection=connections[batch.db]).as_sql()
    except EmptyResultSet:
        return []
    return _run(batch.db, sql, parameters)


def _run(using: str, sql: str, parameters: Sequence[Any]) -> list[Row]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
