"""Tombstones, written many at a time in the deletion's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, router

from imagesync.models import Tombstone


def write_tombstones(tombstones: Sequence[Mapping[str, Any]]) -> None:
    """Insert them, each as its values by attname, all with the same ones; the others are by default, as of now.

    psycopg copies rows several times as fast as Django puts an INSERT of them together.
    """
    connection = connections[router.db_for_write(Tombstone)]
    if _can_copy(connection):
        _copy(connection, tombstones)
    else:
        Tombstone.objects.bulk_create([Tombstone(**values) for values in tombstones])


def _can_copy(connection: Any) -> bool:
    if connection.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


def _copy(connection: Any, tombstones: Sequence[Mapping[str, Any]]) -> None:
    if not tombstones:
        return
    fields = [field for field in Tombstone._meta.local_concrete_fields if not field.primary_key]
    given = [field for field in fields if field.attname in tombstones[0]]
    left = [field for field in fields if field.attname not in tombstones[0]]
    defaults = [field.get_db_prep_save(field.get_default(), connection) for field in left]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in [*given, *left])
    statement = f"COPY {quote(Tombstone._meta.db_table)} ({columns}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for values in tombstones:
            ready = [_ready(field, values[field.attname], connection) for field in given]
            copy.write_row([*ready, *defaults])


def _ready(field: Any, value: Any, connection: Any) -> Any:
    if type(value) in (str, int):  # which a text, or what points to a row, would give back as it is
        return value
    return field.get_db_prep_save(value, connection)
