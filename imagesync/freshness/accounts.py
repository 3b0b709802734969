"""What a look that has ended says about the slices and about what was urgent, and when the next one is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from imagesync.core.freshness import (
    SliceFacts,
    due_at,
    grouped,
    joined,
    laid_over,
    not_waiting,
    retry_after,
)
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, Freshness
from imagesync.records import Scope
from imagesync.records.slices import looked_at_by, store_slices, stored_slices

TRIES = 3
"""Single records whose looks all failed are tried so often before they wait for their slice."""
UNFIT_AFTERWARDS = "unfit_afterwards"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Those of one store: each look is written down once, whoever does it."""

    within: timedelta
    slice_records: int
    now: Callable[[], datetime]

    def close(self, freshness: Freshness, audit: Audit) -> None:
        """Write down what the audit that was under way says."""
        now = self.now()
        scope = Scope.from_dict(audit.scope)
        slices = stored_slices(freshness)
        upto: dict[str, Any] = {}
        if scope.is_explicit:
            has_failed = _learned_nothing(audit, freshness.failures)
            if not has_failed:
                upto = {name: datetime.fromisoformat(at) for name, at in (freshness.under_way or {}).items()}
        else:
            laid = self._laid_over(freshness, slices, audit)
            has_failed = laid is None
            if laid is not None:
                slices = laid
            elif not _store_failed(audit):  # the others have their turn meanwhile
                has_failed = False
                slices = _marked_failed(slices, scope, now)
        failures = freshness.failures + 1 if has_failed else 0
        with transaction.atomic():
            taken = freshness.take_turn(
                audit=None,
                under_way=None,
                failures=failures,
                not_before=now + retry_after(failures) if failures else None,
                in_order=freshness.in_order if scope.is_explicit else audit.in_order,
                due_at=self._due_at(freshness, slices, now),
                **upto,
            )
            if taken:
                store_slices(freshness, slices)

    def close_whole(self, freshness: Freshness, audit: Audit | None) -> bool:
        """An audit of everything looked at all slices, whoever asked for it. False when there is no new one."""
        if audit is None or audit.pk == freshness.whole_audit_id or audit.started_at < freshness.began_at:
            return False
        slices = stored_slices(freshness)
        laid = self._laid_over(freshness, slices, audit) or slices
        with transaction.atomic():
            if not freshness.take_turn(
                whole_audit=audit,
                in_order=freshness.in_order and audit.in_order,
                due_at=self._due_at(freshness, laid, self.now()),
            ):
                raise AlreadyRunning("Another process has begun to look at what is due.")
            store_slices(freshness, laid)
        return True

    def wait(self, freshness: Freshness, slices: list[SliceFacts], now: datetime) -> None:
        """No slice is to be looked at now."""
        Freshness.objects.filter(pk=freshness.pk, turn=freshness.turn).update(
            due_at=self._due_at(freshness, slices, now)
        )

    def _laid_over(
        self, freshness: Freshness, slices: list[SliceFacts], audit: Audit
    ) -> list[SliceFacts] | None:
        news = looked_at_by(audit) if audit.fields == freshness.fields else []
        if not news:
            return None
        laid = laid_over(slices, grouped(news, self.slice_records))
        # where a slice costs a whole listing, all of them are looked at at once
        return [joined(laid)] if laid is not None and not audit.in_order else laid

    def _due_at(self, freshness: Freshness, slices: list[SliceFacts], now: datetime) -> datetime:
        free = not_waiting(slices, within=self.within, now=now)
        next_at = due_at(free, began_at=freshness.began_at, within=self.within)
        return next_at if next_at is not None else now + retry_after(1)


def _learned_nothing(audit: Audit, failures: int) -> bool:
    """Whether single records are to be looked at again first. One that cannot be looked at must not be tried for ever."""
    if not audit.complete:  # somebody cancelled it
        return True
    if audit.trust != Audit.Trust.UNTRUSTWORTHY:
        return False
    return not audit.counts.get("records") or failures < TRIES


def _store_failed(audit: Audit) -> bool:
    """Whether it was the store that could not be looked at or believed, and not the slice."""
    afterwards = any(reason["id"] == UNFIT_AFTERWARDS for reason in audit.reasons)
    return not audit.counts.get("records") or afterwards


def _marked_failed(slices: list[SliceFacts], scope: Scope, now: datetime) -> list[SliceFacts]:
    end = scope.end_key
    return [
        replace(one, failed_at=now)
        if one.first_key >= scope.first_key and (end is None or one.first_key < end)
        else one
        for one in slices
    ]
