"""What live events led to, as lines: the changes of a batch, and the figures of a whole watch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from imagesync.reports.escaping import printable

EVENT_FORMATS = ("text", "ndjson")
_FIGURES = (
    ("messages", "messages"),
    ("events", "events"),
    ("looked", "records looked at"),
    ("changes", "changed"),
    ("unnamed", "events of keys that no record names"),
    ("elsewhere", "events of other stores"),
    ("passed_over", "events that tell nothing"),
    ("set_aside", "messages set aside"),
    ("left", "messages left in the queue"),
)


def batch_lines(batch: Mapping[str, Any], format: str) -> Iterator[str]:
    """One line per change; as NDJSON one per batch that had a message."""
    if format == "ndjson":
        if batch["messages"]:
            yield json.dumps(batch)
        return
    for one in batch["changes"]:
        reason = f" ({one['reason']})" if one["reason"] else ""
        yield f"{one['verdict']:<12}{one['record']}  {printable(one['key'])}{reason}"


def watch_sentence(figures: Mapping[str, int]) -> str:
    """What a whole watch did; what never happened is left out."""
    told = [f"{figures[name]:,} {what}" for name, what in _FIGURES if figures.get(name)]
    return ", ".join(told) or "no message"
