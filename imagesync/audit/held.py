"""The rows of records, locked before anything is written about these: who deletes them, or judges them too, waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, router, transaction
from django.db.models import F, QuerySet

from imagesync.records import Target
from imagesync.records.unreadable import readable, unreadable_names


@contextmanager
def rows_held(records: Iterable[tuple[Target, Any]]) -> Iterator[dict[tuple[Target, Any], str]]:
    """The names of those that are there, by field and primary key; they stay as they are until the caller's transaction ends.

    They are locked in the order in which a purge locks them. A finding of a record that is deleted in between would
    stay open.
    """
    by_target: dict[Target, list[Any]] = defaultdict(list)
    for target, pk in records:
        by_target[target].append(pk)
    some = {router.db_for_write(target.model): (target, pks[0]) for target, pks in by_target.items()}
    with ExitStack() as stack:
        for using, (target, pk) in sorted(some.items()):
            stack.enter_context(transaction.atomic(using=using))
            _lock_whole(target, pk, using)
        yield {
            (target, pk): name
            for target in sorted(by_target, key=lambda one: one.label)
            for pk, name in _locked_names(target, by_target[target])
        }


def _lock_whole(target: Target, pk: Any, using: str) -> None:
    """SQLite has one lock for all, which only a write waits for: whoever has read before is refused at once."""
    if not connections[using].features.has_select_for_update:
        column = target.field.attname
        target.model._base_manager.using(using).filter(pk=pk).update(**{column: F(column)})


def _locked_names(target: Target, pks: list[Any]) -> Iterator[tuple[Any, str]]:
    column = target.field.attname
    rows: QuerySet[Any] = target.model._base_manager.using(router.db_for_write(target.model))
    rows = rows.filter(pk__in=pks).order_by("pk")
    # what points to them may come and go meanwhile
    yield from readable(rows.select_for_update(no_key=True), column).values_list("pk", column)
    yield from unreadable_names(rows, column)
