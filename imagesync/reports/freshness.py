"""How fresh stores are, with the audits that were just made to keep them so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TextIO

from imagesync.core.spans import span
from imagesync.reports.audits import Report, audit_pieces, json_audit
from imagesync.reports.escaping import printable

FRESHNESS_FORMATS = ("text", "json")


def write_freshness(
    out: TextIO,
    format: str,
    stores: Sequence[Mapping[str, Any]],
    reports: Sequence[Report],
    *,
    limit: int | None = None,
) -> None:
    """``stores`` are freshness documents with ``alias``, ``bucket`` and ``skipped``; ``reports`` as for audits."""
    out.writelines(_json(stores, reports) if format == "json" else _text(stores, reports, limit))


def freshness_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """One store's freshness in sentences."""
    within = span(timedelta(seconds=document["within_s"]))
    yield (
        f"{100 * document['share']:.2f} % of about {document['records']:,} records were looked at within {within}; "
        f"{document['slices']:,} slices, {document['never_looked_at']:,} of them not looked at yet"
    )
    if document["stalest_at"] is not None:
        yield f"the stalest slice was looked at {_instant(document['stalest_at'])}"
    if document["behind_s"]:
        yield f"behind by {span(timedelta(seconds=document['behind_s']))}"
    if document["doubted"]:
        yield f"{document['doubted']:,} slices are not fully believed before their next look"
    if document["failures"]:
        yield f"the last {document['failures']} looks failed; the audits say why"
    if not document["in_order"]:
        yield "this store does not list in byte order, so a slice would cost a whole listing: all is looked at at once"
    yield f"the next look is due {_instant(document['next_at'])}"


def _text(stores: Sequence[Mapping[str, Any]], reports: Sequence[Report], limit: int | None) -> Iterator[str]:
    yield from audit_pieces("text", reports, limit=limit)
    for number, document in enumerate(stores):
        yield "\n" if number or reports else ""
        yield f"Freshness of bucket {printable(document['bucket'])}\n"
        if "within_s" in document:
            yield from (f"  {line}\n" for line in freshness_lines(document))
        if document["skipped"]:
            yield f"  {document['skipped']}\n"


def _json(stores: Sequence[Mapping[str, Any]], reports: Sequence[Report]) -> Iterator[str]:
    yield f'{{"schema": "imagesync.freshness/1", "stores": {json.dumps(list(stores))}, "audits": ['
    for number, report in enumerate(reports):
        yield ", " if number else ""
        yield from json_audit(*report)
    yield "]}\n"


def _instant(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
