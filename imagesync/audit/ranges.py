"""The ranges of an audit, claimed by one process at a time: in the database, atomically, under leases."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from django.db import connections, router, transaction
from django.db.models import QuerySet

from imagesync.conf import app_settings
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, AuditRange
from imagesync.models.leases import is_free, lease_end, new_owner

BEATS_PER_LEASE = 6
"""How often a lease is renewed within its length."""


class Claims:
    """Those ranges of one audit that this process works on.

    ``at_once`` are claimed by one query: more than one when nobody else shares the audit.
    """

    def __init__(self, audit: Audit, *, at_once: int = 1) -> None:
        self.audit = audit
        self.owner = new_owner()
        self._at_once = at_once
        self._held: set[int] = set()
        self._next: deque[AuditRange] = deque()
        """Claimed, and not taken yet."""
        self._beat_at = time.monotonic()
        self._got_on = False

    def take(self) -> AuditRange | None:
        """The next range that is not done and that nobody works on; None when there is none, or the audit is over."""
        if not self._next:
            self._next.extend(self._claimed())
        return self._next.popleft() if self._next else None

    def _claimed(self) -> list[AuditRange]:
        free = free_ranges(self.audit).order_by("number")
        with transaction.atomic(using=router.db_for_write(AuditRange)):
            chosen = _first(free, self._at_once)
            if not chosen:
                return []
            free.filter(pk__in=chosen).update(lease_owner=self.owner, lease_until=lease_end())
        ours = list(self._mine().exclude(pk__in=self._held).order_by("number"))
        self._held.update(part.pk for part in ours)
        return ours

    def write(self, part: AuditRange, **values: Any) -> None:
        """Write columns of a range, and so lock it, in the transaction that is open.

        Raises AlreadyRunning when another process has it, or nobody; then nothing is written.
        """
        mine = AuditRange.objects.filter(pk=part.pk, lease_owner=self.owner, state=AuditRange.State.PENDING)
        if not mine.update(**{"lease_until": lease_end(), **values}):
            self.audit.renew_lease()  # it knows whether somebody paused or ended the whole
            raise AlreadyRunning(
                f"The lease of {part} ran out and another process took over. Nothing was lost."
            )
        for name, value in values.items():
            setattr(part, name, value)
        self._got_on = True

    def renew(self) -> None:
        """Say that we are alive. Raises AlreadyRunning when the audit was paused, or is over."""
        self._beat_at = time.monotonic()
        if self._got_on:
            self.audit.write(lease_until=lease_end(), idle_sweeps=0)
            self._got_on = False
        else:
            self.audit.renew_lease()
        self._mine().update(lease_until=lease_end())

    def renew_if_due(self) -> None:
        if time.monotonic() - self._beat_at > beat_seconds():
            self.renew()

    def release(self) -> None:
        """Leave what is not done to others."""
        self._held.clear()
        self._next.clear()
        self._mine().update(lease_owner="", lease_until=None)

    def _mine(self) -> QuerySet[AuditRange]:
        return AuditRange.objects.filter(
            audit=self.audit, lease_owner=self.owner, state=AuditRange.State.PENDING
        )


def beat_seconds() -> float:
    """After how long a lease is renewed, in seconds."""
    return app_settings().lease.total_seconds() / BEATS_PER_LEASE


def pending_ranges(audit: Audit) -> QuerySet[AuditRange]:
    return AuditRange.objects.filter(audit=audit, state=AuditRange.State.PENDING)


def free_ranges(audit: Audit) -> QuerySet[AuditRange]:
    """Those that can be claimed."""
    return pending_ranges(audit).filter(is_free(), audit__state=Audit.State.RUNNING)


def take_away(audit: Audit) -> None:
    """End every claim: whoever works on a range writes nothing more of it."""
    pending_ranges(audit).exclude(lease_owner="").update(lease_owner="", lease_until=None)


def counts_of(audit: Audit, *, believed: bool = True) -> Counter[str]:
    """Records, and records by verdict, of all its ranges; what looked absent is unknown when the store is not believed."""
    counts = _summed(audit.ranges.values_list("counts", flat=True))
    if not believed:
        counts[Verdict.UNKNOWN] += counts.pop(Verdict.MISSING, 0)
    return counts


def requests_of(audit: Audit) -> Counter[str]:
    """Requests by kind, those of ranges that are under way included."""
    if audit.complete:
        return Counter(audit.requests)
    return Counter(audit.requests) + _summed(audit.ranges.values_list("requests", flat=True))


def _first(free: QuerySet[AuditRange], number: int) -> Any:
    """The keys of the first of them, locked where the database can skip what others have locked.

    SQLite has one writer at a time: there they are looked up within the UPDATE itself.
    """
    if connections[free.db].features.has_select_for_update_skip_locked:
        locked = free.select_for_update(skip_locked=True, of=("self",)).only("pk")
        return [one.pk for one in locked[:number]]
    return free.values("pk")[:number]


def _summed(counted: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counted:
        total.update(one)
    return total
