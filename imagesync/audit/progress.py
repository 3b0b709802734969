"""How far an audit is, from the database: the same figures for the command, the admin and the JSON."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models.functions import Now

from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, AuditRange


def progress_of(audit: Audit) -> dict[str, Any]:
    """What is done, by how many workers, at which rate, and about how many seconds are left (None: nobody knows)."""
    parts = audit.ranges.annotate(at=Now()).values_list("state", "counts", "lease_owner", "lease_until", "at")
    done = ranges = 0
    counts: Counter[str] = Counter()
    workers: set[str] = set()
    now: datetime | None = None
    for state, of_part, owner, until, now in parts:
        ranges += 1
        done += state == AuditRange.State.DONE
        counts.update(of_part)
        if owner and until is not None and until > now:
            workers.add(owner)
    per_second = None if audit.complete else _rate(audit, counts["records"], now)
    return {
        "stage": audit.stage,
        "ranges": ranges,
        "ranges_done": done,
        "records": counts["records"],
        "expected_records": audit.expected_records,
        "missing": counts[Verdict.MISSING],
        "workers": len(workers),
        "per_second": per_second,
        "seconds_left": 0 if audit.complete else _left(audit, counts["records"], per_second),
    }


def _rate(audit: Audit, records: int, now: datetime | None) -> float | None:
    """Records a second since it was begun or resumed."""
    if now is None or audit.comparing_since is None or audit.state != Audit.State.RUNNING:
        return None
    seconds = (now - audit.comparing_since).total_seconds()
    judged = records - audit.comparing_from
    return round(judged / seconds, 1) if seconds > 0 and judged > 0 else None


def _left(audit: Audit, records: int, per_second: float | None) -> int | None:
    if not per_second or audit.expected_records is None:
        return None
    return round(max(audit.expected_records - records, 0) / per_second)
