"""How each store is now, as its audits of everything tell, and those that keep it fresh. One query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from imagesync.core.news import BROKEN, Kind, Standing
from imagesync.core.trust import BELIEVED
from imagesync.models import Audit, Finding
from imagesync.records.in_use import looks_at_all

FAILED_AFTER = timedelta(minutes=90)
"""An audit that nobody is at is told of so long after its beginning: the next run of an hourly schedule resumes it."""


@dataclass(frozen=True, slots=True)
class AuditedStore:
    """The audits of one store that its news are made of."""

    newest: Audit
    """Whatever became of it."""
    ended: Audit | None
    """The newest that ran to its end."""
    look: int
    """Number of the newest audit of whatever scope that was believed: of an event, say. 0 when none was."""

    @property
    def is_believed(self) -> bool:
        return self.ended is not None and self.ended.trust in BELIEVED

    def standing(self, now: datetime, *, overdue_after: timedelta, counted: int) -> Standing:
        """``counted`` is the look whose findings were counted already: that takes a while where there are many."""
        return Standing(
            audit=self.ended.pk if self.ended else 0,
            look=self.look,
            broken=self._broken(counted),
            troubles=self._troubles(now, overdue_after),
        )

    def _broken(self, counted: int) -> dict[str, int] | None:
        if self.ended is not None and self.ended.pk >= self.look:
            if not self.is_believed:
                return None
            if "fields" in self.ended.figures:
                return _broken_by_figures(self.ended)
        return _broken_by_count(self.newest.fingerprint) if self.look != counted else None

    def _troubles(self, now: datetime, overdue_after: timedelta) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        if self.ended is not None and not self.is_believed:
            found[Kind.UNTRUSTWORTHY.value] = frozenset(reason["id"] for reason in self.ended.reasons)
        if self.newest.lease_is_alive:  # somebody is at it
            return found
        stopped = self.newest.state in (Audit.State.RUNNING, Audit.State.INTERRUPTED)
        if stopped and now - self.newest.started_at > FAILED_AFTER:
            found[Kind.FAILED.value] = frozenset()
        last = (self.ended.finished_at if self.ended else None) or self.newest.started_at
        if now - last > overdue_after:
            found[Kind.OVERDUE.value] = frozenset()
        return found


def audited_stores(aliases: Iterable[str]) -> list[AuditedStore]:
    """One for each storage of these that was ever audited; a store that its storage names no more is history."""
    whole = Audit.objects.filter(looks_at_all(), alias__in=list(aliases))
    newest: QuerySet[Any, Any] = (
        whole.order_by().values("fingerprint").annotate(newest=Max("pk")).values("newest")
    )
    ended = newest.filter(state=Audit.State.FINISHED)
    looks = Audit.objects.filter(
        fingerprint=OuterRef("fingerprint"), state=Audit.State.FINISHED, trust__in=BELIEVED
    )
    audits: QuerySet[Any] = whole.filter(Q(pk__in=newest) | Q(pk__in=ended)).order_by("pk")
    audits = audits.annotate(look=Coalesce(Subquery(looks.order_by("-pk").values("pk")[:1]), 0))
    by_fingerprint: dict[str, AuditedStore] = {}
    for audit in audits.defer("canaries", "failed_reads"):
        known = by_fingerprint.get(audit.fingerprint)
        before = known.ended if known is not None else None
        by_fingerprint[audit.fingerprint] = AuditedStore(
            audit, audit if audit.complete else before, audit.look
        )
    in_order = sorted(by_fingerprint.values(), key=lambda store: store.newest.pk)
    return list({store.newest.alias: store for store in in_order}.values())


def _broken_by_figures(audit: Audit) -> dict[str, int]:
    """As an audit of everything counted them when it ended."""
    totals: Counter[str] = Counter()
    for verdicts in audit.figures["fields"].values():
        totals.update({one.value: verdicts.get(one.value, 0) for one in BROKEN})
    return {verdict: number for verdict, number in totals.items() if number}


def _broken_by_count(fingerprint: str) -> dict[str, int]:
    """What is known of every record by now: a look that failed makes nothing whole again."""
    standing = Finding.objects.open().filter(fingerprint=fingerprint, verdict__in=BROKEN)
    numbers = standing.order_by().values_list("verdict").annotate(number=Count("pk"))
    return dict(numbers)
