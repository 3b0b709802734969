"""Tombstones, written many at a time in the deletion's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, router

from imagesync.models import Tombstone


def write_tombstones(tombstones: Sequence[Tombstone]) -> None:
    """Insert them; they are not given their primary keys.

    psycopg copies rows several times as fast as Django puts an INSERT of them together.
    """
    connection = connections[router.db_for_write(Tombstone)]
    if _can_copy(connection):
        _copy(connection, tombstones)
    else:
        Tombstone.objects.bulk_create(tombstones)


def _can_copy(connection: Any) -> bool:
    if connection.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


def _copy(connection: Any, tombstones: Sequence[Tombstone]) -> None:
    fields = [field for field in Tombstone._meta.local_concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    statement = f"COPY {quote(Tombstone._meta.db_table)} ({columns}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for one in tombstones:
            copy.write_row(
                [field.get_db_prep_save(getattr(one, field.attname), connection) for field in fields]
            )
