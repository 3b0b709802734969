"""Use case: every record is looked at within ``IMAGESYNC["FRESHNESS"]``, by small audits instead of a nightly one."""

from __future__ import annotations

from imagesync.freshness.keep import Outcome, keep_fresh
from imagesync.freshness.standing import freshness_document, freshness_of

__all__ = ["Outcome", "freshness_document", "freshness_of", "keep_fresh"]
