"""The record of an image: what was stored, and what is known about its object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.core.ranges import MAX_KEY_BYTES
from imagesync.core.verdicts import Verdict
from imagesync.placeholders import Known, harmless, picture_of
from imagesync.reports import printable
from imagesync.uploads import RememberingImageField

# What a new file changes on its record, besides the file's name itself.
UPLOAD_FIELDS = frozenset(
    {"size_bytes", "etag", "width", "height", "store", "verdict", "verdict_at", "missing_since", "updated_at"}
)

VERDICT_CHOICES = [(verdict.value, verdict.value) for verdict in Verdict]


class Utf8Length(Length):
    """The length of a text in bytes of UTF-8, which is how S3 measures a key."""

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="OCTET_LENGTH", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)


def validate_key_bytes(name: Any) -> None:
    """Refuse a name that S3 could not hold, or that no database text can."""
    text = str(name)
    if "\0" in text:
        raise ValidationError(_("A file name cannot hold a NUL character."), code="nul")
    if len(text.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        raise ValidationError(
            _("A file name may have at most %(limit)d bytes in UTF-8."),
            code="too_many_bytes",
            params={"limit": MAX_KEY_BYTES},
        )


class AbstractImage(models.Model):
    """An image in S3 with what is known about it.

    Loading a row, saving a row by key, listing rows and rendering a page never call S3.
    """

    file = RememberingImageField(
        _("file"), max_length=MAX_KEY_BYTES, upload_to="images/", validators=[validate_key_bytes]
    )
    title = models.CharField(_("title"), max_length=255, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    size_bytes = models.PositiveBigIntegerField(_("size in bytes"), null=True, blank=True, editable=False)
    etag = models.CharField(_("ETag"), max_length=128, blank=True, editable=False)
    width = models.PositiveIntegerField(_("width"), null=True, blank=True, editable=False)
    height = models.PositiveIntegerField(_("height"), null=True, blank=True, editable=False)
    store = models.CharField(
        _("store"),
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("Fingerprint of the store it was last seen in."),
    )

    verdict = models.CharField(
        _("verdict"), max_length=16, choices=VERDICT_CHOICES, default=Verdict.UNCHECKED.value, editable=False
    )
    verdict_at = models.DateTimeField(_("verdict since"), null=True, blank=True, editable=False)
    missing_since = models.DateTimeField(_("missing since"), null=True, blank=True, editable=False)

    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True
        verbose_name = _("image")
        verbose_name_plural = _("images")
        constraints = [
            models.CheckConstraint(
                condition=LessThanOrEqual(Utf8Length("file"), MAX_KEY_BYTES),
                name="%(app_label)s_%(class)s_key_bytes",
            ),
        ]
        indexes = [
            models.Index(
                fields=["verdict", "id"],
                condition=~models.Q(verdict=Verdict.PRESENT.value),
                name="%(app_label)s_%(class)s_notok",
            ),
        ]

    def __str__(self) -> str:
        return harmless(self.title) or printable(self.file.name or "") or f"#{self.pk}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save; a new file, or another name, starts as ``unchecked`` again."""
        if update_fields is not None:
            update_fields = set(update_fields)
        names_file = update_fields is None or "file" in update_fields
        before: str | None = getattr(self, "_loaded_name", None)
        if names_file and before is not None and str(self.file) != before:
            self.forget_verdict()
        if update_fields is not None and names_file:
            update_fields = {*update_fields, *UPLOAD_FIELDS}
        super().save(*args, update_fields=update_fields, **kwargs)
        if names_file:
            self._loaded_name = str(self.file)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Any:
        loaded: Any = super().from_db(*args, **kwargs)
        # the descriptor is not asked: a deferred column stays deferred
        loaded._loaded_name = str(loaded.__dict__["file"]) if "file" in loaded.__dict__ else None
        return loaded

    @property
    def url_or_placeholder(self) -> str:
        """The URL of the object, or of a placeholder, by the stored verdict alone."""
        return picture_of(self.file).url_or_placeholder

    @property
    def placeholder_text(self) -> str:
        """What happened to the file, for ``alt``; empty when it is shown."""
        return picture_of(self.file).placeholder_text

    def what_is_known(self, field_name: str) -> Known | None:
        """What the record says of one of its files; None for those that it remembers nothing of."""
        if field_name != "file":
            return None
        return Known(verdict=self.verdict, name=self.title, width=self.width, height=self.height)

    def remember_upload(
        self,
        *,
        size_bytes: int | None,
        width: int | None,
        height: int | None,
        etag: str = "",
        store: str = "",
    ) -> None:
        """Note what was just stored, and what S3 said of it when the upload was verified.

        Called by the file field before the row is written. The verdict is ``unchecked``: it is an audit's word
        (docs/decisions/0004-an-upload-is-no-verdict.md).
        """
        self.forget_verdict()
        self.size_bytes, self.width, self.height = size_bytes, width, height
        self.etag, self.store = etag, store
        self._loaded_name = str(self.file)  # the name that the figures are about

    def forget_verdict(self) -> None:
        """Back to ``unchecked``: whatever was known was about another object."""
        self.verdict, self.verdict_at, self.missing_since = Verdict.UNCHECKED.value, None, None
        self.etag, self.store = "", ""
        self.size_bytes = self.width = self.height = None


class Image(AbstractImage):
    """The image record that imagesync brings along."""

    class Meta(AbstractImage.Meta):
        permissions = [
            ("check_image", "Can look an image up in S3"),
            ("mark_image", "Can mark an image as missing"),
            ("purge_image", "Can purge images whose object is missing"),
            ("restore_image", "Can restore purged images"),
        ]
        # what the admin's list filters and sorts by
        indexes = [
            *AbstractImage.Meta.indexes,
            models.Index(fields=["created_at", "id"], name="imagesync_image_created"),
            models.Index(fields=["store", "id"], name="imagesync_image_store"),
            models.Index(
                fields=["missing_since", "id"],
                condition=models.Q(verdict=Verdict.MISSING.value),
                name="imagesync_image_gone_since",
            ),
            models.Index(
                fields=["verdict", "created_at", "id"],
                condition=~models.Q(verdict=Verdict.PRESENT.value),
                name="imagesync_image_notok_made",
            ),
        ]
