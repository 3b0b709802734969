"""Carry a stored plan out, once: batch by batch each record is looked at again, and what is still missing is taken.

The store must be fit before and after the looks that a batch rests on. Who may begin is in purge/claim.py, the
transaction of one batch in purge/taking.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Model

from imagesync import logs
from imagesync.core.progress import Progress
from imagesync.exceptions import PurgeRefused
from imagesync.models import Purge
from imagesync.purge.canaries import refuse_elsewhere
from imagesync.purge.claim import claim, finish, release_if_unfinished
from imagesync.purge.database_rules import forget_database_rules
from imagesync.purge.looks import Looks
from imagesync.purge.objections import files_along, key_in_store
from imagesync.purge.saves import Saves, saves_of
from imagesync.purge.statistics import refresh_statistics
from imagesync.purge.taking import Entry, by_target, take
from imagesync.purge.tally import Tally
from imagesync.records import Source
from imagesync.storage.preflight import preflight
from imagesync.storage.probe import look_all

BATCH = 200


def execute_plan(purge: Purge, source: Source, progress: Progress | None = None) -> Purge:
    """Execute a stored plan. Raises PurgeRefused when a rail refuses it now, AlreadyRunning when it is
    being executed or was, or when another purge of this store is under way.
    """
    claim(purge, source)
    logs.of_purge("purge_started", purge, f"begun, {purge.counts['planned']} records planned")
    running = _Execution(purge, source, progress or Progress())
    try:
        running.run()
    finally:
        release_if_unfinished(purge)
    return purge


class _Execution:
    def __init__(self, purge: Purge, source: Source, progress: Progress) -> None:
        self.purge = purge
        self.source = source
        self.progress = progress
        self.tally = Tally(purge)

    def run(self) -> None:
        forget_database_rules()  # a long-lived worker must not rest on an old schema
        entries = list(self._entries())
        self.progress.begin(f"purging {len(entries):,} records", len(entries))
        versioning = self._believe_store()
        if entries:
            self._be_where_the_audit_was(versioning)
        if len(entries) > BATCH:
            refresh_statistics()
        done = 0
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            looks, saves = self._confirm(batch, versioning)
            # fit before *and* after the looks that it rests on
            looked_with, versioning = versioning, self._believe_store()
            if looked_with == "off" != versioning:
                self._keep_looked_at_without_versions(batch, versioning)
            else:
                take(batch, looks, saves, self.source, self.tally)
            done += len(batch)
            self.progress.advance(done, deleted=self.tally.deleted, kept=len(self.tally.kept))
        self.tally.write()
        finish(self.purge)

    def _entries(self) -> Iterator[Entry]:
        targets = {(target.model._meta.label, target.field.name): target for target in self.source.targets}
        for line in self.purge.plan["delete"]:
            label, pk = line["record"].split(":", 1)
            target = targets.get((label, line["field"]))
            if target is None or target.policy != line["action"]:
                why = "the policy of its field changed since the plan"
                self.tally.keep(line["record"], line["field"], line["key"], why)
                continue
            yield Entry(
                line["record"],
                line["field"],
                line["key"],
                line["action"],
                line["cascades"],
                target,
                target.model._meta.pk.to_python(pk),
            )

    def _believe_store(self) -> str:
        """The store's versioning, when it is fit. Raises PurgeRefused: what is left stays untouched."""
        fit = preflight(self.source.store)
        self.purge.renew_lease()
        if not fit.fit:
            reason = fit.reasons[0]
            refusal = PurgeRefused(
                "store_unfit",
                f"The store does not pass its check now ({reason.id}): {reason.fact} "
                f"Deleted so far: {self.tally.deleted}, each with its tombstone; the rest was left alone.",
                reason.hint,
            )
            self.purge.refused = {"id": refusal.id, "fact": refusal.fact, "hint": refusal.hint}
            raise refusal
        return fit.versioning

    def _keep_looked_at_without_versions(self, batch: list[Entry], versioning: str) -> None:
        """What was deleted since versioning is on may lie under a delete marker of which a GET alone need not tell."""
        for entry in batch:
            why = f"the bucket's versioning was off when it was looked at and is {versioning} now; the next purge looks anew"
            self.tally.keep(entry.record, entry.field, entry.key, why)

    def _be_where_the_audit_was(self, versioning: str) -> None:
        """Raises PurgeRefused when what the audit saw present is not here."""
        try:
            refuse_elsewhere(self.purge, self.source, versioning=versioning, heartbeat=self.purge.renew_lease)
        except PurgeRefused as refusal:
            self.purge.refused = {"id": refusal.id, "fact": refusal.fact, "hint": refusal.hint}
            raise

    def _confirm(self, batch: list[Entry], versioning: str) -> tuple[Looks, Saves]:
        """One fresh look per key: the records' own, and those of the other files that would go along. And what tells
        whether their rows were saved, from before they were looked at.
        """
        keys = {entry.key for entry in batch}
        rows: set[tuple[type[Model], Any]] = {(entry.target.model, entry.pk) for entry in batch}
        for target, entries in by_target(batch):
            for one in files_along(target, [entry.pk for entry in entries]):
                rows.add((one.model, one.pk))
                if (key := key_in_store(one, self.source)) is not None:
                    keys.add(key)
        saves, looks = saves_of(rows), Looks()
        looked = look_all(
            self.source.store,
            ((key, key, None) for key in sorted(keys)),
            how=looks.ask,
            versioning=versioning,
            workers=self.source.workers,
            heartbeat=self.purge.renew_lease,
        )
        looks.remember(looked)
        return looks, saves
