"""System checks. None of them ever touches the network (that is the doctor's job), and one a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections, router

from imagesync import conf
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.site_advice import (
    ADDRESSING_STYLES,
    StorageSettings,
    addressing_unknown,
    cleanup_installed,
    client_config_ignored,
    location_rewritten,
    region_unset,
    signature_unknown,
    signature_v2_configured,
)
from imagesync.doctor.site import cleaned_up_and_overwritten, cluster_advice, configured_storages
from imagesync.models.indexes import byte_order_index_sql, has_byte_order_index
from imagesync.records import presorted
from imagesync.records.configured import field_problems
from imagesync.records.stream import base_rows
from imagesync.records.targets import Target, find_targets
from imagesync.storage.client import knows_signature
from imagesync.storage.names import location_prefix

TAG = "imagesync"


@register(TAG)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.E001: ``IMAGESYNC`` holds a name or a value that nobody understands, or names a field that is not there."""
    problems = conf.problems() or field_problems(conf.app_settings().fields)
    return [Error(fact, hint=hint or None, id="imagesync.E001") for fact, hint in problems]


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
def check_client(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.E003: no client can be made of an S3 storage, since a setting has a value that nobody knows."""
    return [
        Error(diagnosis.fact, hint=diagnosis.hint, id="imagesync.E003")
        for storage in configured_storages()
        for diagnosis in _unusable(storage)
    ]


@register(TAG)
def check_cluster(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W001, W008, W009, W010: ``Q_CLUSTER`` would run an audit twice, or for ever."""
    ids = {
        "cluster_redelivers": "imagesync.W001",
        "cluster_catch_up": "imagesync.W008",
        "cluster_no_timeout": "imagesync.W009",
        "cluster_retries_forever": "imagesync.W010",
    }
    return [_warning(ids[diagnosis.id], diagnosis) for diagnosis in cluster_advice()]


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


@register(TAG)
def check_notify(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.W011: people are to be told by mail, and there is nobody to send to."""
    if conf.problems() or "email" not in conf.app_settings().notify.channels or settings.ADMINS:
        return []
    return [
        Warning(
            'IMAGESYNC["NOTIFY"] names the channel "email", and ADMINS is empty.',
            hint="Set ADMINS; manage.py imagesync_notify --test shows whether a message arrives.",
            id="imagesync.W011",
        )
    ]


@register(TAG, Tags.database)
def check_byte_order(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """imagesync.W007: the database cannot give a large field's names in byte order without sorting them.

    Asked of the databases that ``migrate`` and ``check --database`` name. A model made from ``AbstractImage`` is told of
    before it is large.
    """
    return [
        Warning(
            f"{target.label} has no index in byte order. Above {presorted.SORTED_BY_THE_DATABASE:,} rows each audit reads the whole "
            "table and sorts its names on disk.",
            hint=f"Run {byte_order_index_sql(target.model, target.field)}; or put AddByteOrderIndex of "
            "imagesync.models.indexes into a migration with atomic = False.",
            id="imagesync.W007",
        )
        for target in (find_targets() if databases else ())  # which imports boto3
        if router.db_for_write(target.model) in (databases or ()) and _wants_index(target)
    ]


def _wants_index(target: Target) -> bool:
    tables = connections[router.db_for_write(target.model)].introspection.table_names()
    if target.model._meta.db_table not in tables or has_byte_order_index(target.model, target.field):
        return False
    few = presorted.SORTED_BY_THE_DATABASE
    return target.remembers or base_rows(target.model)[few : few + 1].exists()


def _rewritten(storage: StorageSettings) -> Diagnosis | None:
    return location_rewritten(storage) if location_prefix(storage.location) is None else None


def _unusable(storage: StorageSettings) -> Iterator[Diagnosis]:
    addressing = storage.addressing  # which a client_config silences
    if addressing and addressing not in ADDRESSING_STYLES and "addressing_style" not in storage.silenced:
        yield addressing_unknown(storage.alias, addressing)
    if storage.signature and not knows_signature(storage.signature):
        yield signature_unknown(storage.alias, storage.signature)


def _of_storages(id: str, question: Callable[[StorageSettings], Diagnosis | None]) -> list[CheckMessage]:
    found = (question(storage) for storage in configured_storages())
    return [_warning(id, diagnosis) for diagnosis in found if diagnosis is not None]


def _warning(id: str, diagnosis: Diagnosis) -> Warning:
    return Warning(diagnosis.fact, hint=diagnosis.hint, id=id)
