"""Put purged records back, with what went with them. Nothing that exists is overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from imagesync import signals
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import NothingMatches
from imagesync.models import AbstractImage, Purge, Tombstone
from imagesync.models.broken_off import again_if_broken_off
from imagesync.purge.restore_rows import Conflict, put_back

TOLD_AT_ONCE = 500
START_AGAIN = {"verdict": Verdict.UNCHECKED.value, "verdict_at": None, "missing_since": None}


@dataclass(frozen=True)
class Restored:
    """What a restore did, or would do."""

    purge: Purge
    executed: bool
    records: list[Tombstone] = field(default_factory=list)
    conflicts: list[tuple[Tombstone, list[Conflict]]] = field(default_factory=list)
    notes: list[Conflict] = field(default_factory=list)


def left_of(purge: Purge) -> QuerySet[Tombstone]:
    """What was not restored yet, the last one that went first.

    A purge that nulls a relation and then takes the row that had it has the NULL in that row's copy: the row must be back
    before the relation is. Each is put back into what the purge left behind it only in the reverse of the order in which
    they went.
    """
    left: QuerySet[Tombstone] = purge.tombstones.filter(restored_at=None)
    return left.select_related("content_type").order_by("-pk")


def restorable(purge: Purge | None, ids: Iterable[tuple[str, str]] = ()) -> list[Tombstone]:
    """The tombstones of ``left_of``; ``ids`` narrows them. Raises NothingMatches."""
    if purge is None:
        raise NothingMatches("There is no purge with anything to restore.")
    tombstones = list(left_of(purge).select_related("purge"))
    wanted = {f"{model}:{pk}" for model, pk in ids}
    if not wanted:
        return tombstones
    found = [one for one in tombstones if one.record_label in wanted]
    lacking = wanted - {one.record_label for one in found}
    if lacking:
        raise NothingMatches(f"Purge {purge.pk} keeps nothing to restore of {', '.join(sorted(lacking))}.")
    return found


def latest_restorable() -> Purge | None:
    return (
        Purge.objects.filter(tombstones__restored_at=None, tombstones__isnull=False).order_by("-pk").first()
    )


def preview_restore(purge: Purge, tombstones: list[Tombstone]) -> Restored:
    """What would come back and what is in the way, without changing anything."""
    with ExitStack() as stack:
        databases = _databases(tombstones)
        for using in databases:
            stack.enter_context(transaction.atomic(using=using))
        outcome = _put_all_back(purge, tombstones, executed=False)
        for using in databases:
            transaction.set_rollback(True, using=using)
    return outcome


def _databases(tombstones: Iterable[Tombstone]) -> set[str]:
    """Where the tombstones are, and where their records are put back."""
    models = {tombstone.content_type.model_class() for tombstone in tombstones}
    return {router.db_for_write(model) for model in (Tombstone, *models) if model is not None}


def execute_restore(purge: Purge, tombstones: list[Tombstone], *, restored_by: str) -> Restored:
    """Put the records back, each with its rows in a transaction of its own, or not at all."""
    outcome = _put_all_back(purge, tombstones, executed=True, restored_by=restored_by)
    for start in range(0, len(outcome.records), TOLD_AT_ONCE):
        records = tuple(
            signals.PurgedRecord(one.record_label, one.field, one.key, one.action)
            for one in outcome.records[start : start + TOLD_AT_ONCE]
        )
        using = purge._state.db
        signals.after_commit(signals.restored, Purge, using=using, purge=purge, records=records)
    return outcome


def _put_all_back(
    purge: Purge,
    tombstones: list[Tombstone],
    *,
    executed: bool,
    restored_by: str = "",
) -> Restored:
    outcome = Restored(purge, executed)
    left = tombstones
    while left:  # a record may need another one of the same purge to come back first
        stuck: list[tuple[Tombstone, list[Conflict]]] = []
        for tombstone in left:
            conflicts = again_if_broken_off(partial(_put_one_back, tombstone, restored_by, signals=executed))
            if any(conflict.fatal for conflict in conflicts):
                stuck.append((tombstone, conflicts))
            else:
                outcome.records.append(tombstone)
                outcome.notes.extend(conflicts)
        if len(stuck) == len(left):
            outcome.conflicts.extend(stuck)
            break
        left = [tombstone for tombstone, _conflicts in stuck]
    return outcome


def _put_one_back(tombstone: Tombstone, restored_by: str, *, signals: bool) -> list[Conflict]:
    model = tombstone.content_type.model_class()
    if model is None:
        return [Conflict(record=tombstone.record_label, why="its model no longer exists", fatal=True)]
    using = router.db_for_write(model)
    overrides: dict[str, Any] = START_AGAIN if issubclass(model, AbstractImage) else {}
    with transaction.atomic():
        still = Tombstone.objects.select_for_update().filter(pk=tombstone.pk, restored_at=None).first()
        if still is None:
            return [
                Conflict(
                    record=tombstone.record_label,
                    why="it was restored, or removed for its age, meanwhile",
                    fatal=True,
                )
            ]
        conflicts = put_back(tombstone.rows, using=using, overrides=overrides, signals=signals)
        if not any(conflict.fatal for conflict in conflicts):
            still.restored_at = timezone.now()
            still.restored_by = restored_by
            still.save(update_fields=["restored_at", "restored_by"])
    return conflicts
