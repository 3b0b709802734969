"""File fields whose uploads are looked at before the record is written."""

from __future__ import annotations

from typing import Any

from django.core.files.base import File
from django.db import models
from django.db.models.fields.files import FieldFile, ImageFieldFile

from imagesync.uploads.verify import Verifying, describe_upload, stored_figures


class VerifiedSaving(FieldFile):
    """A file that verifies its upload and tells its record about it, before the record is written.

    Raises UploadNotVerified, and leaves the record as it was. A record that has the method
    ``remember_upload(**figures)`` is told ``size_bytes``, ``width``, ``height``, ``etag`` and ``store``.
    """

    is_image = False

    def save(self, name: str | None, content: File[Any], save: bool = True) -> None:
        remember = getattr(self.instance, "remember_upload", None)
        figures = describe_upload(content, is_image=self.is_image) if remember is not None else {}
        storage = self.storage
        verifying = Verifying(storage)
        self.storage = verifying  # type: ignore[assignment]
        try:
            super().save(name, content, save=False)  # type: ignore[arg-type]
        finally:
            self.storage = storage
        if remember is not None:
            remember(**{**figures, **stored_figures(verifying.receipt)})
        if save:
            self.instance.save()


class VerifiedFile(VerifiedSaving):
    """The file of a ``VerifiedFileField``."""


class RememberingFile(VerifiedSaving, ImageFieldFile):
    """The file of a ``VerifiedImageField``."""

    is_image = True


class VerifiedFileField(models.FileField):
    """A FileField whose uploads to S3 are verified before the record is written."""

    attr_class = VerifiedFile


class VerifiedImageField(models.ImageField):
    """An ImageField whose uploads to S3 are verified before the record is written."""

    attr_class = RememberingFile


class RememberingImageField(VerifiedImageField):
    """The field of ``AbstractImage``: its uploads are noted on the record.

    Django's own ``width_field`` and ``height_field`` are not used: they open the file, so loading a row
    would call S3.
    """

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "imagesync.uploads.RememberingImageField", args, kwargs
