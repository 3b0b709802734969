"""The figures themselves: a handful of queries, none of which grows with the number of records or findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from imagesync.core.verdicts import Verdict
from imagesync.freshness import freshness_of
from imagesync.models import Audit, AuditRange, Finding, Job, Purge
from imagesync.records.in_use import StoreInUse, store_labels, stores_in_use
from imagesync.reports import Gauge, printable

COUNTED_NOW = 2_000


def gauges(*, now: datetime | None = None) -> list[Gauge]:
    """Everything, for who asks again and again."""
    now = now or timezone.now()
    stores = stores_in_use()
    return [*_lasting(stores, now), _age(stores, now), *_freshness(stores, now)]


def lasting_gauges(*, now: datetime | None = None) -> list[Gauge]:
    """What stays true in a file: an age written down would not grow."""
    return _lasting(stores_in_use(), now or timezone.now())


def described() -> list[Gauge]:
    """The metrics without a value, for who must know their names beforehand. No query."""
    now = timezone.now()
    of_stores = [*_of_audits([]), _orphans_gauge(), *_running_gauges(), _jobs_gauge(), *_purge_gauges()]
    return [*of_stores, _age([], now), *_freshness([], now)]


def _lasting(stores: list[StoreInUse], now: datetime) -> list[Gauge]:
    return [*_of_audits(stores), _orphans(stores), *_running(stores, now), _jobs(), *_purges(stores)]


def _of_audits(stores: Iterable[StoreInUse]) -> list[Gauge]:
    info = Gauge("imagesync_store_info", "The stores that are in use; 1 for each.")
    records = Gauge(
        "imagesync_audit_records", "Records by verdict, as the last audit found them that could be believed."
    )
    finished = Gauge(
        "imagesync_last_audit_timestamp_seconds",
        "When the last audit of everything ended, whatever its trust.",
    )
    trusted = Gauge(
        "imagesync_last_trustworthy_audit_timestamp_seconds",
        "When the last trustworthy audit of everything ended.",
    )
    trust = Gauge(
        "imagesync_last_audit_trust",
        "The trust of the last audit of everything or, with FRESHNESS, of a slice: 1 for the one that it is, else 0.",
    )
    took = Gauge("imagesync_last_audit_duration_seconds", "How long the last audit of everything took.")
    requests = Gauge(
        "imagesync_last_audit_requests", "Requests that the last audit of everything sent, by kind."
    )
    for store in stores:
        last, whole, labels = store.last, store.whole, store.labels
        info.add(
            1,
            **labels,
            alias=printable(last.alias),
            prefix=printable(last.prefix),
            region=printable(last.region),
        )
        if store.believed is not None:
            for verdict in Verdict:
                records.add(store.believed.counts.get(verdict, 0), **labels, verdict=verdict.value)
        for level in Audit.Trust:
            trust.add(last.trust == level, **labels, trust=level.value)
        if whole is not None and whole.finished_at is not None:
            finished.add(whole.finished_at.timestamp(), **labels)
            took.add((whole.finished_at - whole.started_at).total_seconds(), **labels)
        if store.trustworthy is not None and store.trustworthy.finished_at is not None:
            trusted.add(store.trustworthy.finished_at.timestamp(), **labels)
        for kind, number in sorted(whole.requests.items()) if whole is not None else ():
            requests.add(number, **labels, kind=kind)
    return [info, records, finished, trusted, trust, took, requests]


def _age(stores: Iterable[StoreInUse], now: datetime) -> Gauge:
    age = Gauge(
        "imagesync_last_trustworthy_audit_age_seconds",
        "How long ago the last trustworthy audit of everything ended; absent when there was none.",
    )
    for store in stores:
        if store.trustworthy is not None and store.trustworthy.finished_at is not None:
            age.add((now - store.trustworthy.finished_at).total_seconds(), **store.labels)
    return age


def _freshness(stores: Iterable[StoreInUse], now: datetime) -> tuple[Gauge, Gauge]:
    behind = Gauge(
        "imagesync_freshness_behind_seconds",
        "How much longer ago than FRESHNESS promises the stalest records were looked at; 0 when it is kept.",
    )
    fresh = Gauge("imagesync_freshness_ratio", "The part of the records that was looked at within FRESHNESS.")
    for store in stores:
        document = freshness_of(store.last.fingerprint, now=now)
        if document is not None:
            behind.add(document["behind_s"], **store.labels)
            fresh.add(document["share"], **store.labels)
    return behind, fresh


def _orphans_gauge() -> Gauge:
    return Gauge(
        "imagesync_orphans",
        f"Records whose object is proven missing, by field: as of now up to {COUNTED_NOW:,} of a store, else as the last "
        "audit counted them.",
    )


def _orphans(stores: Iterable[StoreInUse]) -> Gauge:
    gauge = _orphans_gauge()
    for store in stores:
        found = _orphans_of(store)
        for field in sorted({*store.fields, *found}):
            gauge.add(found.get(field, 0), **store.labels, field=field)
    return gauge


def _orphans_of(store: StoreInUse) -> dict[str, int]:
    """Field -> how many. Counting a hundred thousand takes a tenth of a second, which is too long to ask for each minute."""
    missing = Finding.objects.missing_from(store.last.fingerprint)
    some = missing.order_by().values_list("content_type", "field")[: COUNTED_NOW + 1]
    places = Counter(some)
    whole_is_last = store.whole is store.last  # else slices have found more since
    if (
        places.total() > COUNTED_NOW
        and whole_is_last
        and store.believed is not None
        and "fields" in store.believed.figures
    ):
        return {
            field: verdicts.get(Verdict.MISSING, 0)
            for field, verdicts in store.believed.figures["fields"].items()
        }
    if places.total() > COUNTED_NOW:
        places = Counter(dict(_counted(missing)))
    return {_field_label(content_type, field): number for (content_type, field), number in places.items()}


def _counted(missing: QuerySet[Finding]) -> Iterator[tuple[tuple[Any, str], int]]:
    """All of them: for slices, and for an audit of an earlier version, which kept no figures by field."""
    rows = missing.order_by().values_list("content_type", "field").annotate(number=Count("pk"))
    for content_type, field, number in rows:
        yield (content_type, field), number


def _field_label(content_type: int, field: str) -> str:
    """``app.Model.field``, also of a model that is no more."""
    found = ContentType.objects.get_for_id(content_type)
    model = found.model_class()
    return f"{model._meta.label if model else f'{found.app_label}.{found.model}'}.{field}"


def _running_gauges() -> tuple[Gauge, Gauge]:
    return (
        Gauge("imagesync_audits_running", "Audits under way, whatever their scope."),
        Gauge(
            "imagesync_audit_ranges_pending", "Ranges of keys that audits under way have still to look at."
        ),
    )


def _running(stores: Iterable[StoreInUse], now: datetime) -> tuple[Gauge, Gauge]:
    running, pending = _running_gauges()
    alive = Q(audit__lease_until__gte=now)
    to_do = Q(state=AuditRange.State.PENDING)
    rows = {
        row["audit__fingerprint"]: row
        for row in AuditRange.objects.filter(audit__state=Audit.State.RUNNING)
        .order_by()
        .values("audit__fingerprint")
        .annotate(
            bucket=Max("audit__bucket"),
            running=Count("audit", filter=alive, distinct=True),
            pending=Count("pk", filter=to_do),
        )
    }
    labels = {store.last.fingerprint: store.labels for store in stores}
    labels |= {fingerprint: store_labels(fingerprint, row["bucket"]) for fingerprint, row in rows.items()}
    for fingerprint, of_store in labels.items():
        row = rows.get(fingerprint, {"running": 0, "pending": 0})
        running.add(row["running"], **of_store)
        pending.add(row["pending"], **of_store)
    return running, pending


def _jobs_gauge() -> Gauge:
    return Gauge("imagesync_jobs", "Jobs that were asked for in the admin and are not done, by state.")


def _jobs() -> Gauge:
    gauge = _jobs_gauge()
    unfinished = (Job.State.WAITING, Job.State.RUNNING)
    found = dict(
        Job.objects.filter(state__in=unfinished).order_by().values_list("state").annotate(number=Count("pk"))
    )
    for state in unfinished:
        gauge.add(found.get(state.value, 0), state=state.value)
    return gauge


def _purge_gauges() -> tuple[Gauge, Gauge]:
    return (
        Gauge(
            "imagesync_last_purge_timestamp_seconds",
            "When the last purge ended, also one that was interrupted.",
        ),
        Gauge("imagesync_last_purge_records", "What the last purge did with how many records."),
    )


def _purges(stores: Iterable[StoreInUse]) -> tuple[Gauge, Gauge]:
    ended, records = _purge_gauges()
    executed = Purge.objects.exclude(finished_at=None).order_by()
    newest = executed.values("fingerprint").annotate(newest=Max("pk")).values("newest")
    purges = {
        purge.fingerprint: purge
        for purge in Purge.objects.filter(pk__in=newest).only("fingerprint", "finished_at", "counts")
    }
    for store in stores:
        purge = purges.get(store.last.fingerprint)
        if purge is None or purge.finished_at is None:
            continue
        ended.add(purge.finished_at.timestamp(), **store.labels)
        for outcome in ("deleted", "cleared", "kept"):
            records.add(purge.counts.get(outcome, 0), **store.labels, outcome=outcome)
    return ended, records
