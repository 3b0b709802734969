"""Rows as text, without loss; and back into the database, all of them or none.

A row is written column by column as its own table has it (a multi-table child and its parent are two rows).
``rows.py`` writes such texts before it deletes; here they are read, and nothing that exists is overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, models, transaction
from django.db.models import F, Field, Model, Q, QuerySet, Value
from django.db.models.functions import Cast

CHUNK = 500
_EXACT = "imagesync_exact_"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why something cannot be put back, or (not ``fatal``) what was left as somebody else changed it."""

    record: str
    """``app.Model:pk``"""
    why: str
    fatal: bool = True


class NotPreservable(Exception):
    """A value, named by the message, that would not come back as it is."""


# --- reading and writing values ------------------------------------------------------------------------


def concrete(model: Model | type[Model]) -> type[Model]:
    """The model that has the table, behind a proxy."""
    found: Any = model._meta.concrete_model
    return found  # type: ignore[no-any-return]


def kept_fields(model: type[Model]) -> list[Field[Any, Any]]:
    """The columns of a model's own table; what the database computes is not kept."""
    return [field for field in concrete(model)._meta.local_concrete_fields if not field.generated]


def read(
    model: type[Model],
    fields: Collection[Field[Any, Any]],
    pks: Collection[Any],
    *,
    using: str,
    lock: bool = False,
) -> Iterator[dict[str, Any]]:
    """Values of rows by attname, as the database has them: no instance is made whose hooks change a value."""
    exact: dict[str, Any] = {}
    for field in fields:
        if isinstance(field, models.JSONField):  # Python knows no two nulls, and rounds numbers
            exact[_EXACT + field.attname] = Cast(F(field.attname), models.TextField())
        elif isinstance(field, models.DecimalField) and connections[using].vendor == "sqlite":  # it rounds
            exact[_EXACT + field.attname] = Cast(F(field.attname), models.FloatField())
    queryset = model._base_manager.using(using).select_related(None).order_by()
    if lock:
        queryset = queryset.select_for_update()
    pending = list(pks)
    for start in range(0, len(pending), CHUNK):
        found = queryset.filter(pk__in=pending[start : start + CHUNK])
        yield from found.values(*(field.attname for field in fields), **exact)


def write_row(model: type[Model], row: Mapping[str, Any], *, using: str) -> dict[str, Any]:
    """A row as JSON can hold it. Raises NotPreservable when it would not come back the same."""
    return {
        field.attname: encode(field, row[field.attname], using=using, exact=row.get(_EXACT + field.attname))
        for field in kept_fields(model)
    }


def encode(field: Field[Any, Any], value: Any, *, using: str, exact: Any = None) -> Any:
    """A value as JSON can hold it; anything but null, bool, int and str is tagged with how to read it."""
    try:
        if isinstance(field, models.JSONField):
            written = None if exact is None else {"json": exact}
        elif value is None or type(value) in (bool, int, str):
            written = value
        else:
            own = _own_field(field)
            written = {"text": own.value_to_string(SimpleNamespace(**{own.attname: value}))}
        comes_back = _comes_back(field, value, written, exact, using)
    except Exception as error:  # a field may raise anything: what cannot be written is not deleted
        raise NotPreservable(f"{field.model._meta.label}.{field.name}: {error}") from error
    if not comes_back:
        raise NotPreservable(
            f"{field.model._meta.label}.{field.name}: its value does not survive a round trip"
        )
    return written


def decode(field: Field[Any, Any], written: Any) -> Any:
    """The value that ``encode`` wrote."""
    if not isinstance(written, dict):
        return written
    if isinstance(field, models.JSONField):
        return json.loads(written["json"], cls=field.decoder)
    value = _own_field(field).to_python(written["text"])
    return bytes(value) if isinstance(value, memoryview) else value


def _own_field(field: Any) -> Any:
    """The field that knows the type of the column: a foreign key's is the one that it points to."""
    while field.remote_field is not None:
        field = field.target_field
    return field


def _comes_back(field: Any, value: Any, written: Any, exact: Any, using: str) -> bool:
    back = decode(field, written)
    if isinstance(field, models.JSONField):
        json.dumps(back, cls=field.encoder)  # it is inserted as Python has it, before its text replaces it
        return True
    prepared = field.get_db_prep_save(back, connections[using])
    if exact is not None and float(prepared) != exact:
        return False
    if not isinstance(written, dict):
        return True  # the very same value
    before, after = _plain(field.get_db_prep_save(value, connections[using])), _plain(prepared)
    return bool(before == after) or repr(before) == repr(after)  # NaN is not equal to itself


def _plain(prepared: Any) -> Any:
    """What a database driver wrapped, in a form that can be compared."""
    if isinstance(prepared, list | tuple):
        return [_plain(one) for one in prepared]
    prepared = getattr(prepared, "obj", prepared)
    return bytes(prepared) if isinstance(prepared, memoryview | bytearray) else prepared


def write_pk(model: type[Model], pk: Any, *, using: str) -> list[Any]:
    fields = model._meta.pk_fields
    return [
        encode(field, part, using=using)
        for field, part in zip(fields, pk if len(fields) > 1 else [pk], strict=True)
    ]


def clear_copy(record: Model, field: Field[Any, Any], *, using: str | None = None) -> str:
    """The text for a field about to be emptied: the one value. It goes back only where it is still empty."""
    using = using or record._state.db or "default"
    value = getattr(record, field.attname)
    name = None if value is None else getattr(value, "name", value)
    cleared = {
        "model": concrete(record)._meta.label,
        "pk": write_pk(type(record), record.pk, using=using),
        "field": field.attname,
        "old": encode(field, name, using=using),
        "new": None,
        "cleared": True,
    }
    return json.dumps({"format": 1, "rows": [], "changed": [cleared]})


# --- putting back --------------------------------------------------------------------------------------


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


def preview(text: str, *, using: str, overrides: Mapping[str, Any] | None = None) -> list[Conflict]:
    """What ``put_back`` would answer, by doing it in a savepoint that is always rolled back."""
    with transaction.atomic(using=using):
        conflicts = put_back(text, using=using, overrides=overrides, signals=False)
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
                    field, found[field.attname], using=self.using, exact=found.get(_EXACT + field.attname)
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


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
