"""The figures above the list of audits: how one store is, since when, where and why. The database only.

Every query is bounded: the open findings are counted up to a limit, and places and dates are taken from a
random sample of them. What is sampled is said on the page.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import BigIntegerField, Count, ExpressionWrapper, Max, Q, QuerySet, Window
from django.db.models.functions import Mod, RowNumber
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagesync.admin.charts import Bar, Histogram, Line, histogram, line, stacked, worst_prefixes
from imagesync.conf import app_settings
from imagesync.core.cost import told
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, AuditRange, Finding
from imagesync.records import Target, find_targets
from imagesync.records.findings import of_records
from imagesync.records.splitting import counted_or_known
from imagesync.records.stream import RecordKey, base_rows
from imagesync.reports import printable

AUDITS_SHOWN = 60
COUNTED = 200_000
"""Open findings beyond these are not counted while somebody waits."""
SAMPLE = 1_000
TURN, GOLDEN = 2**32, 2_654_435_761
NEWS_COUNTED = 10_000
OLDEST = timedelta(days=365 * 50)
"""An upload date before that is no date of an upload."""

HEALTHY, ATTENTION, STALE, RUNNING, NEVER = "healthy", "attention", "stale", "running", "never"
STANDINGS = {
    HEALTHY: gettext_lazy("healthy"),
    ATTENTION: gettext_lazy("needs attention"),
    STALE: gettext_lazy("stale"),
    RUNNING: gettext_lazy("running"),
    NEVER: gettext_lazy("never audited"),
}
REST = "no-finding"
BELIEVED = (Audit.Trust.TRUSTWORTHY.value, Audit.Trust.DEGRADED.value)


@dataclass(frozen=True, slots=True)
class FieldBar:
    label: str
    total: int
    bars: list[Bar]

    @property
    def told(self) -> str:
        return ", ".join(f"{bar.told} {bar.label}" for bar in self.bars)


@dataclass(slots=True)
class Dashboard:
    """What the page shows of one store; everything is filled in, nothing is asked for later."""

    store: Audit | None = None
    """Its newest audit, whatever became of it."""
    latest: Audit | None = None
    """The newest audit of everything that was finished and believed."""
    standing: str = NEVER
    running: Audit | None = None
    interrupted: Audit | None = None
    percent: int = 0
    others: list[tuple[Audit, bool]] = field(default_factory=list)
    missing: int = 0
    change: int | None = None
    opened: int = 0
    closed: int = 0
    capped: bool = False
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
        return f"{self.missing:,}"

    @property
    def change_told(self) -> str:
        return f"{self.change or 0:+,}"

    @property
    def opened_told(self) -> str:
        return _told_up_to(self.opened)

    @property
    def closed_told(self) -> str:
        return _told_up_to(self.closed)

    @property
    def counted(self) -> str:
        return f"{COUNTED:,}"

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
    _tell_findings(found, found.store.fingerprint, alone=len(stores) == 1)
    return found


def capped(rows: QuerySet[Any], most: int = NEWS_COUNTED) -> int:
    """How many rows there are, ``most`` at the most."""
    return rows.order_by().values("pk")[:most].count()


def _told_up_to(number: int) -> str:
    return f"{number:,}" if number < NEWS_COUNTED else _("%(number)s or more") % {"number": f"{number:,}"}


def money(requests: Mapping[str, int]) -> str:
    """What requests cost, as the settings price them."""
    prices = app_settings().prices
    return told(prices.of(requests), prices.currency)


def is_dead(audit: Audit) -> bool:
    """Whether its process went away before the end, so that it can be resumed."""
    return not audit.complete and not audit.lease_is_alive


def took(audit: Audit) -> str:
    """Hours, minutes and seconds; empty while it is not finished."""
    if audit.finished_at is None:
        return ""
    seconds = int((audit.finished_at - audit.started_at).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _stores() -> list[Audit]:
    """The newest audit of each store, the newest first."""
    newest = Audit.objects.order_by().values("fingerprint").annotate(newest=Max("pk")).values("newest")
    return list(
        Audit.objects.filter(pk__in=newest).defer("canaries", "scope", "failed_reads").order_by("-pk")[:20]
    )


def _tell_audits(found: Dashboard, fingerprint: str) -> None:
    of_store = Audit.objects.filter(fingerprint=fingerprint).defer("canaries", "scope", "failed_reads")
    whole = of_store.filter(state=Audit.State.FINISHED, full_scope=True)
    audits = list(whole.order_by("-pk")[: AUDITS_SHOWN + 1])
    unfinished = of_store.exclude(state=Audit.State.FINISHED).order_by("-pk").first()
    if unfinished is not None and is_dead(unfinished):
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
        found.opened = capped(Finding.objects.filter(opened_by=believed[0], settled=True))
        found.closed = capped(Finding.objects.filter(closed_by=believed[0], settled=True))
    found.standing = _standing(found, audits)


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
    finished: datetime | None = newest.finished_at
    if finished is None or timezone.now() - finished > app_settings().audit_max_age:
        return STALE
    sound = newest.trust == Audit.Trust.TRUSTWORTHY and newest is found.latest
    return HEALTHY if sound and not troubles(newest.counts) else ATTENTION


def troubles(counts: Mapping[str, int]) -> int:
    """How many records an audit found that are not simply there."""
    return int(counts.get("records", 0)) - int(counts.get(Verdict.PRESENT, 0))


def _is_believed(audit: Audit) -> bool:
    return audit.trust in BELIEVED


def _missing(audit: Audit) -> int | None:
    return audit.counts.get(Verdict.MISSING, 0) if _is_believed(audit) else None


def _tell_findings(found: Dashboard, fingerprint: str, *, alone: bool) -> None:
    standing = Finding.objects.open().filter(fingerprint=fingerprint)
    numbers = _numbers(standing)
    found.capped = sum(numbers.values()) >= COUNTED
    targets = {(one.content_type.pk, one.field.name): one for one in find_targets()}
    found.fields = _field_bars(numbers, targets, alone=alone)

    missing = sum(
        number for (_type, _field, verdict), number in numbers.items() if verdict == Verdict.MISSING
    )
    if not missing:
        return
    missing = max(missing, found.missing if found.capped else 0)
    sample = _sample(standing.filter(verdict=Verdict.MISSING), missing)
    found.sampled = len(sample) if missing > SAMPLE else 0
    keys = standing.filter(of_records(sample), verdict=Verdict.MISSING).values_list("key", flat=True)
    prefix = found.store.prefix if found.store else ""
    worst = worst_prefixes(keys, begin=len(prefix))
    found.prefixes = [
        (printable(folder), round(100 * number / len(sample))) for folder, number in worst.items()
    ]
    days, found.undated = _days(sample, targets)
    found.by_date = histogram(days)


def _numbers(standing: QuerySet[Finding]) -> dict[tuple[int | None, str, str], int]:
    """(content type, field, verdict) -> how many of the first ``COUNTED`` findings; an index has all of it."""
    rows = standing.order_by().values("content_type_id", "field", "verdict")[:COUNTED]
    sql, parameters = rows.query.sql_with_params()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(
            f"SELECT content_type_id, field, verdict, COUNT(*) FROM ({sql}) AS counted "  # noqa: S608 - the ORM's own
            "GROUP BY content_type_id, field, verdict",
            parameters,
        )
        return {(row[0], row[1], row[2]): row[3] for row in cursor.fetchall()}


def _field_bars(
    numbers: Mapping[tuple[int | None, str, str], int],
    targets: Mapping[tuple[int, str], Target],
    *,
    alone: bool,
) -> list[FieldBar]:
    """A bar for each field with findings; with all fields in one store, for those without any too."""
    by_field: dict[tuple[int | None, str], Counter[str]] = defaultdict(Counter)
    for (content_type, name, verdict), number in numbers.items():
        by_field[content_type, name][verdict] += number
    wanted = dict.fromkeys([*by_field, *(targets if alone else ())])
    bars = []
    for content_type, name in wanted:
        verdicts = by_field.get((content_type, name), Counter())
        target = targets.get((content_type or 0, name))
        total = counted_or_known(base_rows(target.model)) if target else 0
        rest = max(0, total - sum(verdicts.values()))
        if not total and not verdicts:
            continue
        parts = [(REST, rest), *((one.value, verdicts[one.value]) for one in Verdict if verdicts[one.value])]
        label = target.label if target else _label(content_type, name)
        bars.append(FieldBar(label, total, stacked(parts)))
    return sorted(bars, key=lambda one: one.label)


def _label(content_type: int | None, name: str) -> str:
    """Of a field that is no longer a file field on S3, or of a model that is gone."""
    model = ContentType.objects.get_for_id(content_type).model_class() if content_type else None
    return f"{model._meta.label}.{name}" if model else f"?.{name}"


def _sample(rows: QuerySet[Finding], number: int) -> list[RecordKey]:
    """About ``SAMPLE`` of the records, from all over: the rows' numbers, turned by the golden ratio.

    Every so manieth row would fall into step with keys and pks that are regular themselves.
    """
    if number > SAMPLE:
        turned = ExpressionWrapper(Window(RowNumber()) * GOLDEN, BigIntegerField())
        rows = rows.annotate(drawn=Mod(turned, TURN, output_field=BigIntegerField()))
        rows = rows.filter(drawn__lt=TURN * SAMPLE // number)
    return list(rows.order_by().values_list("content_type_id", "object_pk", "field")[: 2 * SAMPLE])


def _days(
    sample: Sequence[RecordKey], targets: Mapping[tuple[int, str], Target]
) -> tuple[dict[date, int], int]:
    """Upload day -> records, and how many do not say when they were uploaded."""
    pks: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for content_type, pk, name in sample:
        pks[content_type, name].append(pk)
    days: Counter[date] = Counter()
    undated = 0
    newest = timezone.now().date() + timedelta(days=1)
    for place, texts in pks.items():
        target = targets.get(place)
        if target is None or not target.age_field:
            undated += len(texts)
            continue
        rows = base_rows(target.model).filter(pk__in=_as_pks(target, texts))
        for value in rows.values_list(target.age_field, flat=True):
            day = _day(value)
            if day is not None and newest - OLDEST <= day <= newest:
                days[day] += 1
            else:
                undated += 1
    return dict(days), undated


def _as_pks(target: Target, texts: Sequence[str]) -> list[Any]:
    found = []
    for text in texts:
        with contextlib.suppress(ValidationError):  # stored under an older schema
            found.append(target.model._meta.pk.to_python(text))
    return found


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return (timezone.localtime(value) if timezone.is_aware(value) else value).date()
    return value if isinstance(value, date) else None
