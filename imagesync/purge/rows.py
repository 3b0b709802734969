"""What deleting one record would take along: collected, read as the database has it, and deleted.

Django's Collector says what goes. It is not allowed to delete anything unseen; what it would leave to the database is
in purge/unseen.py, and how rows are written as text in purge/copies.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, IntegrityError, connections
from django.db.models import FileField, Model, ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import Collector

from imagesync.purge.copies import (
    Changed,
    Kept,
    NotPreservable,
    concrete,
    file_fields,
    instance_of,
    kept_fields,
    kept_files,
    read,
    rows_copy,
)
from imagesync.purge.unseen import Blocked, block_left_to_database, block_left_to_django
from imagesync.records.receivers import deletion_receivers
from imagesync.records.targets import remembers_verdicts


class RowsChanged(IntegrityError):
    """What a deletion would take along is not any more what was copied; look again."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """An object that a row names. ``model`` is the one whose table has the column."""

    model: type[Model]
    pk: Any
    field: FileField
    name: str
    store: str = ""
    """Fingerprint of the store that it was last seen in, where its row remembers one."""


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
    model = concrete(record)
    for column in file_fields(type(record)):
        if name := str(getattr(record, column.attname) or ""):
            store = getattr(record, "store", "") if remembers_verdicts(model, column) else ""
            yield NamedFile(model, record.pk, column, name, store)


def consequences(record: Model, *, using: str, lock: bool = False) -> Consequences:
    """Load what deleting ``record`` would do, from the database and not from the instance. Read only.

    ``lock`` locks the rows (SELECT FOR UPDATE) for a deletion in the same transaction, where the database
    can; without it ``execute`` looks again.
    """
    found = Consequences(record, using, lock=lock and connections[using].features.has_select_for_update)
    try:
        found._look()
    except Blocked as blocked:
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
    def of_one(cls, record: Model, row: dict[str, Any], *, using: str, lock: bool) -> Consequences:
        """Of a record whose deletion touches nothing else (purge/lonely.py); it is copied when somebody asks."""
        found = cls(record, using, lock=lock)
        found.taken = [record]
        found._kept = [Kept(concrete(record), record.pk, row, root=True)]
        return found

    def cascades(self) -> dict[str, int]:
        """How many rows of each model go along or are changed, the record itself left out."""
        gone = [kept.model._meta.label for kept in self._kept if not kept.root]
        changed = {(concrete(change.instance), change.instance.pk) for change in self.changed}
        return dict(sorted(Counter([*gone, *(model._meta.label for model, _pk in changed)]).items()))

    def files(self) -> list[NamedFile]:
        """Every object that a row which goes names."""
        return [
            NamedFile(
                kept.model,
                kept.pk,
                column,
                kept.values[column.attname],
                kept.values.get("store", "") if remembers_verdicts(kept.model, column) else "",
            )
            for kept in self._kept
            for column in kept_files(kept.model)
            if kept.values[column.attname]
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
            self._copy = rows_copy(self._kept, self.changed, using=self._using)
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
            for column in file_fields(type(instance)):
                # past the descriptor: an image's would look at the file
                instance.__dict__[column.attname] = None if column.null else ""

    def _look(self) -> None:
        try:
            root, row = self._load()
            self._collect(root)
            self._keep(root, row)
            block_left_to_database(self._kept, self.changed, self._using)
            block_left_to_django(self._kept, self._collector.data, self._using)
            self._copy = rows_copy(self._kept, self.changed, using=self._using)
        except (Blocked, DatabaseError):
            raise
        except NotPreservable as error:
            raise Blocked("not_preservable", f"it could not be put back without loss: {error}") from error
        except Exception as error:  # a hook or a field of a model, e.g. an image field that opens its file
            why = f"a row that goes along cannot be read: {type(error).__name__}: {error}"
            raise Blocked("not_preservable", why) from error

    def _load(self) -> tuple[Model, dict[str, Any]]:
        """The record and its values, by one query, whatever was changed or deferred on the instance."""
        model = type(self.record)
        columns = model._meta.concrete_fields
        for row in read(model, columns, [self.record.pk], using=self._using, lock=self._lock):
            return instance_of(model, row, using=self._using), row
        raise Blocked("gone", "it is gone already")

    def _collect(self, root: Model) -> None:
        collector: Any = _SeeingCollector(self._using, root, lock=self._lock)
        try:
            collector.collect([root])
        except ProtectedError as error:
            raise Blocked("protected", f"protected by {_counted(error.protected_objects)}") from error
        except RestrictedError as error:
            raise Blocked("protected", f"restricted by {_counted(error.restricted_objects)}") from error
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


def _pk_of(model: type[Model], row: dict[str, Any]) -> Any:
    parts = tuple(row[part.attname] for part in model._meta.pk_fields)
    return parts if len(parts) > 1 else parts[0]


def _counted(instances: Any) -> str:
    counts = Counter(type(instance)._meta.label for instance in instances)
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))
