"""Columns that keep what S3 said about an upload, for models of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

COLUMNS = frozenset({"size_bytes", "etag", "store"})


class VerifiedUploadMixin(models.Model):
    """A record with one ``VerifiedFileField`` (or image field) that remembers what S3 said of its upload."""

    size_bytes = models.PositiveBigIntegerField(_("size in bytes"), null=True, blank=True, editable=False)
    etag = models.CharField(_("ETag"), max_length=128, blank=True, editable=False)
    store = models.CharField(
        _("store"),
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("Fingerprint of the store it was uploaded to."),
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save; whoever saves the file field alone saves what is known of the file with it."""
        files = [field for field in self._meta.concrete_fields if isinstance(field, models.FileField)]
        if update_fields is not None:
            update_fields = set(update_fields)
            files = [field for field in files if field.name in update_fields]
            update_fields |= COLUMNS if files else set()
        for field in files:
            # Django stores files while it collects the columns in their order, and an ancestor's come first:
            # size and ETag would be read before the upload that tells them
            field.pre_save(self, self._state.adding)
        super().save(*args, update_fields=update_fields, **kwargs)

    def remember_upload(
        self, *, size_bytes: int | None, etag: str = "", store: str = "", **_figures: Any
    ) -> None:
        """Note what was just stored. Called by the file field before the row is written."""
        self.size_bytes, self.etag, self.store = size_bytes, etag, store
