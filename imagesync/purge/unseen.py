"""Rows that a deletion would reach unseen: what Django's Collector leaves to the database.

``DO_NOTHING``, ``DB_CASCADE`` and foreign keys made by hand block a record as soon as such rows exist, because nothing
would be kept of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models import Model, QuerySet
from django.db.models.deletion import DO_NOTHING, get_candidate_relations_to_delete

from imagesync.purge.copies import CHUNK, Changed, Kept, concrete, kept_fields
from imagesync.purge.database_rules import DatabaseRule, count_children, database_rules

_BY_DATABASE = [
    getattr(models, name)
    for name in ("DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")  # Django 6.1
    if hasattr(models, name)
]


class Blocked(Exception):
    """A record cannot go; the message says why."""

    def __init__(self, block_id: str, why: str) -> None:
        super().__init__(why)
        self.block_id = block_id


def block_left_to_database(kept: Sequence[Kept], changed: Sequence[Changed], using: str) -> None:
    """Raises Blocked for rows that the database itself would delete or change, and that Django does not know to go."""
    by_table = {one.model._meta.db_table: one.model for one in kept}
    for rule in database_rules(using, frozenset(by_table)):
        parents = [one for one in kept if one.model is by_table[rule.parent]]
        reached = sum(
            count_children(rule, parents[start : start + CHUNK], using)
            for start in range(0, len(parents), CHUNK)
        )
        if reached > _known_children(rule, parents, kept, changed):
            raise Blocked(
                "database_cascade",
                f"a foreign key in the database itself (ON DELETE {rule.action}) reaches rows of "
                f"{rule.child} that could not be kept",
            )


def _known_children(
    rule: DatabaseRule, parents: Sequence[Kept], kept: Sequence[Kept], changed: Sequence[Changed]
) -> int:
    """How many of the rows that a rule reaches are kept anyway. What cannot be told is not known."""
    targets = {_columns(one.model, one.values, rule.parent_columns) for one in parents} - {None}
    gone = {
        (one.model, one.pk)
        for one in kept
        if rule.is_child(one.model) and _columns(one.model, one.values, rule.child_columns) in targets
    }
    set_by_django = {
        (change.field.model, change.instance.pk)
        for change in changed
        if rule.is_child(change.field.model)
        and rule.child_columns == (change.field.column,)
        and (change.old,) in targets
    }
    return len(gone | set_by_django)


def _columns(model: type[Model], values: dict[str, Any], columns: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Values by the names of their columns; None when Django does not know such a column."""
    names = {column.column: column.attname for column in kept_fields(model)}
    if not all(column in names for column in columns):
        return None
    return tuple(values[names[column]] for column in columns)


def block_left_to_django(
    kept: Sequence[Kept], going: Mapping[type[Model], Collection[Model]], using: str
) -> None:
    """Raises Blocked for relations that the Collector passes by: their rows would be left dangling, or go unseen.

    ``going`` are the instances that it takes, by their models.
    """
    for model, instances in going.items():
        relations: Any = get_candidate_relations_to_delete(model._meta) if instances else ()
        for relation in relations:
            on_delete = relation.field.remote_field.on_delete
            by_database = any(on_delete is one for one in _BY_DATABASE)
            if not by_database and on_delete is not DO_NOTHING:
                continue
            count = _others(relation, list(instances), kept, using)
            if count:
                block_id = "database_cascade" if by_database else "protected"
                name = getattr(on_delete, "__name__", "")
                why = f"{count} {relation.related_model._meta.label} point to it with on_delete={name}"
                raise Blocked(block_id, why)


def _others(relation: Any, instances: list[Model], kept: Sequence[Kept], using: str) -> int:
    model = relation.related_model
    gone = [one.pk for one in kept if one.model is concrete(model)]
    rows: QuerySet[Model] = QuerySet(model, using=using)
    return sum(
        len(
            set(
                rows.filter(**{f"{relation.field.name}__in": instances[start : start + CHUNK]})
                .order_by()
                .values_list("pk", flat=True)
            ).difference(gone)
        )
        for start in range(0, len(instances), CHUNK)
    )
