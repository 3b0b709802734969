"""Every setting of imagesync, with its type, its default and one sentence.

``IMAGESYNC = {...}`` in Django's settings, read when asked, so that ``override_settings`` simply works.
Region, bucket, endpoint and credentials are django-storages' and are set nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from imagesync.core.cost import Prices
from imagesync.core.notifying import NotifySettings, parse_notify_settings
from imagesync.core.queues import QueueSettings, parse_queue_settings
from imagesync.core.retention import Retention
from imagesync.core.values import parse_duration, parse_names, parse_ratio

POLICIES = ("delete", "clear", "report")
CONTENT, SIZE = "content", "size"
LEAST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    fields: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    """What may be done about an orphan: ``"app.Model.field"`` to ``"delete"``, ``"clear"`` or
    ``"report"``, or to ``{"policy": ..., "age_field": ...}``. Other FileFields on S3 are reported."""

    max_purge_ratio: float = 0.1
    """The part of the audited records that one purge may take, cascaded rows counted too."""

    max_purge_free: int = 100
    """Up to this many records go whatever the ratio, but never more than half of the audited ones."""

    grace_period: timedelta = timedelta(hours=1)
    """A record younger than this is never purged: its upload may be on the way."""

    audit_max_age: timedelta = timedelta(hours=24)
    """An audit older than this feeds no purge: the world has moved on."""

    ripen: timedelta = timedelta(hours=24)
    """Unattended purges need two audits at least this far apart that both say missing."""

    freshness: timedelta | None = None
    """Every record is looked at within this time, by small audits of the stalest keys; None: only when asked to."""

    canaries: int = 20
    """How many records last seen present are looked at before everything else."""

    workers: int = 8
    """How many requests to S3 are under way at once."""

    batch_size: int = 20_000
    """After how many records at most an audit, or a job that writes down its selection, notes how far it is."""

    connect_timeout: float = 5.0
    """Seconds to wait for a connection to S3."""

    read_timeout: float = 20.0
    """Seconds to wait for an answer of S3."""

    max_attempts: int = 4
    """How often one request is sent before its failure counts, the first time included."""

    client_factory: str = ""
    """Dotted path of a callable ``(storage, config) -> boto3 client``, for read-only credentials."""

    blocking_receivers: tuple[str, ...] = ()
    """Dotted paths of signal receivers whose presence on a model keeps its records from a purge."""

    lease: timedelta = timedelta(seconds=60)
    """A process that has not said for this long that it is alive is taken for dead, by the database's clock."""

    distributed: bool = False
    """Whether audits of schedules and of the admin are spread over the cluster's workers."""

    audit_task_time: timedelta = timedelta(seconds=20)
    """How long a task works on a distributed audit before it hands on: far shorter than ``Q_CLUSTER["retry"]``."""

    audit_tasks: int = 16
    """How many tasks of one distributed audit are enqueued at once: so many workers it has at most."""

    prices: Prices = field(default_factory=Prices)
    """Of 1,000 requests: ``{"LIST": 0.005, "GET": 0.0004, "CURRENCY": "USD"}``, S3 Standard's in us-east-1."""

    events: QueueSettings = field(default_factory=QueueSettings)
    """The SQS queue that S3's events arrive in: ``{"QUEUE_URL": ...}``; empty: nothing is watched."""

    enqueue: str = ""
    """Dotted path of a callable ``(function, /, **kwargs)`` that has a function called by a worker; empty: django-q2."""

    verify_uploads: Literal["content", "size", False] = "content"
    """What is compared after an upload, by one HEAD: ``"content"`` (and size), ``"size"``; False: nothing."""

    retention: Retention = field(default_factory=Retention)
    """How long history is kept: ``{"AUDITS": "90d", "FINDINGS": "365d", "TOMBSTONES": "365d", "PURGES": "365d",
    "JOBS": "90d", "SELECTIONS": "7d", "NOTICES": "90d", "SET_ASIDE": "365d"}``; None for ever."""

    metrics_token: str = field(default="", repr=False)
    """What Prometheus sends to read the metrics (``Authorization: Bearer``). Empty: only staff may read them."""

    notify: NotifySettings = field(default_factory=NotifySettings)
    """Whom to tell of what: ``{"CHANNELS": ["email"], ...}``. Nobody is told anything unless this is set."""

    sentry_monitor: str = "imagesync-check-images"
    """Slug of the cron monitor that scheduled audits check in with, where Sentry is; empty: with none."""


DEFAULTS = AppSettings()
SETTING_NAMES = {one.name.upper(): one.name for one in fields(AppSettings)}

_DURATIONS = {"grace_period", "audit_max_age", "ripen", "lease", "audit_task_time"}
_AT_LEAST_A_SECOND = {"lease", "audit_task_time"}
_MOST = {
    "workers": 256,
    "canaries": 1_000,
    "max_attempts": 100,
    "connect_timeout": 3600,
    "read_timeout": 3600,
}
_MOST_OTHERWISE = 2**31 - 1  # what every database takes
LEAST_FRESHNESS = timedelta(hours=1)


def problems() -> list[tuple[str, str]]:
    """What is wrong with ``IMAGESYNC``: (fact, hint) pairs, empty when all is well."""
    return _read()[1]


def app_settings() -> AppSettings:
    """The settings as they are now. Raises ImproperlyConfigured with every problem in one sentence."""
    values, found = _read()
    if found:
        raise ImproperlyConfigured(" ".join(f"{fact} {hint}".strip() for fact, hint in found))
    return AppSettings(**values)


def _read() -> tuple[dict[str, Any], list[tuple[str, str]]]:
    given = getattr(settings, "IMAGESYNC", {})
    if not isinstance(given, Mapping):
        return {}, [(f"IMAGESYNC is a {type(given).__name__}.", "Make it a dictionary.")]
    values: dict[str, Any] = {}
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if name not in SETTING_NAMES:
            found.append((f"IMAGESYNC[{name!r}] is not a setting.", _did_you_mean(str(name))))
            continue
        attribute = SETTING_NAMES[name]
        try:
            values[attribute] = _parse(attribute, value)
        except (ValueError, TypeError) as error:
            found.append((f"IMAGESYNC[{name!r}]: {error}.", ""))
    return values, found


def _did_you_mean(name: str) -> str:
    close = get_close_matches(name.upper(), SETTING_NAMES, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"The settings are: {', '.join(sorted(SETTING_NAMES))}."


def _parse(attribute: str, value: Any) -> Any:
    if attribute in _DURATIONS:
        duration = parse_duration(value)
        if attribute in _AT_LEAST_A_SECOND and duration < timedelta(seconds=1):
            raise ValueError(f"{value!r} is less than a second")
        return duration
    if attribute in _PARSERS:
        return _PARSERS[attribute](value)
    if attribute == "distributed":
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is neither True nor False")
        return value
    if attribute == "blocking_receivers":
        if isinstance(value, str) or not all(isinstance(one, str) for one in value):
            raise ValueError("a list of dotted paths is expected")
        return tuple(value)
    if attribute == "sentry_monitor":
        if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_-]{0,50}", value):
            raise ValueError(f"{value!r} is not a monitor's slug: a-z, 0-9, - and _, at most 50")
        return value
    if attribute in ("client_factory", "enqueue"):
        if not isinstance(value, str):
            raise ValueError("a dotted path is expected")
        return value
    if attribute == "verify_uploads":
        if value is not False and value not in (CONTENT, SIZE):
            raise ValueError(f'{value!r} is not one of "content", "size" and False')
        return value
    default = getattr(DEFAULTS, attribute)
    if isinstance(value, bool) or not isinstance(value, int if isinstance(default, int) else (int, float)):
        raise ValueError(f"{value!r} is not a number")
    least = 0 if attribute in ("max_purge_free", "canaries") else 1 if isinstance(default, int) else 0.001
    if not value >= least:  # also refuses nan
        raise ValueError(f"{value!r} is less than {least}" if value < least else f"{value!r} is not a number")
    if value > (most := _MOST.get(attribute, _MOST_OTHERWISE)):
        raise ValueError(f"{value!r} is more than {most:,}")
    return value


def _parse_retention(value: Any) -> Retention:
    given = parse_names(value, Retention)
    return Retention(**{name: None if kept is None else parse_duration(kept) for name, kept in given.items()})


def _parse_token(value: Any) -> str:
    """No message repeats it: it is a secret."""
    if not isinstance(value, str) or not all("!" <= character <= "~" for character in value):
        raise ValueError("a text of printable ASCII characters without spaces is expected")
    if value and len(value) < LEAST_TOKEN:
        raise ValueError(f"it has fewer than {LEAST_TOKEN} characters, so it could be guessed")
    return value


def _parse_freshness(value: Any) -> timedelta | None:
    if value is None:
        return None
    within = parse_duration(value)
    if within < LEAST_FRESHNESS:
        raise ValueError(f"{value!r} is less than an hour: audit the whole on a schedule instead")
    return within


def _parse_prices(value: Any) -> Prices:
    given = parse_names(value, Prices)
    for name, price in given.items():
        is_number = isinstance(price, int | float) and not isinstance(price, bool)
        if name == "currency" and not (isinstance(price, str) and price.isprintable() and price):
            raise ValueError(f"{price!r} is not a currency")
        if name != "currency" and not (is_number and 0 <= price < float("inf")):
            raise ValueError(f"the price of {name.upper()!r} is {price!r}; a number from 0 on is expected")
    return Prices(**given)


def _parse_fields(value: Any) -> dict[str, str | Mapping[str, str]]:
    if not isinstance(value, Mapping):
        raise ValueError('a dictionary of "app.Model.field" to a policy is expected')
    for label, entry in value.items():
        if not isinstance(label, str) or label.count(".") != 2:
            raise ValueError(f'{label!r} is not of the form "app.Model.field"')
        policy = entry.get("policy") if isinstance(entry, Mapping) else entry
        if policy not in POLICIES:
            raise ValueError(
                f"the policy of {label!r} is {policy!r}; it must be one of {', '.join(POLICIES)}"
            )
        if isinstance(entry, Mapping) and set(entry) - {"policy", "age_field"}:
            raise ValueError(f"{label!r} knows only 'policy' and 'age_field'")
    return dict(value)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "events": parse_queue_settings,
    "fields": _parse_fields,
    "freshness": _parse_freshness,
    "max_purge_ratio": parse_ratio,
    "metrics_token": _parse_token,
    "notify": parse_notify_settings,
    "prices": _parse_prices,
    "retention": _parse_retention,
}
"""By setting, where what it takes needs a function of its own."""
