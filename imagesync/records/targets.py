"""Which fields of which models name objects, what may be done about their orphans, and in which store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db.models import FileField, Model
from django.utils.module_loading import import_string

from imagesync.conf import AppSettings, app_settings
from imagesync.models import AbstractImage
from imagesync.records.configured import age_problem
from imagesync.storage.client import making
from imagesync.storage.names import own_mapping
from imagesync.storage.store import ClientOptions, Store, is_s3

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

    @cached_property
    def _mapping(self) -> Callable[[str], str] | None:
        return own_mapping(self.field.storage)

    def key_of(self, name: str, store: Store) -> str | None:
        """The exact key of a stored name; None when the field's own storage would rewrite the name.

        Several storages may name one store, each with a way of its own to make keys of names.
        """
        return self._as_mapped(name, store.key_for(name))

    def keys_of(self, names: Sequence[str], store: Store) -> list[str | None]:
        """``key_of`` of each."""
        keys = store.keys_for(names)
        if self._mapping is None:
            return keys
        return [self._as_mapped(name, key) for name, key in zip(names, keys, strict=True)]

    def _as_mapped(self, name: str, key: str | None) -> str | None:
        if key is None or self._mapping is None:
            return key
        try:
            return key if self._mapping(name) == key else None
        except Exception:  # noqa: BLE001 - the project's own code; what it cannot map has no exact key
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One store and the fields that name its objects. An audit compares one source."""

    store: Store
    targets: tuple[Target, ...]
    workers: int = 8
    """How many requests may be under way at once."""

    def name_of(self, key: str) -> str:
        """The stored name that leads to exactly this key, in one of the fields at least; empty when none does."""
        name = self.store.name_for(key)
        if name is None:
            return ""
        return name if any(target.key_of(name, self.store) == key for target in self.targets) else ""


def remembers_verdicts(model: type[Model], field: FileField) -> bool:
    return issubclass(model, AbstractImage) and field.name == "file"


def content_type_of(model: type[Model]) -> ContentType:
    """A proxy's own, as findings, failed reads and tombstones name it."""
    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def record_label(model: type[Model], pk: Any) -> str:
    """``app.Model:pk``, as commands and JSON name a record."""
    return f"{model._meta.label}:{pk}"


def find_targets() -> list[Target]:
    """Every file field of this project that is on S3. Raises ImproperlyConfigured."""
    return list(_targets(app_settings()))


def fields_by_alias() -> dict[str, tuple[str, ...]]:
    """The labels of every file field on S3, by the alias of its storage. No client is made."""
    known = aliases()
    found: dict[str, tuple[str, ...]] = {}
    for target in find_targets():
        alias = alias_of(target, known)
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
    if age_field and (problem := age_problem(label, model, age_field)):
        raise ImproperlyConfigured(" ".join(problem))
    return Target(model=model, field=field, policy=entry["policy"], age_field=age_field)


def aliases() -> dict[str, Any]:
    """How the storage of each alias in STORAGES is made, which is how ``alias_of`` knows it."""
    return {alias: _construction(_storage(alias)) for alias in storages.backends}


def _storage(alias: str) -> Any:
    with making(alias):
        return storages[alias]


def alias_of(target: Target, known: dict[str, Any]) -> str:
    """The alias in STORAGES of the field's storage, or the field's own label when it has none."""
    wanted = _construction(target.field.storage)
    return next((alias for alias, construction in known.items() if construction == wanted), target.label)


def _construction(storage: Any) -> Any:
    deconstruct = getattr(storage, "deconstruct", None)
    try:
        return deconstruct() if deconstruct is not None else storage
    except ValueError:  # a class inside of a function or of another class; client_of says so where it matters
        return storage
