"""A plan is executed once, by one process, and no store by two at a time: who may begin, and how it ends."""

from __future__ import annotations

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models.functions import Now

from imagesync import logs
from imagesync.conf import app_settings
from imagesync.core.rails import plan_is_stale, purge_running
from imagesync.exceptions import AlreadyRunning, PurgeRefused
from imagesync.models import Purge
from imagesync.models.leases import database_clock, lease_end, new_owner
from imagesync.records import Source


def claim(purge: Purge, source: Source) -> None:
    """Make a planned purge the running one of its store, under a lease that is ours.

    Raises PurgeRefused when a rail refuses it now, AlreadyRunning when it is being executed or was.
    """
    if purge.refused:
        raise PurgeRefused(**purge.refused)
    if purge.fingerprint != source.store.identity.fingerprint:
        raise PurgeRefused(
            "other_store",
            f"Purge {purge.pk} was planned for store {purge.fingerprint}; the settings now name another one.",
            "Plan it anew.",
        )
    now = database_clock(Purge)()
    stale = plan_is_stale(purge.pk, now - purge.planned_at, app_settings().audit_max_age)
    if stale is not None:
        raise PurgeRefused(**stale.to_dict())
    Purge.objects.filter(
        fingerprint=purge.fingerprint, state=Purge.State.RUNNING, lease_until__lt=Now()
    ).update(state=Purge.State.INTERRUPTED, lease_owner="", lease_until=None)
    owner = new_owner()
    try:
        with transaction.atomic():
            claimed = Purge.objects.filter(pk=purge.pk, state=Purge.State.PLANNED).update(
                state=Purge.State.RUNNING, started_at=now, lease_owner=owner, lease_until=lease_end()
            )
    except IntegrityError as error:  # one running purge of a store, held by the database
        raise PurgeRefused(**purge_running("Another purge of this store is running.").to_dict()) from error
    purge.refresh_from_db()
    if not claimed:
        raise AlreadyRunning(f"Purge {purge.pk} is {purge.state}: a plan is executed once. Plan it anew.")


def finish(purge: Purge) -> None:
    """It ran to its end."""
    purge.renew_lease()
    purge.state = Purge.State.DONE
    purge.finished_at = database_clock(Purge)()
    purge.lease_owner, purge.lease_until = "", None
    purge.save(update_fields=["state", "finished_at", "lease_owner", "lease_until"])
    counts = purge.counts
    text = f"done, {counts['deleted']} deleted, {counts['cleared']} cleared, {counts['kept']} kept"
    logs.of_purge("purge_finished", purge, text, counts=counts)


def release_if_unfinished(purge: Purge) -> None:
    """It was refused, failed or stopped on its way; what it took has tombstones, the rest was left alone."""
    if purge.state != Purge.State.RUNNING:
        return
    refused = (purge.refused or {}).get("id", "")
    text = f"interrupted {refused}".rstrip() + "; each record that it took has its tombstone"
    logs.of_purge("purge_interrupted", purge, text, refused=refused)
    try:
        Purge.objects.filter(pk=purge.pk, lease_owner=purge.lease_owner).update(
            state=Purge.State.INTERRUPTED,
            finished_at=database_clock(Purge)(),
            lease_owner="",
            lease_until=None,
            refused=purge.refused,
        )
    except DatabaseError:
        return  # the database is what failed; the lease runs out by itself
