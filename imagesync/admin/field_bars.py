"""A bar for each file field: its records, and its open findings by verdict, as an audit counted them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagesync.admin.charts import Bar, stacked
from imagesync.core.verdicts import Verdict

REST = "no-finding"


@dataclass(frozen=True, slots=True)
class FieldBar:
    label: str
    total: int
    bars: list[Bar]

    @property
    def told(self) -> str:
        return ", ".join(f"{bar.told} {bar.label}" for bar in self.bars)


def field_bars(fields: Mapping[str, Mapping[str, int]]) -> list[FieldBar]:
    """From an audit's ``figures["fields"]``; a field without records and findings has no bar."""
    bars = []
    for label, counted in sorted(fields.items()):
        found = {verdict: counted[verdict] for verdict in Verdict if counted.get(verdict)}
        total = counted.get("records", 0)
        rest = max(0, total - sum(found.values()))
        if total or found:
            parts = [(REST, rest), *((verdict.value, number) for verdict, number in found.items())]
            bars.append(FieldBar(label, total, stacked(parts)))
    return bars
