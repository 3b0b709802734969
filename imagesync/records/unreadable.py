"""Names that a SQLite database holds and Python cannot read: SQLite stores any bytes as text.

One such row would end every query that fetches it ("Could not decode to UTF-8"), so they are kept out of the ordinary
queries and reported under a readable form. PostgreSQL refuses such text when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.models import BinaryField, BooleanField, F, Func, Model, QuerySet
from django.db.models.functions import Cast

_FUNCTION = "imagesync_is_utf8"


def readable(rows: QuerySet[Any], column: str) -> QuerySet[Any]:
    """``rows`` without those whose ``column`` is not valid UTF-8."""
    return rows.filter(_is_utf8_in_sql(rows, column)) if _can_be_unreadable(rows) else rows


def unreadable_names(rows: QuerySet[Any], column: str) -> Iterator[tuple[Any, str]]:
    """(pk, name with ``\\xff`` for what is no UTF-8) of the other rows."""
    if not _can_be_unreadable(rows):
        return
    others = rows.order_by("pk").exclude(_is_utf8_in_sql(rows, column))
    for pk, name in others.annotate(name_bytes=_bytes_of(column)).values_list("pk", "name_bytes"):
        yield pk, bytes(name).decode("utf-8", "backslashreplace")


def _can_be_unreadable(rows: QuerySet[Model]) -> bool:
    return connections[rows.db].vendor == "sqlite"


def _is_utf8_in_sql(rows: QuerySet[Model], column: str) -> Func:
    connection = connections[rows.db]
    connection.ensure_connection()
    connection.connection.create_function(_FUNCTION, 1, _is_utf8, deterministic=True)
    return Func(_bytes_of(column), function=_FUNCTION, output_field=BooleanField())


def _bytes_of(column: str) -> Cast:
    return Cast(F(column), BinaryField())


def _is_utf8(name: bytes | None) -> bool:
    try:
        return name is None or bytes(name).decode("utf-8") is not None
    except UnicodeDecodeError:
        return False
