"""Jobs: made, and handed to a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from imagesync.admin import at_once
from imagesync.admin.addresses import job_address, purge_address
from imagesync.cluster import cluster_is_running
from imagesync.enqueue import enqueue
from imagesync.exceptions import AlreadyRunning
from imagesync.jobs import is_written, work_off
from imagesync.models import Job, Purge

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions

TASK = "imagesync.tasks.work_off"


def hand_over(model_admin: SyncActions, request: HttpRequest, job: Job) -> HttpResponse:
    """To the cluster, when there is one; a plan of few records is made at once."""
    is_small = is_written(job) and job.selection.get("written", 0) <= at_once.MOST
    if job.kind == Job.Kind.PLAN and is_small:
        try:
            work_off(job)
        except AlreadyRunning as running:
            model_admin.message_user(request, str(running), messages.WARNING)
    else:
        queue(job)
    return HttpResponseRedirect(after(model_admin, job))


def queue(job: Job) -> bool:
    """Whether there is a cluster that has been told. Without one the job waits for somebody."""
    if not cluster_is_running():
        return False
    # the time first: with a broker that is not our database, a worker may begin before we go on
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now())
    enqueue(TASK, job=job.pk)
    return True


def after(model_admin: SyncActions, job: Job) -> str:
    """Where somebody goes on: to the plan when that is what they wanted, else to the job."""
    if job.kind == Job.Kind.PLAN and job.state == Job.State.DONE and job.purge is not None:
        return purge_address(model_admin, job.purge)
    return job_address(model_admin, job)


def start_purge(model_admin: SyncActions, request: HttpRequest, purge: Purge, nonce: str) -> Job:
    """The job that executes a stored plan. Raises IntegrityError when there is one already."""
    planned = purge.counts["planned"]
    with transaction.atomic():
        return new_job(model_admin, request, nonce, kind=Job.Kind.PURGE, records=planned, purge=purge)


def new_job(model_admin: SyncActions, request: HttpRequest, nonce: str, **what: Any) -> Job:
    """A job of whoever asks here. Raises IntegrityError when it was asked for already."""
    return Job.objects.create(
        user_id=request.user.pk,
        site=model_admin.admin_site.name,
        nonce=nonce,
        content_type=ContentType.objects.get_for_model(model_admin.model, for_concrete_model=False),
        fields=[target.label for target in model_admin.sync_targets()],
        **what,
    )
