"""What a purge has done so far: counted while it runs, and written to its row with each batch."""

from __future__ import annotations

from typing import Any, NamedTuple

from imagesync.models import Purge
from imagesync.purge.summary import summary_of


class Counted(NamedTuple):
    """A tally as it stood at one moment."""

    deleted: int
    cleared: int
    kept: list[dict[str, Any]]
    plan: dict[str, Any]
    """The purge's own, with its summary: ``write`` tells by it what is stored already."""
    summary: dict[str, Any]


class Tally:
    """Of one purge; what its plan keeps is counted from the beginning."""

    def __init__(self, purge: Purge) -> None:
        self.purge = purge
        self.deleted = 0
        self.cleared = 0
        self.kept: list[dict[str, Any]] = list(purge.plan["keep"])

    def keep(self, record: str, field: str, key: str, why: str) -> None:
        self.kept.append({"record": record, "field": field, "key": key, "why": why})

    def now(self) -> Counted:
        return Counted(self.deleted, self.cleared, list(self.kept), self.purge.plan, self.purge.summary)

    def back_to(self, before: Counted) -> None:
        """Forget what was counted since, in a transaction that was rolled back."""
        self.deleted, self.cleared, self.kept, self.purge.plan, self.purge.summary = before

    def write(self) -> None:
        """Save it with the purge, in the transaction that is open."""
        planned = self.purge.counts.get("planned", 0)
        self.purge.counts = {
            "planned": planned,
            "deleted": self.deleted,
            "cleared": self.cleared,
            "kept": len(self.kept),
        }
        changed = ["counts"]
        if len(self.kept) != len(self.purge.plan["keep"]):  # the plan is long: it is not written for nothing
            self.purge.plan = {**self.purge.plan, "keep": list(self.kept)}
            self.purge.summary = summary_of(self.purge.plan)
            changed += ["plan", "summary"]
        self.purge.save(update_fields=changed)
