"""What the admin hands to a django-q2 cluster: audits and large restores, in the name of who asked for them.

Deliveries may come twice, and a button may be pressed twice: what was done since it was asked for is not done
again. What these return is stored with the task, so it holds figures, never a key.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils import timezone

from imagesync.audit import carry_out, open_audit, resume_audit, source_now, source_of, spread
from imagesync.conf import app_settings
from imagesync.enqueue import enqueue
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, Purge, Tombstone
from imagesync.purge.restore import Restored, execute_restore, left_of
from imagesync.records import Scope, Source, find_sources
from imagesync.reports import printable

STARTED_BY = "admin"
RESTORED_TOGETHER = 500
NOT_ANY_MORE = "Whoever asked for this may not have it done (any more)."


def queue(function: Any, *arguments: Any) -> None:
    """Hand a function of this module to the cluster, with arguments that JSON could hold."""
    kwargs = inspect.signature(function).bind(*arguments).arguments
    enqueue(f"{function.__module__}.{function.__name__}", **kwargs)


def audit_stores(storage: str, user: str, asked_at: str) -> list[dict[str, Any]]:
    """Audit every store (or only ``storage``), as ``check_s3_images`` does without options."""
    return [_audit(source, Scope(), user, asked_at) for source in find_sources(alias=storage)]


def audit_again(audit: int, user: str, asked_at: str) -> dict[str, Any]:
    """Audit the same scope once more; of a sample, other records."""
    earlier = Audit.objects.get(pk=audit)
    scope = Scope.from_dict(earlier.scope)
    if scope.sample:
        scope = replace(scope, ids=(), population=0)
    return _audit(source_now(earlier), scope, user, asked_at, marks=earlier.marks)


def resume(audit: int, user: str) -> dict[str, Any]:
    """Go on with an interrupted audit."""
    if not _may(user, "check_image"):
        return {"audit": audit, "skipped": NOT_ANY_MORE}
    interrupted = Audit.objects.get(pk=audit)
    try:
        was_shared = interrupted.distributed
        taken = resume_audit(interrupted, source_of(interrupted))
    except AlreadyRunning as running:
        return {"audit": audit, "skipped": str(running)}
    log(user, taken, CHANGE, "Resumed.")
    return _carried_out(taken, source_of(taken), shared=was_shared)


def restore_records(purge: int, user: str, name: str) -> dict[str, Any]:
    """Put back whatever a purge took and is not back yet."""
    if not _may(user, "restore_image"):
        return {"purge": purge, "skipped": NOT_ANY_MORE}
    of = Purge.objects.defer("plan").get(pk=purge)
    by = f"admin ({name})"[:64]
    restored, in_the_way = 0, -1
    while in_the_way:  # a record may need another one of the same purge to come back first
        before, in_the_way = restored, 0
        for some in _some_at_a_time(of):
            outcome = execute_restore(of, some, restored_by=by)
            log_restored(user, outcome)
            restored += len(outcome.records)
            in_the_way += len(outcome.conflicts)
        if restored == before:
            break
    return {"purge": purge, "restored": restored, "conflicts": in_the_way}


def _some_at_a_time(purge: Purge) -> Iterator[list[Tombstone]]:
    left = left_of(purge)
    some = list(left[:RESTORED_TOGETHER])
    while some:
        yield some
        some = list(left.filter(pk__lt=some[-1].pk)[:RESTORED_TOGETHER])


def log_restored(user: str, outcome: Restored) -> None:
    """What came back, in Django's admin log."""
    LogEntry.objects.bulk_create(
        [
            LogEntry(
                user_id=user,
                content_type=tombstone.content_type,
                object_id=tombstone.object_pk,
                object_repr=printable(tombstone.key)[:200],
                action_flag=ADDITION if tombstone.action == "delete" else CHANGE,
                change_message=f"Restored from purge {outcome.purge.pk}.",
            )
            for tombstone in outcome.records
        ],
        batch_size=RESTORED_TOGETHER,
    )


def log(user: str, about: Model, flag: int, message: str) -> None:
    LogEntry.objects.create(
        user_id=user,
        content_type=ContentType.objects.get_for_model(about),
        object_id=str(about.pk),
        object_repr=str(about)[:200],
        action_flag=flag,
        change_message=message,
    )


def _audit(source: Source, scope: Scope, user: str, asked_at: str, *, marks: bool = True) -> dict[str, Any]:
    store = source.store.identity.fingerprint
    if not _may(user, "check_image"):
        return {"store": store, "skipped": NOT_ANY_MORE}
    since = Audit.objects.filter(
        fingerprint=store, scope_key=scope.hash, started_at__gte=datetime.fromisoformat(asked_at)
    )
    if newer := since.first():
        return {"store": store, "skipped": f"{newer} has been started since."}
    try:
        audit = open_audit(source, scope, marks=marks, started_by=STARTED_BY, user=_user(user))
    except AlreadyRunning as running:
        return {"store": store, "skipped": str(running)}
    log(user, audit, ADDITION, "Started from the admin.")
    return _carried_out(audit, source)


def _carried_out(audit: Audit, source: Source, *, shared: bool = False) -> dict[str, Any]:
    if (shared or app_settings().distributed) and spread(audit, source):
        return {"audit": audit.pk, "distributed": True}
    return _told(carry_out(audit, source))


def _user(pk: str) -> Any:
    return get_user_model()._default_manager.filter(pk=pk).first()


def _may(user: str, permission: str) -> bool:
    found = _user(user)
    return found is not None and found.has_perm(f"imagesync.{permission}")


def _told(audit: Audit) -> dict[str, Any]:
    return {"audit": audit.pk, "trust": audit.trust, "counts": audit.counts}


def now() -> str:
    return timezone.now().isoformat()
