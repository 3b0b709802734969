"""The records of a confirmed selection, written down part by part: those that were counted, or none.

``Job.selection`` says how far this is: ``{"sum": 4711, "seen": 10000, "seen_sum": 99, "written": 8000, "behind": 10000}``.
Each part is one transaction with it, so whoever takes over goes on where the other one was. Of a plan, only what is known
to be missing is written, and everything is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet

from imagesync.conf import app_settings
from imagesync.exceptions import AlreadyRunning, InvalidRequest, SelectionChanged
from imagesync.jobs.listed import request_of, rows_as_listed, site_of
from imagesync.models import Audit, Job, JobRecord
from imagesync.records.findings import of_missing
from imagesync.records.keyset import as_stored
from imagesync.records.selected import Counted, counted_keys
from imagesync.records.targets import find_targets


def is_written(job: Job) -> bool:
    """Whether a job can begin: its records are written down, or it is about all that there are."""
    return job.kind == Job.Kind.PURGE or bool(job.selection.get("whole") or job.selection.get("complete"))


def confirmed_rows(job: Job) -> QuerySet[Any]:
    """What the list shows under a job's filter, as of its confirmation. Raises InvalidRequest."""
    model_admin = site_of(job)._registry.get(job.model)
    if model_admin is None:
        raise InvalidRequest(f"The admin has no list of {job.model._meta.verbose_name_plural} any more.")
    return rows_as_listed(model_admin, request_of(job), job.chosen_by, as_of=job.created_at)


def write_down(job: Job, rows: QuerySet[Any], beat: Callable[[int], None]) -> None:
    """Write down what is left to. ``beat`` is told how many records were seen.

    Raises SelectionChanged, with nothing written, when the records are not those that were confirmed; AlreadyRunning
    when another process does it.
    """
    rows = rows.order_by("pk")
    narrowed = None if job.audit is None else _missing(rows.model, job, job.audit)
    while pks := _next(job, rows):
        wanted = pks if narrowed is None else _those(narrowed, pks)
        with transaction.atomic(using=router.db_for_write(JobRecord)):
            records = [JobRecord(job=job, object_pk=str(pk)) for pk in wanted]
            JobRecord.objects.bulk_create(records, ignore_conflicts=True)
            _note(job, _with_part(job.selection, pks, counted_keys(rows.model, pks), len(records)))
        beat(job.selection["seen"])
    _hold_against_what_was_confirmed(job)
    _note(job, {**job.selection, "complete": True})


def _next(job: Job, rows: QuerySet[Any]) -> list[Any]:
    behind = job.selection.get("behind")
    if behind is not None:
        rows = rows.filter(pk__gt=rows.model._meta.pk.to_python(behind))
    return list(dict.fromkeys(rows.values_list("pk", flat=True)[: app_settings().batch_size]))


def _missing(model: Any, job: Job, audit: Audit) -> QuerySet[Any]:
    targets = [target for target in find_targets() if target.label in job.fields]
    return of_missing(model._base_manager.all(), audit.fingerprint, targets)


def _those(rows: QuerySet[Any], pks: list[Any]) -> list[Any]:
    among = set(pks)
    # one stretch of the index: the part is in the order of the keys
    found = rows.filter(pk__gte=pks[0], pk__lte=pks[-1]).values_list("pk", flat=True)
    return [pk for pk in found if pk in among]


def _with_part(before: dict[str, Any], pks: list[Any], here: Counted, written: int) -> dict[str, Any]:
    return {
        **before,
        "seen": before.get("seen", 0) + here.number,
        "seen_sum": before.get("seen_sum", 0) + here.sum,
        "written": before.get("written", 0) + written,
        "behind": as_stored(pks[-1]),
    }


def _note(job: Job, selection: dict[str, Any]) -> None:
    if not Job.objects.filter(pk=job.pk, lease_owner=job.lease_owner).update(selection=selection):
        raise AlreadyRunning(f"Another process carries out {job}. Nothing was lost.")
    job.selection = selection


def _hold_against_what_was_confirmed(job: Job) -> None:
    confirmed = Counted(job.records, job.selection.get("sum", 0))
    seen = Counted(job.selection.get("seen", 0), job.selection.get("seen_sum", 0))
    if seen == confirmed:
        return
    JobRecord.objects.filter(job=job).delete()
    _note(job, {"sum": confirmed.sum, "changed": True})
    if seen.number == confirmed.number:
        told = f"it has as many records as were confirmed, {seen.number:,}, and not the same ones"
    else:
        told = f"{confirmed.number:,} records were confirmed, it has {seen.number:,} now"
    raise SelectionChanged(f"The selection has changed: {told}. Nothing was done with any of them.")
