"""Audits, the ranges that they are worked off in, and what they found."""

from __future__ import annotations

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.core.verdicts import Verdict
from imagesync.models.images import VERDICT_CHOICES
from imagesync.models.labels import AboutRecord
from imagesync.models.leases import Leased


class Audit(Leased):
    """A read-only comparison of records with one store."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        INTERRUPTED = "interrupted", _("interrupted")
        PAUSED = "paused", _("paused")
        CANCELLED = "cancelled", _("cancelled")
        FINISHED = "finished", _("finished")

    class Trust(models.TextChoices):
        TRUSTWORTHY = "trustworthy", _("trustworthy")
        DEGRADED = "degraded", _("degraded")
        UNTRUSTWORTHY = "untrustworthy", _("untrustworthy")

    class Stage(models.TextChoices):
        OPENING = "opening", _("checking the store")
        COMPARING = "comparing", _("comparing")
        CLOSING = "closing", _("checking the store once more")

    state = models.CharField(max_length=16, choices=State.choices, default=State.RUNNING)
    stage = models.CharField(max_length=16, choices=Stage.choices, default=Stage.OPENING)
    distributed = models.BooleanField(
        default=False, help_text=_("Whether the cluster's workers share its ranges.")
    )
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    started_by = models.CharField(max_length=64, blank=True, help_text=_("command, admin or schedule"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    alias = models.CharField(max_length=255, blank=True)
    bucket = models.CharField(max_length=255)
    region = models.CharField(max_length=64, blank=True)
    endpoint = models.CharField(max_length=1024, blank=True)
    prefix = models.CharField(max_length=1024, blank=True)
    fingerprint = models.CharField(max_length=64)

    fields = models.JSONField(
        default=list,
        blank=True,
        help_text=_(
            "app.Model.field of each field that it covers; empty for audits from before this was kept."
        ),
    )
    scope = models.JSONField(default=dict)
    scope_key = models.CharField(max_length=64, help_text=_("Hash of the scope."))
    full_scope = models.BooleanField(default=True)
    marks = models.BooleanField(default=True, help_text=_("Whether verdicts are written on the records."))
    strategy = models.CharField(max_length=16, blank=True)
    strategy_reason = models.TextField(blank=True)

    counts = models.JSONField(default=dict, help_text=_("Records, and records by verdict."))
    requests = models.JSONField(default=dict, help_text=_("Requests by kind."))
    trust = models.CharField(max_length=16, choices=Trust.choices, blank=True)
    reasons = models.JSONField(default=list)
    versioning = models.CharField(max_length=16, blank=True)
    saw_all_objects = models.BooleanField(
        default=False, help_text=_("Whether the object side was seen whole.")
    )
    unreferenced = models.PositiveBigIntegerField(
        null=True, blank=True, help_text=_("Objects that no audited record names.")
    )
    in_order = models.BooleanField(
        default=True,
        help_text=_("Whether the store listed in byte order; else its listing was sorted on disk."),
    )
    canaries = models.JSONField(
        default=list, help_text=_("Records seen present, looked at first by the next audit.")
    )
    failed_reads = models.JSONField(
        default=dict, blank=True, help_text=_("Reported failed reads that were looked at first.")
    )
    figures = models.JSONField(
        default=dict,
        blank=True,
        help_text=_("What was open when an audit of everything ended, by field and date."),
    )

    expected_records = models.PositiveBigIntegerField(
        null=True, blank=True, help_text=_("About how many records it has to judge.")
    )
    comparing_since = models.DateTimeField(null=True, blank=True, help_text=_("Begun or resumed."))
    comparing_from = models.PositiveBigIntegerField(
        default=0, help_text=_("Records that had been judged by then.")
    )
    enqueued_at = models.DateTimeField(null=True, blank=True, editable=False)
    idle_sweeps = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text=_("How often it was enqueued anew without getting on.")
    )

    class Meta:
        verbose_name = _("audit")
        verbose_name_plural = _("audits")
        ordering = ["-id"]
        get_latest_by = "id"
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint", "scope_key"],
                condition=models.Q(state="running"),
                name="imagesync_audit_one_running",
            ),
        ]
        indexes = [models.Index(fields=["fingerprint", "state", "-id"], name="imagesync_audit_latest")]

    def __str__(self) -> str:
        return f"audit {self.pk} of {self.bucket}"

    @property
    def complete(self) -> bool:
        return self.state == self.State.FINISHED

    @property
    def is_dead(self) -> bool:
        """Whether it was interrupted, or its process went away before the end: it can be resumed."""
        return self.state == self.State.INTERRUPTED or (
            self.state == self.State.RUNNING and not self.lease_is_alive
        )

    @property
    def store_document(self) -> dict[str, str]:
        return {
            name: getattr(self, name)
            for name in ("alias", "bucket", "region", "endpoint", "prefix", "fingerprint")
        }


class AuditRange(Leased):
    """A stretch of the key space: the unit of resuming, and of sharing work between processes."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        DONE = "done", _("done")

    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="ranges")
    number = models.PositiveIntegerField(default=0)
    first_key = models.TextField(blank=True, help_text=_("Inclusive; empty for the beginning."))
    end_key = models.TextField(null=True, blank=True, help_text=_("Exclusive; null for the end."))  # noqa: DJ001 - open and empty differ
    cursor = models.JSONField(
        null=True, blank=True, help_text=_("Key, field and pk of the last record judged.")
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    counts = models.JSONField(default=dict)
    requests = models.JSONField(
        default=dict, help_text=_("Requests by kind, as far as they are written down.")
    )
    canaries = models.JSONField(default=list, help_text=_("Some of its records seen present."))
    unreferenced = models.PositiveBigIntegerField(default=0)
    whole = models.BooleanField(default=True, help_text=_("Whether all its objects were seen so far."))
    failure = models.JSONField(null=True, blank=True, help_text=_("Why its listing broke off."))

    class Meta:
        verbose_name = _("audit range")
        verbose_name_plural = _("audit ranges")
        ordering = ["audit_id", "number"]
        constraints = [models.UniqueConstraint(fields=["audit", "number"], name="imagesync_range_number")]

    def __str__(self) -> str:
        return f"range {self.number} of audit {self.audit_id}"


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self) -> FindingQuerySet:
        """What still needs attention, as far as audits have settled it."""
        return self.filter(closed_at=None, settled=True)

    def missing_from(self, fingerprint: str) -> FindingQuerySet:
        """Open ones of what is missing from a store."""
        return self.open().filter(fingerprint=fingerprint, verdict=Verdict.MISSING.value)


class Finding(AboutRecord, models.Model):
    """The history of a verdict that needs attention, from the audit that opened it to the one that closed it.

    A record has at most one open finding that is known, and beside it at most one ``unknown`` or
    ``denied``: what the last look failed at does not overwrite what is true.
    """

    fingerprint = models.CharField(max_length=64)
    content_type = models.ForeignKey(
        ContentType, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    object_pk = models.CharField(max_length=255, blank=True)
    field = models.CharField(max_length=255, blank=True)
    key = models.TextField()
    verdict = models.CharField(max_length=16, choices=VERDICT_CHOICES)
    reason = models.CharField(max_length=64, blank=True)
    first_evidence = models.JSONField(default=dict)
    last_evidence = models.JSONField(default=dict)

    opened_by = models.ForeignKey(Audit, null=True, on_delete=models.SET_NULL, related_name="opened")
    opened_at = models.DateTimeField()
    closed_by = models.ForeignKey(
        Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="closed"
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    settled = models.BooleanField(
        default=False, help_text=_("False until the store has passed its check after the audit.")
    )

    objects = FindingQuerySet.as_manager()

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint", "content_type", "object_pk", "field", "verdict"],
                condition=models.Q(closed_at=None, settled=True),
                name="imagesync_finding_one_open",
            ),
        ]
        indexes = [
            models.Index(fields=["content_type", "object_pk"], name="imagesync_finding_record"),
            models.Index(fields=["opened_by", "settled"], name="imagesync_finding_opened"),
            models.Index(fields=["verdict", "id"], name="imagesync_finding_verdict"),
            models.Index(
                fields=["id"],
                condition=models.Q(closed_at=None, settled=True),
                name="imagesync_finding_open",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(closed_at__isnull=False, settled=True),
                name="imagesync_finding_closed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.record_label} is {self.verdict}"
