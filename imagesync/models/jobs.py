"""Jobs: what somebody asked for in the admin, and which records it was asked for, once and for all."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.models.audits import Audit
from imagesync.models.leases import Leased
from imagesync.models.purges import Purge


class Job(Leased):
    """Work that is too long for a browser to wait for. It is done once, whoever delivers it how often."""

    class Kind(models.TextChoices):
        CHECK = "check", _("re-check")
        MARK = "mark", _("mark as missing")
        CLEAR = "clear", _("clear marks")
        PLAN = "plan", _("plan a purge")
        PURGE = "purge", _("execute a purge")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    site = models.CharField(max_length=64, default="admin", help_text=_("Name of the admin site."))
    nonce = models.CharField(max_length=32, unique=True, help_text=_("A confirmation counts once."))

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    fields = models.JSONField(default=list, help_text=_("app.Model.field"))
    chosen_by = models.TextField(blank=True, help_text=_("The list's filter, as its address had it."))
    records = models.PositiveBigIntegerField(default=0, help_text=_("How many were selected."))
    selection = models.JSONField(
        default=dict, blank=True, help_text=_("How far the selected records are written down.")
    )
    audit = models.ForeignKey(
        Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # that a plan rests on
    purge = models.ForeignKey(Purge, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs")

    outcome = models.JSONField(default=dict, blank=True)
    failure = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-id"]
        get_latest_by = "id"
        constraints = [
            models.UniqueConstraint(
                fields=["purge"], condition=models.Q(kind="purge"), name="imagesync_job_one_per_purge"
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED)

    @property
    def model(self) -> Any:
        return self.content_type.model_class()


class JobRecord(models.Model):
    """One record that was selected: what was counted is what is worked on, whatever the filter finds later."""

    # the database is not to check a million rows one by one; the unique constraint is the index
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, related_name="selected", db_index=False, db_constraint=False
    )
    object_pk = models.CharField(max_length=255)

    class Meta:
        verbose_name = _("selected record")
        verbose_name_plural = _("selected records")
        constraints = [models.UniqueConstraint(fields=["job", "object_pk"], name="imagesync_job_record")]

    def __str__(self) -> str:
        return f"{self.object_pk} of job {self.job_id}"
