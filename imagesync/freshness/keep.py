"""Look at what is due: single records that cannot wait, then the stalest slice, as long as there is time.

A slice is an ordinary audit, with its checks of the store, its canaries, its confirming looks and its settling. Whoever
raises ``Freshness.turn`` takes the next step; so of several at once one works and the others say so.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from imagesync.audit import carry_out, open_audit, resume_audit
from imagesync.conf import app_settings
from imagesync.core.freshness import SliceFacts, cut, joined, next_stretch
from imagesync.core.progress import Progress
from imagesync.exceptions import AlreadyRunning
from imagesync.freshness.accounts import Accounts
from imagesync.freshness.urgent import is_urgent, urgent_records, with_urgency
from imagesync.models import Audit, Freshness
from imagesync.models.leases import database_clock
from imagesync.records import Scope, Source
from imagesync.records.slices import labels_of, store_slices, stored_slices
from imagesync.records.splitting import estimated_records, split_keys

SLICE_RECORDS = 50_000
"""About so many records has a slice: its checks of the store cost little beside them, and it takes seconds."""
SECONDS = 60.0
"""After so long no further slice is begun."""


@dataclass(slots=True)
class Outcome:
    """What one call did about one store."""

    source: Source
    audits: list[Audit] = field(default_factory=list)
    skipped: str = ""
    """Why nothing was done, or no more, when it was not that nothing was due."""
    freshness: Freshness | None = None


def keep_fresh(
    source: Source,
    *,
    started_by: str = "",
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Outcome:
    """Look at what is due in one store, slice by slice, for about ``seconds``.

    A slice whose process died is resumed. Nothing that S3 answers raises; after a look that failed the store is left alone
    for a while. Raises ImproperlyConfigured when ``FRESHNESS`` is not set.
    """
    within = app_settings().freshness
    if within is None:
        raise ImproperlyConfigured(
            'IMAGESYNC["FRESHNESS"] is not set: write how old a look may be, such as "7d".'
        )
    keeping = _Keeping(source, within, started_by, seconds, progress or Progress())
    try:
        keeping.run()
    except AlreadyRunning as running:
        keeping.outcome.skipped = str(running)
    return keeping.outcome


class _Keeping:
    def __init__(
        self,
        source: Source,
        within: timedelta,
        started_by: str,
        seconds: float,
        progress: Progress,
    ) -> None:
        self.source = source
        self.fingerprint = source.store.identity.fingerprint
        self.within = within
        self.started_by = started_by
        self.until = time.monotonic() + seconds
        self.progress = progress
        self.outcome = Outcome(source)
        self.now = database_clock(Freshness)  # as audits note when they began
        self.accounts = Accounts(within, SLICE_RECORDS, self.now)

    def run(self) -> None:
        while self._one_step():
            if time.monotonic() > self.until:
                return

    def _one_step(self) -> bool:
        """Do the next thing; False when there is none. With nothing to do it is one query."""
        now = self.now()
        freshness = with_urgency(self.source, now).filter(fingerprint=self.fingerprint).first()
        if freshness is None or freshness.fields != labels_of(self.source):
            self._begin(freshness, now)
            return True
        self.outcome.freshness = freshness
        if freshness.audit_id is not None:
            self._finish(freshness)
            return True
        if freshness.not_before is not None and now < freshness.not_before:
            self.outcome.skipped = f"The last look failed; the next one is not before {freshness.not_before:%Y-%m-%d %H:%M:%S} UTC."
            return False
        # a slice that is due does not wait for uploads that keep coming
        turns = [self._look_at_urgent, self._look_at_slice]
        if self.outcome.audits and self.outcome.audits[-1].scope.get("ids"):
            turns.reverse()
        return any(look(freshness, now) for look in turns)

    # --- beginning ---------------------------------------------------------------------------------------

    def _begin(self, freshness: Freshness | None, now: datetime) -> None:
        """Cut the key space, or, when fields came or went, take all of it for not looked at."""
        if freshness is None:
            long_ago = datetime(1970, 1, 1, tzinfo=now.tzinfo)
            freshness, _created = Freshness.objects.get_or_create(
                fingerprint=self.fingerprint, defaults={"reads_upto": long_ago, "uploads_upto": now}
            )
        parts = math.ceil(estimated_records(self.source, Scope()) / SLICE_RECORDS)
        everything = SliceFacts(records=estimated_records(self.source, Scope()))
        with transaction.atomic():
            fields = labels_of(self.source)
            if not freshness.take_turn(fields=fields, began_at=now, due_at=now, audit=None, under_way=None):
                raise AlreadyRunning("Another process is beginning to keep this store fresh.")
            keys = split_keys(self.source, Scope(), parts) if freshness.in_order else []
            store_slices(freshness, cut(everything, keys, everything.records))

    # --- looking -----------------------------------------------------------------------------------------

    def _look_at_urgent(self, freshness: Freshness, now: datetime) -> bool:
        if not is_urgent(freshness, self.source, now):
            return False
        urgent = urgent_records(freshness, self.source, now)
        if urgent is None:
            return False
        self._look(freshness, urgent.scope, under_way=urgent.to_dict())
        return True

    def _look_at_slice(self, freshness: Freshness, now: datetime) -> bool:
        if now < freshness.due_at:
            return False
        whole = Audit.objects.filter(fingerprint=self.fingerprint, full_scope=True)
        running = whole.filter(state=Audit.State.RUNNING).first()
        if running is not None and not running.is_dead:
            self.outcome.skipped = f"Audit {running.pk} looks at everything now."
            return False
        if self.accounts.close_whole(freshness, whole.filter(state=Audit.State.FINISHED).first()):
            return True
        slices = stored_slices(freshness)
        chosen = next_stretch(slices, within=self.within, now=now, size=SLICE_RECORDS)
        if not chosen:
            self.accounts.wait(freshness, slices, now)
            return False
        scope = Scope(first_key=chosen[0].first_key, end_key=chosen[-1].end_key)
        records = estimated_records(self.source, scope)
        if freshness.in_order and records > 2 * SLICE_RECORDS:
            keys = split_keys(self.source, scope, math.ceil(records / SLICE_RECORDS))
            if keys and self._cut(freshness, slices, chosen, keys, records):
                return True
        self._look(freshness, scope, under_way=None)
        return True

    def _cut(
        self,
        freshness: Freshness,
        slices: list[SliceFacts],
        chosen: list[SliceFacts],
        keys: list[str],
        records: int,
    ) -> bool:
        place = slices.index(chosen[0])
        parts = cut(joined(chosen), keys, records)
        with transaction.atomic():
            if not freshness.take_turn():
                raise AlreadyRunning("Another process has begun to look at what is due.")
            store_slices(freshness, [*slices[:place], *parts, *slices[place + len(chosen) :]])
        return True

    def _look(self, freshness: Freshness, scope: Scope, *, under_way: dict[str, str] | None) -> None:
        with transaction.atomic():
            if not freshness.take_turn(under_way=under_way):
                raise AlreadyRunning("Another process has begun to look at what is due.")
            audit = open_audit(self.source, scope, started_by=self.started_by)
            freshness.audit = audit
            freshness.save(update_fields=["audit"])
        self._carry_out(freshness, audit)

    def _finish(self, freshness: Freshness) -> None:
        """The audit that was under way: resume it when its process died, then account for it."""
        audit: Any = freshness.audit
        if audit.state == Audit.State.PAUSED:
            raise AlreadyRunning(
                f"Audit {audit.pk} is paused; check_s3_images --resume {audit.pk} goes on with it."
            )
        if audit.complete or audit.state == Audit.State.CANCELLED:
            self.accounts.close(freshness, audit)
        else:
            self._carry_out(freshness, resume_audit(audit, self.source))

    def _carry_out(self, freshness: Freshness, audit: Audit) -> None:
        carry_out(audit, self.source, self.progress)
        self.outcome.audits.append(audit)
        self.accounts.close(freshness, audit)
