"""How fresh a store is, for reports, the admin and whoever watches it. The database only; nothing is written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.core.freshness import standing_of
from imagesync.models import Freshness
from imagesync.records.slices import stored_slices


def freshness_of(fingerprint: str, *, now: datetime | None = None) -> dict[str, Any] | None:
    """The document of a store that is kept fresh; None when ``FRESHNESS`` is not set or no slice was cut yet."""
    if app_settings().freshness is None:
        return None
    freshness = Freshness.objects.filter(fingerprint=fingerprint).first()
    return None if freshness is None else freshness_document(freshness, now=now)


def freshness_document(freshness: Freshness, *, now: datetime | None = None) -> dict[str, Any]:
    """Durations in seconds; ``share`` of the records from 0 to 1; ``stalest_at`` is None while a slice was never looked at."""
    now = now or timezone.now()
    within = app_settings().freshness
    if within is None:
        return {}
    standing = standing_of(stored_slices(freshness), began_at=freshness.began_at, within=within, now=now)
    return {
        "store": freshness.fingerprint,
        "within_s": within.total_seconds(),
        "began_at": freshness.began_at.isoformat(),
        "slices": standing.slices,
        "never_looked_at": standing.never,
        "doubted": standing.doubted,
        "records": standing.records,
        "fresh": standing.fresh,
        "share": round(standing.share, 6),
        "stalest_at": standing.stalest_at.isoformat() if standing.stalest_at else None,
        "newest_at": standing.newest_at.isoformat() if standing.newest_at else None,
        "behind_s": standing.behind.total_seconds(),
        "next_at": max(freshness.due_at, freshness.not_before or freshness.due_at).isoformat(),
        "failures": freshness.failures,
        "in_order": freshness.in_order,
    }
