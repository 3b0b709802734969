"""What deleting one record would take along: collected, kept as text without loss, and deleted.

Django's Collector says what goes. It is not allowed to delete anything unseen, and whatever it leaves to the
database (``DO_NOTHING``, ``DB_CASCADE``, foreign keys made by hand) blocks the record as soon as rows exist.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, IntegrityError, connections, models
from django.db.models import Field, FileField, Model, ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import DO_NOTHING, Collector, get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete

from imagesync.purge.restore_rows import CHUNK, NotPreservable, encode, kept_fields, read, write_pk, write_row

_BY_DATABASE = [
    getattr(models, name)
    for name in ("DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")  # Django 6.1
    if hasattr(models, name)
]


class RowsChanged(IntegrityError):
    """What a deletion would take along is not any more what was copied; look again."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """An object that a row names. ``model`` is the one whose table has the column."""

    model: type[Model]
    pk: Any
    field: FileField
    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A value of a row that stays, which the deletion sets (SET_NULL, SET_DEFAULT, SET)."""

    instance: Model
    field: Field[Any, Any]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row that goes, as its own table has it. A multi-table child and its parent are two."""

    model: type[Model]
    pk: Any
    values: dict[str, Any]
    root: bool
    """Whether it is the record itself, or a parent's half of it."""


class _Blocked(Exception):  # noqa: N818 - an answer, no error
    def __init__(self, block_id: str, why: str) -> None:
        super().__init__(why)
        self.block_id = block_id


class _SeeingCollector(Collector):
    """Loads every row that goes, whole."""

    def __init__(self, using: str, origin: Model, *, lock: bool) -> None:
        super().__init__(using=using, origin=origin)
        self.lock = lock

    def can_fast_delete(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def _has_signal_listeners(self, model: type[Model]) -> bool:
        return True  # then no column is deferred

    def related_objects(self, *args: Any, **kwargs: Any) -> QuerySet[Model]:
        found = super().related_objects(*args, **kwargs)
        return found.select_related(None).select_for_update() if self.lock else found


def consequences(record: Model, *, using: str, lock: bool = False) -> Consequences:
    """Load what deleting ``record`` would do, from the database and not from the instance. Read only.

    ``lock`` locks the rows (SELECT FOR UPDATE) for a deletion in the same transaction, where the database
    can; without it ``execute`` looks again.
    """
    found = Consequences(record, using, lock=lock and connections[using].features.has_select_for_update)
    try:
        found._look()
    except _Blocked as blocked:
        found.blocked, found.block_id = str(blocked), blocked.block_id
    return found


class Consequences:
    """Of deleting one record. When ``blocked`` says why it cannot go, the rest may be incomplete."""

    def __init__(self, record: Model, using: str, *, lock: bool = False) -> None:
        self.record = record
        self.taken: list[Model] = []
        self.changed: list[Changed] = []
        self.blocked = ""
        self.block_id = ""
        self._using = using
        self._lock = lock
        self._kept: list[_Kept] = []
        self._copy = ""

    def cascades(self) -> dict[str, int]:
        """How many rows of each model go along or are changed, the record itself left out."""
        gone = [kept.model._meta.label for kept in self._kept if not kept.root]
        changed = {(change.instance._meta.concrete_model, change.instance.pk) for change in self.changed}
        return dict(sorted(Counter([*gone, *(model._meta.label for model, _pk in changed)]).items()))

    def files(self) -> list[NamedFile]:
        """Every object that a row which goes names."""
        return [
            NamedFile(kept.model, kept.pk, column, kept.values[column.attname])
            for kept in self._kept
            for column in kept_fields(kept.model)
            if isinstance(column, FileField) and kept.values[column.attname]
        ]

    def receivers(self) -> list[str]:
        """Dotted paths of what listens to these deletions, besides Django and ourselves."""
        found = {
            _dotted(receiver)
            for model in {type(instance) for instance in self.taken}
            for signal in (pre_delete, post_delete)
            for receivers in signal._live_receivers(model)  # type: ignore[attr-defined]
            for receiver in receivers
            if not model._meta.auto_created
        }
        return sorted(path for path in found if not path.startswith(("django.", "imagesync.")))

    def copy(self) -> str:
        """Every row that goes or is changed, as JSON for ``put_back``."""
        if self.blocked:
            raise RuntimeError(f"{self.record!r} cannot be kept: {self.blocked}")
        return self._copy

    def execute(self) -> None:
        """Delete, inside the caller's transaction. No receiver finds a file to remove: their names are
        emptied in memory first. Raises RowsChanged when the rows are no longer those of the copy.
        """
        copy = self.copy()
        if not self._lock and connections[self._using].features.has_select_for_update:
            now = consequences(self.record, using=self._using, lock=True)
            if now.blocked or now.copy() != copy:
                raise RowsChanged(f"What deleting {self.record!r} takes along was changed meanwhile.")
            self.__dict__.update(now.__dict__)
        for instance in self.taken:
            for column in instance._meta.concrete_fields:
                if isinstance(column, FileField):  # past the descriptor: an image's would look at the file
                    instance.__dict__[column.attname] = None if column.null else ""
        self._collector.delete()

    # --- looking ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        root, row = self._load()
        self._collector = _SeeingCollector(self._using, root, lock=self._lock)
        self._collect(root)
        try:
            self._keep(root, row)
            self._left_to_django()
            self._left_to_database()
            self._copy = json.dumps(self._written())
        except NotPreservable as error:
            raise _Blocked("not_preservable", f"it could not be put back without loss: {error}") from error

    def _load(self) -> tuple[Model, dict[str, Any]]:
        """The record and its values, by one query, whatever was changed or deferred on the instance."""
        model = type(self.record)
        columns = model._meta.concrete_fields
        for row in read(model, columns, [self.record.pk], using=self._using, lock=self._lock):
            names = [column.attname for column in columns]
            return model.from_db(self._using, names, [row[name] for name in names]), row
        raise _Blocked("gone", "it is gone already")

    def _collect(self, root: Model) -> None:
        collector = self._collector
        try:
            collector.collect([root])
            for (column, value), groups in collector.field_updates.items():
                for instance in (instance for group in groups for instance in group):
                    self.changed.append(Changed(instance, column, getattr(instance, column.attname), value))
        except ProtectedError as error:
            raise _Blocked("protected", f"protected by {_counted(error.protected_objects)}") from error
        except RestrictedError as error:
            raise _Blocked("protected", f"restricted by {_counted(error.restricted_objects)}") from error
        except (DatabaseError, ObjectDoesNotExist):
            raise
        except Exception as error:  # a model's own hooks, e.g. an image field that opens its file
            why = f"the rows that go along cannot be loaded: {type(error).__name__}: {error}"
            raise _Blocked("not_preservable", why) from error
        collector.sort()
        self.taken = [
            instance
            for instances in collector.data.values()
            for instance in sorted(instances, key=lambda instance: instance.pk, reverse=True)
        ]
