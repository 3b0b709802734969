"""Carry a stored plan out, once: each record is looked at again, then tombstone and delete in one commit.

A crash anywhere leaves records deleted *with* tombstones, or not deleted. Never deleted without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.apps import apps
from django.db import DatabaseError, IntegrityError, router, transaction
from django.db.models import Model
from django.db.models.functions import Now
from django.utils import timezone

from imagesync import logs, signals
from imagesync.conf import app_settings
from imagesync.core.progress import Progress
from imagesync.core.rails import plan_is_stale
from imagesync.core.verdicts import Look, Verdict
from imagesync.exceptions import AlreadyRunning, PurgeRefused
from imagesync.models import Finding, Purge, Tombstone
from imagesync.models.broken_off import again_if_broken_off
from imagesync.models.leases import lease_end, new_owner
from imagesync.purge.canaries import refuse_elsewhere
from imagesync.purge.copies import clear_copy
from imagesync.purge.database_rules import forget_database_rules
from imagesync.purge.lonely import delete_lonely
from imagesync.purge.objections import (
    Case,
    changed_since,
    files_along,
    key_in_store,
    not_proven_missing,
    open_case,
    open_lonely_cases,
    stored_name,
)
from imagesync.purge.rows import Consequences, NamedFile
from imagesync.purge.saves import Saves, saves_of, was_saved
from imagesync.purge.summary import summary_of
from imagesync.purge.tombs import write_tombstones
from imagesync.records import Source, Target
from imagesync.records.findings import of_records
from imagesync.storage.preflight import preflight
from imagesync.storage.probe import confirm, look_all

BATCH = 200
CONFIRMED_WITHIN = timedelta(seconds=60)
"""A look older than this says nothing about now; the record stays for the next purge."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a stored plan."""

    record: str
    field: str
    key: str
    action: str
    target: Target
    pk: Any


def execute_plan(purge: Purge, source: Source, progress: Progress | None = None) -> Purge:
    """Execute a stored plan. Raises PurgeRefused when a rail refuses it now, AlreadyRunning when it is
    being executed or was, or when another purge of this store is under way.
    """
    _claim(purge, source)
    logs.of_purge("purge_started", purge, f"begun, {purge.counts['planned']} records planned")
    running = _Execution(purge, source, progress or Progress())
    try:
        running.run()
    finally:
        running.release_if_unfinished()
    return purge


def _claim(purge: Purge, source: Source) -> None:
    if purge.refused:
        raise PurgeRefused(**purge.refused)
    if purge.fingerprint != source.store.identity.fingerprint:
        raise PurgeRefused(
            "other_store",
            f"Purge {purge.pk} was planned for store {purge.fingerprint}; the settings now name another one.",
            "Plan it anew.",
        )
    now = timezone.now()
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
        raise PurgeRefused(
            "purge_running",
            "Another purge of this store is running.",
            "Wait for it to end. If its process died, its lease runs out within a minute; then plan again.",
        ) from error
    purge.refresh_from_db()
    if not claimed:
        raise AlreadyRunning(f"Purge {purge.pk} is {purge.state}: a plan is executed once. Plan it anew.")


class _Execution:
    def __init__(self, purge: Purge, source: Source, progress: Progress) -> None:
        self.purge = purge
        self.source = source
        self.progress = progress
        self.targets = {(target.model._meta.label, target.field.name): target for target in source.targets}
        self.kept: list[dict[str, Any]] = list(purge.plan["keep"])
        self.deleted = 0
        self.cleared = 0
        self.saves: Saves = {}
        """Of the batch's rows, from before they were looked at."""
        self.taken: list[Entry] = []
        """In the transaction that is open."""

    def run(self) -> None:
        forget_database_rules()  # a long-lived worker must not rest on an old schema
        entries = list(self._entries())
        self.progress.begin(f"purging {len(entries):,} records", len(entries))
        versioning = self._believe_store()
        if entries:
            self._be_where_the_audit_was(versioning)
        done = 0
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            looks = self._confirm(batch, versioning)
            versioning = self._believe_store()  # fit before *and* after the looks that it rests on
            self._take(batch, looks)
            done += len(batch)
            self.progress.advance(done, deleted=self.deleted, kept=len(self.kept))
        self._finish(Purge.State.DONE)

    def _entries(self) -> Iterator[Entry]:
        for line in self.purge.plan["delete"]:
            label, pk = line["record"].split(":", 1)
            target = self.targets.get((label, line["field"]))
            if target is None or target.policy != line["action"]:
                self._keep_line(
                    line["record"],
                    line["field"],
                    line["key"],
                    "the policy of its field changed since the plan",
                )
                continue
            value = apps.get_model(label)._meta.pk.to_python(pk)
            yield Entry(line["record"], line["field"], line["key"], line["action"], target, value)

    def _believe_store(self) -> str:
        """The store's versioning, when it is fit. Raises PurgeRefused: what is left stays untouched."""
        fit = preflight(self.source.store)
        self.purge.renew_lease()
        if not fit.fit:
            reason = fit.reasons[0]
            refusal = PurgeRefused(
                "store_unfit",
                f"The store does not pass its check now ({reason.id}): {reason.fact} "
                f"Deleted so far: {self.deleted}, each with its tombstone; the rest was left alone.",
                reason.hint,
            )
            self.purge.refused = {"id": refusal.id, "fact": refusal.fact, "hint": refusal.hint}
            raise refusal
        return fit.versioning

    def _be_where_the_audit_was(self, versioning: str) -> None:
        """Raises PurgeRefused when what the audit saw present is not here."""
        try:
            refuse_elsewhere(self.purge, self.source, versioning=versioning, heartbeat=self.purge.renew_lease)
        except PurgeRefused as refusal:
            self.purge.refused = {"id": refusal.id, "fact": refusal.fact, "hint": refusal.hint}
            raise

    def _confirm(self, batch: list[Entry], versioning: str) -> dict[str, Look]:
        """One fresh look per key: the records' own, and those of the other files that would go along."""
        keys = {entry.key for entry in batch}
        rows: set[tuple[type[Model], Any]] = {(entry.target.model, entry.pk) for entry in batch}
        for target, entries in _by_target(batch):
            for one in files_along(target, [entry.pk for entry in entries]):
                rows.add((one.model, one.pk))
                if (key := key_in_store(one, self.source)) is not None:
                    keys.add(key)
        self.saves = saves_of(rows)
        looked = look_all(
            self.source.store,
            ((key, key, None) for key in sorted(keys)),
            how=confirm,
            versioning=versioning,
            workers=self.source.workers,
            heartbeat=self.purge.renew_lease,
        )
        return dict(looked)

    def _take(self, batch: list[Entry], looks: dict[str, Look]) -> None:
        """Delete a batch in one transaction; when the database refuses it, record by record."""
        try:
            again_if_broken_off(partial(self._transaction, batch, looks))
        except IntegrityError:  # a constraint that only fails at commit; find out whose it is
            for entry in batch:
                try:
                    again_if_broken_off(partial(self._transaction, [entry], looks))
                except IntegrityError as error:
                    why = f"a constraint of the database holds it ({type(error).__name__})"
                    self._keep(entry, why)

    def _transaction(self, batch: list[Entry], looks: dict[str, Look]) -> None:
        before = (self.deleted, self.cleared, list(self.kept))
        using = router.db_for_write(batch[0].target.model)
        try:
            with transaction.atomic(), transaction.atomic(using=using):
                self.purge.renew_lease()
                self.taken = []
                for target, entries in _by_target(batch):
                    self._take_of_one_field(target, entries, looks, using)
                self._write_counts()
                self._tell()
        except DatabaseError:
            self.deleted, self.cleared, self.kept = before
            raise

    def _take_of_one_field(
        self, target: Target, entries: list[Entry], looks: dict[str, Look], using: str
    ) -> None:
        """Delete or clear these records: those that go alone together, then the others one by one."""
        rows = self._locked(target, entries, using)
        pairs = [
            (rows[entry.pk], entry.key)
            for entry in entries
            if not self._why_not(entry, rows.get(entry.pk), looks)
        ]
        alone = open_lonely_cases(target, pairs, lock=True)
        together = []
        for entry in entries:
            case = alone.get(entry.pk)
            if case is None:
                continue
            why = case.objection or not_proven_missing(case, partial(self._other_proven, looks))
            if why:
                self._keep(entry, why)
            else:
                together.append((entry, case))
        self._delete_together(together, looks, using)
        for entry in entries:
            if entry.pk not in alone:
                with transaction.atomic(using=using):
                    why = self._take_one(entry, looks, using)
                if why:
                    self._keep(entry, why)

    def _locked(self, target: Target, entries: list[Entry], using: str) -> dict[Any, Model]:
        """The rows as they are now, locked where the database can; SQLite has one writer at a time anyway."""
        rows = target.model._base_manager.using(using).select_for_update().order_by("pk")
        return {row.pk: row for row in rows.filter(pk__in=[entry.pk for entry in entries])}

    def _why_not(self, entry: Entry, row: Model | None, looks: dict[str, Look]) -> str:
        if row is None:
            return "it is gone already"
        changed = changed_since(entry.target, row, entry.key, self.source.store)
        if changed:
            return changed
        if was_saved(row, self.saves):
            return "it was saved since it was looked at; the next purge takes it"
        look = looks[entry.key]
        return "" if _proves(look, timezone.now()) else _not_missing_now(look)

    def _take_one(self, entry: Entry, looks: dict[str, Look], using: str) -> str:
        """Delete or clear one record; or say why it stays. Another one may have taken it along just before."""
        row = self._locked(entry.target, [entry], using).get(entry.pk)
        why = self._why_not(entry, row, looks)
        if row is None or why:
            return why
        look = looks[entry.key]
        if entry.action == "clear":
            return self._clear(entry, row, look, using)
        case = open_case(entry.target, row, entry.key, self.source.store, lock=True)
        why = case.objection or not_proven_missing(case, partial(self._other_proven, looks))
        why = why or self._why_not(entry, row, looks)  # the rows that go along may have been waited for
        if why:
            return why
        self._bury([(entry, look, _effects(case).copy())])
        _effects(case).execute()
        self.deleted += 1
        self.taken.append(entry)
        return ""

    def _other_proven(self, looks: dict[str, Look], one: NamedFile) -> bool:
        look = looks.get(key_in_store(one, self.source) or "")
        where = [(one.model, one.pk)]
        is_as_it_was = all(self.saves.get(row) == save for row, save in saves_of(where).items())
        return look is not None and is_as_it_was and _proves(look, timezone.now())

    def _delete_together(self, alone: list[tuple[Entry, Case]], looks: dict[str, Look], using: str) -> None:
        self._bury([(entry, looks[entry.key], _effects(case).copy()) for entry, case in alone])
        delete_lonely([_effects(case) for _entry, case in alone], using=using)
        self.deleted += len(alone)
        self.taken += [entry for entry, _case in alone]

    def _clear(self, entry: Entry, row: Model, look: Look, using: str) -> str:
        """Set the field empty by a conditional UPDATE, without signals."""
        column = entry.target.field.attname
        empty = None if entry.target.field.null else ""
        self._bury([(entry, look, clear_copy(row, entry.target.field))])
        still_named = entry.target.model._base_manager.using(using).filter(
            pk=entry.pk, **{column: stored_name(entry.target, row)}
        )
        if not still_named.update(**{column: empty}):
            transaction.set_rollback(True, using=using)
            return "its stored name changed since the audit"
        self.cleared += 1
        self.taken.append(entry)
        return ""

    def _bury(self, graves: list[tuple[Entry, Look, str]]) -> None:
        write_tombstones(
            [
                Tombstone(
                    purge_id=self.purge.pk,
                    content_type_id=entry.target.content_type.pk,
                    object_pk=str(entry.pk),
                    field=entry.field,
                    key=entry.key,
                    action=entry.action,
                    rows=copy,
                    evidence=look.evidence.to_dict(),
                )
                for entry, look, copy in graves
            ]
        )
        # the records' story ends here; if they come back, they ripen anew
        buried = [
            (entry.target.content_type.pk, str(entry.pk), entry.field) for entry, _look, _copy in graves
        ]
        Finding.objects.open().filter(of_records(buried)).update(closed_at=timezone.now())

    def _tell(self) -> None:
        if self.taken:
            records = tuple(
                signals.PurgedRecord(one.record, one.field, one.key, one.action) for one in self.taken
            )
            using = self.purge._state.db
            signals.after_commit(signals.purged, Purge, using=using, purge=self.purge, records=records)

    def _keep(self, entry: Entry, why: str) -> None:
        self._keep_line(entry.record, entry.field, entry.key, why)

    def _keep_line(self, record: str, field: str, key: str, why: str) -> None:
        self.kept.append({"record": record, "field": field, "key": key, "why": why})

    def _write_counts(self) -> None:
        planned = self.purge.counts.get("planned", 0)
        self.purge.counts = {
            "planned": planned,
            "deleted": self.deleted,
            "cleared": self.cleared,
            "kept": len(self.kept),
        }
        changed = ["counts"]
        if len(self.kept) != len(self.purge.plan["keep"]):  # the plan is long: it is not written for nothing
            self.purge.plan = {**self.purge.plan, "keep": list(self.kept)}
            self.purge.summary = summary_of(self.purge.plan)
            changed += ["plan", "summary"]
        self.purge.save(update_fields=changed)

    def _finish(self, state: Purge.State) -> None:
        self._write_counts()
        self.purge.renew_lease()
        self.purge.state = state
        self.purge.finished_at = timezone.now()
        self.purge.lease_owner, self.purge.lease_until = "", None
        self.purge.save(update_fields=["state", "finished_at", "lease_owner", "lease_until"])
        counts = self.purge.counts
        text = f"done, {counts['deleted']} deleted, {counts['cleared']} cleared, {counts['kept']} kept"
        logs.of_purge("purge_finished", self.purge, text, counts=counts)

    def release_if_unfinished(self) -> None:
        if self.purge.state == Purge.State.RUNNING:
            refused = (self.purge.refused or {}).get("id", "")
            text = f"interrupted {refused}".rstrip() + "; each record that it took has its tombstone"
            logs.of_purge("purge_interrupted", self.purge, text, refused=refused)
            try:
                Purge.objects.filter(pk=self.purge.pk, lease_owner=self.purge.lease_owner).update(
                    state=Purge.State.INTERRUPTED,
                    finished_at=timezone.now(),
                    lease_owner="",
                    lease_until=None,
                    refused=self.purge.refused,
                )
            except DatabaseError:
                return  # the database is what failed; the lease runs out by itself


def _by_target(batch: list[Entry]) -> list[tuple[Target, list[Entry]]]:
    grouped: dict[Target, list[Entry]] = {}
    for entry in batch:
        grouped.setdefault(entry.target, []).append(entry)
    return list(grouped.items())


def _effects(case: Case) -> Consequences:
    assert case.effects is not None  # noqa: S101 - open_cases loads them for the policy "delete"
    return case.effects


def _proves(look: Look, now: datetime) -> bool:
    at = look.evidence.at
    return look.verdict is Verdict.MISSING and at is not None and now - at <= CONFIRMED_WITHIN


def _not_missing_now(look: Look) -> str:
    if look.verdict is Verdict.MISSING:
        return "too much time passed since it was looked at; the next purge takes it"
    reason = f" ({look.reason})" if look.reason else ""
    return f"it is {look.verdict.value} now{reason}"
