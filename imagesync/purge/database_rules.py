"""What the database does by itself: foreign keys with ON DELETE, whose rows Django never shows us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from django.db import connections
from django.db.models import Model

from imagesync.purge.copies import NotPreservable


class Parent(Protocol):
    """A row that goes."""

    @property
    def model(self) -> type[Model]: ...
    @property
    def pk(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class DatabaseRule:
    """A foreign key with ON DELETE CASCADE, SET NULL or SET DEFAULT, as the database has it."""

    child: str
    """Fit for SQL: quoted, and with its schema, where it must be."""
    child_columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    action: str
    child_names: tuple[str, ...]
    """What Django would call the child."""

    def is_child(self, model: type[Model]) -> bool:
        return model._meta.db_table in self.child_names


@lru_cache(maxsize=256)
def database_rules(using: str, tables: frozenset[str]) -> tuple[DatabaseRule, ...]:
    """Rules that deletions from ``tables`` set off. Remembered until ``forget_database_rules()``."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        return tuple(_postgresql_rules(connection, tables))
    if connection.vendor == "sqlite":
        return tuple(_sqlite_rules(connection, tables))
    raise NotPreservable(f"the foreign keys of {connection.display_name} cannot be looked at")


def forget_database_rules() -> None:
    """Look at the foreign keys again: for the start of a run, and after a change of the schema."""
    database_rules.cache_clear()


_POSTGRESQL = """
SELECT con.conrelid::regclass::text, parent.name, con.confdeltype::text,
    ARRAY(SELECT a.attname::text FROM unnest(con.conkey) WITH ORDINALITY k(n, i)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.n ORDER BY k.i),
    ARRAY(SELECT a.attname::text FROM unnest(con.confkey) WITH ORDINALITY k(n, i)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.n ORDER BY k.i)
FROM unnest(%s::text[]) parent(name)
JOIN pg_constraint con ON con.confrelid = to_regclass(parent.name)
WHERE con.contype = 'f' AND con.conparentid = 0 AND con.confdeltype IN ('c', 'n', 'd')
"""


def _postgresql_rules(connection: Any, tables: frozenset[str]) -> Iterator[DatabaseRule]:
    quoted = {connection.ops.quote_name(table): table for table in tables}
    actions = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL, [sorted(quoted)])
        for child, parent, action, columns, parent_columns in cursor.fetchall():
            yield DatabaseRule(
                child,
                tuple(columns),
                quoted[parent],
                tuple(parent_columns),
                actions[action],
                (child, child.strip('"')),
            )


_SQLITE = """
SELECT child.name, lower(f."table"), f.id, f.on_delete, f."from", coalesce(f."to", (
    SELECT i.name FROM pragma_table_info(f."table") i WHERE i.pk = f.seq + 1))
FROM sqlite_master child JOIN pragma_foreign_key_list(child.name) f
WHERE child.type = 'table' AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
ORDER BY child.name, f.id, f.seq
"""


def _sqlite_rules(connection: Any, tables: frozenset[str]) -> Iterator[DatabaseRule]:
    by_name = {table.lower(): table for table in tables}
    found: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SQLITE)
        for child, parent, number, action, column, parent_column in cursor.fetchall():
            if parent in by_name:
                found.setdefault((child, parent, number, action), []).append((column, parent_column))
    for (child, parent, _number, action), pairs in found.items():
        columns, parent_columns = zip(*pairs, strict=True)
        quoted = connection.ops.quote_name(child)
        yield DatabaseRule(quoted, columns, by_name[parent], parent_columns, action, (child,))


def count_children(rule: DatabaseRule, parents: Sequence[Parent], using: str) -> int:
    """How many rows point to ``parents`` by the rule."""
    connection = connections[using]
    quote = connection.ops.quote_name
    key = parents[0].model._meta.pk_fields
    pks = [kept.pk if len(key) > 1 else (kept.pk,) for kept in parents]
    same = " AND ".join(
        f"c.{quote(column)} = p.{quote(parent_column)}"
        for column, parent_column in zip(rule.child_columns, rule.parent_columns, strict=True)
    )
    columns = ", ".join(f"p.{quote(str(part.column))}" for part in key)
    values = ", ".join([f"({', '.join(['%s'] * len(key))})"] * len(pks))
    params = [part.get_db_prep_save(one, connection) for pk in pks for part, one in zip(key, pk, strict=True)]
    sql = f"SELECT COUNT(*) FROM {rule.child} c JOIN {quote(rule.parent)} p ON {same} WHERE ({columns}) IN (VALUES {values})"  # noqa: S608 - names only
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.fetchone()[0])
