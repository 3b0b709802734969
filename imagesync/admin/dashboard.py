"""The figures above the list of audits: how one store is, since when, where and why. The database only.

Nothing is counted here: what takes time to count was counted when the audit ended, and is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagesync.admin.charts import Histogram, Line, histogram, line
from imagesync.admin.field_bars import FieldBar, field_bars
from imagesync.conf import app_settings
from imagesync.core.cost import told
from imagesync.core.trust import BELIEVED
from imagesync.core.verdicts import Verdict
from imagesync.freshness import freshness_of
from imagesync.models import Audit, AuditRange, Finding
from imagesync.reports import freshness_lines, printable

AUDITS_SHOWN = 60
COUNTED_NOW = 10_000
"""So many open findings are counted where no audit of everything did that; more are "more than"."""
LARGE = ("canaries", "scope", "failed_reads", "figures")
"""Columns of an audit that no list of audits shows."""

HEALTHY, ATTENTION, STALE, RUNNING, PARTLY, NEVER = (
    "healthy", "attention", "stale", "running", "partly", "never",
)  # fmt: skip
STANDINGS = {
    HEALTHY: gettext_lazy("healthy"),
    ATTENTION: gettext_lazy("needs attention"),
    STALE: gettext_lazy("stale"),
    RUNNING: gettext_lazy("running"),
    PARTLY: gettext_lazy("looked at in part"),
    NEVER: gettext_lazy("never audited"),
}


@dataclass(slots=True)
class Dashboard:
    """What the page shows of one store; everything is filled in, nothing is asked for later."""

    store: Audit | None = None
    """Its newest audit, whatever became of it."""
    latest: Audit | None = None
    """The newest audit of everything that was finished and believed."""
    standing: str = NEVER
    freshness: list[str] = field(default_factory=list)
    """How fresh its records are, in sentences, where ``FRESHNESS`` is set."""
    by_slices: bool = False
    """Whether the standing and what is missing are told by slices, which are newer than any audit of everything."""
    running: Audit | None = None
    interrupted: Audit | None = None
    percent: int = 0
    others: list[tuple[Audit, bool]] = field(default_factory=list)
    missing: int = 0
    change: int | None = None
    opened: int = 0
    closed: int = 0
    has_figures: bool = False
    """Whether the latest audit kept its figures: those of before there were any did not."""
    cost: str = ""
    fields: list[FieldBar] = field(default_factory=list)
    history: list[tuple[Audit, int | None]] = field(default_factory=list)
    trend: Line | None = None
    by_date: Histogram | None = None
    undated: int = 0
    prefixes: list[tuple[str, int]] = field(default_factory=list)
    """Folder and percent of what is missing."""
    sampled: int = 0
    """How many of the missing ones places and dates were taken from; 0 for all."""

    @property
    def missing_told(self) -> str:
        if self.by_slices and self.missing > COUNTED_NOW:
            return _("more than %(number)s") % {"number": f"{COUNTED_NOW:,}"}
        return f"{self.missing:,}"

    @property
    def change_told(self) -> str:
        return f"{self.change or 0:+,}"

    @property
    def opened_told(self) -> str:
        return f"{self.opened:,}"

    @property
    def closed_told(self) -> str:
        return f"{self.closed:,}"

    @property
    def doubts(self) -> list[dict[str, str]]:
        """Why the newest audit could not be fully believed, when it has ended."""
        if self.store is None or not self.store.complete:
            return []
        return [{name: printable(str(value)) for name, value in one.items()} for one in self.store.reasons]

    @property
    def took(self) -> str:
        return took(self.latest) if self.latest else ""

    @property
    def history_told(self) -> list[tuple[Audit, str]]:
        return [
            (audit, _("not known") if missing is None else f"{missing:,}") for audit, missing in self.history
        ]

    @property
    def trend_told(self) -> str:
        known = [(audit, missing) for audit, missing in self.history if missing is not None]
        if not known:
            return _("None of the last audits could be believed.")
        (last, now), (first, then) = known[0], known[-1]
        if last is first:
            return _("%(now)s missing at %(last)s; no other of the last audits could be believed.") % {
                "now": f"{now:,}",
                "last": last,
            }
        return _("%(then)s missing at %(first)s, %(now)s at %(last)s; at the most %(most)s.") % {
            "then": f"{then:,}",
            "first": first,
            "now": f"{now:,}",
            "last": last,
            "most": f"{max(missing for _audit, missing in known):,}",
        }

    @property
    def dates_told(self) -> str:
        """What the histogram shows, in sentences."""
        if self.by_date is None:
            return ""
        told = [_("No date stands out.")]
        if self.by_date.wall:
            told = [
                _("%(percent)d %% of them were uploaded in %(when)s.")
                % {"percent": self.by_date.wall_percent, "when": self.by_date.wall}
            ]
        if self.sampled:
            told.append(_("Taken from a random %(sample)s of them.") % {"sample": f"{self.sampled:,}"})
        if self.undated:
            told.append(_("%(number)s do not say when.") % {"number": f"{self.undated:,}"})
        return " ".join(told)


def dashboard(fingerprint: str = "") -> Dashboard:
    """The figures of one store (default: the one that was audited last)."""
    found = Dashboard()
    stores = _stores()
    if not stores:
        return found
    found.store = next((one for one in stores if one.fingerprint == fingerprint), stores[0])
    found.others = [(one, one is found.store) for one in stores] if len(stores) > 1 else []
    _tell_audits(found, found.store.fingerprint)
    if found.latest is not None:
        _tell_figures(found, found.latest)
    return found


def money(requests: Mapping[str, int]) -> str:
    """What requests cost, as the settings price them."""
    prices = app_settings().prices
    return told(prices.of(requests), prices.currency)


def is_dead(audit: Audit) -> bool:
    """Whether its process went away before the end, so that it can be resumed."""
    return audit.is_dead


def took(audit: Audit) -> str:
    """Hours, minutes and seconds; empty while it is not finished."""
    if audit.finished_at is None:
        return ""
    seconds = int((audit.finished_at - audit.started_at).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _stores() -> list[Audit]:
    """The newest audit of each store, the newest first."""
    newest = Audit.objects.order_by().values("fingerprint").annotate(newest=Max("pk")).values("newest")
    return list(Audit.objects.filter(pk__in=newest).defer(*LARGE).order_by("-pk")[:20])


def _tell_audits(found: Dashboard, fingerprint: str) -> None:
    of_store = Audit.objects.filter(fingerprint=fingerprint).defer(*LARGE)
    whole = of_store.filter(state=Audit.State.FINISHED, full_scope=True)
    audits = list(whole.order_by("-pk")[: AUDITS_SHOWN + 1])
    over = (Audit.State.FINISHED, Audit.State.CANCELLED)
    unfinished = of_store.exclude(state__in=over).order_by("-pk").first()
    if unfinished is not None and (unfinished.state == Audit.State.PAUSED or is_dead(unfinished)):
        found.interrupted = unfinished if not audits or unfinished.pk > audits[0].pk else None
    elif unfinished is not None:
        found.running, found.percent = unfinished, percent_done(unfinished)

    believed = [audit for audit in audits if _is_believed(audit)]
    found.history = [(audit, _missing(audit)) for audit in audits[:AUDITS_SHOWN]]
    if len(found.history) > 1:
        found.trend = line([missing for _audit, missing in reversed(found.history)])
    if believed:
        found.latest = believed[0]
        found.missing = believed[0].counts.get(Verdict.MISSING, 0)
        found.cost = money(believed[0].requests)
        if len(believed) > 1:
            found.change = found.missing - believed[1].counts.get(Verdict.MISSING, 0)
    found.standing = _standing(found, audits)
    if (document := freshness_of(fingerprint)) is not None:
        found.freshness = list(freshness_lines(document))
        if _slices_are_newer(document, audits):
            _tell_slices(found, document)


def percent_done(audit: Audit) -> int:
    done = Count("pk", filter=Q(state=AuditRange.State.DONE))
    ranges = AuditRange.objects.filter(audit=audit).aggregate(done=done, all=Count("pk"))
    return int(100 * ranges["done"] / (ranges["all"] or 1))


def _standing(found: Dashboard, audits: Sequence[Audit]) -> str:
    if found.running is not None:
        return RUNNING
    if not audits:
        return NEVER
    newest = audits[0]
    if _is_old(newest):
        return STALE
    sound = newest.trust == Audit.Trust.TRUSTWORTHY and newest is found.latest
    return HEALTHY if sound and not troubles(newest.counts) else ATTENTION


def _is_old(audit: Audit) -> bool:
    finished: datetime | None = audit.finished_at
    return finished is None or timezone.now() - finished > app_settings().audit_max_age


def _slices_are_newer(document: Mapping[str, Any], audits: Sequence[Audit]) -> bool:
    """An audit of everything tells more, as long as it is fresh and no slice was looked at since."""
    if not audits or _is_old(audits[0]):
        return True
    newest_at = document["newest_at"]
    return newest_at is not None and datetime.fromisoformat(newest_at) > audits[0].started_at


def _tell_slices(found: Dashboard, document: Mapping[str, Any]) -> None:
    findings = Finding.objects.open().filter(fingerprint=document["store"])
    missing = findings.filter(verdict=Verdict.MISSING).order_by().values_list("pk", flat=True)
    found.by_slices = True
    found.missing, found.change = missing[: COUNTED_NOW + 1].count(), None
    doubted = document["doubted"] or document["failures"]
    is_sound = not (doubted or found.missing or findings.exists())
    if found.running is None:
        found.standing = _standing_of_slices(document, is_sound)


def _standing_of_slices(document: Mapping[str, Any], is_sound: bool) -> str:
    if document["never_looked_at"] == document["slices"]:
        return NEVER
    if document["behind_s"]:
        return STALE
    if not is_sound:
        return ATTENTION
    return PARTLY if document["never_looked_at"] else HEALTHY


def troubles(counts: Mapping[str, int]) -> int:
    """How many records an audit found that are not simply there."""
    return int(counts.get("records", 0)) - int(counts.get(Verdict.PRESENT, 0))


def _is_believed(audit: Audit) -> bool:
    return audit.trust in BELIEVED


def _missing(audit: Audit) -> int | None:
    return audit.counts.get(Verdict.MISSING, 0) if _is_believed(audit) else None


def _tell_figures(found: Dashboard, latest: Audit) -> None:
    figures = Audit.objects.values_list("figures", flat=True).get(pk=latest.pk)
    if not figures:
        return
    found.has_figures = True
    found.opened, found.closed = figures["opened"], figures["closed"]
    found.fields = field_bars(figures["fields"])
    sampled = figures["sampled"]
    found.sampled = sampled if sampled < latest.counts.get(Verdict.MISSING, 0) else 0
    found.prefixes = [
        (printable(folder), round(100 * number / sampled)) for folder, number in figures["folders"].items()
    ]
    found.undated = figures["undated"]
    found.by_date = histogram({date.fromisoformat(day): number for day, number in figures["days"].items()})
