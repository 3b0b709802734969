"""Messages of the event queue that nobody could read: kept, so that none is deleted without a trace."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SetAsideMessage(models.Model):
    """A message that is no event of S3, or holds one that cannot be read."""

    queue = models.CharField(max_length=255)
    message_id = models.CharField(max_length=128)
    reason = models.CharField(max_length=32)
    body = models.BinaryField(help_text=_("As it came, in UTF-8."))
    set_aside_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("message set aside")
        verbose_name_plural = _("messages set aside")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["queue", "message_id"], name="imagesync_set_aside_once"),
        ]

    def __str__(self) -> str:
        return f"message {self.message_id} of {self.queue}"

    @property
    def text(self) -> str:
        return bytes(self.body).decode("utf-8", "backslashreplace")
