"""Foreign keys whose ON DELETE the database itself carries out: rows that Django never shows us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import DO_NOTHING, Model


class Rule(NamedTuple):
    table: str
    """The table whose rows the database would delete or change, quoted."""
    column: str
    target_table: str
    target_column: str


_POSTGRESQL = """
    SELECT c.conrelid::regclass::text, a.attname, t.relname, b.attname
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.confrelid
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') AND t.relname = ANY(%s)
"""

_rules: dict[tuple[str, str, frozenset[str]], list[Rule]] = {}


def forget_database_rules() -> None:
    """Read the rules anew: the schema changed."""
    _rules.clear()


def reached_by_database(taken: list[Model], using: str) -> str:
    """A sentence about rows that the database would delete or change by itself, or nothing."""
    tables = frozenset(row._meta.db_table for row in taken)
    connection = connections[using]
    cached = (using, str(connection.settings_dict["NAME"]), tables)
    if cached not in _rules:
        _rules[cached] = [rule for rule in _read(connection, tables) if not _known_to_django(rule)]
    for rule in _rules[cached]:
        for row in taken:
            if row._meta.db_table == rule.target_table and _is_referenced(connection, rule, row):
                return f"a database-level on_delete reaches rows that could not be kept (table {rule.table})"
    return ""


def _read(connection: Any, tables: frozenset[str]) -> Iterator[Rule]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL, [list(tables)])
            yield from (Rule(*row) for row in cursor.fetchall())
            return
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"PRAGMA foreign_key_list({connection.ops.quote_name(table)})")
            for _id, _seq, target, column, target_column, _update, on_delete, _match in cursor.fetchall():
                if target in tables and on_delete.upper() in ("CASCADE", "SET NULL", "SET DEFAULT"):
                    yield Rule(connection.ops.quote_name(table), column, target, target_column or "")


def _known_to_django(rule: Rule) -> bool:
    """Whether Django handles the same relation itself, so that its Collector loads those rows first."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table == rule.table.strip('"'):
            for column in model._meta.local_concrete_fields:
                remote = column.remote_field
                if column.column == rule.column and remote is not None:
                    return remote.on_delete is not DO_NOTHING and not remote.on_delete.__name__.startswith(
                        "DB_"
                    )
    return False


def _is_referenced(connection: Any, rule: Rule, row: Model) -> bool:
    target = next(
        (one for one in row._meta.local_concrete_fields if one.column == rule.target_column), row._meta.pk
    )
    value = target.get_db_prep_value(getattr(row, target.attname), connection)
    column = connection.ops.quote_name(rule.column)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {rule.table} WHERE {column} = %s LIMIT 1", [value])  # noqa: S608 - names of the schema
        return cursor.fetchone() is not None
