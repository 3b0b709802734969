"""A clean-up as a document: ``imagesync.prune/1``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from imagesync.conf import app_settings
from imagesync.core.retention import Retention
from imagesync.retention.prune import STEPS, Prune

SCHEMA = "imagesync.prune/1"


def prune_document(prune: Prune, *, dry_run: bool) -> dict[str, Any]:
    retention = app_settings().retention
    return {
        "schema": SCHEMA,
        "at": prune.history.now.isoformat(),
        "dry_run": dry_run,
        "executed": prune.executed,
        "kept_for_s": {
            name: kept.total_seconds() if isinstance(kept, timedelta) else None
            for name in Retention.__slots__
            for kept in [getattr(retention, name)]
        },
        "remove": dict(prune.planned),
        "removed": {step.name: prune.removed.get(step.name, 0) for step in STEPS},
    }
