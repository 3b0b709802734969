"""What the charts draw: figures in, coordinates out, as text that no locale rewrites. Pure.

The templates draw SVG from it with presentation attributes and classes only, and a table with the same figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

StartOf = Callable[[date], date]
LabelOf = Callable[[date], str]

WIDTH, HEIGHT = 600, 120
MOST_BARS = 60
WALL = 0.25
"""A bar with this part of everything is named in words."""


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    label: str
    number: int
    kind: str = ""

    @property
    def told(self) -> str:
        return f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: list[Bar]
    top: int
    wall: str
    """The label of a bar that stands out, else empty."""
    wall_percent: int

    @property
    def first(self) -> str:
        return self.bars[0].label if self.bars else ""

    @property
    def last(self) -> str:
        return self.bars[-1].label if self.bars else ""


@dataclass(frozen=True, slots=True)
class Line:
    pieces: list[str]
    """Of a polyline each: a point that is not known ends one."""
    last_x: str
    last_y: str
    top: int


def stacked(parts: Sequence[tuple[str, int]]) -> list[Bar]:
    """One bar of the whole width, from (kind, number); what is there at all is at least visible."""
    whole = sum(number for _kind, number in parts)
    shown = [(kind, number) for kind, number in parts if number]
    least = 2.0
    left = WIDTH - least * len(shown)
    bars, x = [], 0.0
    for kind, number in shown:
        width = least + left * number / whole
        bars.append(Bar(_text(x), "0", _text(width), "14", kind.replace("-", " "), number, kind))
        x += width
    return bars


def line(values: Sequence[int | None]) -> Line:
    """A line through the values, oldest first; None where nothing is known."""
    known = [value for value in values if value is not None]
    top = max(known, default=0)
    step = WIDTH / max(1, len(values) - 1)
    pieces: list[list[str]] = [[]]
    x = y = 0.0
    for number, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        x, y = number * step, HEIGHT - (HEIGHT - 8) * value / (top or 1) - 4
        pieces[-1].append(f"{_text(x)},{_text(y)}")
    return Line([" ".join(piece) for piece in pieces if piece], _text(x), _text(y), top)


def histogram(days: Mapping[date, int]) -> Histogram:
    """Bars over time, as fine as sixty of them allow: days, weeks, months, quarters or years."""
    if not days:
        return Histogram([], 0, "", 0)
    start_of, label_of = _unit(min(days), max(days))
    numbers: Counter[date] = Counter()
    for day, number in days.items():
        numbers[start_of(day)] += number
    slots = _slots(min(numbers), max(numbers), start_of)
    top, step = max(numbers.values()), WIDTH / len(slots)
    bars = [
        Bar(
            _text(index * step),
            _text(HEIGHT - HEIGHT * numbers[slot] / top),
            _text(max(1.0, step - 1)),
            _text(HEIGHT * numbers[slot] / top),
            label_of(slot),
            numbers[slot],
        )
        for index, slot in enumerate(slots)
    ]
    highest = max(bars, key=lambda bar: bar.number)
    part = top / sum(numbers.values())
    stands_out = part >= WALL and len(bars) > 3
    return Histogram(bars, top, highest.label if stands_out else "", round(100 * part))


def _unit(first: date, last: date) -> tuple[StartOf, LabelOf]:
    span = (last - first).days + 1
    if span <= MOST_BARS:
        return (lambda day: day), (lambda day: day.isoformat())
    if span <= 7 * (MOST_BARS - 1):
        return _monday, lambda day: f"{day.isoformat()} to {(day + timedelta(days=6)).isoformat()}"
    if span <= 30 * (MOST_BARS - 2):
        return (lambda day: day.replace(day=1)), (lambda day: f"{day:%Y-%m}")
    if span <= 91 * (MOST_BARS - 2):
        return _quarter, lambda day: f"{day.year} Q{day.month // 3 + 1}"
    return (lambda day: day.replace(month=1, day=1)), (lambda day: str(day.year))


def _monday(day: date) -> date:
    return day - timedelta(days=min(day.weekday(), (day - date.min).days))


def _quarter(day: date) -> date:
    return day.replace(month=day.month - (day.month - 1) % 3, day=1)


def _slots(first: date, last: date, start_of: StartOf) -> list[date]:
    """Every bar from the first to the last: the empty ones are what makes a wall one."""
    slots = [first]
    day = first
    while day < last:
        day = day + timedelta(days=1)
        if start_of(day) != slots[-1]:
            slots.append(start_of(day))
    return slots


def _text(number: float) -> str:
    return f"{number:.1f}"
