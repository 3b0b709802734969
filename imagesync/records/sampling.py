"""A uniform sample of a scope's records, on tables of any size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from django.db.models import IntegerField, Max, Min, Model, QuerySet

from imagesync.records.scope import Scope
from imagesync.records.stream import IN_CHUNK, rows_in_scope
from imagesync.records.targets import Source

SHUFFLED_BY_THE_DATABASE = 20_000
"""Rows; more are drawn by their primary keys instead, as long as those are not too far apart."""
DRAWS_PER_HIT = 20
"""When fewer draws hit a row, reading the whole table once costs less than going on."""


def draw_sample(source: Source, scope: Scope) -> Scope:
    """``scope`` with ``scope.sample`` of its records as ``ids``, drawn uniformly from all its fields together."""
    whole = replace(scope, sample=0)
    tables = [rows_in_scope(target, source.store, whole) for target in source.targets]
    totals = [rows.count() for rows in tables]
    picks = random.SystemRandom().sample(range(sum(totals)), min(scope.sample, sum(totals)))
    drawn: list[tuple[str, str]] = []
    start = 0
    for target, rows, total in zip(source.targets, tables, totals, strict=True):
        share = sum(start <= pick < start + total for pick in picks)
        start += total
        drawn += [(target.label, str(pk)) for pk in _drawn(rows, share, total)]
    return replace(scope, ids=tuple(sorted(drawn)), population=sum(totals))


def _drawn(rows: QuerySet[Model], number: int, total: int) -> list[Any]:
    """Primary keys of ``number`` of the rows, each set of them as likely as any other."""
    if total > SHUFFLED_BY_THE_DATABASE and isinstance(rows.model._meta.pk, IntegerField):
        hits = list(islice(_by_random_pks(rows, DRAWS_PER_HIT * number), number))
        if len(hits) == number:
            return hits
    return list(rows.order_by("?").values_list("pk", flat=True)[:number])


def _by_random_pks(rows: QuerySet[Model], draws: int) -> Iterator[Any]:
    """Rows in random order, as far as so many draws of different whole numbers hit some."""
    bounds = rows.model._base_manager.using(rows.db).aggregate(least=Min("pk"), most=Max("pk"))
    if bounds["least"] is None:
        return
    pks = range(int(bounds["least"]), int(bounds["most"]) + 1)
    picks = random.SystemRandom().sample(pks, min(draws, len(pks)))
    for start in range(0, len(picks), IN_CHUNK):
        some = picks[start : start + IN_CHUNK]
        there = set(rows.filter(pk__in=some).values_list("pk", flat=True))
        yield from (pk for pk in some if pk in there)
