"""Put the rows of one tombstone back: all of them, as they were, or none; nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import IntegrityError, connections, transaction
from django.db.models import ForeignKey, Model

from imagesync.purge.copies import decode, row_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    record: str
    """``app.Model:pk``"""
    why: str
    fatal: bool
    """Whether it keeps the whole tombstone from coming back."""


def put_back(text: str, *, using: str, overrides: Mapping[str, Any] | None = None) -> list[Conflict]:
    """Put back what ``Consequences.copy`` or ``clear_copy`` kept; ``overrides`` are set on the record itself.

    With any fatal conflict nothing is changed. Rows that the deletion only changed get their old value back
    if they still hold the value that it left; if not, that is a conflict too, not a fatal one.
    """
    document = json.loads(text)
    conflicts: list[Conflict] = []
    try:
        with transaction.atomic(using=using):
            _insert_all(document, using, dict(overrides or {}), conflicts)
            _change_all_back(document, using, dict(overrides or {}), conflicts)
            if any(conflict.fatal for conflict in conflicts):
                raise _Undo
            _check_now(using)
    except _Undo:
        pass
    except IntegrityError as error:
        root = document["root"]
        detail = (str(error).splitlines() or [""])[0]
        conflicts.append(
            Conflict(
                record=f"{root['model']}:{root['pk']}", why=f"the database refuses it: {detail}", fatal=True
            )
        )
    return conflicts


class _Undo(Exception):
    """Rolls the savepoint back."""


def _insert_all(document: Any, using: str, overrides: dict[str, Any], conflicts: list[Conflict]) -> None:
    rows: list[Model] = []
    for copy in document["taken"]:
        record = f"{copy['model']}:{copy['pk']}"
        try:
            row = row_of(copy)
        except LookupError as error:
            conflicts.append(Conflict(record=record, why=str(error), fatal=True))
            continue
        if type(row)._base_manager.using(using).filter(pk=row.pk).exists():
            conflicts.append(
                Conflict(record=record, why="a row with its primary key exists already", fatal=True)
            )
            continue
        if copy["model"] == document["root"]["model"] and copy["pk"] == document["root"]["pk"]:
            _override(row, overrides)
        rows.append(row)
    coming = {(type(row), row.pk) for row in rows}
    for row in rows:
        conflicts += _missing_parents(row, coming, using)
    if any(conflict.fatal for conflict in conflicts):
        return
    for row in rows:
        # raw: no auto_now, no pre_save, no parent is touched; only what was copied is written
        row.save_base(raw=True, force_insert=True, using=using)


def _override(row: Model, overrides: dict[str, Any]) -> None:
    own = {column.attname for column in row._meta.local_concrete_fields}
    for attname, value in overrides.items():
        if attname in own:
            setattr(row, attname, value)


def _missing_parents(row: Model, coming: set[tuple[type[Model], Any]], using: str) -> list[Conflict]:
    missing = []
    for column in row._meta.local_concrete_fields:
        if not isinstance(column, ForeignKey) or not column.db_constraint:
            continue
        value = getattr(row, column.attname)
        target = column.remote_field.model
        if value is None or any(model is target and pk == value for model, pk in coming):
            continue
        lookup = {column.target_field.attname: value}
        if not target._base_manager.using(using).filter(**lookup).exists():
            why = f"the {target._meta.label} that its {column.name} names ({value}) no longer exists"
            missing.append(Conflict(record=f"{row._meta.label}:{row.pk}", why=why, fatal=True))
    return missing


def _change_all_back(document: Any, using: str, overrides: dict[str, Any], conflicts: list[Conflict]) -> None:
    for change in document["changed"]:
        record = f"{change['model']}:{change['pk']}"
        try:
            model = apps.get_model(change["model"])
            column = next(one for one in model._meta.concrete_fields if one.attname == change["attname"])
        except (LookupError, StopIteration):
            conflicts.append(
                Conflict(record=record, why="its model or column is gone", fatal=change["fatal"])
            )
            continue
        old, new = decode(column, change["old"]), decode(column, change["new"])
        rows = model._base_manager.using(using).filter(pk=model._meta.pk.to_python(change["pk"]))
        still = rows.filter(**{f"{column.attname}__isnull": True} if new is None else {column.attname: new})
        own = {one.attname for one in model._meta.concrete_fields}
        more = {name: value for name, value in overrides.items() if name in own} if change["fatal"] else {}
        if not still.update(**{column.attname: old, **more}):
            why = f"its {column.name} was changed since" if rows.exists() else "it was deleted since"
            conflicts.append(Conflict(record=record, why=why, fatal=change["fatal"]))


def _check_now(using: str) -> None:
    """Foreign keys are checked at commit only; have PostgreSQL check them here, where it can be told."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        connection.check_constraints()
