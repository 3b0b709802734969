"""Purges, and what is kept of each record that one deleted."""

from __future__ import annotations

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.models.audits import Audit
from imagesync.models.labels import AboutRecord
from imagesync.models.leases import Leased


class Purge(Leased):
    """A plan to delete orphaned records, and what became of it. A plan is executed once."""

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        REFUSED = "refused", _("refused")
        RUNNING = "running", _("running")
        INTERRUPTED = "interrupted", _("interrupted")
        DONE = "done", _("done")

    state = models.CharField(max_length=16, choices=State.choices, default=State.PLANNED)
    audit = models.ForeignKey(Audit, null=True, on_delete=models.SET_NULL, related_name="purges")
    fingerprint = models.CharField(max_length=64)
    planned_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    planned_by = models.CharField(max_length=64, blank=True, help_text=_("command, admin or schedule"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    limits = models.JSONField(default=dict)
    plan = models.JSONField(default=dict, help_text=_("What would be deleted and kept, and why."))
    summary = models.JSONField(default=dict, blank=True, help_text=_("The plan's figures, for pages."))
    refused = models.JSONField(null=True, blank=True)
    counts = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("purge")
        verbose_name_plural = _("purges")
        ordering = ["-id"]
        get_latest_by = "id"
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=models.Q(state="running"),
                name="imagesync_purge_one_running",
            ),
        ]

    def __str__(self) -> str:
        return f"purge {self.pk}"


class Tombstone(AboutRecord, models.Model):
    """What is kept of one purged record: its row, and every row that its deletion took or changed."""

    purge = models.ForeignKey(Purge, on_delete=models.PROTECT, related_name="tombstones")
    content_type = models.ForeignKey(ContentType, on_delete=models.PROTECT, related_name="+")
    object_pk = models.CharField(max_length=255)
    field = models.CharField(max_length=255)
    key = models.TextField()
    action = models.CharField(max_length=8, choices=[("delete", _("deleted")), ("clear", _("cleared"))])
    rows = models.TextField(help_text=_("JSON: every row that went or changed, without loss."))
    evidence = models.JSONField(default=dict)
    purged_at = models.DateTimeField(default=timezone.now)
    restored_at = models.DateTimeField(null=True, blank=True)
    restored_by = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("tombstone")
        verbose_name_plural = _("tombstones")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["content_type", "object_pk"], name="imagesync_tombstone_record"),
            models.Index(
                fields=["purge", "id"], condition=models.Q(restored_at=None), name="imagesync_tombstone_left"
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(restored_at__isnull=False),
                name="imagesync_tombstone_back",
            ),
        ]

    def __str__(self) -> str:
        return f"tombstone of {self.record_label}"
