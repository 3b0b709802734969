"""An index in the order of UTF-8 bytes, built without locking the table.

``Index(Collate(..., "C"))`` does not exist on SQLite, and a language's collation is not S3's order, so this
is an operation of its own, for our migrations and for those of models made from ``AbstractImage``.
"""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation

_COLLATIONS = {"postgresql": '"C"', "sqlite": "BINARY"}


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
        # a lock on a table of millions would stop the site; it is not to be had inside of a transaction
        concurrently = (
            "CONCURRENTLY " if connection.vendor == "postgresql" and not connection.in_atomic_block else ""
        )
        where = f" WHERE {self.where}" if self.where else ""
        table = quote(model._meta.db_table)
        return f"CREATE INDEX {concurrently}IF NOT EXISTS {quote(self.name)} ON {table} ({', '.join(columns)}){where}"
