"""Ages. What lies in the future has none: a clock was wrong, so it counts as too old."""

from __future__ import annotations

from datetime import timedelta

from imagesync.core.spans import span

AHEAD = timedelta(minutes=1)
"""So far may a time lie ahead: no two clocks are quite in step."""


def is_too_old(age: timedelta, limit: timedelta) -> bool:
    return age > limit or is_from_the_future(age)


def is_from_the_future(age: timedelta) -> bool:
    return age < -AHEAD


def told(age: timedelta, past: str) -> str:
    """An age for people; ``past`` is the word behind it, unless it is none."""
    return f"{span(-age)} in the future" if is_from_the_future(age) else f"{span(age)} {past}"
