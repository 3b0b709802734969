"""Which fields of which models name objects, what may be done about their orphans, and in which store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.files.storage import storages
from django.db.models import FileField, Model
from django.utils.module_loading import import_string

from imagesync.conf import AppSettings, app_settings
from imagesync.exceptions import NothingMatches
from imagesync.models import AbstractImage, Image
from imagesync.storage.store import ClientOptions, S3Store, Store, is_s3

DEFAULT_POLICY = "report"
OWN_FIELD = "imagesync.Image.file"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One file field of one model."""

    model: type[Model]
    field: FileField
    policy: str
    """``delete``, ``clear`` or ``report``: what a purge may do about an orphan."""
    age_field: str
    """The field that says how old a record is; empty when nothing says it."""

    @cached_property
    def label(self) -> str:
        return f"{self.model._meta.label}.{self.field.name}"

    @property
    def content_type(self) -> ContentType:
        return content_type_of(self.model)

    @property
    def remembers(self) -> bool:
        """Whether the records keep a verdict, a store, a size and an ETag of their own."""
        return remembers_verdicts(self.model, self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One store and the fields that name its objects. An audit compares one source."""

    store: Store
    targets: tuple[Target, ...]
    workers: int = 8
    """How many requests may be under way at once."""


def remembers_verdicts(model: type[Model], field: FileField) -> bool:
    return issubclass(model, AbstractImage) and field.name == "file"


def content_type_of(model: type[Model]) -> ContentType:
    """A proxy's own, as findings, failed reads and tombstones name it."""
    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def record_label(model: type[Model], pk: Any) -> str:
    """``app.Model:pk``, as commands and JSON name a record."""
    return f"{model._meta.label}:{pk}"


def find_sources(
    *, alias: str = "", fields: Collection[str] = (), workers: int | None = None
) -> list[Source]:
    """Every store that file fields of this project name objects in, with those fields.

    ``alias`` (of STORAGES) and ``fields`` (``app.Model.field``) narrow it; ``workers`` is how many requests
    may be under way at once (default: the setting). Raises NothingMatches when
    nothing is left, and ImproperlyConfigured when ``IMAGESYNC["FIELDS"]`` names what does not exist.
    """
    settings = app_settings()
    targets = find_targets()
    _refuse_unknown(settings.fields, targets)
    labels = {target.label for target in targets}
    for label in fields:
        if label not in labels:
            raise NothingMatches(f"{label!r} is not a file field on S3. There are: {_listed(labels)}.")
    if fields:
        targets = [target for target in targets if target.label in fields]

    options = store_options(settings, workers)
    aliases = _aliases()
    stores: dict[str, S3Store] = {}
    grouped: dict[str, list[Target]] = {}
    for target in targets:
        target_alias = _alias_of(target, aliases)
        if alias and alias != target_alias:
            continue
        if target_alias not in stores:  # a client costs tenths of a second: one for all fields of a storage
            stores[target_alias] = S3Store.from_storage(
                target.field.storage, alias=target_alias, options=options
            )
        grouped.setdefault(stores[target_alias].identity.fingerprint, []).append(target)
    if not grouped:
        raise NothingMatches(_nothing_there(alias, labels))
    by_fingerprint = {store.identity.fingerprint: store for store in reversed(stores.values())}
    return [
        Source(store=by_fingerprint[key], targets=tuple(found), workers=options.workers)
        for key, found in grouped.items()
    ]


def find_targets() -> list[Target]:
    """Every file field of this project that is on S3. Raises ImproperlyConfigured."""
    return list(_targets(app_settings()))


def fields_by_alias() -> dict[str, tuple[str, ...]]:
    """The labels of every file field on S3, by the alias of its storage. No client is made."""
    aliases = _aliases()
    found: dict[str, tuple[str, ...]] = {}
    for target in find_targets():
        alias = _alias_of(target, aliases)
        found[alias] = (*found.get(alias, ()), target.label)
    return found


def targets_of(model: type[Model]) -> list[Target]:
    """The file fields on S3 that a model's rows have, those of its parents included. No client is made."""
    return [target for target in _targets(app_settings()) if issubclass(model, target.model)]


def policies_of(fields: Collection[str]) -> dict[str, str]:
    """What may be done about orphans of these fields (``app.Model.field``), as far as they exist."""
    return {target.label: target.policy for target in _targets(app_settings()) if target.label in fields}


def store_options(settings: AppSettings, workers: int | None = None) -> ClientOptions:
    return ClientOptions(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_attempts=settings.max_attempts,
        workers=workers or settings.workers,
        client_factory=_client_factory(settings.client_factory),
    )


def _client_factory(path: str) -> Any:
    if not path:
        return None
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"IMAGESYNC['CLIENT_FACTORY'] = {path!r} cannot be imported.") from error


def _targets(settings: AppSettings) -> Iterator[Target]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or not model._meta.managed or model._meta.swapped:
            continue
        for field in model._meta.local_concrete_fields:  # a parent's field is the parent's
            if isinstance(field, FileField) and is_s3(field.storage):
                yield _target(model, field, settings)


def _target(model: type[Model], field: FileField, settings: AppSettings) -> Target:
    label = f"{model._meta.label}.{field.name}"
    own_age = "created_at" if issubclass(model, AbstractImage) else ""
    entry = settings.fields.get(label, "delete" if label == OWN_FIELD else DEFAULT_POLICY)
    if isinstance(entry, str):
        return Target(model=model, field=field, policy=entry, age_field=own_age)
    age_field = entry.get("age_field", own_age)
    if age_field and age_field not in {one.name for one in model._meta.concrete_fields}:
        raise ImproperlyConfigured(
            f"IMAGESYNC['FIELDS'][{label!r}]: {model._meta.label} has no field {age_field!r}."
        )
    return Target(model=model, field=field, policy=entry["policy"], age_field=age_field)


def _refuse_unknown(configured: Collection[str], targets: list[Target]) -> None:
    labels = {target.label for target in targets}
    for label in configured:
        if label in labels:
            continue
        app_label, model_name, field_name = label.split(".")
        try:
            field = apps.get_model(app_label, model_name)._meta.get_field(field_name)
        except (LookupError, FieldDoesNotExist) as error:
            raise ImproperlyConfigured(
                f"IMAGESYNC['FIELDS'] names {label!r}, which does not exist."
            ) from error
        if not isinstance(field, FileField):
            raise ImproperlyConfigured(f"IMAGESYNC['FIELDS'] names {label!r}, which is not a file field.")


def _aliases() -> dict[str, Any]:
    return {alias: _construction(storages[alias]) for alias in storages.backends}


def _alias_of(target: Target, aliases: dict[str, Any]) -> str:
    """The alias in STORAGES of the field's storage, or the field's own label when it has none."""
    wanted = _construction(target.field.storage)
    return next((alias for alias, construction in aliases.items() if construction == wanted), target.label)


def _construction(storage: Any) -> Any:
    deconstruct = getattr(storage, "deconstruct", None)
    try:
        return deconstruct() if deconstruct is not None else storage
    except ValueError:  # a class inside of a function or of another class; client_of says so where it matters
        return storage


def _listed(labels: Collection[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def _nothing_there(alias: str, labels: Collection[str]) -> str:
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
