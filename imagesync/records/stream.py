"""A field's rows, and the single records that somebody names.

The order is that of the key's UTF-8 bytes (``COLLATE "C"``, ``BINARY``), never the database's own
collation: a language's order would make keys look absent that are not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections, router
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Collate

from imagesync.core.ranges import prefix_end
from imagesync.core.verdicts import Expected
from imagesync.exceptions import NothingMatches
from imagesync.records.scope import Scope
from imagesync.records.selected import selected_rows
from imagesync.records.targets import Source, Target, record_label
from imagesync.records.unreadable import readable, unreadable_names
from imagesync.storage.store import Store

BATCH = 2000
IN_CHUNK = 500

Cursor = tuple[str, str, Any]
"""(key, field label, pk): where the order of an audit's records has come to."""
RecordKey = tuple[int, str, str]
"""(content type id, pk as text, field): a record's file, as findings and failed reads name it."""

COLLATIONS = {"postgresql": "C", "sqlite": "BINARY"}


@dataclass(frozen=True, slots=True)
class Record:
    """A database row whose file field names an object."""

    key: str
    """The exact key; for an inexact name, prefix and stored name as they are, which only sorts it."""
    target: Target
    pk: Any
    name: str
    exact: bool
    """False when the storage would rewrite the name, so that no one key is its object's."""
    verdict: str = ""
    store: str = ""
    """Fingerprint of the store that the record was last seen in; empty when it does not remember."""
    expected: Expected | None = None
    readable: bool = True
    """False when the name is not text; ``name`` and ``key`` then hold it with ``\\xff`` for what is not."""

    @property
    def label(self) -> str:
        return record_label(self.target.model, self.pk)

    @property
    def cursor(self) -> Cursor:
        """Its place in the order of an audit's records."""
        return self.key, self.target.label, self.pk

    @property
    def identity(self) -> RecordKey:
        return self.target.content_type.pk, str(self.pk), self.target.field.name


def ordered_records(source: Source, scope: Scope) -> list[Record]:
    """The single records that a scope names, in the order (key, field, pk)."""
    found = [record for target in source.targets for record in explicit_records(target, source.store, scope)]
    return sorted(found, key=attrgetter("cursor"))


def count_records(source: Source, scope: Scope) -> int:
    """How many records the scope has, as the database counts them now."""
    if scope.is_explicit:
        return sum(sum(1 for _ in explicit_records(target, source.store, scope)) for target in source.targets)
    return sum(rows_in_scope(target, source.store, scope).count() for target in source.targets)


def byte_ordered(expression: Any, using: str) -> Collate:
    """``expression``, ordered and compared by its bytes."""
    vendor = connections[using].vendor
    if vendor not in COLLATIONS:
        raise ImproperlyConfigured(f"imagesync supports PostgreSQL and SQLite, not {vendor}.")
    return Collate(expression, COLLATIONS[vendor])


def base_rows(model: type[Model]) -> QuerySet[Model]:
    """Every row, also those that a model's own manager hides: a hidden row still names its object."""
    return model._base_manager.using(router.db_for_read(model))


def explicit_records(target: Target, store: Store, scope: Scope) -> Iterator[Record]:
    """The records of a field that a scope names one by one, in no order."""
    rows = rows_in_scope(target, store, Scope(prefix=scope.prefix))
    names = {name for name in map(store.name_for, scope.keys) if name is not None}
    name, pks = target.field.attname, _pks_of(scope, target)
    by_name = [
        record
        for some in _chunked(rows, "byte_name__in", sorted(names))  # which the index in byte order answers
        for record in _records(some, target, store)
    ]
    by_pk = [
        record
        for some in _chunked(readable(rows, name), "pk__in", pks)
        for record in _records(some, target, store)
    ]
    # compared here too: a database that ignores case returns more than was asked for
    found = {record.pk: record for record in by_name if record.name in names}
    found.update((record.pk, record) for record in by_pk)
    yield from found.values()
    if pks:
        yield from _unreadable(rows.filter(pk__in=pks), target, store)


def _pks_of(scope: Scope, target: Target) -> list[Any]:
    """Without those that can be no primary key of the model (any more): stored ones may be of an older schema."""
    pks = []
    for label, pk in scope.ids:
        if label in (target.model._meta.label, target.label):
            with contextlib.suppress(ValidationError):
                pks.append(target.model._meta.pk.to_python(pk))
    return pks


def _chunked(rows: QuerySet[Model], lookup: str, values: list[Any]) -> Iterator[QuerySet[Model]]:
    for start in range(0, len(values), IN_CHUNK):
        yield rows.filter(**{lookup: values[start : start + IN_CHUNK]})


def rows_in_scope(target: Target, store: Store, scope: Scope) -> QuerySet[Model]:
    """The rows of a field that name something, with ``byte_name`` to order and compare by."""
    rows = base_rows(target.model)
    if scope.job:
        rows = selected_rows(rows, scope.job)
    name = target.field.attname
    rows = (
        rows.annotate(byte_name=byte_ordered(F(name), rows.db)).exclude(**{name: ""}).exclude(**{name: None})
    )
    rows = _with_prefix(rows, scope.prefix, store) if scope.prefix else rows
    return _within(rows, scope, store) if scope.is_stretch else rows


def named_rows(target: Target, store: Store, scope: Scope) -> QuerySet[Model]:
    """The rows of a field that a scope names by id; all that it has when it names none."""
    rows = rows_in_scope(target, store, scope)
    return rows.filter(pk__in=_pks_of(scope, target)) if scope.ids else rows


def _with_prefix(rows: QuerySet[Model], prefix: str, store: Store) -> QuerySet[Model]:
    own = store.identity.prefix
    if own.startswith(prefix):
        return rows
    if not prefix.startswith(own):
        raise NothingMatches(
            f"No key of this store starts with {prefix!a}: its keys all start with {own!a} "
            f"(the storage's location). Did you mean {own + prefix!a}?"
        )
    name_prefix = prefix[len(own) :]
    rows = rows.filter(byte_name__gte=name_prefix)
    end = prefix_end(name_prefix)
    return rows if end is None else rows.filter(byte_name__lt=end)


def _within(rows: QuerySet[Model], scope: Scope, store: Store) -> QuerySet[Model]:
    """The rows of a stretch of the key space. Every key of this store starts with its own prefix."""
    own = store.identity.prefix
    if scope.first_key > own:
        if not scope.first_key.startswith(own):
            return rows.none()
        rows = rows.filter(byte_name__gte=scope.first_key[len(own) :])
    if scope.end_key is not None:
        if scope.end_key <= own:
            return rows.none()
        if scope.end_key.startswith(own):
            rows = rows.filter(byte_name__lt=scope.end_key[len(own) :])
    return rows


def unreadable_records(target: Target, store: Store, scope: Scope) -> Iterator[Record]:
    """The records of a field whose names are no text (SQLite alone has such).

    Of a stretch of the key space all of them: where their names sort is decided by what stands for what is no text.
    """
    everywhere = replace(scope, first_key="", end_key=None)
    yield from _unreadable(rows_in_scope(target, store, everywhere), target, store)


def _unreadable(rows: QuerySet[Model], target: Target, store: Store) -> Iterator[Record]:
    for pk, name in unreadable_names(rows, target.field.attname):
        key = store.identity.prefix + name
        yield Record(key, target, pk, name, exact=False, readable=False)


def _records(rows: QuerySet[Model], target: Target, store: Store) -> Iterator[Record]:
    prefix = store.identity.prefix
    remembers = ("verdict", "store", "size_bytes", "etag") if target.remembers else ()
    for pk, name, *remembered in rows.values_list("pk", target.field.attname, *remembers):
        key = target.key_of(name, store)
        exact = key is not None
        where = prefix + name if key is None else key
        if remembered:
            verdict, seen_in, size_bytes, etag = remembered
            expected = Expected(size_bytes=size_bytes, etag=etag)
            yield Record(where, target, pk, name, exact, verdict, seen_in, expected)
        else:
            yield Record(where, target, pk, name, exact)
