"""The consequences of many records at once, for those that nothing else depends on: nearly all images of most sites.

A way past the collector's work for each single record, and no other rule: whoever has a row that points to it, a parent
in a table of its own, a relation that Django follows by itself, or a receiver that listens to its deletion, is left to
``consequences``. tests/django/test_lonely.py holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError
from django.db.models import Model
from django.db.models.deletion import Collector, get_candidate_relations_to_delete
from django.db.models.query import ModelIterable

from imagesync.purge.copies import CHUNK, Kept, concrete, instance_of, read
from imagesync.purge.database_rules import count_children, database_rules
from imagesync.purge.rows import Consequences
from imagesync.records.receivers import deletion_receivers


class Whole(NamedTuple):
    """A row, read once: what a query would make of it, and the values themselves."""

    instance: Model
    values: dict[str, Any]


def read_whole(model: type[Model], pks: Sequence[Any], *, using: str, lock: bool = False) -> Iterator[Whole]:
    """These rows as the database has them; ``lock`` locks them for a deletion in the same transaction.

    One that a hook of the model makes no instance of is left out: the ordinary way meets it again, and tells.
    """
    for values in read(model, model._meta.concrete_fields, pks, using=using, lock=lock):
        try:
            instance = instance_of(model, values, using=using)
        except DatabaseError:
            raise
        except Exception:  # noqa: BLE001, S112 - as said
            continue
        yield Whole(instance, values)


def lonely_consequences(rows: Sequence[Whole], *, using: str, lock: bool = False) -> dict[Any, Consequences]:
    """Of those of ``rows``, all of one model and just read, that go alone; by pk. The others are not in it.

    ``lock`` says that they were locked when they were read.
    """
    model = type(rows[0].instance) if rows else None
    if model is None or not can_be_lonely(model):
        return {}
    found: dict[Any, Consequences] = {}
    for start in range(0, len(rows), CHUNK):
        some = {row.instance.pk: row for row in rows[start : start + CHUNK]}
        pks = list(some)
        if _set_off_rules(model, pks, using):
            continue
        depended_on = _depended_on(model, pks, using)
        for pk, row in some.items():
            if pk not in depended_on and type(row.instance) is model:
                found[pk] = Consequences.of_one(*row, using=using, lock=lock)
    return found


def lonely_pks(model: type[Model], pks: Sequence[Any], *, using: str) -> set[Any]:
    """Of which of a model's records ``lonely_consequences`` would know; nothing of them is read."""
    if not pks or not can_be_lonely(model) or _set_off_rules(model, list(pks), using):
        return set()
    return set(pks) - _depended_on(model, list(pks), using)


def delete_lonely(effects: Sequence[Consequences], *, using: str) -> None:
    """Delete records that ``lonely_consequences`` found and locked, inside the caller's transaction.

    Their file fields are emptied in memory first, so that no receiver finds a file to remove.
    """
    collector: Any = Collector(using=using)
    for one in effects:
        one.forget_files()
    collector.add([instance for one in effects for instance in one.taken])
    collector.delete()


def can_be_lonely(model: type[Model]) -> bool:
    """Whether any of a model's rows may go alone: its instances are plain ones, and nothing is known to follow them."""
    meta = model._meta
    return model._base_manager.all()._iterable_class is ModelIterable and not (
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
    rules = database_rules(using, frozenset({model._meta.db_table}))
    parents = [Kept(concrete(model), pk, {}, root=True) for pk in pks] if rules else []
    return bool(parents) and any(count_children(rule, parents, using) for rule in rules)
