"""One file of one instance, named as audits name it: by the model that owns the field, the pk and the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField, Model

from imagesync.conf import app_settings
from imagesync.records.targets import content_type_of, store_options
from imagesync.storage.names import location_prefix
from imagesync.storage.store import S3Store, is_s3

_fingerprints: dict[tuple[str | None, ...], str] = {}


@dataclass(frozen=True, slots=True)
class FileOwner:
    """The model that a file field belongs to: of a proxy or a child in a table of its own, the parent."""

    model: type[Model]
    field: FileField

    @property
    def content_type(self) -> ContentType:
        return content_type_of(self.model)

    @property
    def is_audited(self) -> bool:
        return is_s3(self.field.storage)

    @property
    def fingerprint(self) -> str:
        """Of the store. A client costs tenths of a second, so it is worked out once per process."""
        storage: Any = self.field.storage
        place = (storage.endpoint_url, storage.region_name, storage.bucket_name, storage.location)
        if place not in _fingerprints:
            store = S3Store.from_storage(storage, alias="", options=store_options(app_settings()))
            _fingerprints[place] = store.identity.fingerprint
        return _fingerprints[place]

    def pk_of(self, instance: Model) -> Any:
        return getattr(instance, self.model._meta.pk.attname)

    def key_of(self, name: str) -> str:
        """The key of a stored name; for an inexact name, prefix and name as they are (``Record.key``)."""
        storage: Any = self.field.storage
        return (location_prefix(storage.location) or "") + name


def owner_of(model: type[Model], field_name: str) -> FileOwner:
    """Who owns ``field_name`` of ``model``. Raises ValueError when it is no file field."""
    try:
        field = model._meta.get_field(field_name)
    except FieldDoesNotExist as error:
        raise ValueError(f"{model._meta.label} has no field {field_name!r}.") from error
    if not isinstance(field, FileField):
        raise ValueError(f"{model._meta.label}.{field_name} is not a file field.")
    return FileOwner(field.model, field)
