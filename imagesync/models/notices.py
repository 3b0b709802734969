"""What people were told of each store last, and the messages that are to be sent, one for each channel."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.models.leases import Leased


class ToldStore(models.Model):
    """One store, as people know it. ``version`` counts what was decided: who decides compares it, then sets it."""

    fingerprint = models.CharField(max_length=64, unique=True)
    version = models.PositiveBigIntegerField(default=0)
    state = models.JSONField(default=dict, help_text=_("What was told last; docs/notifications.md."))

    class Meta:
        verbose_name = _("told store")
        verbose_name_plural = _("told stores")

    def __str__(self) -> str:
        return f"what was told of store {self.fingerprint}"


class Notice(Leased):
    """One change, to be told through one channel. It is written down in the commit that decides it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("being sent")
        SENT = "sent", _("sent")
        GIVEN_UP = "given_up", _("given up")

    store = models.ForeignKey(ToldStore, on_delete=models.CASCADE, related_name="notices")
    change = models.PositiveBigIntegerField(help_text=_("Number of the change of this store."))
    channel = models.CharField(max_length=255)
    document = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now, help_text=_("When it is tried again."))
    failure = models.CharField(max_length=255, blank=True, help_text=_("Why the last attempt failed."))
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-id"]
        get_latest_by = "id"
        constraints = [
            models.UniqueConstraint(fields=["store", "change", "channel"], name="imagesync_notice_once")
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(state__in=("waiting", "running")),
                name="imagesync_notice_due",
            )
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"
