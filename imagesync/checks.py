"""System checks. Static: none of them ever touches the network (that is the doctor's job)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from imagesync import conf
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.site_advice import (
    StorageSettings,
    cleanup_installed,
    client_config_ignored,
    location_rewritten,
    region_unset,
    signature_v2_configured,
)
from imagesync.doctor.site import certain_redelivery, cleaned_up_and_overwritten, configured_storages
from imagesync.storage.names import location_prefix

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
    diagnosis = certain_redelivery()
    return [] if diagnosis is None else [_warning("imagesync.W001", diagnosis)]


@register(TAG)
def check_region(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W002: no region, so botocore takes us-east-1 and an old signature for URLs."""
    return _of_storages("imagesync.W002", region_unset)


@register(TAG)
def check_signature(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W003: URLs would be signed with Signature Version 2."""
    return _of_storages("imagesync.W003", signature_v2_configured)


@register(TAG)
def check_client_config(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W004: a ``client_config`` silences settings that say something else."""
    return _of_storages("imagesync.W004", client_config_ignored)


@register(TAG)
def check_location(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W005: no key can be told exactly under a location that django-storages rewrites."""
    return _of_storages("imagesync.W005", _rewritten)


@register(TAG)
def check_cleanup(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W006: django-cleanup deletes objects that other records may name too."""
    labels = cleaned_up_and_overwritten()
    if not labels:
        return []
    return [_warning("imagesync.W006", cleanup_installed(labels, overwrites=True))]


def _rewritten(storage: StorageSettings) -> Diagnosis | None:
    return location_rewritten(storage) if location_prefix(storage.location) is None else None


def _of_storages(id: str, question: Callable[[StorageSettings], Diagnosis | None]) -> list[CheckMessage]:
    found = (question(storage) for storage in configured_storages())
    return [_warning(id, diagnosis) for diagnosis in found if diagnosis is not None]


def _warning(id: str, diagnosis: Diagnosis) -> Warning:
    return Warning(diagnosis.fact, hint=diagnosis.hint, id=id)
