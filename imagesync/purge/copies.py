"""Rows as text, without loss: read as the database has them, written column by column, and back.

A row is written as its own table has it (a multi-table child and its parent are two rows). What would not
come back as it is raises NotPreservable, and its record is not deleted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from django.db import connections, models
from django.db.models import F, Field, FileField, Model
from django.db.models.functions import Cast

CHUNK = 500
EXACT = "imagesync_exact_"


class NotPreservable(Exception):
    """A value, named by the message, that would not come back as it is."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that goes, as its own table has it. A multi-table child and its parent are two."""

    model: type[Model]
    pk: Any
    values: dict[str, Any]
    root: bool
    """Whether it is the record itself, or a parent's half of it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A value of a row that stays, which the deletion sets (SET_NULL, SET_DEFAULT, SET)."""

    instance: Model
    field: Field[Any, Any]
    old: Any
    new: Any


def concrete(model: Model | type[Model]) -> type[Model]:
    """The model that has the table, behind a proxy."""
    found: Any = model._meta.concrete_model
    return found  # type: ignore[no-any-return]


@cache
def kept_fields(model: type[Model]) -> Sequence[Field[Any, Any]]:
    """The columns of a model's own table; what the database computes is not kept."""
    return [field for field in concrete(model)._meta.local_concrete_fields if not field.generated]


@cache
def kept_files(model: type[Model]) -> Sequence[FileField]:
    """Those columns of a model's own table that name an object."""
    return [field for field in kept_fields(model) if isinstance(field, FileField)]


@cache
def file_fields(model: type[Model]) -> Sequence[FileField]:
    """The same of its parents' tables too."""
    return [field for field in model._meta.concrete_fields if isinstance(field, FileField)]


def read(
    model: type[Model],
    fields: Collection[Field[Any, Any]],
    pks: Collection[Any],
    *,
    using: str,
    lock: bool = False,
) -> Iterator[dict[str, Any]]:
    """Values of rows by attname, as the database has them: no instance is made whose hooks change a value.

    ``lock`` locks them, each chunk in the order of its primary keys.
    """
    exact: dict[str, Any] = {}
    for field in fields:
        if isinstance(field, models.JSONField):  # Python knows no two nulls, and rounds numbers
            exact[EXACT + field.attname] = Cast(F(field.attname), models.TextField())
        elif isinstance(field, models.DecimalField) and connections[using].vendor == "sqlite":  # it rounds
            exact[EXACT + field.attname] = Cast(F(field.attname), models.FloatField())
    queryset = model._base_manager.using(using).select_related(None).order_by()
    if lock:
        queryset = queryset.order_by("pk").select_for_update()
    pending = list(pks)
    for start in range(0, len(pending), CHUNK):
        found = queryset.filter(pk__in=pending[start : start + CHUNK])
        yield from found.values(*(field.attname for field in fields), **exact)


def instance_of(model: type[Model], row: Mapping[str, Any], *, using: str) -> Model:
    """What a query would make of a row, of which ``read`` gave all concrete fields: the same values, by the same hook."""
    names = [column.attname for column in model._meta.concrete_fields]
    return model.from_db(using, names, [row[name] for name in names])


def _write_row(model: type[Model], row: Mapping[str, Any], *, using: str) -> dict[str, Any]:
    """A row as JSON can hold it. Raises NotPreservable when it would not come back the same."""
    return {
        field.attname: encode(field, row[field.attname], using=using, exact=row.get(EXACT + field.attname))
        for field in kept_fields(model)
    }


def encode(field: Field[Any, Any], value: Any, *, using: str, exact: Any = None) -> Any:
    """A value as JSON can hold it; anything but null, bool, int and str is tagged with how to read it."""
    try:
        if isinstance(field, models.JSONField):
            written = None if exact is None else {"json": exact}
        elif value is None or type(value) in (bool, int, str):
            return value  # the very same comes back
        elif text := _moment(field, value):
            return {"text": text}
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


def _moment(field: Field[Any, Any], value: Any) -> str:
    """What a plain DateTimeField writes and reads, without asking it: an image has four of them. Empty for all else."""
    if type(field) is not models.DateTimeField or type(value) is not datetime or value.tzinfo is None:
        return ""
    text = value.isoformat()
    return text if datetime.fromisoformat(text) == value else ""


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
    before, after = _plain(field.get_db_prep_save(value, connections[using])), _plain(prepared)
    return bool(before == after) or repr(before) == repr(after)  # NaN is not equal to itself


def _plain(prepared: Any) -> Any:
    """What a database driver wrapped, in a form that can be compared."""
    if isinstance(prepared, list | tuple):
        return [_plain(one) for one in prepared]
    prepared = getattr(prepared, "obj", prepared)
    return bytes(prepared) if isinstance(prepared, memoryview | bytearray) else prepared


def _write_pk(model: type[Model], pk: Any, *, using: str) -> list[Any]:
    fields = model._meta.pk_fields
    return [
        encode(field, part, using=using)
        for field, part in zip(fields, pk if len(fields) > 1 else [pk], strict=True)
    ]


def rows_copy(kept: Sequence[Kept], changed: Sequence[Changed], *, using: str) -> str:
    """The text for rows that go and values that are set, in the order of putting back: what was deleted last comes first."""
    rows = [
        {
            "model": one.model._meta.label,
            "root": one.root,
            "columns": _write_row(one.model, one.values, using=using),
        }
        for one in reversed(kept)
    ]
    return json.dumps(
        {"format": 1, "rows": rows, "changed": [_written_change(change, using) for change in changed]}
    )


def _written_change(change: Changed, using: str) -> dict[str, Any]:
    target = change.field.target_field  # type: ignore[attr-defined]
    new = getattr(change.new, target.attname) if isinstance(change.new, Model) else change.new
    return {
        "model": concrete(change.instance)._meta.label,
        "pk": _write_pk(type(change.instance), change.instance.pk, using=using),
        "field": change.field.attname,
        "old": encode(change.field, change.old, using=using),
        "new": encode(change.field, target.to_python(new), using=using),
    }


def clear_copy(record: Model, field: Field[Any, Any], *, using: str | None = None) -> str:
    """The text for a field about to be emptied: the one value. It goes back only where it is still empty."""
    using = using or record._state.db or "default"
    value = getattr(record, field.attname)
    name = None if value is None else getattr(value, "name", value)
    cleared = {
        "model": concrete(record)._meta.label,
        "pk": _write_pk(type(record), record.pk, using=using),
        "field": field.attname,
        "old": encode(field, name, using=using),
        "new": None,
        "cleared": True,
    }
    return json.dumps({"format": 1, "rows": [], "changed": [cleared]})
