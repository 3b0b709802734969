"""One row as JSON without loss: microseconds, binary, decimals, uuids, JSON null, whatever a field holds.

``Field.value_to_string`` and ``Field.to_python`` are Django's contract for serialising any field. What was
encoded is decoded and compared at once: what would not come back the same is never deleted.
"""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.db.models import Field, FileField, JSONField, Model, Value


class NotPreservable(Exception):
    """A value that cannot be copied without loss."""

    def __init__(self, model: type[Model], column: Field) -> None:
        super().__init__(
            f"{model._meta.label}.{column.name} holds a value that cannot be copied without loss"
        )


def row_copy(row: Model, connection: Any) -> dict[str, Any]:
    """The row's own columns (a parent's are the parent's row). Raises NotPreservable."""
    values = {}
    for column in own_columns(type(row)):
        value = column.value_from_object(row)
        if isinstance(column, JSONField) and value is None and _is_json_null(row, column):
            value = JSON_NULL
        values[column.attname] = encoded = encode(column, value)
        if not _same(column, value, decode(column, encoded), connection):
            raise NotPreservable(type(row), column)
    return {"model": row._meta.label, "pk": str(row.pk), "values": values}


def own_columns(model: type[Model]) -> list[Field]:
    """The columns of the model's own table that can be written."""
    return [column for column in model._meta.local_concrete_fields if not getattr(column, "generated", False)]


def row_of(copy: dict[str, Any]) -> Model:
    """The instance that a copy describes. Raises LookupError when its model or a column is gone."""
    model = apps.get_model(copy["model"])
    columns = {column.attname: column for column in own_columns(model)}
    for attname in copy["values"]:
        if attname not in columns:
            raise LookupError(f"{copy['model']} no longer has the column {attname!r}")
    return model(**{attname: decode(columns[attname], value) for attname, value in copy["values"].items()})


class _JsonNull:
    """JSON's null, which a column can hold beside SQL's NULL; both load as None."""


JSON_NULL = _JsonNull()


def encode(column: Field, value: Any) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if value is JSON_NULL:
        return {"json": "null"}
    if isinstance(column, FileField):
        return value.name
    if isinstance(column, JSONField):
        return {"json": json.dumps(value, cls=column.encoder)}
    return {"text": column.value_to_string(_Holder(column, value))}


def decode(column: Field, encoded: Any) -> Any:
    if not isinstance(encoded, dict):
        return encoded
    if "text" in encoded:
        return column.to_python(encoded["text"])
    if encoded["json"] == "null":
        return Value(None, column)
    return json.loads(encoded["json"], cls=getattr(column, "decoder", None))


class _Holder:
    """An object with one attribute, for ``value_to_string``."""

    def __init__(self, column: Field, value: Any) -> None:
        setattr(self, column.attname, value)


def _is_json_null(row: Model, column: Field) -> bool:
    same = type(row)._base_manager.using(row._state.db).filter(pk=row.pk)
    return not same.filter(**{f"{column.name}__isnull": True}).exists()


def _same(column: Field, value: Any, decoded: Any, connection: Any) -> bool:
    if value is JSON_NULL:
        return isinstance(decoded, Value)
    if _plain(value) == _plain(decoded):
        return True
    prepared = [column.get_db_prep_save(one, connection) for one in (value, decoded)]
    return bool(prepared[0] == prepared[1])


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, float):
        return repr(value)  # nan is not equal to itself
    return getattr(value, "name", value) if hasattr(value, "storage") else value
