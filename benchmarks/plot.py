"""Seconds by number of records, one line per side, both axes logarithmic: an SVG without a library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, floor, log10

from benchmarks.sides import FLOOR, OURS, TITLES, Figure
from benchmarks.world import short

WIDTH, HEIGHT = 920, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 320, 20, 400
COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d96a3", "#7b5ea7")
LABEL_HEIGHT = 15


def plot(figures: Sequence[Figure]) -> str:
    lines = _lines(figures)
    points = [point for line in lines.values() for point in line]
    x = _scale([records for records, _seconds in points], LEFT, WIDTH - RIGHT)
    y = _scale([seconds for _records, seconds in points], BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for records in _decades([records for records, _seconds in points]):
        parts.append(f'<path d="M{x(records):.1f} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x(records):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{short(int(records))}</text>'
        )
    for seconds in _decades([seconds for _records, seconds in points]):
        parts.append(f'<path d="M{LEFT} {y(seconds):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(seconds) + 4:.1f}" text-anchor="end">{seconds:,g} s</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{BOTTOM + 34}" text-anchor="middle">records</text>'
    )
    heights = dict(_apart({side: y(line[-1][1]) for side, line in lines.items()}))
    colours = iter(COLOURS)
    for side, line in lines.items():
        colour, width = (
            ("#0b6e99", 3) if side == OURS else ("#555", 1.5) if side == FLOOR else (next(colours), 1.5)
        )
        dashes = ' stroke-dasharray="4 3"' if side == FLOOR else ""
        path = " ".join(f"{x(records):.1f},{y(seconds):.1f}" for records, seconds in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
        )
        parts += [
            f'<circle cx="{x(one):.1f}" cy="{y(seconds):.1f}" r="3" fill="{colour}"/>'
            for one, seconds in line
        ]
        parts.append(
            f'<text x="{x(line[-1][0]) + 10:.1f}" y="{heights[side] + 4:.1f}" fill="{colour}">{TITLES[side]}, {_seconds(line[-1][1])}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def _lines(figures: Sequence[Figure]) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in figures:
        if one.experiment == "sides" and one.shape == "dated":
            lines.setdefault(one.side, []).append((one.records, one.best))
    return {side: sorted(line) for side, line in lines.items()}


class _scale:  # noqa: N801 - used as a function
    """A value's place between ``low`` and ``high``, which are those of the whole decades around all values."""

    def __init__(self, values: Sequence[float], low: float, high: float) -> None:
        decades = [log10(one) for one in _decades(values)]
        self._first, self._last, self._low, self._high = decades[0], decades[-1], low, high

    def __call__(self, value: float) -> float:
        part = (log10(value) - self._first) / max(self._last - self._first, 1)
        return self._low + part * (self._high - self._low)


def _decades(values: Sequence[float]) -> list[float]:
    return [10.0**power for power in range(floor(log10(min(values))), ceil(log10(max(values))) + 1)]


def _apart(heights: dict[str, float]) -> Iterator[tuple[str, float]]:
    """The labels, pushed down where they would lie on each other."""
    free = 0.0
    for side, height in sorted(heights.items(), key=lambda item: item[1]):
        free = max(height, free)
        yield side, free
        free += LABEL_HEIGHT
