"""Which stores the file fields of this project name objects in, and the client that each is asked by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

from imagesync.conf import app_settings
from imagesync.exceptions import NothingMatches
from imagesync.models import Image
from imagesync.records.configured import field_problems
from imagesync.records.targets import Source, Target, alias_of, aliases, find_targets, store_options
from imagesync.storage.client import ClientOptions, account_of
from imagesync.storage.contract import StoreIdentity, on_aws
from imagesync.storage.names import location_prefix
from imagesync.storage.store import S3Store, is_s3


def find_sources(
    *, alias: str = "", fields: Collection[str] = (), workers: int | None = None
) -> list[Source]:
    """Every store that file fields of this project name objects in, with those fields.

    ``alias`` (of STORAGES) narrows it to the store that this storage names: with all of its fields, those of other
    aliases included, the alias's own first. ``fields`` (``app.Model.field``) narrow the fields; ``workers`` is how many requests
    may be under way at once (default: the setting). Raises NothingMatches when nothing is left, and ImproperlyConfigured
    when ``IMAGESYNC["FIELDS"]`` names what does not exist, or when two accounts' buckets look like one.
    """
    settings = app_settings()
    if problems := field_problems(settings.fields):
        raise ImproperlyConfigured(" ".join(f"{fact} {hint}" for fact, hint in problems))
    targets = find_targets()
    labels = {target.label for target in targets}
    for label in fields:
        if label not in labels:
            raise NothingMatches(f"{label!r} is not a file field on S3. There are: {_listed(labels)}.")

    known = aliases()
    alias_by_label = {target.label: alias_of(target, known) for target in targets}
    chosen = [target for target in targets if not fields or target.label in fields]
    asked = [alias] if alias else list(dict.fromkeys(alias_by_label[one.label] for one in chosen))
    by_alias = {alias_by_label[target.label]: target.field.storage for target in targets}
    options = store_options(settings, workers)
    stores = _stores(by_alias, asked, options)
    fingerprints = {name: store.identity.fingerprint for name, store in stores.items()}
    grouped: dict[str, list[Target]] = {fingerprints[name]: [] for name in asked if name in stores}
    for target in sorted(chosen, key=lambda target: bool(alias) and alias_by_label[target.label] != alias):
        fingerprint = fingerprints.get(alias_by_label[target.label])
        if fingerprint in grouped:
            grouped[fingerprint].append(target)
    found = [
        Source(
            store=stores[alias or alias_by_label[one[0].label]], targets=tuple(one), workers=options.workers
        )
        for one in grouped.values()
        if one
    ]
    if not found:
        there = {label for label, name in alias_by_label.items() if fingerprints.get(name) in grouped}
        raise NothingMatches(_nothing_there(alias, fields, there, labels))
    return found


def _stores(by_alias: Mapping[str, Any], asked: Sequence[str], options: ClientOptions) -> dict[str, S3Store]:
    """The stores of the aliases asked for, and of others that may name the same one, by alias. Raises ImproperlyConfigured.

    A client costs tenths of a second: none is made for an alias that names another bucket or location.
    """
    places = {_place(by_alias[name]) for name in asked if name in by_alias}
    stores = {
        name: S3Store.from_storage(storage, alias=name, options=options)
        for name, storage in by_alias.items()
        if _place(storage) in places
    }
    for one, other in combinations(stores, 2):
        if stores[one].identity.fingerprint == stores[other].identity.fingerprint:
            _refuse_two_accounts(stores[one].identity, other, by_alias)
    return stores


def _place(storage: Any) -> tuple[str, str | None]:
    return storage.bucket_name, location_prefix(storage.location)


def _refuse_two_accounts(place: StoreIdentity, other: str, by_alias: Mapping[str, Any]) -> None:
    """Only on AWS is a bucket's name nobody else's. What differs is a secret, and not told."""
    if on_aws(place.endpoint) or account_of(by_alias[place.alias]) == account_of(by_alias[other]):
        return
    raise ImproperlyConfigured(
        f"The storages {place.alias!r} and {other!r} name the bucket {place.bucket!r} at {place.endpoint} with different "
        "credentials. On a server that is not AWS each account may have a bucket of that name, so the records of one "
        "would be looked for in the bucket of the other. If it is one bucket, give both storages the same access key or "
        "session_profile; if they are two, give one another name (on Ceph tenant:bucket) or a host name of its own."
    )


def _listed(labels: Collection[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def _nothing_there(
    alias: str, fields: Collection[str], there: Collection[str], labels: Collection[str]
) -> str:
    """``there``: the fields, of all ``labels``, that name objects in the store of ``alias``."""
    if alias and fields and there:
        one = "does not name" if len(fields) == 1 else "do not name"
        return f"{_listed(fields)} {one} objects in the store of the storage {alias!r}. What does: {_listed(there)}."
    if alias and alias not in storages.backends:
        return (
            f"There is no storage {alias!r} in STORAGES. There are: {', '.join(sorted(storages.backends))}."
        )
    if alias:
        return f"No file field uses the storage {alias!r}. File fields on S3: {_listed(labels)}."
    if is_s3(Image._meta.get_field("file").storage):
        return "No file field matches."
    return (
        "No file field of this project is on S3: the default storage is not "
        'storages.backends.s3.S3Storage. Set STORAGES["default"]["BACKEND"] to it.'
    )
