"""Plan a clean-up, and carry it out in short transactions. Killed half-way it leaves too much, never too little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections, router, transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from imagesync import logs
from imagesync.core.progress import Progress
from imagesync.models import Audit, AuditRange, Finding, Tombstone
from imagesync.retention.history import History

BATCH = 500
AUDITS_AT_ONCE = 20
"""Each has up to some hundreds of ranges."""


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of history."""

    name: str
    told: str
    rows: Callable[[History], QuerySet[Any]]
    remove: Callable[[list[int]], None] | None = None
    """Of some rows by primary key; None: just delete them."""
    batch: int = BATCH


@dataclass
class Prune:
    """A plan, and what became of it. Nothing that becomes old after it was made is touched by it."""

    history: History
    planned: dict[str, int]
    removed: dict[str, int] = field(default_factory=dict)
    executed: bool = False

    @property
    def number(self) -> int:
        return sum(self.planned.values())


def plan_prune(*, now: datetime | None = None) -> Prune:
    """What would go now. Two queries when there is nothing."""
    history = History.read(now or timezone.now())
    something = _something(history)
    return Prune(
        history,
        {step.name: step.rows(history).count() if step.name in something else 0 for step in STEPS},
    )


def execute_prune(prune: Prune, progress: Progress | None = None, *, by: str = "") -> Prune:
    """Carry a plan out. It may be killed at any moment, and a plan made anew takes the rest."""
    progress = progress or Progress()
    for step in STEPS:
        prune.removed[step.name] = 0
        if not prune.planned[step.name]:
            continue
        progress.begin(f"removing {prune.planned[step.name]:,} {step.told}", prune.planned[step.name])
        for number in _removed(step, prune.history):
            prune.removed[step.name] += number
            progress.advance(prune.removed[step.name])
    prune.executed = True
    if prune.number:
        logs.of_history(prune.removed, by or "somebody")
    return prune


def _something(history: History) -> set[str]:
    """The kinds of which there is anything to remove, by one query."""
    asked = {f"has_{step.name}": Exists(step.rows(history)) for step in STEPS}
    # a row that is always there, so that all can be asked at once
    [found] = ContentType.objects.order_by("pk").values(**asked)[:1]
    return {name.removeprefix("has_") for name, there in found.items() if there}


def _removed(step: Step, history: History) -> Iterator[int]:
    """Batch by batch, each in its own transaction, in which it is asked once more whether the rows may go."""
    rows = step.rows(history).order_by("pk")
    using = router.db_for_write(rows.model)
    behind = 0
    while pks := list(rows.using(using).filter(pk__gt=behind).values_list("pk", flat=True)[: step.batch]):
        with transaction.atomic(using=using):
            _lock(rows.model._base_manager.using(using).filter(pk__in=pks))
            still = list(rows.using(using).filter(pk__in=pks).values_list("pk", flat=True))
            if step.remove is None:
                rows.model._base_manager.using(using).filter(pk__in=still).delete()
            else:
                step.remove(still)
        behind = pks[-1]
        yield len(still)


def _lock(rows: QuerySet[Any]) -> None:
    """Nobody changes them until the commit. SQLite has one lock for all, which only a write waits for."""
    if connections[rows.db].features.has_select_for_update:
        list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
    else:
        rows.update(**{rows.model._meta.pk.name: F("pk")})


def _forget_copies(pks: list[int]) -> None:
    Tombstone.objects.filter(pk__in=pks).update(rows="")


def _remove_audits(pks: list[int]) -> None:
    AuditRange.objects.filter(audit__in=pks).delete()
    Finding.objects.filter(opened_by__in=pks, settled=False).delete()
    Audit.objects.filter(pk__in=pks).delete()


# what others rest on goes last
STEPS = (
    Step("tombstones", "tombstones", History.tombstones),
    Step("restored_copies", "copies of records that were restored", History.restored_copies, _forget_copies),
    Step("selections", "selected records of jobs", History.selections),
    Step("jobs", "jobs", History.jobs),
    Step("notices", "messages that were sent", History.notices),
    Step("set_aside", "messages that were set aside", History.set_aside),
    Step("purges", "purges", History.purges),
    Step("findings", "closed findings", History.findings),
    Step("audits", "audits", History.audits, _remove_audits, AUDITS_AT_ONCE),
)
