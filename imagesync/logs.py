"""One line of log for each thing that happens: a text for people, and in ``extra`` what a log store can filter by.

Every line about an audit has ``audit`` and ``store`` beside its text, every line about a purge ``purge``, ``audit`` and
``store``, and each its ``event`` (docs/logging.md). Figures, ids and words of ours: never a key, a file's name or a secret.
"""

from __future__ import annotations

import logging
from typing import Any

from imagesync import signals

EVENTS = {
    "audit_started": "an audit begins",
    "audit_resumed": "one that was interrupted goes on",
    "audit_interrupted": "one stopped before its end, and can be resumed",
    "audit_part": "a worker did what it could of a distributed audit",
    "audit_elsewhere": "a worker that is led to another store left a distributed audit alone",
    "audit_enqueued_anew": "a distributed audit waited for workers",
    "audit_paused": "somebody paused one",
    "audit_cancelled": "somebody cancelled one",
    "listing_sorted": "a store does not list in byte order",
    "store_adopted": "a bucket that moved on purpose: who said so",
    "audit_finished": "one has ended",
    "audit_skipped": "a scheduled audit found another one at it",
    "purge_planned": "a plan that may be executed",
    "purge_refused": "a plan that a rail refused",
    "purge_started": "a plan is executed",
    "purge_batch": "records were deleted or cleared, in one commit",
    "purge_interrupted": "a purge stopped before its end; what it took can be restored",
    "purge_finished": "a purge has ended",
    "purge_skipped": "a scheduled purge did nothing: a rail refused, or another one is at it",
    "records_restored": "records were put back",
    "message_unreadable": "a message of the event queue cannot be read",
    "messages_not_kept": "such messages stay in the queue, because many are kept already",
    "watch_waits": "a watch waits for a queue, a store or a database",
    "events_worked_off": "a scheduled watch has ended",
    "job_ended": "a worker has ended a job of the admin, done or failed",
    "history_removed": "history whose time is over was removed",
    "notice_sent": "people were told",
    "notice_failed": "a message could not be sent; it is tried again, or given up",
}


def of_audit(event: str, audit: Any, text: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """``text`` begins with what happened; the audit and its store are put before it."""
    _log(
        "imagesync.audit",
        level,
        f"audit {audit.pk} of store {audit.fingerprint}: {text}",
        {"event": event, "audit": audit.pk, "store": audit.fingerprint, **facts},
    )


def of_part(audit: int, text: str) -> None:
    """Of a distributed audit, where a worker knows no more than its number."""
    extra = {"event": "audit_part", "audit": audit}
    _log("imagesync.audit", logging.INFO, f"audit {audit}: {text}", extra)


def of_purge(event: str, purge: Any, text: str, *, level: int = logging.INFO, **facts: Any) -> None:
    _log(
        "imagesync.purge",
        level,
        f"purge {purge.pk} of store {purge.fingerprint}: {text}",
        {
            "event": event,
            "purge": purge.pk,
            "audit": purge.audit_id,
            "store": purge.fingerprint,
            **facts,
        },
    )


def of_store(event: str, fingerprint: str, text: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """Where nothing was begun, so that there is no number."""
    extra = {"event": event, "store": fingerprint, **facts}
    _log("imagesync.tasks", level, f"store {fingerprint}: {text}", extra)


def of_job(job: Any) -> None:
    """What a worker made of it; ``job`` has its number, kind and state."""
    extra = {"event": "job_ended", "job": job.pk, "kind": job.kind, "state": job.state}
    _log("imagesync.tasks", logging.INFO, f"job {job.pk} ({job.kind}): {job.state}", extra)


def of_history(removed: dict[str, int], by: str) -> None:
    """How many rows of each kind of history somebody removed."""
    extra = {"event": "history_removed", "removed": removed, "by": by}
    _log("imagesync.retention", logging.INFO, f"history removed by {by}: {removed}", extra)


def of_queue(event: str, text: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """Of the queue that S3's events arrive in."""
    _log("imagesync.events", level, text, {"event": event, **facts})


def _log(name: str, level: int, text: str, extra: dict[str, Any]) -> None:
    logging.getLogger(name).log(level, "%s", text, extra=extra)


def connect() -> None:
    """Log what signals tell of: after the commit, like they."""
    signals.audit_finished.connect(_audit_finished, dispatch_uid="imagesync.logs")
    signals.purged.connect(_purged, dispatch_uid="imagesync.logs")
    signals.restored.connect(_restored, dispatch_uid="imagesync.logs")


def _audit_finished(audit: Any, **kwargs: Any) -> None:
    counts = {verdict: number for verdict, number in audit.counts.items() if number}
    took = (audit.finished_at - audit.started_at).total_seconds()
    of_audit(
        "audit_finished",
        audit,
        f"{audit.trust}, {counts.get('records', 0)} records, {counts.get('missing', 0)} missing, in {took:.0f} s",
        trust=audit.trust,
        reasons=[reason["id"] for reason in audit.reasons],
        counts=counts,
        seconds=took,
    )


def _purged(purge: Any, records: tuple[signals.PurgedRecord, ...], **kwargs: Any) -> None:
    text = f"{len(records)} records taken, each with its tombstone"
    of_purge("purge_batch", purge, text, records=len(records))


def _restored(purge: Any, records: tuple[signals.PurgedRecord, ...], **kwargs: Any) -> None:
    of_purge("records_restored", purge, f"{len(records)} records put back", records=len(records))
