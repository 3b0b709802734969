"""Figures in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). All are gauges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its name, one sentence of help, and a value for each set of labels."""

    name: str
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        self.samples.append((labels, float(value)))


def exposition(gauges: Iterable[Gauge]) -> Iterator[str]:
    """The text, line by line. A metric without a value is left out: there is nothing that it could say."""
    for gauge in gauges:
        if gauge.samples:
            yield f"# HELP {gauge.name} {_escaped(gauge.help)}\n"
            yield f"# TYPE {gauge.name} gauge\n"
        for labels, value in gauge.samples:
            yield f"{gauge.name}{_braces(labels)} {_number(value)}\n"


def _braces(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_quotable(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quotable(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
