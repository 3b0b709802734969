"""A purge's plan and outcome, and a restore's. ``document`` is ``imagesync.purge/1``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from imagesync.reports.escaping import printable
from imagesync.reports.tables import csv_lines

Document = Mapping[str, Any]

PURGE_FORMATS = ("text", "json", "csv")
TEXT_SAMPLE = 20


def write_purge(out: TextIO, format: str, document: Document) -> None:
    if format == "json":
        out.write(json.dumps(document) + "\n")
    elif format == "csv":
        out.writelines(purge_csv(document))
    else:
        out.writelines(line + "\n" for line in _text(document))


def write_restore(out: TextIO, format: str, document: Document) -> None:
    if format == "json":
        out.write(json.dumps(document) + "\n")
    else:
        out.writelines(line + "\n" for line in _restore_text(document))


def purge_csv(document: Document) -> Iterator[str]:
    """The whole plan, line by line."""
    return csv_lines(_table(document))


def _table(document: Document) -> Iterator[Sequence[Any]]:
    yield ("purge", "record", "key", "action", "why", "cascades", "outcome")
    for entry in document["delete"]:
        cascades = "; ".join(f"{label}: {number}" for label, number in sorted(entry["cascades"].items()))
        outcome = entry.get("outcome", "planned")
        yield (document["purge"], entry["record"], entry["key"], entry["action"], "", cascades, outcome)
    for entry in document["keep"]:
        yield (document["purge"], entry["record"], entry["key"], "keep", entry["why"], "", "kept")


def _text(document: Document) -> Iterator[str]:
    counts, refused, begun = document["counts"], document["refused"], _begun(document)
    yield _headline(document)
    if refused:
        yield f"  {refused['id']}: {printable(refused['fact'])}"
        yield f"    -> {printable(refused['hint'])}"
    for action in ("delete", "clear"):
        entries = [entry for entry in document["delete"] if entry["action"] == action]
        if entries and not begun:
            yield f"  would {action} {len(entries):,}:"
        elif entries:
            yield f"  planned to {action} {len(entries):,}:"
        for entry in entries[:TEXT_SAMPLE]:
            yield f"    {entry['record']}  {printable(entry['key'])}{_cascades(entry['cascades'])}"
        if len(entries) > TEXT_SAMPLE:
            yield f"    ... and {len(entries) - TEXT_SAMPLE:,} more; --format csv --output FILE lists them all"
    cascaded: Counter[str] = Counter()
    for entry in document["delete"]:
        cascaded.update(entry["cascades"])
    if cascaded:
        yield "  with them: " + ", ".join(f"{number:,} {label}" for label, number in sorted(cascaded.items()))
    for receiver in document.get("receivers", []):
        yield f"  signal receiver that will run: {printable(receiver)}"
    if document["keep"]:
        yield f"  keeps {len(document['keep']):,}:"
        for why, number in Counter(entry["why"] for entry in document["keep"]).most_common():
            yield f"    {number:,} because {printable(why)}"
    if begun:
        yield f"  {counts['deleted']:,} deleted, {counts['cleared']:,} cleared, {counts['kept']:,} kept{_left(document)}"
    if document["undo"]:
        yield f"  undo: {document['undo']}"


def _begun(document: Document) -> bool:
    """Whether it got further than its plan, however it ended."""
    return document["state"] not in ("planned", "refused")


def _headline(document: Document) -> str:
    counts, planned = document["counts"], document["counts"]["planned"]
    name = f"Purge {document['purge']} of audit {document['audit']}"
    taken = counts["deleted"] + counts["cleared"]
    if document["refused"] and not taken:
        return f"Purge {document['purge']}: refused, nothing was touched."
    if document["executed"]:
        return f"{name}: executed."
    if _begun(document):
        stopped = "stopped by a safety rail" if document["refused"] else "interrupted"
        return f"{name}: {stopped} when {taken:,} of {planned:,} records were taken."
    if not planned:
        return f"{name}: nothing to do."
    return f"{name}: plan for {planned:,} records, nothing touched yet."


def _left(document: Document) -> str:
    left = sum(entry.get("outcome") == "left" for entry in document["delete"])
    return f", {left:,} left alone" if left else ""


def _cascades(cascades: Mapping[str, int]) -> str:
    if not cascades:
        return ""
    return "  (+ " + ", ".join(f"{number} {label}" for label, number in sorted(cascades.items())) + ")"


def _restore_text(document: Document) -> Iterator[str]:
    counts = document["counts"]
    did = "restored" if document["executed"] else "can be restored"
    yield f"Purge {document['purge']}: {counts['restored']:,} records {did}, {counts['conflicts']:,} in conflict."
    for entry in document["conflicts"]:
        yield f"  not restored: {entry['record']}  {printable(entry['key'])}"
        yield f"    because {printable(entry['why'])}"
    for entry in document["notes"]:
        yield f"  note: {entry['record']}: {printable(entry['why'])}"
