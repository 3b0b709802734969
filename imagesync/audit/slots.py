"""A run of a schedule is done once, however often and however late it is delivered."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils import timezone

from imagesync.models import Audit
from imagesync.records import Source


def read_slot(slot: str) -> datetime | None:
    """When a delivery was meant to run, as django-q2 tells it; None when it was told nothing."""
    if not slot:
        return None
    moment = datetime.fromisoformat(slot)
    return timezone.make_aware(moment) if settings.USE_TZ and timezone.is_naive(moment) else moment


def audited_since(source: Source, moment: datetime | None) -> Audit | None:
    """The audit of everything that has begun since and is finished, if there is one."""
    if moment is None:
        return None
    fingerprint = source.store.identity.fingerprint
    since = Audit.objects.filter(fingerprint=fingerprint, full_scope=True, started_at__gte=moment)
    return since.filter(state=Audit.State.FINISHED).order_by("-pk").first()
