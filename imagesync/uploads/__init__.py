"""What happens when a file is put into a record: look at what was stored, remember it, forget what was known."""

from __future__ import annotations

from imagesync.storage.saving import unverified
from imagesync.uploads.fields import RememberingImageField, VerifiedFileField, VerifiedImageField
from imagesync.uploads.models import VerifiedUploadMixin

__all__ = [
    "RememberingImageField",
    "VerifiedFileField",
    "VerifiedImageField",
    "VerifiedUploadMixin",
    "unverified",
]
