"""Looks at single records, outside of any walk: what an event leads to.

They follow the rules of an audit. The store must be fit, which may be remembered for a while; absence is proven by a GET
of its own; and what looks absent counts only when the store is still fit afterwards. Looks that open or close a finding
are kept as an audit of these keys; those that only mark a row need none (docs/decisions/0009-events-are-small-audits.md).
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction

from imagesync import signals
from imagesync.audit.book import Book
from imagesync.audit.canaries import look_at_canaries
from imagesync.audit.held import rows_held
from imagesync.audit.identity import change_of_store
from imagesync.audit.judge import Judge, Judgement, confirmed
from imagesync.audit.standing import news_among, row_said_something_else
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.trust import Trust, trust_of
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import CannotLook
from imagesync.models import Audit
from imagesync.models.broken_off import again_if_broken_off
from imagesync.models.leases import database_clock, lease_end, new_owner
from imagesync.records import Record, Scope, Source
from imagesync.records.slices import labels_of
from imagesync.storage.preflight import preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What a store was found to be, before anything was looked at."""

    versioning: str
    reasons: tuple[Diagnosis, ...] = ()
    """What lowers the trust in looks at it, although it is fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What looks at some records brought."""

    judgements: Sequence[Judgement]
    fitness: Fitness
    now: Callable[[], datetime]
    """The database's clock, as audits go by: marks are held against when rows were written, and findings ripen."""
    began_at: datetime
    requests: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written down of looks."""

    audit: Audit | None
    """None when no finding was opened or closed."""
    changes: tuple[Judgement, ...] = ()
    """Those that said something else than what was known."""


def fitness_of(source: Source) -> Fitness:
    """Check the store, and look at its canaries. Raises CannotLook when it is not to be believed."""
    would_be = Audit(**source.store.identity.to_dict(), fields=labels_of(source))
    fit = preflight(source.store)
    if not fit.fit:
        raise CannotLook(_sentence(fit.reasons))
    seen = look_at_canaries(would_be, source, versioning=fit.versioning, heartbeat=_nothing)
    if seen.trust is Trust.UNTRUSTWORTHY:
        raise CannotLook(_sentence(seen.reasons))
    return Fitness(versioning=fit.versioning, reasons=(*change_of_store(would_be), *seen.reasons))


def look_at(source: Source, records: Sequence[Record], fitness: Fitness) -> Looks:
    """Look at each record by a GET. Raises CannotLook when one looked absent and the store is not fit any more."""
    now, before = database_clock(Audit), source.store.requests
    began_at = now()
    judge = Judge(source, Scope(), now=now)
    judgements = confirmed(judge, source, records, versioning=fitness.versioning, heartbeat=_nothing)
    if any(one.look.verdict is Verdict.MISSING for one in judgements):
        after = preflight(source.store)
        if not after.fit:
            raise CannotLook(_sentence(after.reasons))
        if after.versioning != fitness.versioning:
            raise CannotLook(
                f"The bucket's versioning was {fitness.versioning} and is {after.versioning} now: what looked absent "
                "is looked at again."
            )
    requests = source.store.requests - before
    return Looks(judgements=judgements, fitness=fitness, now=now, began_at=began_at, requests=requests)


def write_down(source: Source, looks: Looks, *, started_by: str) -> Written:
    """Findings and marks, in one transaction, of the records that still name what was looked at."""
    write = partial(_write, source, looks, started_by)
    try:
        return again_if_broken_off(write)
    except IntegrityError:  # another process has just opened the same finding; now it is known
        return again_if_broken_off(write)


def _write(source: Source, looks: Looks, started_by: str) -> Written:
    audit = _audit_of(source, looks, started_by)
    book = Book(audit, source)
    now = looks.now()
    records = [(one.record.target, one.record.pk) for one in looks.judgements]
    # whoever deletes the event next relies on the commit
    with transaction.atomic(durable=True), rows_held(records) as names:
        # a purge or an upload may be at them too
        judgements = [
            one
            for one in looks.judgements
            if names.get((one.record.target, one.record.pk)) == one.record.name
        ]
        standing = book.standing_of(judgements)
        news = news_among(judgements, standing)
        if news:
            audit.save()
        book.forget_older_looks(judgements)
        book.note_looks(judgements, standing, now)
        if news:
            book.settle(believed=True, now=now)
            _finish(audit, book, judgements, looks)
        differing = [one for one in judgements if one not in news and row_said_something_else(one)]
        book.mark_again((one for one in differing if one.look.verdict.needs_attention), now)
    changes = tuple(one for one in judgements if one in news or one in differing)
    return Written(audit=audit if news else None, changes=changes)


def _audit_of(source: Source, looks: Looks, started_by: str) -> Audit:
    scope = Scope(keys=tuple(sorted({one.record.key for one in looks.judgements})))
    return Audit(
        **source.store.identity.to_dict(),
        fields=labels_of(source),
        started_at=looks.began_at,
        started_by=started_by,
        scope=scope.to_dict(),
        scope_key=uuid.uuid4().hex,  # nobody waits for it or resumes it
        full_scope=False,
        strategy="head",
        strategy_reason="single records are asked for one by one",
        versioning=looks.fitness.versioning,
        requests=dict(looks.requests),
        lease_owner=new_owner(),
        lease_until=lease_end(),
    )


def _finish(audit: Audit, book: Book, judgements: Sequence[Judgement], looks: Looks) -> None:
    found = Counter(one.look.verdict for one in judgements)
    counts = {"records": len(judgements), **{verdict.value: found[verdict] for verdict in Verdict}}
    trust, reasons = trust_of(
        counts=counts,
        reasons=looks.fitness.reasons,
        fit_afterwards=True,
        reasons_afterwards=(),
        why_unknown=[reason for reason, _number in book.failed_looks().most_common()],
    )
    audit.counts = counts
    audit.trust = trust.value
    audit.reasons = [reason.to_dict() for reason in reasons]
    audit.state, audit.finished_at = Audit.State.FINISHED, looks.now()
    audit.lease_owner, audit.lease_until = "", None
    audit.save()
    signals.after_commit(signals.audit_finished, Audit, using=audit._state.db, audit=audit)


def _sentence(reasons: Sequence[Diagnosis]) -> str:
    return f"{reasons[0].fact} {reasons[0].hint}"


def _nothing() -> None:
    pass
