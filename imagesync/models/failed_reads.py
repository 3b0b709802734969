"""What visitors could not read: reported by the site's own views, looked at first by the next audit."""

from __future__ import annotations

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils.translation import gettext_lazy as _

from imagesync.models.labels import AboutRecord


class FailedRead(AboutRecord, models.Model):
    """Reads of one file of one record that failed, until an audit has judged it. It proves nothing.

    There is never more than one row per record and field.
    """

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_pk = models.CharField(max_length=255)
    field = models.CharField(max_length=255)
    key = models.TextField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    times = models.PositiveIntegerField(
        default=1, help_text=_("In how many minutes it was reported: the first report of each counts.")
    )
    code = models.CharField(
        max_length=64, blank=True, help_text=_("The error code of the last report, or the exception's name.")
    )

    class Meta:
        verbose_name = _("failed read")
        verbose_name_plural = _("failed reads")
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["content_type", "object_pk", "field"], name="imagesync_failed_read_once"
            ),
        ]

    def __str__(self) -> str:
        return f"failed reads of {self.record_label}"
