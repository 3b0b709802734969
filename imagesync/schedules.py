"""The schedules of django-q2 that call our tasks: made, changed and removed by name, as often as it is asked for.

Each is a schedule of its own. None starts another, and least of all an audit a purge: django-q2 goes on with a chain
after a link that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from imagesync.exceptions import InvalidRequest, NoQueue

SLOT = "slot"
"""The argument in which a task is told which run of its schedule it is: the same in each delivery of it."""


class Change(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done again and again."""

    option: str
    name: str
    told: str
    knows_slot: bool = False
    begins_at_once: bool = False
    """Whether a new schedule that is no cron expression runs right away; else after its first interval."""

    @property
    def function(self) -> str:
        return f"imagesync.tasks.{self.name.removeprefix('imagesync.')}"


WORKS = (
    Work(
        option="check",
        name="imagesync.check_images",
        told="When to audit.",
        knows_slot=True,
        begins_at_once=True,
    ),
    Work(
        option="purge",
        name="imagesync.purge_orphans",
        told="When to purge, unattended: two audits that far apart (RIPEN) must both say missing. Off unless asked for.",
    ),
    Work(
        option="freshness",
        name="imagesync.keep_fresh",
        told="When to look at the records that are due for IMAGESYNC['FRESHNESS'].",
        begins_at_once=True,
    ),
    Work(
        option="watch",
        name="imagesync.watch_events",
        told="When to work off S3's events that wait in the queue, where no imagesync_watch runs.",
        begins_at_once=True,
    ),
    Work(
        option="notify",
        name="imagesync.watch_over",
        told="When to look whether an audit is overdue or failed, and to send what could not be sent.",
        begins_at_once=True,
    ),
    Work(
        option="prune",
        name="imagesync.prune_history",
        told="When to remove history whose time is over (RETENTION).",
    ),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """When: ``daily`` or ``hourly``, or a cron expression of five fields."""

    when: str

    @property
    def columns(self) -> dict[str, Any]:
        from django_q.models import Schedule

        plain = {"daily": Schedule.DAILY, "hourly": Schedule.HOURLY}
        if self.when in plain:
            return {"schedule_type": plain[self.when], "cron": None}
        return {"schedule_type": Schedule.CRON, "cron": self.when}


def parse_timing(option: str, when: str) -> Timing:
    """What somebody typed. Raises InvalidRequest, and NoQueue when a cron expression cannot be read here."""
    if when in ("daily", "hourly"):
        return Timing(when)
    if find_spec("croniter") is None:
        raise NoQueue(
            f'--{option} "{when}": cron expressions need croniter: pip install "django-imagesync[q2]". '
            "daily and hourly need nothing."
        )
    from croniter import croniter

    when = " ".join(when.split())
    if len(when.split()) != 5 or not croniter.is_valid(when):
        raise InvalidRequest(
            f'--{option} {when!r}: write "daily", "hourly" or a cron expression of five fields.'
        )
    return Timing(when)


def ensure(work: Work, timing: Timing) -> Change:
    """Have exactly one schedule of the work, at these times. What is so already keeps its next run.

    Two that ask at the same moment may both make one; each then leaves the older one alone, so that one is left.
    """
    from django_q.models import Schedule

    wanted = {
        "func": work.function,
        "repeats": -1,
        "intended_date_kwarg": SLOT if work.knows_slot else None,
        **timing.columns,
    }
    with transaction.atomic(using=router.db_for_write(Schedule)):
        change = _settle(Schedule.objects.filter(name=work.name), work, wanted)
    made = Schedule.objects.filter(name=work.name).order_by("pk").values_list("pk", flat=True)
    if others := list(made[1:]):
        Schedule.objects.filter(pk__in=others).delete()
    return change


def remove(works: Sequence[Work] = WORKS) -> int:
    """Remove the schedules; how many there were."""
    from django_q.models import Schedule

    removed, _per_model = Schedule.objects.filter(name__in=[work.name for work in works]).delete()
    return int(removed)


def scheduled() -> list[Any]:
    """Our schedules, as django-q2 has them."""
    from django_q.models import Schedule

    return list(Schedule.objects.filter(name__in=[work.name for work in WORKS]).order_by("name", "pk"))


def _settle(ours: Any, work: Work, wanted: dict[str, Any]) -> Change:
    # locked: the cluster sets the next run of a schedule in the row that it has read. By a write, since SQLite refuses
    # at once whoever has read before and writes beside somebody else; a write that comes first waits
    ours.update(name=work.name)
    schedule = ours.order_by("pk").first()
    if schedule is None:
        schedule = ours.model(name=work.name, next_run=timezone.now(), **wanted)
        if wanted["cron"] or not work.begins_at_once:
            schedule.next_run = schedule.calculate_next_run()
        schedule.save()
        return Change.CREATED
    changed = {name: value for name, value in wanted.items() if getattr(schedule, name) != value}
    if not changed:
        return Change.UNCHANGED
    for name, value in changed.items():
        setattr(schedule, name, value)
    if changed.keys() & {"cron", "schedule_type"}:
        schedule.next_run = schedule.calculate_next_run(timezone.now())
    schedule.save(update_fields=[*changed, "next_run"])
    return Change.UPDATED
