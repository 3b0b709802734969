"""Storages that look at what they stored before they say that it is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storages.backends.s3 import S3Storage

from imagesync.storage.saving import verified_save


class VerifiedUploadsMixin:
    """For any subclass of django-storages' S3Storage; stands before it in the list of bases.

    ``save`` raises UploadNotVerified when a look at the object does not show what was sent. The object
    is left as it is. ``IMAGESYNC["VERIFY_UPLOADS"]`` and ``imagesync.uploads.unverified()`` apply.
    """

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        save: Callable[..., str] = super().save  # type: ignore[misc]
        return verified_save(self, save, name, content, max_length)


class VerifiedS3Storage(VerifiedUploadsMixin, S3Storage):  # type: ignore[misc]
    """django-storages' S3Storage with verified uploads, for ``STORAGES``."""
