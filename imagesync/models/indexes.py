"""Indexes that are built without locking the table.

``Index(Collate(..., "C"))`` does not exist on SQLite, and a language's collation is not S3's order, so this
is an operation of its own, for our migrations and for those of models made from ``AbstractImage``.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, router
from django.db.backends.utils import truncate_name
from django.db.migrations.operations import AddIndex
from django.db.migrations.operations.base import Operation

_COLLATIONS = {"postgresql": '"C"', "sqlite": "BINARY"}

# an index of another collation is of no use to a query of this one, even where both order alike
_INDEXED_ON_POSTGRESQL = """
    SELECT 1 FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relam AND amname = 'btree'
    JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    JOIN pg_collation ON pg_collation.oid = indcollation[0] AND collname = 'C'
    WHERE indrelid = to_regclass(%s) AND attname = %s AND indisvalid AND indpred IS NULL
"""
_INDEXED_ON_SQLITE = """
    SELECT 1 FROM pragma_index_list(%s) AS one, pragma_index_xinfo(one.name) AS part
    WHERE part.seqno = 0 AND part.name = %s AND part.coll = 'BINARY' AND NOT one.partial
"""


class AddIndexUnlocked(AddIndex):
    """Django's AddIndex, ``CONCURRENTLY`` on PostgreSQL. Put it in a migration with ``atomic = False``.

    Django's own AddIndexConcurrently knows no other database.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql" or connection.in_atomic_block:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(connection.alias, model):
            schema_editor.add_index(model, self.index, concurrently=True)


class AddByteOrderIndex(Operation):
    """Index ``text_field`` by its bytes, then ``then``. Put it in a migration with ``atomic = False``.

    ``where`` is SQL that both databases understand, for a partial index.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        model_name: str,
        text_field: str,
        name: str,
        *,
        before: tuple[str, ...] = (),
        then: tuple[str, ...] = ("id",),
        where: str = "",
    ) -> None:
        self.model_name = model_name
        self.text_field = text_field
        self.name = name
        self.before = before
        self.then = then
        self.where = where

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: Django's model state knows no such index."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(self._sql(model, schema_editor), params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(f"DROP INDEX IF EXISTS {schema_editor.quote_name(self.name)}", params=None)

    def describe(self) -> str:
        return f"Index {self.model_name}.{self.text_field} in byte order"

    def _sql(self, model: Any, schema_editor: Any) -> str:
        connection, quote = schema_editor.connection, schema_editor.quote_name

        def column(name: str) -> str:
            return str(quote(model._meta.get_field(name).column))

        columns = [column(name) for name in self.before]
        columns.append(f"{column(self.text_field)} COLLATE {_COLLATIONS[connection.vendor]}")
        columns += [column(name) for name in self.then]
        where = f" WHERE {self.where}" if self.where else ""
        return _create_index(connection, self.name, model._meta.db_table, columns) + where


class DropByteOrderIndex(AddByteOrderIndex):
    """Remove what AddByteOrderIndex made, where another index does its work."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_backwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Remove the index {self.name}"


def byte_order_index_sql(model: Any, field: Any) -> str:
    """The statement that would index a text field of somebody's model by its bytes, then by the primary key."""
    connection = connections[router.db_for_write(model)]
    table, column = field.model._meta.db_table, field.column
    name = truncate_name(f"{table}_{column}_key_order", connection.ops.max_name_length())
    quote = connection.ops.quote_name
    in_order = f"{quote(column)} COLLATE {_COLLATIONS[connection.vendor]}"
    return _create_index(connection, name, table, [in_order, quote(field.model._meta.pk.column)])


def has_byte_order_index(model: Any, field: Any) -> bool:
    """Whether the database can give a text field's rows in byte order without sorting them."""
    connection = connections[router.db_for_read(model)]
    table = field.model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_INDEXED_ON_POSTGRESQL, [connection.ops.quote_name(table), field.column])
        else:
            cursor.execute(_INDEXED_ON_SQLITE, [table, field.column])
        return cursor.fetchone() is not None


def _create_index(connection: Any, name: str, table: str, columns: list[str]) -> str:
    quote = connection.ops.quote_name
    # a lock on a table of millions would stop the site; it is not to be had inside of a transaction
    concurrently = (
        "CONCURRENTLY " if connection.vendor == "postgresql" and not connection.in_atomic_block else ""
    )
    return f"CREATE INDEX {concurrently}IF NOT EXISTS {quote(name)} ON {quote(table)} ({', '.join(columns)})"
