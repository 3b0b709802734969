"""One batch of records, taken in one transaction: each as it is now, its tombstone first, then it goes.

A crash anywhere leaves records deleted *with* tombstones, or not deleted. Never deleted without.

Rows are locked in the order of their primary keys, and before their findings are touched. Audits lock them in the same
order (audit/held.py): in any other, the two would wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError, IntegrityError, router, transaction
from django.db.models import Model

from imagesync import signals
from imagesync.core.planning import why_grown
from imagesync.core.verdicts import Look, Verdict
from imagesync.models import Finding, Purge
from imagesync.models.broken_off import again_if_broken_off
from imagesync.models.leases import database_clock
from imagesync.purge.copies import clear_copy
from imagesync.purge.lonely import delete_lonely, read_whole
from imagesync.purge.looks import Looks
from imagesync.purge.objections import (
    Case,
    changed_since,
    key_in_store,
    not_proven_missing,
    open_case,
    open_lonely_cases,
    stored_name,
)
from imagesync.purge.rows import Consequences, NamedFile
from imagesync.purge.saves import Saves, saves_of, was_saved
from imagesync.purge.tally import Tally
from imagesync.purge.tombs import write_tombstones
from imagesync.records import Source, Target
from imagesync.records.findings import of_records


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a stored plan."""

    record: str
    field: str
    key: str
    action: str
    cascades: Mapping[str, int]
    """What the plan says would go along, by label; nothing more may."""
    target: Target
    pk: Any


def by_target(batch: Sequence[Entry]) -> list[tuple[Target, list[Entry]]]:
    grouped: dict[Target, list[Entry]] = {}
    for entry in batch:
        grouped.setdefault(entry.target, []).append(entry)
    return sorted(grouped.items(), key=lambda one: one[0].label)


def take(batch: Sequence[Entry], looks: Looks, saves: Saves, source: Source, tally: Tally) -> None:
    """Delete a batch in one transaction; when the database refuses it, record by record.

    ``looks`` are those of this moment. ``saves`` are those of the rows from before the looks.
    """
    taking = _Taking(looks, saves, source, tally)
    try:
        again_if_broken_off(partial(taking.attempt, batch))
    except IntegrityError:  # a constraint that only fails at commit; find out whose it is
        for entry in batch:
            try:
                again_if_broken_off(partial(taking.attempt, [entry]))
            except IntegrityError as error:
                taking.keep(entry, f"a constraint of the database holds it ({type(error).__name__})")


class _Taking:
    """Of one batch, or of its records one by one."""

    def __init__(self, looks: Looks, saves: Saves, source: Source, tally: Tally) -> None:
        self.looks = looks
        self.saves = saves
        self.source = source
        self.tally = tally
        self.purge = tally.purge
        self.now = database_clock(Purge)
        self.taken: list[Entry] = []
        """In the transaction that is open."""

    def attempt(self, batch: Sequence[Entry]) -> None:
        before = self.tally.now()
        using = router.db_for_write(batch[0].target.model)
        try:
            with transaction.atomic(), transaction.atomic(using=using):
                self.purge.renew_lease()
                self.taken = []
                for target, entries in by_target(batch):
                    self._take_of_one_field(target, entries, using)
                self.tally.write()
                self._tell()
        except DatabaseError:
            self.tally.back_to(before)
            raise

    def keep(self, entry: Entry, why: str) -> None:
        self.tally.keep(entry.record, entry.field, entry.key, why)

    def _take_of_one_field(self, target: Target, entries: list[Entry], using: str) -> None:
        """Delete or clear these records: those that go alone together, then the others one by one."""
        locked = read_whole(target.model, [entry.pk for entry in entries], using=using, lock=True)
        rows = {row.instance.pk: row for row in locked}
        pairs = [
            (rows[entry.pk], entry.key)
            for entry in entries
            if entry.pk in rows and not self._why_not(entry, rows[entry.pk].instance)
        ]
        alone = open_lonely_cases(target, pairs, using=using, lock=True)
        together = []
        for entry in entries:
            case = alone.get(entry.pk)
            if case is None:
                continue
            why = case.objection or self._not_proven(case)
            if why:
                self.keep(entry, why)
            else:
                together.append((entry, case))
        self._delete_together(together, using)
        for entry in entries:
            if entry.pk not in alone:
                with transaction.atomic(using=using):
                    why = self._take_one(entry, using)
                if why:
                    self.keep(entry, why)

    def _locked(self, entry: Entry, using: str) -> Model | None:
        """The row as it is now, locked where the database can; SQLite has one writer at a time anyway."""
        rows = entry.target.model._base_manager.using(using).select_for_update()
        return rows.filter(pk=entry.pk).first()

    def _why_not(self, entry: Entry, row: Model | None) -> str:
        if row is None:
            return "it is gone already"
        changed = changed_since(entry.target, row, entry.key, self.source.store)
        if changed:
            return changed
        if was_saved(row, self.saves):
            return "it was saved since it was looked at; the next purge takes it"
        return "" if self.looks.prove(entry.key) else _not_missing_now(self.looks[entry.key])

    def _not_proven(self, case: Case) -> str:
        return not_proven_missing(case, self.source.store, self._other_proven)

    def _other_proven(self, one: NamedFile) -> bool:
        where = [(one.model, one.pk)]
        is_as_it_was = all(self.saves.get(row) == save for row, save in saves_of(where).items())
        key = key_in_store(one, self.source)
        return key is not None and is_as_it_was and self.looks.prove(key)

    def _delete_together(self, alone: list[tuple[Entry, Case]], using: str) -> None:
        self._bury([(entry, _effects(case).copy()) for entry, case in alone])
        delete_lonely([_effects(case) for _entry, case in alone], using=using)
        self.tally.deleted += len(alone)
        self.taken += [entry for entry, _case in alone]

    def _take_one(self, entry: Entry, using: str) -> str:
        """Delete or clear one record; or say why it stays. Another one may have taken it along just before."""
        row = self._locked(entry, using)
        why = self._why_not(entry, row)
        if row is None or why:
            return why
        if entry.action == "clear":
            return self._clear(entry, row, using)
        case = open_case(entry.target, row, entry.key, self.source.store, lock=True)
        why = case.objection or self._not_proven(case)
        why = why or why_grown(entry.cascades, _effects(case).cascades())
        why = why or self._why_not(entry, row)  # the rows that go along may have been waited for
        if why:
            return why
        self._bury([(entry, _effects(case).copy())])
        _effects(case).execute()
        self.tally.deleted += 1
        self.taken.append(entry)
        return ""

    def _clear(self, entry: Entry, row: Model, using: str) -> str:
        """Set the field empty by a conditional UPDATE, without signals."""
        column = entry.target.field.attname
        empty = None if entry.target.field.null else ""
        self._bury([(entry, clear_copy(row, entry.target.field))])
        still_named = entry.target.model._base_manager.using(using).filter(
            pk=entry.pk, **{column: stored_name(entry.target, row)}
        )
        if not still_named.update(**{column: empty}):
            transaction.set_rollback(True, using=using)
            return "its stored name changed since the audit"
        self.tally.cleared += 1
        self.taken.append(entry)
        return ""

    def _bury(self, graves: list[tuple[Entry, str]]) -> None:
        """Write the tombstones of records of one field, whose copies these are, and close their findings."""
        if not graves:
            return
        content_type = graves[0][0].target.content_type.pk
        write_tombstones(
            [
                {
                    "purge_id": self.purge.pk,
                    "content_type_id": content_type,
                    "object_pk": str(entry.pk),
                    "field": entry.field,
                    "key": entry.key,
                    "action": entry.action,
                    "rows": copy,
                    "evidence": self.looks[entry.key].evidence.to_dict(),
                }
                for entry, copy in graves
            ]
        )
        # the records' story ends here; if they come back, they ripen anew
        buried = [(content_type, str(entry.pk), entry.field) for entry, _copy in graves]
        Finding.objects.open().filter(of_records(buried)).update(closed_at=self.now())

    def _tell(self) -> None:
        if self.taken:
            records = tuple(
                signals.PurgedRecord(one.record, one.field, one.key, one.action) for one in self.taken
            )
            using = self.purge._state.db
            signals.after_commit(signals.purged, Purge, using=using, purge=self.purge, records=records)


def _effects(case: Case) -> Consequences:
    assert case.effects is not None  # noqa: S101 - open_cases loads them for the policy "delete"
    return case.effects


def _not_missing_now(look: Look) -> str:
    if look.verdict is Verdict.MISSING:
        return "too much time passed since it was looked at; the next purge takes it"
    reason = f" ({look.reason})" if look.reason else ""
    return f"it is {look.verdict.value} now{reason}"
