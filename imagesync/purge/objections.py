"""What speaks against deleting one record, as far as the database and the settings can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import router
from django.db.models import FileField, Model

from imagesync.conf import app_settings
from imagesync.models import Tombstone
from imagesync.purge.rows import Consequences, NamedFile, consequences
from imagesync.records import Source, Target
from imagesync.storage.store import Store


@dataclass(frozen=True)
class Case:
    """One record that might go, with everything that its deletion would take along."""

    target: Target
    row: Model
    key: str
    effects: Consequences | None
    """None for the action ``clear``: nothing goes but a value."""
    objection: str = ""
    other_files: list[NamedFile] = field(default_factory=list)
    """Other files that the rows name; each must be proven missing too."""


def open_case(target: Target, row: Model, key: str, store: Store, *, lock: bool = False) -> Case:
    """Load what deleting ``row`` would do, and say what speaks against it.

    ``lock`` holds the rows for a deletion in the same transaction.
    """
    objection = changed_since(target, row, key, store) or _elsewhere(target)
    if objection or target.policy != "delete":
        return Case(target, row, key, None, objection)
    effects = consequences(row, using=row._state.db or "default", lock=lock)
    others = [one for one in effects.files() if not _is_own(one, target, row)]
    return Case(target, row, key, effects, effects.blocked or _blocking_receiver(effects), others)


def _elsewhere(target: Target) -> str:
    """Tombstone and deletion must be one commit, which two databases cannot give."""
    if router.db_for_write(target.model) == router.db_for_write(Tombstone):
        return ""
    return "it is in another database than the tombstones"


def changed_since(target: Target, row: Model, key: str, store: Store) -> str:
    """Why the audit's finding no longer speaks of this row, if so."""
    if store.key_for(stored_name(target, row)) != key:
        return "its stored name changed since the audit"
    if target.remembers and getattr(row, "store", "") not in ("", store.identity.fingerprint):
        return "it was last seen in another store"
    return ""


def stored_name(target: Target, row: Model) -> str:
    return str(getattr(row, target.field.attname) or "")


def not_proven_missing(case: Case, proven: Callable[[NamedFile], bool]) -> str:
    """Why the record must stay for the sake of another file, or nothing."""
    for one in case.other_files:
        if not proven(one):
            label = f"{one.model._meta.label}.{one.field.name}"
            return f"another file field, {label}, names an object that is not proven missing"
    return ""


def other_keys(case: Case, source: Source) -> Iterator[tuple[NamedFile, str | None]]:
    """The exact keys of the other files in this store; None for a file that is not in it."""
    for one in case.other_files:
        yield one, key_in_store(one.model, one.field, one.name, source)


def key_in_store(model: type[Model], file_field: FileField, name: str, source: Source) -> str | None:
    here = any(target.model is model and target.field.name == file_field.name for target in source.targets)
    return source.store.key_for(name) if here else None


def _is_own(one: NamedFile, target: Target, row: Model) -> bool:
    return one.model is target.model and one.pk == row.pk and one.field.name == target.field.name


def _blocking_receiver(effects: Consequences) -> str:
    blocking: Any = set(app_settings().blocking_receivers) & set(effects.receivers())
    return f"the signal receiver {sorted(blocking)[0]} blocks deletion" if blocking else ""
