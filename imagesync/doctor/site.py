"""What can be told of a project without asking anybody: no network, no database, and no import of boto3. The system
checks (imagesync/checks.py) tell the same, as far as it is about a healthy project's mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import FileField, Model

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.examination import Check, fine, not_asked, warned
from imagesync.core.site_advice import (
    StorageSettings,
    cleanup_installed,
    client_config_ignored,
    cluster_catch_up,
    cluster_no_timeout,
    cluster_redelivers,
    cluster_retries_forever,
    deletion_receivers,
    location_rewritten,
    region_unset,
    signature_v2_configured,
)
from imagesync.records.receivers import deletion_receivers as receivers_of
from imagesync.storage.names import location_prefix

BACKENDS = ("storages.backends.s3.S3Storage", "storages.backends.s3boto3.S3Boto3Storage")
ELSEWHERE = "elsewhere"
"""Stands for a region that a profile or a configuration file of AWS may name."""

_AWS_NAMES = {
    "region_name": "AWS_S3_REGION_NAME",
    "endpoint_url": "AWS_S3_ENDPOINT_URL",
    "signature_version": "AWS_S3_SIGNATURE_VERSION",
    "addressing_style": "AWS_S3_ADDRESSING_STYLE",
    "proxies": "AWS_S3_PROXIES",
    "client_config": "AWS_S3_CLIENT_CONFIG",
    "session_profile": "AWS_S3_SESSION_PROFILE",
    "location": "AWS_LOCATION",
    "querystring_auth": "AWS_QUERYSTRING_AUTH",
    "custom_domain": "AWS_S3_CUSTOM_DOMAIN",
    "file_overwrite": "AWS_S3_FILE_OVERWRITE",
}
_DEFAULTS = {"querystring_auth": True, "file_overwrite": True, "location": ""}


def configured_storages() -> Iterator[StorageSettings]:
    """Every storage of STORAGES that is django-storages' own S3 class, read without making it."""
    for alias, entry in getattr(settings, "STORAGES", {}).items():
        if alias != "staticfiles" and entry.get("BACKEND") in BACKENDS:
            options = entry.get("OPTIONS") or {}
            yield _storage_settings(
                alias, {name: _option(options, name) for name in _AWS_NAMES}, options.get("client_config")
            )


def settings_of(storage: Any, alias: str) -> StorageSettings:
    """The same of a storage that was made, whatever class and attributes it got its settings from."""
    values = {name: getattr(storage, name, _DEFAULTS.get(name)) for name in _AWS_NAMES}
    return _storage_settings(alias, values, values["client_config"])


def storage_advice(storage: StorageSettings) -> list[Diagnosis]:
    """What speaks against a storage's settings; the region first."""
    questions = (region_unset, signature_v2_configured, client_config_ignored)
    found = [diagnosis for ask in questions if (diagnosis := ask(storage)) is not None]
    if location_prefix(storage.location) is None:
        found.append(location_rewritten(storage))
    return found


def storage_checks(storage: Any, alias: str) -> list[Check]:
    """The doctor's rows about the settings of one storage."""
    read = settings_of(storage, alias)
    found = [warned("settings", diagnosis) for diagnosis in storage_advice(read)]
    overwriting = (
        "an upload replaces an object of its name" if read.overwrites else "no upload replaces an object"
    )
    return found or [fine("settings", f"The settings contradict neither each other nor S3; {overwriting}.")]


def project_checks(fields: Iterable[FileField]) -> list[Check]:
    """The doctor's rows about the project: receivers of the fields' models, and django-q2."""
    return [*_receiver_checks(fields), *_cluster_checks()]


def _option(options: Mapping[str, Any], name: str) -> Any:
    return options[name] if name in options else getattr(settings, _AWS_NAMES[name], _DEFAULTS.get(name))


def _storage_settings(alias: str, values: Mapping[str, Any], config: Any) -> StorageSettings:
    config = config if config is not None else values["client_config"]
    region = values["region_name"] or os.environ.get("AWS_DEFAULT_REGION") or _region_elsewhere(values)
    signature = values["signature_version"] if config is None else config.signature_version
    return StorageSettings(
        alias=alias,
        region=region,
        endpoint=values["endpoint_url"] or _endpoint_of_the_environment(),
        signature=signature if isinstance(signature, str) else "",
        addressing=values["addressing_style"] or "",
        silenced=_silenced(values, config),
        location=values["location"] or "",
        signs_urls=bool(values["querystring_auth"]) and not values["custom_domain"],
        overwrites=bool(values["file_overwrite"]),
    )


def _silenced(values: Mapping[str, Any], config: Any) -> tuple[str, ...]:
    """Settings that say something else than the client_config does, which alone counts (storages/backends/s3.py)."""
    if config is None:
        return ()
    counts = {
        "signature_version": config.signature_version,
        "addressing_style": (config.s3 or {}).get("addressing_style"),
        "proxies": config.proxies,
    }
    return tuple(name for name, value in counts.items() if values[name] and values[name] != value)


def _region_elsewhere(values: Mapping[str, Any]) -> str:
    profile = values["session_profile"] or os.environ.get("AWS_PROFILE")
    file = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    return ELSEWHERE if profile or file.is_file() else ""


def _endpoint_of_the_environment() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def cleaned_up_and_overwritten() -> list[str]:
    """Fields whose objects django-cleanup deletes, in a storage where several records may name one object.

    Read from the settings, or from a storage that the project's models made themselves.
    """
    if not apps.is_installed("django_cleanup"):
        return []
    default = next((one.overwrites for one in configured_storages() if one.alias == "default"), False)
    return sorted(
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if _cleanup_of(model)
        for field in model._meta.local_concrete_fields
        if isinstance(field, FileField)
        and (default if field.storage is default_storage else _overwrites_on_s3(field.storage))
    )


def _overwrites_on_s3(storage: Any) -> bool:
    of_storages = any(base.__module__ == "storages.backends.s3" for base in type(storage).__mro__)
    return of_storages and bool(getattr(storage, "file_overwrite", False))


def _cleanup_of(model: type[Model]) -> list[str]:
    return [path for path in receivers_of(model) if path.startswith("django_cleanup.")]


def _receiver_checks(fields: Iterable[FileField]) -> list[Check]:
    found: list[Check] = []
    cleaned: dict[str, FileField] = {}
    by_model: dict[type[Model], FileField] = {field.model: field for field in fields}
    for model, field in by_model.items():
        cleanup = _cleanup_of(model)
        if cleanup:
            cleaned[model._meta.label] = field
        others = [path for path in receivers_of(model) if path not in cleanup]
        if others:
            found.append(warned("receivers", deletion_receivers(model._meta.label, others)))
    if cleaned:
        overwrites = any(getattr(field.storage, "file_overwrite", False) for field in cleaned.values())
        found.insert(0, warned("receivers", cleanup_installed(sorted(cleaned), overwrites)))
    return found or [fine("receivers", "Nothing of the project runs when a record with a file is deleted.")]


def _cluster_checks() -> list[Check]:
    if not apps.is_installed("django_q"):
        return [not_asked("cluster", "django-q2 is not installed.")]
    found = [warned("cluster", diagnosis) for diagnosis in cluster_advice()]
    return found or [fine("cluster", "Q_CLUSTER hands out each task once, as far as its numbers say.")]


def cluster_advice() -> list[Diagnosis]:
    """What speaks against ``Q_CLUSTER``; nothing where django-q2 is not used."""
    if not apps.is_installed("django_q"):
        return []
    cluster = _cluster()
    workers = cluster.get("workers") or os.cpu_count() or 4
    found = (
        cluster_redelivers(cluster, workers),
        cluster_no_timeout(cluster),
        cluster_retries_forever(cluster),
        cluster_catch_up(cluster),
    )
    return [diagnosis for diagnosis in found if diagnosis is not None]


def _cluster() -> Mapping[str, Any]:
    cluster = getattr(settings, "Q_CLUSTER", None)
    return cluster if isinstance(cluster, Mapping) else {}
