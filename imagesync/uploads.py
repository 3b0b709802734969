"""What happens when a file is put into a record: remember what was stored, forget what was known."""

from __future__ import annotations

from typing import Any

from django.core.files.base import File
from django.core.files.images import get_image_dimensions
from django.db import models
from django.db.models.fields.files import ImageFieldFile


class RememberingFile(ImageFieldFile):
    """A file that tells its record about an upload, before the record is written.

    The figures come from the bytes in memory. Nothing is ever asked of the storage but to save.
    """

    def save(self, name: str, content: File[Any], save: bool = True) -> None:
        remembered = describe_upload(content)
        super().save(name, content, save=False)
        remember = getattr(self.instance, "remember_upload", None)
        if remember is not None:
            remember(**remembered)
        if save:
            self.instance.save()


class RememberingImageField(models.ImageField):
    """An ImageField whose uploads are noted on the record by its ``remember_upload(**figures)``.

    Django's own ``width_field`` and ``height_field`` are not used: they open the file, so loading a row
    would call S3.
    """

    attr_class = RememberingFile

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "imagesync.uploads.RememberingImageField", args, kwargs


def describe_upload(content: File[Any]) -> dict[str, int | None]:
    """``size_bytes``, ``width`` and ``height`` of a file about to be stored; None for what it isn't."""
    width, height = get_image_dimensions(content)
    content.seek(0)
    return {"size_bytes": content.size, "width": width, "height": height}
