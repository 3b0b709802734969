"""A job's page: how far it is, who is at it, and what to do when nobody is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from imagesync.admin import selection
from imagesync.admin.addresses import changelist, history_address, job_address, purge_address
from imagesync.admin.jobs import after, queue
from imagesync.cluster import cluster_is_running, why_no_cluster
from imagesync.jobs import is_written
from imagesync.models import Audit, Job, Purge

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions

COMMAND = "python manage.py imagesync_job"


def show(model_admin: SyncActions, request: HttpRequest, job_id: int) -> HttpResponse:
    """How far a job is. A POST hands it over again, when nobody is at it."""
    job = (
        Job.objects.filter(pk=job_id)
        .select_related("user", "purge", "audit", "content_type")
        .defer("purge__plan")
        .first()
    )
    own = ContentType.objects.get_for_model(model_admin.model, for_concrete_model=False)
    if job is None or job.content_type_id != own.pk:
        raise Http404
    if not selection.may(model_admin, request, job.kind):
        raise PermissionDenied
    if request.method == "POST":
        return _again(model_admin, request, job)
    if job.kind == Job.Kind.PLAN and job.state == Job.State.DONE and job.user_id == request.user.pk:
        return HttpResponseRedirect(after(model_admin, job))
    return TemplateResponse(request, "imagesync/job.html", _context(model_admin, request, job))


def _again(model_admin: SyncActions, request: HttpRequest, job: Job) -> HttpResponse:
    here = HttpResponseRedirect(job_address(model_admin, job))
    if job.user_id != request.user.pk:
        text = _("This job is %(user)s's; only they can start it again.") % {"user": job.user or _("nobody")}
        model_admin.message_user(request, text, messages.ERROR)
    elif job.state == Job.State.DONE or _is_alive(job):
        text = _("Job %(job)d is done, or somebody is at it. Nothing was started.") % {"job": job.pk}
        model_admin.message_user(request, text, messages.WARNING)
    elif job.selection.get("changed"):
        return selection.asked_anew(model_admin, request, job)
    elif job.state == Job.State.FAILED and job.kind == Job.Kind.PURGE:
        text = _("A plan is executed once. Select the records again for a new one.")
        model_admin.message_user(request, text, messages.WARNING)
    elif queue(job):
        model_admin.message_user(request, _("Handed to the cluster."), messages.SUCCESS)
    else:
        model_admin.message_user(request, why_no_cluster(), messages.ERROR)
    return here


def _is_alive(job: Job) -> bool:
    """Whether somebody is at it: by its own lease, or by that of the audit or purge it is at."""
    if job.state != Job.State.RUNNING:
        return False
    works: list[Any] = [job, *_audits(job)]
    if job.kind == Job.Kind.PURGE and job.purge is not None:
        works.append(job.purge)
    return any(one.lease_is_alive for one in works)


def _audits(job: Job) -> list[Audit]:
    return list(Audit.objects.filter(pk__in=job.outcome.get("audits", [])).order_by("pk"))


def _context(model_admin: SyncActions, request: HttpRequest, job: Job) -> dict[str, Any]:
    request.current_app = model_admin.admin_site.name  # for the addresses in the templates
    alive = _is_alive(job)
    dead = job.state == Job.State.RUNNING and not alive
    audits = _audits(job)
    done, figures = _progress(job, audits)
    total = job.records
    waits_for_cluster = job.state == Job.State.WAITING and job.queued_at is not None
    cluster = True if job.is_over or alive else cluster_is_running()
    return {
        **model_admin.admin_site.each_context(request),
        "title": _("Job %(job)d: %(kind)s") % {"job": job.pk, "kind": job.get_kind_display()},
        "opts": model_admin.opts,
        "media": model_admin.media,
        "job": job,
        "alive": alive,
        "dead": dead,
        "changed": job.selection.get("changed", False) and job.user_id == request.user.pk,
        "cluster": cluster,
        "why_no_cluster": "" if cluster else why_no_cluster(),
        "refreshes": alive or (waits_for_cluster and cluster),
        "done": min(done, total),
        "percent": min(100, 100 * done // total) if total else 0,
        "figures": figures,
        "filter": selection.described(job.chosen_by),
        "command": f"{COMMAND} {job.pk}",
        "can_restart": job.user_id == request.user.pk
        and not (job.state == Job.State.DONE or alive)
        and not (job.kind == Job.Kind.PURGE and job.state == Job.State.FAILED),
        "reasons": [reason for audit in audits for reason in audit.reasons],
        "audits": [(audit, history_address(model_admin, "audit", audit.pk)) for audit in audits],
        "purge_address": purge_address(model_admin, job.purge) if job.purge else "",
        "anew_address": _anew_address(model_admin, job),
        "changelist": changelist(model_admin),
    }


def _anew_address(model_admin: SyncActions, job: Job) -> str:
    """Of the plan that was made instead of the one that moved."""
    anew = Purge.objects.filter(pk=job.outcome.get("planned_anew")).only("pk").first()
    return purge_address(model_admin, anew) if anew else ""


def _progress(job: Job, audits: list[Audit]) -> tuple[int, list[tuple[str, int]]]:
    """How many records are through, and figures to show."""
    if not is_written(job):
        seen = job.selection.get("seen", 0)
        return 0, [(_("of the selected written down"), seen)] if seen else []
    if job.kind == Job.Kind.PURGE and job.purge is not None:
        purged = job.purge.counts
        shown = [(name, purged[name]) for name in ("deleted", "cleared", "kept") if purged.get(name)]
        if job.state == Job.State.DONE:
            return job.records, shown
        return purged.get("deleted", 0) + purged.get("cleared", 0), shown
    if job.kind == Job.Kind.CLEAR:
        return job.outcome.get("cleared", 0), [(_("marks cleared"), job.outcome.get("cleared", 0))]
    counts: dict[str, int] = {}
    for audit in audits:
        parts = [audit.counts] if audit.complete else audit.ranges.values_list("counts", flat=True)
        for part in parts:
            for name, number in part.items():
                counts[name] = counts.get(name, 0) + number
    shown = [
        (name, number) for name, number in counts.items() if number and name not in ("records", "probed")
    ]
    return counts.get("records", 0), shown
