"""System checks. Static: none of them ever touches the network (that is the doctor's job)."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from imagesync import conf

TAG = "imagesync"


@register(TAG)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.E001: ``IMAGESYNC`` holds a name or a value that nobody understands."""
    return [Error(fact, hint=hint or None, id="imagesync.E001") for fact, hint in conf.problems()]


@register(TAG)
def check_database(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.E002: the database is of a kind whose byte order imagesync does not know."""
    known = ("sqlite", "postgresql", "postgis", "psqlextra", "spatialite", "dummy")
    return [
        Error(
            f"The database {alias!r} ({engine}) is neither PostgreSQL nor SQLite.",
            hint="imagesync compares keys in byte order, which it can have of these two only.",
            id="imagesync.E002",
        )
        for alias, engine in ((alias, one.get("ENGINE", "")) for alias, one in settings.DATABASES.items())
        if alias == "default" and not any(name in engine for name in known)
    ]


@register(TAG)
def check_cluster(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W001: ``Q_CLUSTER`` would deliver a running audit a second time."""
    if not apps.is_installed("django_q"):
        return []
    cluster = getattr(settings, "Q_CLUSTER", {})
    timeout, retry = cluster.get("timeout"), cluster.get("retry", 60)
    if timeout is not None and retry > timeout:
        return []
    return [
        Warning(
            f"Q_CLUSTER has timeout {timeout} and retry {retry}: a task that takes longer than {retry} s is run again "
            "while it is still running.",
            hint="A second delivery of an audit does nothing, but it holds a worker. Set timeout, and retry above it.",
            id="imagesync.W001",
        )
    ]
