"""What deleting one record would take along: collected, kept as text without loss, and deleted.

Django's Collector says what goes. It is not allowed to delete anything unseen, and whatever it leaves to the
database (``DO_NOTHING``, ``DB_CASCADE``, foreign keys made by hand) blocks the record as soon as rows exist.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, IntegrityError, connections, models
from django.db.models import Field, FileField, Model, ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import DO_NOTHING, Collector, get_candidate_relations_to_delete

from imagesync.purge.copies import (
    CHUNK,
    NotPreservable,
    clear_copy,
    concrete,
    encode,
    kept_fields,
    read,
    write_pk,
    write_row,
)
from imagesync.purge.database_rules import DatabaseRule, count_children, database_rules
from imagesync.records.receivers import deletion_receivers

__all__ = ["Changed", "Consequences", "NamedFile", "RowsChanged", "clear_copy", "consequences"]

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
class Kept:
    """A row that goes, as its own table has it. A multi-table child and its parent are two."""

    model: type[Model]
    pk: Any
    values: dict[str, Any]
    root: bool
    """Whether it is the record itself, or a parent's half of it."""


class _Blocked(Exception):
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


def own_files(record: Model) -> Iterator[NamedFile]:
    """Every object that the record itself names, by the instance as it is."""
    for column in record._meta.concrete_fields:
        if isinstance(column, FileField) and (name := str(getattr(record, column.attname) or "")):
            yield NamedFile(concrete(record), record.pk, column, name)


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
        self._kept: list[Kept] = []
        self._copy = ""

    @classmethod
    def of_one(
        cls, record: Model, instance: Model, row: dict[str, Any], *, using: str, lock: bool
    ) -> Consequences:
        """Of a record whose deletion touches nothing else (purge/lonely.py); it is copied when somebody asks."""
        found = cls(record, using, lock=lock)
        found.taken = [instance]
        found._kept = [Kept(concrete(instance), instance.pk, row, root=True)]
        return found

    def cascades(self) -> dict[str, int]:
        """How many rows of each model go along or are changed, the record itself left out."""
        gone = [kept.model._meta.label for kept in self._kept if not kept.root]
        changed = {(concrete(change.instance), change.instance.pk) for change in self.changed}
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
        kinds = {type(instance) for instance in self.taken if not type(instance)._meta.auto_created}
        return sorted({path for model in kinds for path in deletion_receivers(model)})

    def copy(self) -> str:
        """Every row that goes or is changed, as JSON for ``put_back``. Raises NotPreservable."""
        if self.blocked:
            raise RuntimeError(f"{self.record!r} cannot be kept: {self.blocked}")
        if not self._copy:
            self._copy = json.dumps(self._written())
        return self._copy

    def execute(self) -> None:
        """Delete, inside the caller's transaction. Raises RowsChanged when the rows are no longer those of the copy."""
        copy = self.copy()
        if not self._lock and connections[self._using].features.has_select_for_update:
            now = consequences(self.record, using=self._using, lock=True)
            if now.blocked or now.copy() != copy:
                raise RowsChanged(f"What deleting {self.record!r} takes along was changed meanwhile.")
            self.__dict__.update(now.__dict__)
        self.forget_files()
        self._collector.delete()

    def forget_files(self) -> None:
        """Empty the file fields of what goes, in memory, so that no receiver finds a file to remove."""
        for instance in self.taken:
            for column in instance._meta.concrete_fields:
                if isinstance(column, FileField):  # past the descriptor: an image's would look at the file
                    instance.__dict__[column.attname] = None if column.null else ""

    # --- looking ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            root, row = self._load()
            self._collect(root)
            self._keep(root, row)
            self._left_to_database()
            self._left_to_django()
            self._copy = json.dumps(self._written())
        except (_Blocked, DatabaseError):
            raise
        except NotPreservable as error:
            raise _Blocked("not_preservable", f"it could not be put back without loss: {error}") from error
        except Exception as error:  # a hook or a field of a model, e.g. an image field that opens its file
            why = f"a row that goes along cannot be read: {type(error).__name__}: {error}"
            raise _Blocked("not_preservable", why) from error

    def _load(self) -> tuple[Model, dict[str, Any]]:
        """The record and its values, by one query, whatever was changed or deferred on the instance."""
        model = type(self.record)
        columns = model._meta.concrete_fields
        for row in read(model, columns, [self.record.pk], using=self._using, lock=self._lock):
            names = [column.attname for column in columns]
            return model.from_db(self._using, names, [row[name] for name in names]), row
        raise _Blocked("gone", "it is gone already")

    def _collect(self, root: Model) -> None:
        collector: Any = _SeeingCollector(self._using, root, lock=self._lock)
        try:
            collector.collect([root])
        except ProtectedError as error:
            raise _Blocked("protected", f"protected by {_counted(error.protected_objects)}") from error
        except RestrictedError as error:
            raise _Blocked("protected", f"restricted by {_counted(error.restricted_objects)}") from error
        collector.sort()
        self._collector = collector
        self.changed = [
            Changed(instance, column, getattr(instance, column.attname), value)
            for (column, value), groups in collector.field_updates.items()
            for group in groups
            for instance in group
        ]
        self.taken = [
            instance
            for instances in collector.data.values()
            for instance in sorted(instances, key=lambda instance: instance.pk, reverse=True)
        ]

    def _keep(self, root: Model, root_row: dict[str, Any]) -> None:
        """Read every row that goes; a row that a proxy took too is kept once."""
        wanted: dict[type[Model], dict[Any, None]] = {}
        for instance in self.taken:
            wanted.setdefault(concrete(instance), {})[instance.pk] = None
        for model, pks in wanted.items():
            root_pk = getattr(root, model._meta.pk.attname) if isinstance(root, model) else None
            rest = [pk for pk in pks if pk != root_pk]
            found = read(model, kept_fields(model), rest, using=self._using, lock=self._lock)
            rows = {_pk_of(model, row): row for row in found} | {root_pk: root_row}
            for pk in pks:
                if pk not in rows:
                    raise NotPreservable(f"{model._meta.label}:{pk} cannot be read")
                self._kept.append(Kept(model, pk, rows[pk], root=pk == root_pk))
        self.changed = [
            change
            for change in self.changed
            if change.instance.pk not in wanted.get(concrete(change.instance), {})
        ]

    def _left_to_django(self) -> None:
        """Relations that the Collector passes by: their rows would be left dangling, or go unseen."""
        for model, instances in self._collector.data.items():
            relations: Any = get_candidate_relations_to_delete(model._meta) if instances else ()
            for relation in relations:
                on_delete = relation.field.remote_field.on_delete
                by_database = any(on_delete is one for one in _BY_DATABASE)
                if not by_database and on_delete is not DO_NOTHING:
                    continue
                count = self._others(relation, list(instances))
                if count:
                    block_id = "database_cascade" if by_database else "protected"
                    name = getattr(on_delete, "__name__", "")
                    why = f"{count} {relation.related_model._meta.label} point to it with on_delete={name}"
                    raise _Blocked(block_id, why)

    def _others(self, relation: Any, instances: list[Model]) -> int:
        model = relation.related_model
        gone = [kept.pk for kept in self._kept if kept.model is concrete(model)]
        rows: QuerySet[Model] = QuerySet(model, using=self._using)
        return sum(
            len(
                set(
                    rows.filter(**{f"{relation.field.name}__in": instances[start : start + CHUNK]})
                    .order_by()
                    .values_list("pk", flat=True)
                ).difference(gone)
            )
            for start in range(0, len(instances), CHUNK)
        )

    def _left_to_database(self) -> None:
        """Rows that the database itself would delete or change, and that Django does not know to go."""
        by_table = {kept.model._meta.db_table: kept.model for kept in self._kept}
        for rule in database_rules(self._using, frozenset(by_table)):
            parents = [kept for kept in self._kept if kept.model is by_table[rule.parent]]
            reached = sum(
                count_children(rule, parents[start : start + CHUNK], self._using)
                for start in range(0, len(parents), CHUNK)
            )
            if reached > self._known_children(rule, parents):
                raise _Blocked(
                    "database_cascade",
                    f"a foreign key in the database itself (ON DELETE {rule.action}) reaches rows of "
                    f"{rule.child} that could not be kept",
                )

    def _known_children(self, rule: DatabaseRule, parents: list[Kept]) -> int:
        """How many of the rows that a rule reaches are kept anyway. What cannot be told is not known."""
        targets = {_columns(kept.model, kept.values, rule.parent_columns) for kept in parents} - {None}
        gone = {
            (kept.model, kept.pk)
            for kept in self._kept
            if rule.is_child(kept.model) and _columns(kept.model, kept.values, rule.child_columns) in targets
        }
        changed = {
            (change.field.model, change.instance.pk)
            for change in self.changed
            if rule.is_child(change.field.model)
            and rule.child_columns == (change.field.column,)
            and (change.old,) in targets
        }
        return len(gone | changed)

    def _written(self) -> dict[str, Any]:
        """In the order of putting back: what was deleted last comes first."""
        return {
            "format": 1,
            "rows": [
                {
                    "model": kept.model._meta.label,
                    "root": kept.root,
                    "columns": write_row(kept.model, kept.values, using=self._using),
                }
                for kept in reversed(self._kept)
            ],
            "changed": [self._written_change(change) for change in self.changed],
        }

    def _written_change(self, change: Changed) -> dict[str, Any]:
        target = change.field.target_field  # type: ignore[attr-defined]
        new = getattr(change.new, target.attname) if isinstance(change.new, Model) else change.new
        return {
            "model": concrete(change.instance)._meta.label,
            "pk": write_pk(type(change.instance), change.instance.pk, using=self._using),
            "field": change.field.attname,
            "old": encode(change.field, change.old, using=self._using),
            "new": encode(change.field, target.to_python(new), using=self._using),
        }


def _columns(model: type[Model], values: dict[str, Any], columns: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Values by the names of their columns; None when Django does not know such a column."""
    names = {column.column: column.attname for column in kept_fields(model)}
    if not all(column in names for column in columns):
        return None
    return tuple(values[names[column]] for column in columns)


def _pk_of(model: type[Model], row: dict[str, Any]) -> Any:
    parts = tuple(row[part.attname] for part in model._meta.pk_fields)
    return parts if len(parts) > 1 else parts[0]


def _counted(instances: Any) -> str:
    counts = Counter(type(instance)._meta.label for instance in instances)
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))
