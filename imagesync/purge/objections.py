"""What speaks against deleting one record, as far as the database and the settings can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import router
from django.db.models import Model

from imagesync.conf import app_settings
from imagesync.models import Tombstone
from imagesync.purge.copies import NotPreservable, file_fields
from imagesync.purge.lonely import Whole, can_be_lonely, lonely_consequences, lonely_pks, read_whole
from imagesync.purge.rows import Consequences, NamedFile, consequences, own_files
from imagesync.records import Source, Target
from imagesync.records.stream import base_rows
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


def open_cases(target: Target, rows: Sequence[tuple[Model, str]], store: Store) -> list[Case]:
    """Load what deleting each row (of one field, with the audit's key) would do, and say what speaks against it."""
    unchanged = {row.pk: key for row, key in rows if not changed_since(target, row, key, store)}
    alone: dict[Any, Case] = {}
    if unchanged and _may_go_alone(target):
        using = rows[0][0]._state.db or "default"
        whole = list(read_whole(target.model, list(unchanged), using=using))
        alone = open_lonely_cases(target, [(one, unchanged[one.instance.pk]) for one in whole], using=using)
    return [alone.get(row.pk) or open_case(target, row, key, store) for row, key in rows]


def open_lonely_cases(
    target: Target, rows: Sequence[tuple[Whole, str]], *, using: str, lock: bool = False
) -> dict[Any, Case]:
    """By pk, those whose rows would go alone: they can be deleted together (purge/lonely.py).

    The caller has seen that none of them changed since the audit. ``lock`` says that it locked them for a deletion in the
    same transaction.
    """
    if not _may_go_alone(target):
        return {}
    keys = {whole.instance.pk: key for whole, key in rows}
    found = lonely_consequences([whole for whole, _key in rows], using=using, lock=lock)
    return {
        pk: _lonely_case(target, keys[pk], effects)
        for pk, effects in found.items()
        if _can_be_copied(effects)
    }


def _may_go_alone(target: Target) -> bool:
    return target.policy == "delete" and not _elsewhere(target) and can_be_lonely(target.model)


def files_along(target: Target, pks: Sequence[Any]) -> Iterator[NamedFile]:
    """Every file that rows name which deleting these records would take along, but for a record's only one."""
    if target.policy != "delete" or not pks:
        return
    rows = base_rows(target.model)
    alone = lonely_pks(target.model, pks, using=rows.db)
    to_read = pks if len(file_fields(target.model)) > 1 else [pk for pk in pks if pk not in alone]
    for row in rows.filter(pk__in=to_read) if to_read else ():
        yield from own_files(row) if row.pk in alone else consequences(row, using=rows.db).files()


def _can_be_copied(effects: Consequences) -> bool:
    try:
        effects.copy()
    except NotPreservable:
        return False  # the ordinary way meets it again, and tells
    return True


def open_case(target: Target, row: Model, key: str, store: Store, *, lock: bool = False) -> Case:
    """The same for one row, whatever depends on it."""
    objection = changed_since(target, row, key, store) or _elsewhere(target)
    if objection or target.policy != "delete":
        return Case(target, row, key, None, objection)
    return _case(target, row, key, consequences(row, using=row._state.db or "default", lock=lock))


def _case(target: Target, row: Model, key: str, effects: Consequences) -> Case:
    return Case(
        target,
        row,
        key,
        effects,
        effects.blocked or _blocking_receiver(effects),
        _other_files(target, row, effects),
    )


def _lonely_case(target: Target, key: str, effects: Consequences) -> Case:
    """Nothing blocks it: no receiver listens, and what cannot be copied is not among them."""
    row = effects.record
    return Case(target, row, key, effects, other_files=_other_files(target, row, effects))


def _other_files(target: Target, row: Model, effects: Consequences) -> list[NamedFile]:
    return [one for one in effects.files() if not _is_own(one, target, row)]


def _elsewhere(target: Target) -> str:
    """Tombstone and deletion must be one commit, which two databases cannot give."""
    if router.db_for_write(target.model) == router.db_for_write(Tombstone):
        return ""
    return "it is in another database than the tombstones"


def changed_since(target: Target, row: Model, key: str, store: Store) -> str:
    """Why the audit's finding no longer speaks of this row, if so."""
    if target.key_of(stored_name(target, row), store) != key:
        return "its stored name changed since the audit"
    if target.remembers and _seen_elsewhere(getattr(row, "store", ""), store):
        return "it was last seen in another store"
    return ""


def _seen_elsewhere(remembered: str, store: Store) -> bool:
    return remembered not in ("", store.identity.fingerprint)


def stored_name(target: Target, row: Model) -> str:
    return str(getattr(row, target.field.attname) or "")


def not_proven_missing(case: Case, store: Store, proven: Callable[[NamedFile], bool]) -> str:
    """Why the record must stay for the sake of another file, or nothing."""
    for one in case.other_files:
        names = f"another file field, {one.model._meta.label}.{one.field.name}, names an object that"
        if _seen_elsewhere(one.store, store):
            return f"{names} was last seen in another store"
        if not proven(one):
            return f"{names} is not proven missing"
    return ""


def key_in_store(one: NamedFile, source: Source) -> str | None:
    """The exact key of a file in this store; None for a file that is not in it."""
    for target in source.targets:
        if target.model is one.model and target.field.name == one.field.name:
            return target.key_of(one.name, source.store)
    return None


def _is_own(one: NamedFile, target: Target, row: Model) -> bool:
    return one.model is target.model and one.pk == row.pk and one.field.name == target.field.name


def _blocking_receiver(effects: Consequences) -> str:
    blocking: Any = set(app_settings().blocking_receivers) & set(effects.receivers())
    return f"the signal receiver {sorted(blocking)[0]} blocks deletion" if blocking else ""
