"""Durations for people."""

from __future__ import annotations

from datetime import timedelta


def span(duration: timedelta) -> str:
    """In the largest unit that it has two of, to three digits."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"
