"""A purge and a restore as documents: the JSON contracts ``imagesync.purge/1`` and ``imagesync.restore/1``."""

from __future__ import annotations

from typing import Any

from imagesync.models import Purge, Tombstone
from imagesync.purge.restore import Restored

SCHEMA = "imagesync.purge/1"


def purge_document(purge: Purge, *, dry_run: bool) -> dict[str, Any]:
    taken = purge.counts.get("deleted") or purge.counts.get("cleared")
    return {
        "schema": SCHEMA,
        "purge": purge.pk,
        "audit": purge.audit_id,
        "dry_run": dry_run,
        "executed": purge.state == Purge.State.DONE,
        "state": purge.state,
        "refused": purge.refused,
        "undo": f"restore_purged {purge.pk}" if taken else None,
        "delete": _planned(purge),
        "keep": purge.plan.get("keep", []),
        "receivers": purge.plan.get("receivers", []),
        "limits": purge.limits,
        "counts": purge.counts,
    }


def _planned(purge: Purge) -> list[dict[str, Any]]:
    """What the plan names, and once it was begun, what became of each: ``deleted``, ``cleared``, ``kept`` or ``left``."""
    entries: list[dict[str, Any]] = purge.plan.get("delete", [])
    if purge.started_at is None:
        return entries
    # what the plan itself keeps names no field, and is none of its entries
    outcomes = {(entry["record"], entry.get("field")): "kept" for entry in purge.plan["keep"]}
    tombstones = Tombstone.objects.filter(purge=purge).select_related("content_type")
    for one in tombstones.only("content_type", "object_pk", "field", "action").iterator():
        outcomes[one.record_label, one.field] = "deleted" if one.action == "delete" else "cleared"
    return [
        {**entry, "outcome": outcomes.get((entry["record"], entry["field"]), "left")} for entry in entries
    ]


def restore_document(outcome: Restored, *, dry_run: bool) -> dict[str, Any]:
    return {
        "schema": "imagesync.restore/1",
        "purge": outcome.purge.pk,
        "dry_run": dry_run,
        "executed": outcome.executed,
        "restored": [
            {"record": one.record_label, "key": one.key, "action": one.action} for one in outcome.records
        ],
        "conflicts": [
            {
                "record": tombstone.record_label,
                "key": tombstone.key,
                "why": "; ".join(conflict.why for conflict in conflicts if conflict.fatal),
            }
            for tombstone, conflicts in outcome.conflicts
        ],
        "notes": [{"record": note.record, "why": note.why} for note in outcome.notes],
        "counts": {"restored": len(outcome.records), "conflicts": len(outcome.conflicts)},
    }
