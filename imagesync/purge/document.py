"""A purge and a restore as documents: the JSON contracts ``imagesync.purge/1`` and ``imagesync.restore/1``."""

from __future__ import annotations

from typing import Any

from imagesync.models import Purge
from imagesync.purge.restore import Restored

SCHEMA = "imagesync.purge/1"


def purge_document(purge: Purge, *, dry_run: bool) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "purge": purge.pk,
        "audit": purge.audit_id,
        "dry_run": dry_run,
        "executed": purge.state == Purge.State.DONE,
        "state": purge.state,
        "refused": purge.refused,
        "delete": purge.plan.get("delete", []),
        "keep": purge.plan.get("keep", []),
        "receivers": purge.plan.get("receivers", []),
        "limits": purge.limits,
        "counts": purge.counts,
    }


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
