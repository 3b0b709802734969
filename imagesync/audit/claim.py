"""One audit of a store and scope at a time: who may start, and who may take over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from imagesync import logs
from imagesync.audit.identity import log_adoption
from imagesync.audit.ranges import take_away
from imagesync.conf import app_settings
from imagesync.core.cost import expectation
from imagesync.core.strategy import choose_strategy
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import AlreadyRunning, InvalidRequest, NothingMatches
from imagesync.models import Audit, AuditRange
from imagesync.models.leases import database_clock, lease_end, new_owner
from imagesync.records import Scope, Source, find_sources
from imagesync.records.sampling import draw_sample
from imagesync.records.slices import has_fields_of, labels_of
from imagesync.records.splitting import estimated_records, split_keys

LEAST_RECORDS, MOST_RECORDS = 5_000, 20_000
"""Of a range. A range costs a page more than its objects, and a few writes."""
ONE_RUNNING = "imagesync_audit_one_running"
"""The constraint of ``Audit``."""
FEW_RANGES = 64
"""As many there may be before they grow beyond LEAST_RECORDS."""


def open_audit(
    source: Source,
    scope: Scope,
    *,
    strategy: str = "auto",
    marks: bool = True,
    started_by: str = "",
    user: Any = None,
) -> Audit:
    """Start an audit: a row in state ``running`` whose lease is ours, with its ranges.

    An audit of the same store and scope whose lease ran out becomes ``interrupted`` (resumable). Raises
    AlreadyRunning when one is under way, InvalidRequest for an unknown strategy.
    """
    chosen = choose_strategy(strategy, names_single_records=scope.is_explicit)
    if scope.adopt:
        _refuse_unknown_adoption(source, scope)
    identity = source.store.identity
    _retire_dead(identity.fingerprint, scope)
    if scope.sample:
        scope = draw_sample(source, scope)
    records = estimated_records(source, scope)
    try:
        with transaction.atomic():
            audit = Audit.objects.create(
                **identity.to_dict(),
                fields=labels_of(source),
                scope=scope.to_dict(),
                scope_key=scope.hash,
                full_scope=scope.is_full,
                strategy=chosen.name,
                strategy_reason=f"{chosen.reason}; {_expectation(chosen.name, source, scope, records)}",
                marks=marks,
                started_by=started_by,
                user=user,
                started_at=database_clock(Audit)(),
                expected_records=records,
                lease_owner=new_owner(),
                lease_until=lease_end(),
            )
            audit.refresh_from_db(fields=["lease_until"])
            AuditRange.objects.bulk_create(_ranges(audit, source, scope, records))
    except IntegrityError as error:
        running = _running(identity.fingerprint, scope)
        if running is None and ONE_RUNNING not in str(error):
            raise
        ended = "An audit of the same store and scope was running, and has just ended. Start again."
        raise AlreadyRunning(_busy(running) if running else ended) from error
    log_adoption(audit)
    logs.of_audit("audit_started", audit, f"begun by {started_by or 'a caller'}", scope_key=audit.scope_key)
    return audit


def resume_audit(audit: Audit, source: Source) -> Audit:
    """Take an interrupted or paused audit over, with the fields that it was opened with. Raises AlreadyRunning when it is
    under way, InvalidRequest when the settings now point at another store or when the source has other fields."""
    identity = source.store.identity
    if identity.fingerprint != audit.fingerprint:
        raise InvalidRequest(
            f"Audit {audit.pk} looked at bucket {audit.bucket!r} (store {audit.fingerprint}), the settings name "
            f"{identity.bucket!r} (store {identity.fingerprint}). Start a new audit instead."
        )
    _refuse_other_fields(audit, source)
    try:
        taken = audit.take_lease(states=(Audit.State.INTERRUPTED, Audit.State.PAUSED))
    except IntegrityError as error:  # the same scope is being audited anew
        running = _running(audit.fingerprint, Scope.from_dict(audit.scope))
        raise AlreadyRunning(_busy(running or audit)) from error
    if not taken:
        audit.read_again()
        raise AlreadyRunning(_busy(audit))
    take_away(audit)  # one that was thought dead writes nothing more
    audit.write(distributed=False, stage=Audit.Stage.OPENING, idle_sweeps=0)
    logs.of_audit("audit_resumed", audit, "taken up again")
    return audit


def source_of(audit: Audit, *, workers: int | None = None) -> Source:
    """What an audit looks at, to go on with it: its store as the settings name it now, with the fields that it was opened with.

    A field that the settings have gained since is for the next audit. Raises InvalidRequest when they no longer name the
    store, or one of the fields in it.
    """
    source = source_now(audit, workers=workers)
    if not audit.fields:
        return source
    opened_with = tuple(target for target in source.targets if target.label in audit.fields)
    source = replace(source, targets=opened_with)
    _refuse_other_fields(audit, source)
    return source


def source_now(audit: Audit, *, workers: int | None = None) -> Source:
    """The store of an audit with the fields that its scope means today. Raises InvalidRequest when the settings name it no
    longer."""
    for source in find_sources(fields=Scope.from_dict(audit.scope).fields, workers=workers):
        if source.store.identity.fingerprint == audit.fingerprint:
            return source
    raise InvalidRequest(
        f"{audit} looked at a store ({audit.fingerprint}) that the settings no longer name. Start a new audit instead."
    )


def interrupted_audit(source: Source, scope: Scope) -> Audit | None:
    """The newest audit of this store and scope, if it was interrupted (or its process died) and can be gone on with: not
    when fields came or went since."""
    newest = newest_audit(source, scope)
    return newest if newest is not None and newest.is_dead and has_fields_of(newest, source) else None


def newest_audit(source: Source, scope: Scope) -> Audit | None:
    same = Audit.objects.filter(fingerprint=source.store.identity.fingerprint, scope_key=scope.hash)
    return same.order_by("-pk").first()


def _refuse_other_fields(audit: Audit, source: Source) -> None:
    """Half of its ranges would have been compared without a field, and the whole would pass for an audit of it."""
    if has_fields_of(audit, source):
        return
    labels = labels_of(source)
    gone = [label for label in audit.fields if label not in labels]
    new = [label for label in labels if label not in audit.fields]
    raise InvalidRequest(
        f"Audit {audit.pk} was begun with other file fields"
        + (f"; not among them any more: {', '.join(gone)}" if gone else "")
        + (f"; not among them then: {', '.join(new)}" if new else "")
        + ". Start a new audit instead."
    )


def _expectation(strategy: str, source: Source, scope: Scope, records: int) -> str:
    """What it will cost, from what the last audit saw of the same scope's objects."""
    same = Audit.objects.filter(fingerprint=source.store.identity.fingerprint, scope_key=scope.hash)
    last = same.filter(saw_all_objects=True, unreferenced__isnull=False).order_by("-pk").first()
    objects = None if last is None else last.counts.get(Verdict.PRESENT, 0) + last.unreferenced
    return expectation(records, strategy, app_settings().prices, objects=objects)


def _ranges(audit: Audit, source: Source, scope: Scope, records: int) -> Iterator[AuditRange]:
    """Ranges of about equal weight, side by side: small enough to be worked off in parallel and to resume within."""
    parts = (
        1 if scope.is_explicit else min(records // LEAST_RECORDS, max(FEW_RANGES, records // MOST_RECORDS))
    )
    edges = [scope.first_key, *split_keys(source, scope, parts), scope.end_key]
    for number, (first, end) in enumerate(pairwise(edges)):
        yield AuditRange(audit=audit, number=number, first_key=first or "", end_key=end)


def _running(fingerprint: str, scope: Scope) -> Audit | None:
    return Audit.objects.filter(
        fingerprint=fingerprint, scope_key=scope.hash, state=Audit.State.RUNNING
    ).first()


def _retire_dead(fingerprint: str, scope: Scope) -> None:
    Audit.objects.filter(
        fingerprint=fingerprint,
        scope_key=scope.hash,
        state=Audit.State.RUNNING,
        lease_until__lt=Now(),
    ).update(state=Audit.State.INTERRUPTED, lease_owner="", lease_until=None)
    running = _running(fingerprint, scope)
    if running is not None:
        raise AlreadyRunning(_busy(running))


def _busy(audit: Audit) -> str:
    if audit.complete:
        return f"Audit {audit.pk} is finished already."
    if audit.state == Audit.State.CANCELLED:
        return f"Audit {audit.pk} was cancelled. Start a new one."
    until = f"{audit.lease_until:%H:%M:%S} UTC" if audit.lease_until else "now"
    return (
        f"Audit {audit.pk} of bucket {audit.bucket!r} is running since {audit.started_at:%Y-%m-%d %H:%M:%S} UTC "
        f"(started by {audit.started_by or 'somebody'}). If its process died, it can be resumed after {until}."
    )


def _refuse_unknown_adoption(source: Source, scope: Scope) -> None:
    remembering = [target for target in source.targets if target.remembers]
    for fingerprint in scope.adopt:
        remembered = any(
            target.model._base_manager.filter(store=fingerprint).exists() for target in remembering
        )
        if not remembered and not Audit.objects.filter(fingerprint=fingerprint).exists():
            raise NothingMatches(
                f"--adopt {fingerprint}: no record was last seen in a store of that fingerprint, and no audit looked "
                "at one."
            )
