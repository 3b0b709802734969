"""What deleting one database record would take along, and a copy of it without loss.

Nothing here knows S3. Django's own Collector decides what goes; every row is loaded, so that it can be
copied, and a row that cannot be copied without loss keeps the whole record.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import DO_NOTHING, FileField, Model, ProtectedError, RestrictedError
from django.db.models.deletion import Collector
from django.db.models.signals import post_delete, pre_delete

from imagesync.purge.copies import NotPreservable, decode, encode, row_copy
from imagesync.purge.database_rules import reached_by_database

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a row names."""

    model: type[Model]
    pk: Any
    field: FileField
    name: str


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that stays, with a column that the deletion sets (SET_NULL, SET_DEFAULT, SET)."""

    model: type[Model]
    pk: Any
    attname: str
    old: Any
    new: Any


@dataclass
class Consequences:
    """What deleting one record does. Computed without changing anything; ``execute`` does it."""

    record: Model
    using: str
    taken: list[Model] = field(default_factory=list)
    """Every row that goes, the record included, in the order of deletion."""
    changed: list[ChangedRow] = field(default_factory=list)
    blocked: str = ""
    """Why the record cannot go; empty when it can."""
    _collector: Collector | None = None
    _copy: str = ""

    def cascades(self) -> dict[str, int]:
        """``app.Model`` -> rows that go along or are changed; the record itself is not counted."""
        labels = Counter(row._meta.label for row in self.taken)
        labels.update(row.model._meta.label for row in self.changed)
        labels[self.record._meta.label] -= 1
        for parent in self.record._meta.get_parent_list():  # the other half of the record itself
            labels[parent._meta.label] -= 1
        return {label: number for label, number in sorted(labels.items()) if number > 0}

    def files(self) -> list[NamedFile]:
        """Every file that a row that goes names."""
        return [
            NamedFile(type(row), row.pk, one, str(getattr(row, one.attname)))
            for row in self.taken
            for one in row._meta.local_concrete_fields
            if isinstance(one, FileField) and getattr(row, one.attname)
        ]

    def receivers(self) -> list[str]:
        """Dotted paths of the signal receivers that will run; Django's own are left out."""
        models = {type(row) for row in self.taken}
        return sorted({path for model in models for path in _receiver_paths(model)})

    def copy(self) -> str:
        """Every row that goes or changes, as JSON, without loss (``restore_rows.put_back`` reads it)."""
        return self._copy

    def execute(self) -> None:
        """Delete, through Django's Collector, signals and all. The caller holds a transaction.

        The file fields are emptied in memory first, so that receivers which delete an object with its row
        (django-cleanup and its like) have nothing to delete.
        """
        assert self._collector is not None  # noqa: S101 - only blocked records have none
        for row in self.taken:
            for one in row._meta.local_concrete_fields:
                if isinstance(one, FileField):
                    setattr(row, one.attname, "")
        self._collector.delete()


def consequences(record: Model, *, using: str) -> Consequences:
    """What deleting ``record`` would do. Reads only."""
    effects = Consequences(record, using)
    collector = _LoadingCollector(using=using, origin=record)
    try:
        collector.collect([record])
    except (ProtectedError, RestrictedError) as error:
        held = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
        effects.blocked = f"it is protected by a relation ({_counted(held)})"
        return effects
    collector.sort()
    effects._collector = collector
    effects.taken = [row for rows in collector.data.values() for row in rows]
    effects.changed = list(_changed_rows(collector))
    effects.blocked = _left_dangling(effects.taken, using) or reached_by_database(effects.taken, using)
    if not effects.blocked:
        try:
            effects._copy = _copy_of(effects)
        except NotPreservable as error:
            effects.blocked = str(error)
    return effects


class _LoadingCollector(Collector):
    """Loads every row instead of deleting some unseen: what was not loaded cannot be copied."""

    def can_fast_delete(self, objs: Any, from_field: Any = None) -> bool:
        return False

    def _has_signal_listeners(self, model: type[Model]) -> bool:
        return True  # Django then loads whole rows, not only their keys


def _changed_rows(collector: Collector) -> Iterator[ChangedRow]:
    for (changed_field, value), groups in collector.field_updates.items():
        new = value.pk if isinstance(value, Model) else value
        for group in groups:
            for row in group:
                yield ChangedRow(
                    type(row), row.pk, changed_field.attname, getattr(row, changed_field.attname), new
                )


def _left_dangling(taken: list[Model], using: str) -> str:
    """Relations that Django leaves to the database: DO_NOTHING, and on_delete rules of the database."""
    by_database = _database_level_rules()
    for row in taken:
        for relation in row._meta.related_objects:
            on_delete = relation.on_delete
            if on_delete is not DO_NOTHING and on_delete not in by_database:
                continue
            related = relation.related_model
            held = related._base_manager.using(using).filter(**{relation.field.name: row}).count()
            if held and on_delete is DO_NOTHING:
                return f"it is protected by a relation ({held} {related._meta.label}, on_delete=DO_NOTHING)"
            if held:
                return f"a database-level on_delete reaches rows that could not be kept ({held} {related._meta.label})"
    return ""


def _database_level_rules() -> tuple[Any, ...]:
    from django.db import models

    names = ("DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")  # Django 6.1 and later
    return tuple(getattr(models, name) for name in names if hasattr(models, name))


def _copy_of(effects: Consequences) -> str:
    connection = connections[effects.using]
    rows = [row_copy(row, connection) for row in effects.taken]
    return json.dumps(
        {
            "version": FORMAT_VERSION,
            "root": {"model": effects.record._meta.label, "pk": str(effects.record.pk)},
            # parents first, as they must come back
            "taken": list(reversed(rows)),
            "changed": [_changed_copy(row, connection) for row in effects.changed],
        }
    )


def _changed_copy(row: ChangedRow, connection: Any, *, fatal: bool = False) -> dict[str, Any]:
    column = next(one for one in row.model._meta.concrete_fields if one.attname == row.attname)
    copied = {"old": encode(column, row.old), "new": encode(column, row.new)}
    for name, value in (("old", row.old), ("new", row.new)):
        if decode(column, copied[name]) != value:
            raise NotPreservable(row.model, column)
    return {
        "model": row.model._meta.label,
        "pk": str(row.pk),
        "attname": row.attname,
        "fatal": fatal,
        **copied,
    }


def clear_copy(record: Model, cleared: FileField) -> str:
    """The copy for a value that is emptied: the row stays, its file's name is kept."""
    old = str(getattr(record, cleared.attname))
    change = ChangedRow(type(record), record.pk, cleared.attname, old, None if cleared.null else "")
    return json.dumps(
        {
            "version": FORMAT_VERSION,
            "root": {"model": record._meta.label, "pk": str(record.pk)},
            "taken": [],
            "changed": [_changed_copy(change, None, fatal=True)],
        }
    )


def _counted(rows: Any) -> str:
    counts = Counter(row._meta.label for row in rows)
    return ", ".join(f"{number} {label}" for label, number in sorted(counts.items()))


def _receiver_paths(model: type[Model]) -> Iterator[str]:
    for signal in (pre_delete, post_delete):
        live: Any = signal._live_receivers(model)  # names are only to be had from here
        for receiver in [*live[0], *live[1]] if isinstance(live, tuple) else live:
            path = f"{receiver.__module__}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"
            if not path.startswith(("django.", "imagesync.")):
                yield path
