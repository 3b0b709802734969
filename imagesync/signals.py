"""What happened, told to whoever connects a receiver, once the database has committed it (docs/signals.md).

A receiver that fails is logged and breaks nothing. ``purge_planned`` alone asks *before* something happens, and there
a receiver that fails has not agreed. A process killed between commit and sending tells nothing: what must not be
lost is read from the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import transaction
from django.dispatch import Signal

from imagesync.core import rails
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.plans import PurgePlan

audit_finished = Signal()
"""``sender=Audit, audit``: an audit has ended, whatever its trust."""

verdicts_changed = Signal()
"""``sender``: the records' model; ``changes``: a tuple of VerdictChange; ``audit``, or None when a person did it, or an event that no finding came of."""

purge_planned = Signal()
"""``sender=Purge, plan, audit, unattended``: may veto. ``plan`` is the PurgePlan that no rail has refused."""

purged = Signal()
"""``sender=Purge, purge, records``: these were deleted or cleared, in one commit; a tuple of PurgedRecord."""

restored = Signal()
"""``sender=Purge, purge, records``: these were put back; a tuple of PurgedRecord, with the action that was undone."""

SIGNALS = {
    "audit_finished": audit_finished,
    "verdicts_changed": verdicts_changed,
    "purge_planned": purge_planned,
    "purged": purged,
    "restored": restored,
}


class VerdictChange(NamedTuple):
    """A verdict as a row of the database had it, and has it now."""

    record: str
    """``app.Model:pk``"""
    old: str
    new: str


class PurgedRecord(NamedTuple):
    """A record that a purge took, or that came back."""

    record: str
    """``app.Model:pk``"""
    field: str
    key: str
    action: str
    """``delete`` or ``clear``."""


class Veto(Exception):
    """What a receiver of ``purge_planned`` returns, or raises, to have the plan refused: why, and the way forward."""

    def __init__(self, fact: str, hint: str = "") -> None:
        super().__init__(f"{fact} {hint}".strip())
        self.fact = fact
        self.hint = hint


def after_commit(signal: Signal, sender: type, *, using: str | None = None, **facts: Any) -> None:
    """Send when the transaction that is open commits; when it is rolled back, nothing happened and nothing is told."""

    def send() -> None:
        signal.send_robust(sender, **facts)  # Django logs what a receiver raises

    if signal.has_listeners(sender):
        transaction.on_commit(send, using=using, robust=True)


def objection_to(plan: PurgePlan, sender: type, **facts: Any) -> Diagnosis | None:
    """Ask the receivers of ``purge_planned``. A Veto refuses; so does whatever is not a clear yes, which is None."""
    answers = purge_planned.send_robust(sender, plan=plan, **facts)
    refusals = [_refusal(_name(receiver), answer) for receiver, answer in answers if answer is not None]
    vetoes = [one for one in refusals if one.id == rails.VETOED]
    return next(iter(vetoes or refusals), None)


def _refusal(receiver: str, answer: Any) -> Diagnosis:
    if isinstance(answer, Veto):
        return rails.vetoed(receiver, answer.fact, answer.hint)
    raised = isinstance(answer, Exception)
    return rails.receiver_failed(
        receiver, f"{'raised' if raised else 'answered with'} {type(answer).__name__}"
    )


def _name(receiver: Callable[..., Any]) -> str:
    module, name = getattr(receiver, "__module__", ""), getattr(receiver, "__qualname__", "")
    return f"{module}.{name}".strip(".") or type(receiver).__qualname__
