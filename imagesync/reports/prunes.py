"""A clean-up of history as text or JSON. ``document`` is ``imagesync.prune/1``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

PRUNE_FORMATS = ("text", "json")

_TOLD = {
    "tombstones": "tombstones, so these purged records cannot be restored any more",
    "restored_copies": "copies of records that were restored; that they were is remembered",
    "selections": "selected records of jobs that are over",
    "jobs": "jobs that are over",
    "notices": "messages that were sent, or given up",
    "set_aside": "messages of the queue of events that nobody could read",
    "purges": "purges of which nothing can be restored, and old plans",
    "findings": "findings that are closed",
    "audits": "audits that nothing rests on",
}


def write_prune(out: TextIO, format: str, document: Mapping[str, Any]) -> None:
    if format == "json":
        out.write(json.dumps(document) + "\n")
    else:
        out.writelines(line + "\n" for line in _text(document))


def _text(document: Mapping[str, Any]) -> Iterator[str]:
    executed = document["executed"]
    numbers = document["removed" if executed else "remove"]
    if not any(numbers.values()):
        yield "No history is old enough to be removed." if not executed else "Nothing was removed."
        return
    yield "Removed:" if executed else "Would be removed:"
    for name, number in numbers.items():
        if number:
            yield f"  {number:>12,}  {_TOLD[name]}"
