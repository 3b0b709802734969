"""What people write in settings and options, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36_525)
"""So long ago is a date still; ``now - timedelta.max`` is none."""


def parse_names(value: Any, of: type) -> dict[str, Any]:
    """A dictionary with the fields of a dataclass in capitals, as the dataclass takes them. Raises ValueError."""
    names = {one.name.upper(): one.name for one in fields(of)}
    if not isinstance(value, Mapping) or set(value) - set(names):
        raise ValueError(f"a dictionary is expected that knows only {', '.join(map(repr, names))}")
    return {names[name]: given for name, given in value.items()}


def parse_duration(value: str | timedelta) -> timedelta:
    """``"90s"``, ``"30m"``, ``"24h"``, ``"7d"``, ``"2w"`` or a timedelta, up to a hundred years. Raises ValueError."""
    if isinstance(value, timedelta):
        duration = value
    else:
        matched = (
            re.fullmatch(r"(\d{1,9})\s*([smhdw])", value.strip().lower()) if isinstance(value, str) else None
        )
        if matched is None:
            raise ValueError(
                f'{value!r} is not a duration: write a number and a unit, such as "90s", "30m", "24h" or "7d"'
            )
        try:
            duration = timedelta(**{_UNITS[matched[2]]: int(matched[1])})
        except OverflowError:
            duration = timedelta.max
    if duration < timedelta(0):
        raise ValueError(f"{value!r} is not a duration: it is negative")
    if duration > LONGEST:
        raise ValueError(f"{value!r} is not a duration: it is longer than a hundred years")
    return duration


def parse_ratio(value: str | float) -> float:
    """A number from 0 to 1, or a percentage such as ``"10%"``. Raises ValueError."""
    try:
        text = str(value).strip()
        ratio = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:  # also refuses nan
        raise ValueError(f'{value!r} is not a ratio: write a number from 0 to 1, such as 0.1, or "10%"')
    return ratio
