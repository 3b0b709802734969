"""Kept rows back into the database, all of one text or none; nothing that exists is overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, models, transaction
from django.db.models import Field, Model, Q, QuerySet, Value
from django.db.models.functions import Cast

from imagesync.models.broken_off import was_broken_off
from imagesync.purge.copies import EXACT, decode, encode, kept_fields, read


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why something cannot be put back, or (not ``fatal``) what was left as somebody else changed it."""

    record: str
    """``app.Model:pk``"""
    why: str
    fatal: bool = True


def put_back(
    text: str, *, using: str, overrides: Mapping[str, Any] | None = None, signals: bool = True
) -> list[Conflict]:
    """Put all rows of a text back, or none when a conflict is fatal; nothing is ever overwritten.

    ``overrides`` are values by attname for the record itself. ``signals=False`` keeps ``pre_save`` and
    ``post_save`` (sent with ``raw=True``) from receivers, for a look that will be rolled back.
    """
    with transaction.atomic(using=using):
        conflicts = list(_Return(json.loads(text), using, overrides or {}, signals).run())
        if any(conflict.fatal for conflict in conflicts):
            transaction.set_rollback(True, using=using)
    return conflicts


@dataclass
class _Row:
    model: type[Model]
    written: dict[str, Any]
    values: dict[str, Any]

    @property
    def pk(self) -> Any:
        parts = tuple(self.values[field.attname] for field in self.model._meta.pk_fields)
        return parts if len(parts) > 1 else parts[0]

    @property
    def label(self) -> str:
        return f"{self.model._meta.label}:{self.pk}"


class _Return:
    """One text on its way back. Each step says what is in the way; a fatal conflict ends it after its step."""

    def __init__(self, kept: dict[str, Any], using: str, overrides: Mapping[str, Any], signals: bool) -> None:
        self.kept = kept
        self.using = using
        self.overrides = overrides
        self.signals = signals
        self.rows: list[_Row] = []

    def run(self) -> Iterator[Conflict]:
        for step in (self._read, self._find_existing, self._insert, self._settle, self._change, self._check):
            conflicts = list(step())
            yield from conflicts
            if any(conflict.fatal for conflict in conflicts):
                return

    def _all(self, model: type[Model]) -> QuerySet[Model]:
        return QuerySet(model, using=self.using)  # also what the model's managers hide

    def _read(self) -> Iterator[Conflict]:
        for entry in self.kept["rows"]:
            try:
                self.rows.append(self._row(entry))
            except (LookupError, FieldDoesNotExist) as error:
                yield Conflict(f"{entry['model']}:?", f"the models changed since: {error}")
            except Exception as error:  # noqa: BLE001 - a field may raise anything
                yield Conflict(f"{entry['model']}:?", f"its copy cannot be read: {error}")

    def _row(self, entry: dict[str, Any]) -> _Row:
        model = apps.get_model(entry["model"])
        written = dict(entry["columns"])
        own = {field.attname: field for field in model._meta.local_concrete_fields}
        for name in written:
            if name not in own:
                raise FieldDoesNotExist(f"{entry['model']} has no column {name!r} now")
        if entry["root"]:
            for name in self.overrides.keys() & written.keys():
                written[name] = encode(own[name], self.overrides[name], using=self.using)
        return _Row(model, written, {name: decode(own[name], value) for name, value in written.items()})

    def _find_existing(self) -> Iterator[Conflict]:
        for row in self.rows:
            if self._all(row.model).filter(pk=row.pk).exists():
                yield Conflict(row.label, "exists already")

    def _insert(self) -> Iterator[Conflict]:
        for row in self.rows:
            try:
                with transaction.atomic(using=self.using):
                    self._insert_one(row)
            except Exception as error:  # noqa: BLE001 - the database, or any receiver; nothing goes back then
                _raise_if_broken_off(error)
                yield Conflict(row.label, _said(error))

    def _insert_one(self, row: _Row) -> None:
        instance = row.model()
        instance.__dict__.update(row.values)  # past descriptors: an image field's would open the file
        for field in kept_fields(row.model):
            if isinstance(field, models.JSONField) and row.written.get(field.attname) == {"json": "null"}:
                instance.__dict__[field.attname] = _exact(field, {"json": "null"})
        if self.signals:
            instance.save_base(raw=True, force_insert=True, using=self.using)
        else:
            instance._save_table(  # type: ignore[attr-defined]  # what save_base does between its signals
                raw=True, cls=row.model, force_insert=True, using=self.using
            )

    def _settle(self) -> Iterator[Conflict]:
        """See that each row is there as it was; Django writes some values its own way (NULL in file fields)."""
        for row in self.rows:
            wrong = self._wrong(row)
            if wrong:
                exact = {field.attname: _exact(field, row.written[field.attname]) for field in wrong}
                self._all(row.model).filter(pk=row.pk).update(**exact)
                for field in self._wrong(row):
                    yield Conflict(row.label, f"the database does not take {field.name} back as it was")

    def _wrong(self, row: _Row) -> list[Field[Any, Any]]:
        fields = [field for field in kept_fields(row.model) if field.attname in row.written]
        for found in read(row.model, fields, [row.pk], using=self.using):
            return [
                field
                for field in fields
                if encode(
                    field, found[field.attname], using=self.using, exact=found.get(EXACT + field.attname)
                )
                != row.written[field.attname]
            ]
        return []

    def _change(self) -> Iterator[Conflict]:
        for entry in self.kept["changed"]:
            record = f"{entry['model']}:{entry['pk'][0] if len(entry['pk']) == 1 else entry['pk']}"
            try:
                why, fatal = self._change_back(entry), bool(entry.get("cleared"))
            except (LookupError, FieldDoesNotExist) as error:
                why, fatal = f"the models changed since: {error}", True
            except DatabaseError as error:
                _raise_if_broken_off(error)
                why, fatal = _said(error), bool(entry.get("cleared"))
            if why:
                yield Conflict(record, why, fatal=fatal)

    def _change_back(self, entry: dict[str, Any]) -> str:
        """Set one value again where it still is what the deletion left; or say why not."""
        model = apps.get_model(entry["model"])
        own = {field.attname: field for field in model._meta.concrete_fields}
        if entry["field"] not in own:
            raise FieldDoesNotExist(f"{entry['model']} has no column {entry['field']!r} now")
        field = own[entry["field"]]
        pk = [decode(part, one) for part, one in zip(model._meta.pk_fields, entry["pk"], strict=True)]
        row = self._all(model).filter(pk=pk[0] if len(pk) == 1 else tuple(pk))
        new = decode(field, entry["new"])
        as_left = Q(**{f"{field.attname}__isnull": True}) if new is None else Q(**{field.attname: new})
        values = {field.attname: decode(field, entry["old"])}
        if entry.get("cleared"):
            as_left |= Q(**{field.attname: ""})
            values |= {name: value for name, value in self.overrides.items() if name in own}
        with transaction.atomic(using=self.using):
            if row.filter(as_left).update(**values):
                return ""
        return f"{field.name} was changed since" if row.exists() else "does not exist any more"

    def _check(self) -> Iterator[Conflict]:
        """Force the foreign keys that would else be looked at only when the transaction commits."""
        conflicts = [
            Conflict(row.label, f"{field.name} points to {parent}, which does not exist")
            for row in self.rows
            for field, parent in self._missing_parents(row)
        ]
        yield from conflicts
        if not conflicts and self.rows:
            try:
                with transaction.atomic(using=self.using):
                    tables = {row.model._meta.db_table for row in self.rows}
                    connections[self.using].check_constraints(table_names=sorted(tables))
            except DatabaseError as error:
                _raise_if_broken_off(error)
                yield Conflict(self.rows[-1].label, _said(error))

    def _missing_parents(self, row: _Row) -> Iterator[tuple[Any, str]]:
        fields: Any = row.model._meta.local_concrete_fields
        for field in fields:
            value = row.values.get(field.attname)
            if value is None or not getattr(field, "db_constraint", False):
                continue
            parent = field.target_field
            if not self._all(parent.model).filter(**{parent.attname: value}).exists():
                yield field, f"{parent.model._meta.label}:{value}"


def _exact(field: Field[Any, Any], written: Any) -> Any:
    """What sets a column to exactly what was written."""
    if isinstance(field, models.JSONField) and written is not None:
        text = Value(written["json"], output_field=models.TextField())
        return Cast(text, models.JSONField())
    return decode(field, written)


def _raise_if_broken_off(error: Exception) -> None:
    """The database's word about somebody else's locks is no conflict: the whole is done once more."""
    if was_broken_off(error):
        raise error


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
