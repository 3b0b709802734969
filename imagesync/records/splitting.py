"""Where to cut a source's keys so that each part has about as many records; and about how many there are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import Any

from django.db import connections
from django.db.models import F, IntegerField, Max, Min, QuerySet, Window
from django.db.models.functions import Mod, RowNumber

from imagesync.records.scope import Scope
from imagesync.records.stream import IN_CHUNK, base_rows, count_records, rows_in_scope
from imagesync.records.targets import Source, Target
from imagesync.records.unreadable import readable

DRAWS_PER_PART = 24
MANY_PARTS = 64
FIRST_SHARE, LAST_SHARE = 2.0, 0.3
"""Of many parts, compared with each other."""
COUNTED_UPTO = 200_000
"""A table that the database's statistics take for larger than this is not counted for a progress line."""


def estimated_records(source: Source, scope: Scope) -> int:
    """About how many records a scope has: counted, or for large whole tables of PostgreSQL as it last knew."""
    if scope.sample:
        return len(scope.ids)
    if scope.prefix or scope.is_explicit or scope.job or scope.is_stretch:
        return count_records(source, scope)
    return sum(estimated_rows(target, source, scope) for target in source.targets)


def split_keys(source: Source, scope: Scope, parts: int) -> list[str]:
    """Up to ``parts - 1`` keys, ascending, that cut a scope's records into parts of about equal weight, or where there
    are many of less and less (``_shares``).

    A part begins with its first key. The weights are estimated from a sample by primary key, so where names do not
    follow those a part may well be half as heavy again as another.
    """
    if parts < 2 or scope.is_explicit:
        return []
    weighted: list[tuple[str, float]] = []
    for target in source.targets:
        names = sorted(_sampled_names(target, source, scope, parts * DRAWS_PER_PART))
        if names:
            weight = estimated_rows(target, source, scope) / len(names)
            weighted += [(source.store.identity.prefix + name, weight) for name in names]
    weighted.sort()
    if not weighted:
        return []
    sums = list(accumulate(weight for _key, weight in weighted))
    dues = accumulate(share * sums[-1] for share in _shares(parts))
    due = next(dues)
    cuts: list[str] = []
    for (key, _weight), upto in zip(weighted, sums, strict=True):
        if upto > due and key > (cuts[-1] if cuts else weighted[0][0]):
            cuts.append(key)
            # one key may weigh more than several parts
            due = next((later for later in dues if later > upto), inf)
    return cuts[: parts - 1]


def _shares(parts: int) -> list[float]:
    """What each part gets of the whole. Few are begun together, and best are equal; of many the last are begun when the
    others end, and the smaller they are the less is waited for the very last."""
    if parts < MANY_PARTS:
        return [1 / parts] * parts
    weights = [FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * number / (parts - 1) for number in range(parts)]
    return [weight / sum(weights) for weight in weights]


def estimated_rows(target: Target, source: Source, scope: Scope) -> int:
    """About how many rows of a field a scope has."""
    rows = rows_in_scope(target, source.store, scope)
    return rows.count() if scope.prefix or scope.job or scope.is_stretch else counted_or_known(rows)


def counted_or_known(rows: QuerySet[Any]) -> int:
    """How many rows there are, or of a large table about how many the whole of it has."""
    if connections[rows.db].vendor == "postgresql":
        with connections[rows.db].cursor() as cursor:
            # reltuples is what VACUUM, ANALYZE and CREATE INDEX last saw, -1 when none has (pg_class)
            table = connections[rows.db].ops.quote_name(rows.model._meta.db_table)
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
            known = int(cursor.fetchone()[0])
        if known > COUNTED_UPTO:
            return known
    return rows.count()


def _sampled_names(target: Target, source: Source, scope: Scope, number: int) -> list[str]:
    rows = readable(rows_in_scope(target, source.store, scope), target.field.attname)
    if isinstance(target.model._meta.pk, IntegerField):
        names = list(_by_random_pks(target, rows, number))
        if len(names) >= number // 4:
            return names
    return _evenly_spaced(rows, number)


def _by_random_pks(target: Target, rows: QuerySet[Any], number: int) -> Iterator[str]:
    """As many as hit: a table with large gaps among its keys gives few."""
    bounds = base_rows(target.model).aggregate(least=Min("pk"), most=Max("pk"))
    if bounds["least"] is None:
        return
    pks = _one_of_each_stretch(int(bounds["least"]), int(bounds["most"]), 2 * number)
    for start in range(0, len(pks), IN_CHUNK):
        yield from rows.filter(pk__in=pks[start : start + IN_CHUNK]).values_list("byte_name", flat=True)


def _one_of_each_stretch(least: int, most: int, number: int) -> list[int]:
    """Random numbers, one from each of ``number`` equal stretches: names that follow their primary keys, as those in
    dated folders do, are cut into nearly equal parts; all others as if each was drawn from the whole."""
    span = most - least + 1
    return [
        least + (stretch * span + random.randrange(span)) // number  # noqa: S311 - a sample, not a secret
        for stretch in range(number)
    ]


def _evenly_spaced(rows: QuerySet[Any], number: int) -> list[str]:
    """Every n-th name, by one pass over them in order."""
    step = max(rows.count() // number, 1)
    # names that no model's field has
    ranked = rows.annotate(imagesync_place=Window(RowNumber(), order_by=F("byte_name").asc()))
    spaced = ranked.annotate(imagesync_rest=Mod(F("imagesync_place"), step)).filter(imagesync_rest=0)
    return list(spaced.values_list("byte_name", flat=True))
