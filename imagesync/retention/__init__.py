"""Use case: history that is over is removed after its time, and nothing that anything still rests on."""

from __future__ import annotations

from imagesync.retention.document import prune_document
from imagesync.retention.prune import Prune, execute_prune, plan_prune

__all__ = ["Prune", "execute_prune", "plan_prune", "prune_document"]
