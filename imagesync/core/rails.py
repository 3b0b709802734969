"""Safety rails: conditions that stop a whole plan, before anything is touched, with number, limit and way forward.

What keeps a single record is in core/planning.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from datetime import datetime, timedelta

from imagesync.core.ages import is_too_old, told
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.plans import Limits, PurgePlan
from imagesync.core.spans import span
from imagesync.core.trust import BELIEVED, COLLAPSE, STORE_CHANGED, collapse, seen_again
from imagesync.core.verdicts import Verdict

NOT_SEEN_AGAIN = "not_seen_again"

MANY_OF_A_FIELD = 20
"""From so many records on a field that is wholly missing is doubted; with fewer that may well be so."""
MOST_NAMED = 3
"""Of the fields that an audit overlooked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFacts:
    """What the rails ask of an audit, or of slices that together looked at everything."""

    id: int
    """Of slices, the newest one's audit."""
    complete: bool
    full_scope: bool
    named_by_hand: bool
    """Somebody named this audit, so its scope need not be the whole."""
    trust: str
    reasons: Sequence[Diagnosis]
    """What lowered its trust."""
    finished_at: datetime | None
    """Of slices, when the stalest was looked at."""
    fingerprint: str
    records: int
    present: int
    gone_fields: Mapping[str, int] = made_by(default_factory=dict)
    """Fields (``app.Model.field``) that have MANY_OF_A_FIELD records or more, all of them missing; and how many."""
    slices: int = 0
    """How many slices the plan rests on; 0 when it is one audit."""
    overlooked: Sequence[str] = ()
    """Fields of the store (``app.Model.field``) that the audit is not known to cover."""

    @property
    def told(self) -> str:
        return f"The union of {self.slices:,} slices" if self.slices else f"Audit {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What the rails ask of the store, now."""

    bucket: str
    fingerprint: str
    unfit: Diagnosis | None = None
    """Why the store did not pass its check just now."""
    purge_running: str = ""
    """A sentence about another purge of this store that is under way."""


def first_refusal(
    plan: PurgePlan, audit: AuditFacts, store: StoreFacts, limits: Limits, now: datetime
) -> Diagnosis | None:
    """The first rail that refuses a plan as a whole; None when all of them hold."""
    if limits.all_missing and limits.all_missing != store.bucket:
        return Diagnosis(
            id="wrong_bucket_typed",
            fact=f"--all-missing {limits.all_missing!a} is not the name of this bucket, {store.bucket!a}.",
            hint="Type the bucket's name exactly, or leave the option out.",
        )
    return (
        _audit_unusable(audit, store, limits, now)
        or (store.unfit and _store_unfit(store.unfit))
        or (purge_running(store.purge_running) if store.purge_running else None)
        or (_too_much(plan, audit, store, limits) if plan.go else None)
    )


def _audit_unusable(audit: AuditFacts, store: StoreFacts, limits: Limits, now: datetime) -> Diagnosis | None:
    if not audit.complete or audit.finished_at is None:
        return Diagnosis(
            id="audit_incomplete",
            fact=f"Audit {audit.id} has not run to its end.",
            hint=f"Finish it with check_s3_images --resume {audit.id}, then purge.",
        )
    if audit.trust not in BELIEVED:
        why = audit.reasons[0] if audit.reasons else None
        return Diagnosis(
            id="audit_untrustworthy",
            fact=f"Audit {audit.id} is untrustworthy, so nothing follows from it. {why.fact if why else ''}".strip(),
            hint=f"{why.hint if why else ''} Then run check_s3_images again.".strip(),
        )
    if audit.fingerprint != store.fingerprint:
        return Diagnosis(
            id="other_store",
            fact=f"Audit {audit.id} looked at store {audit.fingerprint}; the settings now name {store.fingerprint}.",
            hint="Audit the store that the settings name, with check_s3_images.",
        )
    if not (audit.full_scope or audit.named_by_hand):
        return Diagnosis(
            id="audit_partial",
            fact=f"Audit {audit.id} looked at a part of the records only.",
            hint=f"Run check_s3_images without narrowing it, or name this audit: --audit {audit.id}.",
        )
    if audit.overlooked:
        more = len(audit.overlooked) - MOST_NAMED
        return Diagnosis(
            id="audit_partial",
            fact=f"Audit {audit.id} is not known to have looked at {', '.join(audit.overlooked[:MOST_NAMED])}"
            f"{f' and {more:,} more' if more > 0 else ''}.",
            hint="Run check_s3_images again: it looks at every file field of the store.",
        )
    age = now - audit.finished_at
    limit = (limits.freshness or limits.audit_max_age) if audit.slices else limits.audit_max_age
    if is_too_old(age, limit):
        return Diagnosis(
            id="audit_stale",
            fact=f"{audit.told} is {told(age, 'old')}; the limit is {span(limit)}.",
            hint="Run check_s3_images again.",
        )
    return None


def _store_unfit(unfit: Diagnosis) -> Diagnosis:
    return Diagnosis(
        id="store_unfit",
        fact=f"The store does not pass its check now ({unfit.id}): {unfit.fact}",
        hint=unfit.hint,
    )


def purge_running(fact: str) -> Diagnosis:
    """``fact`` is a sentence about the purge of the same store that is under way."""
    return Diagnosis(
        id="purge_running",
        fact=fact,
        hint="Wait for it to end. If its process died, its lease runs out within a minute; then plan again.",
    )


def _too_much(plan: PurgePlan, audit: AuditFacts, store: StoreFacts, limits: Limits) -> Diagnosis | None:
    going = len(plan.go)
    if limits.max_delete is not None and going > limits.max_delete:
        return Diagnosis(
            id="max_delete",
            fact=f"{going:,} records would go; --max-delete allows {limits.max_delete:,}.",
            hint="Raise --max-delete, or narrow the purge with --prefix, --field or --id.",
        )
    changed = next((reason for reason in audit.reasons if reason.id == STORE_CHANGED), None)
    if changed is not None:
        return Diagnosis(id=STORE_CHANGED, fact=changed.fact, hint=changed.hint)
    if limits.all_missing:
        return None
    lift = f"If it is really so, --all-missing {store.bucket} lifts this."
    if any(reason.id == COLLAPSE for reason in audit.reasons):
        return Diagnosis(
            id=COLLAPSE,
            fact=f"Every record that audit {audit.id} looked at first, last seen present, was gone.",
            hint=f"The bucket was emptied, or it is the wrong one. {lift}",
        )
    if audit.present == 0:
        return Diagnosis(
            id="nothing_present",
            fact=f"None of the {audit.records:,} audited records is present in bucket {store.bucket!a}.",
            hint=f"This usually means the wrong bucket, region or location. {lift}",
        )
    gone = next((label for label in plan.fields if label in audit.gone_fields), None)
    if gone is not None:
        return Diagnosis(
            id="nothing_present",
            fact=f"None of the {audit.gone_fields[gone]:,} records of {gone} is present, while others of the bucket are.",
            hint="This usually means that the field's storage, its location or the names changed. "
            f"Leave it out with --field, which names the others. {lift}",
        )
    return _too_large_a_part(plan, audit, limits)


def _too_large_a_part(plan: PurgePlan, audit: AuditFacts, limits: Limits) -> Diagnosis | None:
    rows = plan.rows + plan.waiting
    part = rows / audit.records if audit.records else 1.0
    if part <= limits.max_ratio:
        return None
    allowance = ""
    if not limits.ratio_is_by_hand:
        if rows <= limits.max_free and part <= 0.5:
            return None
        allowance = f", or up to {limits.max_free:,} rows as long as they are no more than half"
    waiting = (
        f", {plan.waiting:,} of them when their range of keys is looked at again" if plan.waiting else ""
    )
    return Diagnosis(
        id="max_ratio",
        fact=f"{rows:,} rows would go, cascades included{waiting}: {100 * part:.1f} % of {audit.records:,} audited records. "
        f"The limit is {100 * limits.max_ratio:g} %{allowance}.",
        hint="This usually means the audit compared the wrong bucket or location. If it is really so, raise the "
        "limit with --max-ratio, or narrow the purge with --prefix, --field or --id.",
    )


def plan_is_stale(purge: int, age: timedelta, limit: timedelta) -> Diagnosis | None:
    """A plan is a promise about a moment; this refuses one that is older than ``limit``, or from the future."""
    if not is_too_old(age, limit):
        return None
    return Diagnosis(
        id="plan_stale",
        fact=f"Purge {purge} was planned {told(age, 'ago')}; the limit is {span(limit)}.",
        hint="Plan it anew.",
    )


def audit_gone(purge: int) -> Diagnosis:
    """The plan has outlived what it rests on."""
    return Diagnosis(
        id="audit_gone",
        fact=f"The audit that purge {purge} was planned from was removed since, and with it what tells its store from "
        "another one.",
        hint="Run check_s3_images, then plan anew.",
    )


def not_seen_again(audit: int, canaries: Sequence[Verdict], bucket: str) -> Diagnosis | None:
    """Said when none of the records that an audit saw present is seen now; ``canaries`` are the looks at some of them."""
    if seen_again(canaries):
        return None
    gone = collapse(canaries, bucket)
    if gone is not None:
        return gone
    if not canaries:
        return Diagnosis(
            id=NOT_SEEN_AGAIN,
            fact=f"Audit {audit} kept none of the records that it saw present, so nothing tells this store from another one.",
            hint="Run check_s3_images, then plan from that audit.",
        )
    missing = sum(verdict is Verdict.MISSING for verdict in canaries)
    return Diagnosis(
        id=NOT_SEEN_AGAIN,
        fact=f"None of {len(canaries)} records that audit {audit} saw present was seen in bucket {bucket!a} now: {missing} "
        f"are gone, {len(canaries) - missing} could not be looked at.",
        hint="This may be another store. Run imagesync_doctor; when the store answers, plan anew.",
    )


VETOED = "vetoed"


def vetoed(receiver: str, fact: str, hint: str) -> Diagnosis:
    """What a receiver of ``purge_planned`` said no with."""
    return Diagnosis(
        id=VETOED,
        fact=f"{receiver} vetoes this purge: {fact}",
        hint=hint or "Ask who runs this site; the receiver of purge_planned is theirs.",
    )


def receiver_failed(receiver: str, how: str) -> Diagnosis:
    """A receiver that may veto and gave no clear answer has not agreed."""
    return Diagnosis(
        id="receiver_failed",
        fact=f"{receiver}, which may veto a purge, {how} instead of None or a Veto.",
        hint="Repair or disconnect this receiver of purge_planned, then plan again. The log has what it raised.",
    )


RAILS: dict[str, str] = {
    "wrong_bucket_typed": "--all-missing must be the bucket's own name.",
    "audit_incomplete": "An audit that did not run to its end feeds no purge.",
    "audit_untrustworthy": "An audit of a store that could not be believed feeds no purge.",
    "other_store": "The audit and the settings must mean the same store.",
    "audit_partial": "A part of the records says nothing about the health of the whole, unless it is named.",
    "audit_stale": "What an audit saw holds for a day.",
    "plan_stale": "A plan that has aged is not executed.",
    "audit_gone": "A plan whose audit was removed is not executed.",
    "store_unfit": "The store must pass its check now.",
    "purge_running": "One purge of a store at a time.",
    "max_delete": "No more records than --max-delete, when it is given.",
    STORE_CHANGED: "When the storage names another store than before, somebody must say that this is meant.",
    COLLAPSE: "When everything last seen present is gone, the store is doubted first.",
    NOT_SEEN_AGAIN: "Before a purge deletes anything, a record that the audit saw present must be seen again.",
    "nothing_present": "When no audited record is present, or none of a field, the store is doubted first.",
    "max_ratio": "No more than a part of the audited records at once.",
    VETOED: "A receiver of purge_planned may say no.",
    "receiver_failed": "A receiver of purge_planned that gives no clear answer has not agreed.",
}
"""Every rail's id, with its sentence; docs/safety-rails.md has a section for each."""
