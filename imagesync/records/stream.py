"""Records in key order: keyset batches on (key, pk), no cursor and no transaction held while S3 is asked.

The order is that of the key's UTF-8 bytes (``COLLATE "C"``, ``BINARY``), never the database's own
collation: a language's order would make keys look absent that are not.
"""

from __future__ import annotations

import contextlib
import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections, router
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Collate

from imagesync.core.ranges import prefix_end
from imagesync.core.verdicts import Expected
from imagesync.exceptions import NothingMatches
from imagesync.records.scope import Scope
from imagesync.records.targets import Source, Target, record_label
from imagesync.records.unreadable import readable, unreadable_names
from imagesync.storage.store import Store

BATCH = 2000
IN_CHUNK = 500

RecordKey = tuple[int, str, str]
"""(content type id, pk as text, field): a record's file, as findings and failed reads name it."""

_COLLATIONS = {"postgresql": "C", "sqlite": "BINARY"}


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
    def identity(self) -> RecordKey:
        return self.target.content_type.pk, str(self.pk), self.target.field.name


def ordered_records(
    source: Source, scope: Scope, *, after: tuple[str, str, Any] | None = None
) -> Iterator[Record]:
    """The records of a scope in the order (key, field, pk), from just behind ``after`` on.

    ``after`` is such a (key, field label, pk). Memory stays flat: one batch per field.
    """
    streams = [
        _records_of(target, source.store, scope, _behind(after, target))
        for target in sorted(source.targets, key=lambda target: target.label)
    ]
    # heapq.merge is stable: of equal keys, those of the earlier stream (field label) come first
    return heapq.merge(*streams, key=lambda record: record.key)


def count_records(source: Source, scope: Scope) -> int:
    """How many records the scope has, as the database counts them now."""
    if scope.is_explicit:
        return sum(sum(1 for _ in _explicit(target, source.store, scope)) for target in source.targets)
    return sum(_in_scope(target, source.store, scope).count() for target in source.targets)


def draw_sample(source: Source, scope: Scope) -> Scope:
    """``scope`` with ``scope.sample`` of its records as ``ids``, drawn uniformly from all its fields together."""
    whole = replace(scope, sample=0)
    totals = [_in_scope(target, source.store, whole).count() for target in source.targets]
    picks = random.SystemRandom().sample(range(sum(totals)), min(scope.sample, sum(totals)))
    drawn: list[tuple[str, str]] = []
    start = 0
    for target, total in zip(source.targets, totals, strict=True):
        share = sum(start <= pick < start + total for pick in picks)
        start += total
        rows = _in_scope(target, source.store, whole).order_by("?").values_list("pk", flat=True)[:share]
        drawn += [(target.model._meta.label, str(pk)) for pk in rows]
    return replace(scope, ids=tuple(sorted(drawn)), population=sum(totals))


def byte_ordered(expression: Any, using: str) -> Collate:
    """``expression``, ordered and compared by its bytes."""
    vendor = connections[using].vendor
    if vendor not in _COLLATIONS:
        raise ImproperlyConfigured(f"imagesync supports PostgreSQL and SQLite, not {vendor}.")
    return Collate(expression, _COLLATIONS[vendor])


def base_rows(model: type[Model]) -> QuerySet[Model]:
    """Every row, also those that a model's own manager hides: a hidden row still names its object."""
    return model._base_manager.using(router.db_for_read(model))


def _behind(after: tuple[str, str, Any] | None, target: Target) -> tuple[str, Any] | None:
    """Where this field's stream goes on: (key, pk) is done; pk None means that all of the key is."""
    if after is None:
        return None
    key, label, pk = after
    if target.label == label:
        return key, target.model._meta.pk.to_python(pk)  # a cursor holds it as JSON does
    return (key, None) if target.label < label else (key, _NOTHING)


_NOTHING = object()


def _records_of(
    target: Target, store: Store, scope: Scope, behind: tuple[str, Any] | None
) -> Iterator[Record]:
    if scope.is_explicit:
        return iter(_sorted(_explicit(target, store, scope)))
    unreadable = _sorted(_unreadable(_in_scope(target, store, scope), target, store))
    ahead = (record for record in unreadable if _is_ahead(record, behind))
    return heapq.merge(_keyset(target, store, scope, behind), ahead, key=lambda record: record.key)


def _sorted(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.key, record.pk))


def _is_ahead(record: Record, behind: tuple[str, Any] | None) -> bool:
    if behind is None or record.key > behind[0]:
        return True
    return record.key == behind[0] and (
        behind[1] is _NOTHING or (behind[1] is not None and record.pk > behind[1])
    )


def _explicit(target: Target, store: Store, scope: Scope) -> Iterator[Record]:
    rows = _in_scope(target, store, Scope(prefix=scope.prefix))
    names = {name for name in map(store.name_for, scope.keys) if name is not None}
    name, pks = target.field.attname, _pks_of(scope, target)
    by_name = _records(_chunked(rows, f"{name}__in", sorted(names)), target, store)
    by_pk = _records(_chunked(readable(rows, name), "pk__in", pks), target, store)
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
        if label == target.model._meta.label:
            with contextlib.suppress(ValidationError):
                pks.append(target.model._meta.pk.to_python(pk))
    return pks


def _chunked(rows: QuerySet[Model], lookup: str, values: list[Any]) -> Iterable[Any]:
    for start in range(0, len(values), IN_CHUNK):
        yield from rows.filter(**{lookup: values[start : start + IN_CHUNK]})


def _keyset(target: Target, store: Store, scope: Scope, behind: tuple[str, Any] | None) -> Iterator[Record]:
    rows = readable(_in_scope(target, store, scope), target.field.attname).order_by("byte_name", "pk")
    last = None if behind is None else (behind[0][len(store.identity.prefix) :], behind[1])
    while True:
        page = rows if last is None else rows.filter(_after(*last))
        batch = list(_records(page[:BATCH], target, store))
        yield from batch
        if len(batch) < BATCH:
            return
        last = (batch[-1].name, batch[-1].pk)


def _after(name: str, pk: Any) -> Q:
    if pk is _NOTHING:
        return Q(byte_name__gte=name)
    if pk is None:
        return Q(byte_name__gt=name)
    # the first half alone is what an index can start from
    return Q(byte_name__gte=name) & (Q(byte_name__gt=name) | Q(pk__gt=pk))


def _in_scope(target: Target, store: Store, scope: Scope) -> QuerySet[Model]:
    """Rows as tuples: pk, name, and what the record remembers. Instances are never made: no file opens."""
    rows = base_rows(target.model)
    name = target.field.attname
    rows = (
        rows.annotate(byte_name=byte_ordered(F(name), rows.db)).exclude(**{name: ""}).exclude(**{name: None})
    )
    if scope.prefix:
        rows = _with_prefix(rows, scope.prefix, store)
    columns = ("pk", name, "verdict", "store", "size_bytes", "etag") if target.remembers else ("pk", name)
    return rows.values_list(*columns)


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


def _unreadable(rows: QuerySet[Model], target: Target, store: Store) -> Iterator[Record]:
    for pk, name in unreadable_names(rows, target.field.attname):
        key = store.identity.prefix + name
        yield Record(key, target, pk, name, exact=False, readable=False)


def _records(rows: Iterable[Any], target: Target, store: Store) -> Iterator[Record]:
    prefix = store.identity.prefix
    for pk, name, *remembered in rows:
        key = store.key_for(name)
        exact = key is not None
        where = prefix + name if key is None else key
        if remembered:
            verdict, seen_in, size_bytes, etag = remembered
            expected = Expected(size_bytes=size_bytes, etag=etag)
            yield Record(where, target, pk, name, exact, verdict, seen_in, expected)
        else:
            yield Record(where, target, pk, name, exact)
