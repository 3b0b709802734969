"""The consequences of many records at once, for those that nothing else depends on: nearly all images of most sites.

A way past the collector's work for each single record, and no other rule: whoever has a row that points to it, a parent
in a table of its own, a relation that Django follows by itself, or a receiver that listens to its deletion, is left to
``consequences``. tests/django/test_lonely.py holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import Model
from django.db.models.deletion import Collector, get_candidate_relations_to_delete

from imagesync.purge.copies import CHUNK, Kept, concrete, kept_fields, read
from imagesync.purge.database_rules import count_children, database_rules
from imagesync.purge.rows import Consequences
from imagesync.records.receivers import deletion_receivers


def lonely_consequences(
    records: Sequence[Model], *, using: str, lock: bool = False
) -> dict[Any, Consequences]:
    """Of those of ``records``, all of one model, that go alone; by pk. The others are not in it.

    As ``consequences``: read from the database; ``lock`` locks the rows for a deletion in the same transaction.
    """
    if not records or not _can_be_lonely(type(records[0])):
        return {}
    model = type(records[0])
    lock = lock and connections[using].features.has_select_for_update
    found: dict[Any, Consequences] = {}
    for start in range(0, len(records), CHUNK):
        some = records[start : start + CHUNK]
        rows = {
            row[model._meta.pk.attname]: row
            for row in read(
                model, model._meta.concrete_fields, [one.pk for one in some], using=using, lock=lock
            )
        }
        depended_on = _depended_on(model, list(rows), using)
        if _set_off_rules(model, list(rows), using):
            continue
        for record in some:
            if record.pk in rows and record.pk not in depended_on:
                effects = _alone(record, rows[record.pk], using, lock=lock)
                if effects is not None:
                    found[record.pk] = effects
    return found


def lonely_pks(model: type[Model], pks: Sequence[Any], *, using: str) -> set[Any]:
    """Of which of a model's records ``lonely_consequences`` would know; nothing of them is read."""
    if not pks or not _can_be_lonely(model) or _set_off_rules(model, list(pks), using):
        return set()
    return set(pks) - _depended_on(model, list(pks), using)


def delete_lonely(effects: Sequence[Consequences], *, using: str) -> None:
    """Delete records that ``lonely_consequences`` found and locked, inside the caller's transaction.

    Their file fields are emptied in memory first, so that no receiver finds a file to remove.
    """
    collector: Any = Collector(using=using)
    for one in effects:
        one.forget_files()
        collector.add(one.taken)
    collector.delete()


def _can_be_lonely(model: type[Model]) -> bool:
    meta = model._meta
    return not (
        meta.parents
        or meta.proxy
        or len(meta.pk_fields) > 1
        or deletion_receivers(model)
        or any(hasattr(field, "bulk_related_objects") for field in meta.private_fields)
    )


def _depended_on(model: type[Model], pks: list[Any], using: str) -> set[Any]:
    """Of the pks, those that any row points to, whatever its relation says about deletions."""
    found: set[Any] = set()
    relations: Any = get_candidate_relations_to_delete(model._meta)
    for relation in relations:
        if relation.field.target_field is not model._meta.pk:
            return set(pks)
        rows = relation.related_model._base_manager.using(using).order_by()
        found.update(
            rows.filter(**{f"{relation.field.name}__in": pks}).values_list(relation.field.attname, flat=True)
        )
    return found


def _set_off_rules(model: type[Model], pks: list[Any], using: str) -> bool:
    """Whether the database itself would change or delete rows because of any of these."""
    table = model._meta.db_table
    parents = [Kept(concrete(model), pk, {}, root=True) for pk in pks]
    return bool(parents) and any(
        count_children(rule, parents, using) for rule in database_rules(using, frozenset({table}))
    )


def _alone(record: Model, row: dict[str, Any], using: str, *, lock: bool) -> Consequences | None:
    columns = kept_fields(type(record))
    try:
        instance = type(record).from_db(
            using, [column.attname for column in columns], [row[column.attname] for column in columns]
        )
    except Exception:  # noqa: BLE001 - a hook of the model; the ordinary way meets it again, and tells
        return None
    return Consequences.of_one(record, instance, row, using=using, lock=lock)
