"""A field's storage, saving through which is verified, and what the record is told about it."""

from __future__ import annotations

from typing import Any

from django.core.files.base import File
from django.core.files.images import get_image_dimensions

from imagesync.storage.saving import receipts, verified_save
from imagesync.storage.uploaded import Receipt


class Verifying:
    """Stands in for a field's storage while one file is saved, and keeps the receipt.

    The field's own ``save`` then fails before it has taken over the new name, so that the record stays as it
    was and the same file can be saved once more.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.receipt: Receipt | None = None
        """None when nothing was looked at: another kind of storage, switched off, or not saved yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def save(self, name: str | None, content: File[Any], max_length: int | None = None) -> str:
        with receipts() as found:
            stored = verified_save(self._storage, self._storage.save, name, content, max_length)
        self.receipt = found[-1] if found and found[-1].name == stored else None
        return stored


def describe_upload(content: File[Any], *, is_image: bool) -> dict[str, int | None]:
    """``size_bytes``, ``width`` and ``height`` of a file about to be stored; None for what cannot be told.

    A stream can be read once, and that is the storage's.
    """
    seekable = getattr(content, "seekable", None)
    if seekable is not None and not seekable():
        return {"size_bytes": None, "width": None, "height": None}
    width, height = get_image_dimensions(content) if is_image else (None, None)
    content.seek(0)
    return {"size_bytes": content.size, "width": width, "height": height}


def stored_figures(receipt: Receipt | None) -> dict[str, Any]:
    """``etag`` and ``store`` as S3 told them, and its ``size_bytes``; empty texts when nobody looked."""
    if receipt is None:
        return {"etag": "", "store": ""}
    told = {"etag": receipt.etag, "store": receipt.store}
    return told if receipt.size_bytes is None else {**told, "size_bytes": receipt.size_bytes}
