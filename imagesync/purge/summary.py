"""A plan may name a million records: its figures, counted once, for pages; its entries, one after the other, for files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import connections, router

from imagesync.models import Purge

FIRST = 20
REASONS = 50
"""Most frequent reasons that are told apart; the rest is one number."""
FETCHED = 2000
_EACH = {
    "postgresql": "SELECT jsonb_array_elements(plan -> %s)::text FROM imagesync_purge WHERE id = %s",
    "sqlite": "SELECT one.value FROM imagesync_purge, json_each(plan, '$.' || %s) AS one WHERE imagesync_purge.id = %s",
}


def summary_of(plan: Mapping[str, Any]) -> dict[str, Any]:
    """``{"delete": 3, "clear": 0, "keep": 1, "models": ["shop.Photo"], "why": [["too young", 1]],
    "cascades": {"shop.Item": 2}, "first": [entry, …], "receivers": []}``

    ``delete`` is how many records go or are cleared, ``clear`` how many of them are cleared.
    """
    entries, kept = plan.get("delete", []), plan.get("keep", [])
    cascades: Counter[str] = Counter()
    for entry in entries:
        cascades.update(entry["cascades"])
    why = Counter(entry["why"] for entry in kept).most_common()
    told = why[:REASONS]
    if rest := sum(number for _why, number in why[REASONS:]):
        told.append(("other reasons", rest))
    return {
        "delete": len(entries),
        "clear": sum(entry["action"] == "clear" for entry in entries),
        "keep": len(kept),
        "models": sorted({entry["record"].split(":", 1)[0] for entry in (*entries, *kept)}),
        "why": [list(one) for one in told],
        "cascades": dict(sorted(cascades.items())),
        "first": entries[:FIRST],
        "receivers": plan.get("receivers", []),
    }


def told_summary(purge: Purge) -> dict[str, Any]:
    """A purge's summary; of one from before there were any, counted now."""
    return purge.summary or summary_of(purge.plan)


def plan_entries(purge: Purge, part: str) -> Iterator[dict[str, Any]]:
    """The entries of a plan's ``delete`` or ``keep``, a few thousand at a time."""
    connection = connections[router.db_for_read(Purge)]
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EACH[connection.vendor], [part, purge.pk])
        while some := cursor.fetchmany(FETCHED):
            yield from _parsed(some)


def _parsed(rows: Iterable[tuple[str]]) -> Iterator[dict[str, Any]]:
    for (text,) in rows:
        yield json.loads(text)
