"""Whether a row was saved since its file was looked at: under the same name another object may lie there by now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.db import router
from django.db.models import Model

from imagesync.purge.copies import concrete
from imagesync.uploads import VerifiedUploadMixin

Saves = dict[tuple[type[Model], Any], tuple[Any, ...]]
"""What tells that it was saved, by model and primary key. No clock is compared: any difference counts."""


def saves_of(rows: Iterable[tuple[type[Model], Any]]) -> Saves:
    """Of these rows as they are now; one query for each model that has such columns."""
    by_model: dict[type[Model], list[Any]] = defaultdict(list)
    for model, pk in rows:
        if _columns(model):
            by_model[concrete(model)].append(pk)
    return {
        (model, pk): tuple(values)
        for model, pks in by_model.items()
        for pk, *values in model._base_manager.using(router.db_for_write(model))
        .filter(pk__in=pks)
        .values_list("pk", *_columns(model))
    }


def was_saved(row: Model, before: Saves) -> bool:
    """Whether the row is another one than ``before``."""
    columns = _columns(type(row))
    now = tuple(getattr(row, column) for column in columns)
    return bool(columns) and before.get((concrete(row), row.pk)) != now


@cache
def _columns(model: type[Model]) -> list[str]:
    told = {"size_bytes", "etag"} if issubclass(model, VerifiedUploadMixin) else set()
    return [
        field.attname
        for field in model._meta.concrete_fields
        if getattr(field, "auto_now", False) or field.name in told
    ]
