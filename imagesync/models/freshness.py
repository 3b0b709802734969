"""What keeps records fresh: the key space of a store in slices, and when each was last looked at."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from imagesync.models.audits import Audit


class Freshness(models.Model):
    """One store whose records are kept fresh: when the next look is due, and which one is under way."""

    fingerprint = models.CharField(max_length=64, unique=True)
    fields = models.JSONField(
        default=list, help_text=_("app.Model.field; with another set, all is looked at anew.")
    )
    began_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(
        default=timezone.now, help_text=_("When the next slice is to be looked at.")
    )
    not_before = models.DateTimeField(
        null=True, blank=True, help_text=_("The last look failed; nobody tries again earlier.")
    )
    failures = models.PositiveIntegerField(default=0, help_text=_("Failed looks in a row."))
    turn = models.PositiveBigIntegerField(
        default=0, help_text=_("Who raises it has the next step; of several at once, one does.")
    )
    audit = models.ForeignKey(
        Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # under way, or finished and not accounted for yet
    whole_audit = models.ForeignKey(
        Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # the last one of everything that was accounted for
    in_order = models.BooleanField(
        default=True,
        help_text=_("Whether the store lists in byte order, so that a slice can be listed alone."),
    )
    reads_upto = models.DateTimeField(help_text=_("Failed reads reported until then have had their look."))
    uploads_upto = models.DateTimeField(help_text=_("Images created until then have had their look."))
    under_way = models.JSONField(
        null=True, blank=True, help_text=_("What reads_upto and uploads_upto become after the audit.")
    )

    class Meta:
        verbose_name = _("freshness")
        verbose_name_plural = _("freshness")

    def __str__(self) -> str:
        return f"freshness of store {self.fingerprint}"

    def take_turn(self, **values: Any) -> bool:
        """Take the next step, with what it changes; False when another process took it meanwhile.

        To be called in a transaction, before anything else is written in it.
        """
        rows = Freshness.objects.filter(pk=self.pk, turn=self.turn)
        if not rows.update(turn=self.turn + 1, **values):
            return False
        self.turn += 1
        for name, value in values.items():
            setattr(self, name, value)
        return True


class Slice(models.Model):
    """A stretch of a store's key space that is looked at in one go. The slices of a store leave no key out."""

    freshness = models.ForeignKey(Freshness, on_delete=models.CASCADE, related_name="slices")
    first_key = models.TextField(blank=True, help_text=_("Inclusive; empty for the beginning."))
    end_key = models.TextField(null=True, blank=True, help_text=_("Exclusive; null for the end."))  # noqa: DJ001 - open and empty differ
    looked_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the last look that counts began; null for never.")
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    audit = models.ForeignKey(Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    sound = models.BooleanField(default=False, help_text=_("Whether a purge may rest on that look."))
    records = models.PositiveBigIntegerField(default=0)
    present = models.PositiveBigIntegerField(default=0)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("slice")
        verbose_name_plural = _("slices")

    def __str__(self) -> str:
        return f"slice {self.pk} of {self.freshness}"
