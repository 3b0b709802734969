"""Diagnoses of a project's settings, told without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagesync.core.diagnosis import DEFAULT_REGION, Diagnosis

SIGNATURE_V2_REGIONS = frozenset(
    {
        "us-east-1",
        "us-west-1",
        "us-west-2",
        "eu-west-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
        "sa-east-1",
    }
)
"""Where botocore signs URLs with Signature Version 2 unless told otherwise (botocore/data/endpoints.json)."""

ADDRESSING_STYLES = ("auto", "virtual", "path")

LARGEST_QUEUE_WAIT = "timeout * (queue_limit / workers + 1 + bulk)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """One S3 storage of STORAGES, as it is configured."""

    alias: str
    region: str
    """Empty when nothing sets it: no setting, no environment, no profile."""
    endpoint: str
    signature: str
    addressing: str
    silenced: tuple[str, ...] = ()
    """Settings that are given and that a client_config, given too, makes django-storages ignore."""
    location: str = ""
    signs_urls: bool = True
    overwrites: bool = False


def region_unset(storage: StorageSettings) -> Diagnosis | None:
    """Without a region botocore takes us-east-1 and signs URLs with Signature Version 2."""
    if storage.region or storage.endpoint or not storage.signs_urls or storage.signature.startswith("s3v4"):
        return None
    return Diagnosis(
        id="region_unset",
        fact=f"The storage {storage.alias!a} has no region, so URLs are signed for {DEFAULT_REGION} with Signature "
        "Version 2, which S3 refuses in most places.",
        hint=f'Set AWS_S3_REGION_NAME to the bucket\'s region (or "region_name" in {_options(storage.alias)}), and '
        'AWS_S3_SIGNATURE_VERSION = "s3v4".',
    )


def signature_v2_configured(storage: StorageSettings) -> Diagnosis | None:
    asked_for = storage.signature in ("s3", "s3-query")
    by_default = not storage.signature and storage.region in SIGNATURE_V2_REGIONS
    # another server than AWS may well take what botocore chooses by itself
    if not asked_for and not (by_default and storage.signs_urls and not storage.endpoint):
        return None
    why = (
        f"signature_version is {storage.signature!a}"
        if storage.signature
        else f"for {storage.region} botocore still takes it unless signature_version says otherwise"
    )
    return Diagnosis(
        id="url_signature_v2",
        fact=f"The storage {storage.alias!a} signs URLs with Signature Version 2 ({why}); S3 refuses it for buckets made "
        "since June 2020, and in every region opened since 2014.",
        hint=f'Set AWS_S3_SIGNATURE_VERSION = "s3v4" (or "signature_version" in {_options(storage.alias)}).',
    )


def addressing_unknown(alias: str, style: object) -> Diagnosis:
    """botocore refuses it when django-storages makes the storage (botocore/config.py)."""
    return Diagnosis(
        id="client_settings",
        fact=f'AWS_S3_ADDRESSING_STYLE (or "addressing_style" in {_options(alias)}) is {style!a}, so the storage cannot '
        "be made.",
        hint='Write "auto", "virtual" or "path", or leave it out.',
    )


def signature_unknown(alias: str, version: object) -> Diagnosis:
    return Diagnosis(
        id="client_settings",
        fact=f'AWS_S3_SIGNATURE_VERSION (or "signature_version" in {_options(alias)}) is {version!a}, so no request can '
        "be signed.",
        hint='Write "s3v4".',
    )


def client_config_ignored(storage: StorageSettings) -> Diagnosis | None:
    if not storage.silenced:
        return None
    names = ", ".join(storage.silenced)
    return Diagnosis(
        id="client_config_ignored",
        fact=f"The storage {storage.alias!a} has a client_config, so django-storages ignores its {names}.",
        hint="Put them into the client_config: Config(signature_version=..., s3={'addressing_style': ...}, proxies=...); or "
        "drop it.",
    )


def location_rewritten(storage: StorageSettings) -> Diagnosis:
    return Diagnosis(
        id="location_rewritten",
        fact=f"django-storages rewrites the location {storage.location!a} of storage {storage.alias!a} on its way to a "
        "key, so no key can be told exactly.",
        hint=f'Write AWS_LOCATION (or "location" in {_options(storage.alias)}) without leading or doubled slash, "." and "..".',
    )


def _options(alias: str) -> str:
    return f'STORAGES["{alias}"]["OPTIONS"]'


def shared_keys(alias: str, label: str, names: int, records: int, at_least: bool) -> Diagnosis:
    few = "At least " if at_least else ""
    return Diagnosis(
        id="shared_keys",
        fact=f"{few}{records:,} records of {label} share {names:,} objects: the storage {alias!a} overwrites, so an upload "
        "under a name that exists replaces another record's image.",
        hint=f'Set AWS_S3_FILE_OVERWRITE = False (or "file_overwrite" in STORAGES["{alias}"]["OPTIONS"]), or have upload_to '
        "make names that cannot repeat.",
    )


def cleanup_installed(labels: Sequence[str], overwrites: bool) -> Diagnosis:
    """django-cleanup removes files in the commit of a deletion, whoever else names them (its README)."""
    shared = (
        " The storage overwrites, so several records may name one object, and it deletes what others still need."
        if overwrites
        else ""
    )
    return Diagnosis(
        id="cleanup_installed",
        fact=f"django-cleanup deletes the object along with a record of {', '.join(labels)}: a record that is deleted by "
        f"mistake takes its image with it.{shared}",
        hint="imagesync's purges hand it nothing to delete. Keep versioning on, and set AWS_S3_FILE_OVERWRITE = False; or "
        "decorate the models with @cleanup.ignore.",
    )


def deletion_receivers(label: str, receivers: Sequence[str]) -> Diagnosis:
    return Diagnosis(
        id="deletion_receivers",
        fact=f"When a record of {label} is deleted, these receivers run and may delete its object: {', '.join(receivers)}.",
        hint="Look at what they do. imagesync's purges hand them a record whose file fields are empty; to keep such records "
        f"altogether: IMAGESYNC = {{'BLOCKING_RECEIVERS': {list(receivers)!r}}}",
    )


def cluster_redelivers(cluster: Mapping[str, Any], workers: int) -> Diagnosis | None:
    """``retry`` counts from when a task leaves the broker, also while it waits in the cluster's own queue."""
    timeout, retry = cluster.get("timeout") or 0, cluster.get("retry", 60)
    if not _hands_out_again(cluster):
        return None
    if is_surely_run_twice(cluster):
        return Diagnosis(
            id="cluster_redelivers",
            fact=f"Q_CLUSTER has timeout {timeout or None} and retry {retry}: a task that takes longer than {retry} s is run again "
            "while it is still running.",
            hint="A second delivery of an audit does nothing, but it holds a worker. Set timeout, and retry above it.",
        )
    limit, bulk = cluster.get("queue_limit") or workers**2, cluster.get("bulk") or 1
    longest = timeout * (limit / workers + 1 + bulk)
    if retry > longest:
        return None
    return Diagnosis(
        id="cluster_redelivers",
        fact=f"Q_CLUSTER has timeout {timeout}, retry {retry}, workers {workers}, queue_limit {limit} and bulk {bulk}: a task may "
        f"wait and run for {longest:.0f} s, and after {retry} s it is handed out again.",
        hint=f"Set retry above {longest:.0f} ({LARGEST_QUEUE_WAIT}); or queue_limit to {workers}, bulk to 1 and retry above "
        f"{timeout * 3}.",
    )


def cluster_no_timeout(cluster: Mapping[str, Any]) -> Diagnosis | None:
    """Where the broker hands out again, ``cluster_redelivers`` says it."""
    if cluster.get("timeout") or _hands_out_again(cluster):
        return None
    return Diagnosis(
        id="cluster_no_timeout",
        fact="Q_CLUSTER has no timeout: a task that hangs holds its worker for ever.",
        hint='Set "timeout" above the length of the longest audit, such as 3000. One that is cut off is resumed by the next run.',
    )


def is_surely_run_twice(cluster: Mapping[str, Any]) -> bool:
    """Whether the length of one task alone is enough for a second delivery."""
    timeout = cluster.get("timeout")
    return _hands_out_again(cluster) and (not timeout or cluster.get("retry", 60) <= timeout)


def _hands_out_again(cluster: Mapping[str, Any]) -> bool:
    """Redis (the broker of a cluster that names none) has no receipts: what it gave out it has forgotten."""
    return any(cluster.get(broker) for broker in ("broker_class", "iron_mq", "sqs", "orm", "mongo"))


def cluster_retries_forever(cluster: Mapping[str, Any]) -> Diagnosis | None:
    if not _hands_out_again(cluster) or cluster.get("ack_failures") or cluster.get("max_attempts"):
        return None
    return Diagnosis(
        id="cluster_retries_forever",
        fact=f"Q_CLUSTER repeats a task that fails every {cluster.get('retry', 60)} s, without end (max_attempts is 0 and "
        "ack_failures is off).",
        hint='Set "max_attempts": 2 and "ack_failures": True.',
    )


def cluster_catch_up(cluster: Mapping[str, Any]) -> Diagnosis | None:
    if not cluster.get("catch_up", True):
        return None
    return Diagnosis(
        id="cluster_catch_up",
        fact="Q_CLUSTER has catch_up on: after a standstill every missed slot of a schedule is made up for, one after "
        "the other.",
        hint='Set "catch_up": False.',
    )
