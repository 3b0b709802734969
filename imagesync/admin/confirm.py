"""The page of a stored plan: what goes, what stays and why. What is executed is this plan, by whoever made it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from imagesync.admin import at_once, jobs, selection
from imagesync.admin.addresses import (
    changelist,
    history_address,
    job_address,
    plan_csv_address,
    purge_address,
)
from imagesync.admin.tokens import BadToken, read, signed
from imagesync.core.rails import RAILS
from imagesync.exceptions import AlreadyRunning, ImageSyncError, PurgeRefused
from imagesync.jobs import Rights, source_to_purge
from imagesync.jobs.log import log_purge
from imagesync.jobs.work import STARTED_BY
from imagesync.models import Job, Purge
from imagesync.placeholders import Placeholder
from imagesync.purge.execute import execute_plan
from imagesync.purge.moved import aged, basis_anew, changed_records, planned_anew, refuse_moved
from imagesync.purge.summary import plan_entries, told_summary
from imagesync.records import Source
from imagesync.reports import printable
from imagesync.reports.purges import purge_csv

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions

PURPOSE = "plan"


class _No(Exception):
    """Why a plan is not executed, told on its page; nothing was done."""

    def __init__(self, why: str, *, status: int = 200) -> None:
        super().__init__(why)
        self.status = status


def plan_page(model_admin: SyncActions, request: HttpRequest, purge_id: int) -> HttpResponse:
    """Show a stored plan; execute it when its planner types the number of its records."""
    purge = _shown(model_admin, request, purge_id)
    if request.method != "POST":
        return _page(model_admin, request, purge)
    try:
        _check_form(request, purge)
        fields = [target.label for target in model_admin.sync_targets()]
        source = source_to_purge(fields)
        if purge.counts["planned"] > at_once.MOST and not aged(purge):
            return _handed_over(model_admin, request, purge)  # the job asks what is asked below
        denied = Rights(request, model_admin.admin_site, model_admin.model).denied(purge, source)
        if denied:
            raise _No(_("Nothing was deleted. %(why)s.") % {"why": denied}, status=403)
        moved = _what_moved(purge, source)
        if moved:
            return _planned_anew(model_admin, request, purge, source, moved)
        return _executed(model_admin, request, purge, source)
    except _No as no:
        return _page(model_admin, request, purge, str(no), status=no.status)
    except ImageSyncError as error:
        return _page(model_admin, request, purge, str(error))


def plan_csv(model_admin: SyncActions, request: HttpRequest, purge_id: int) -> StreamingHttpResponse:
    """The whole plan, line by line, sent while it is read."""
    purge = _shown(model_admin, request, purge_id)
    lines = purge_csv(
        {
            "purge": purge.pk,
            "delete": plan_entries(purge, "delete"),
            "keep": plan_entries(purge, "keep"),
        }
    )
    headers = {"Content-Disposition": f'attachment; filename="purge-{purge.pk}-plan.csv"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _shown(model_admin: SyncActions, request: HttpRequest, purge_id: int) -> Purge:
    if not model_admin.has_purge_permission(request):
        raise PermissionDenied
    # the plan may name a million records, and no page shows them
    purge = Purge.objects.filter(pk=purge_id).defer("plan").select_related("audit", "user").first()
    if purge is None or not _is_about(purge, model_admin):
        raise Http404
    return purge


def _is_about(purge: Purge, model_admin: SyncActions) -> bool:
    """A plan of other models is shown by their own admin, which knows who may see them."""
    own = {target.model._meta.label for target in model_admin.sync_targets()}
    return own.issuperset(told_summary(purge)["models"])


def _check_form(request: HttpRequest, purge: Purge) -> None:
    """Raises _No, unless the planner of a plan that can be executed has confirmed it just now."""
    planned = purge.counts.get("planned", 0)
    if purge.user_id != request.user.pk:
        raise _No(_not_yours(purge), status=403)
    if Job.objects.filter(kind=Job.Kind.PURGE, purge=purge).exists() or purge.started_at is not None:
        raise _No(
            _("This plan was confirmed already; a plan is executed once. Nothing was done a second time.")
        )
    if purge.state != Purge.State.PLANNED or not planned:
        raise _No(_("This plan cannot be executed any more."))
    try:
        token = read(request, PURPOSE, request.POST.get("token", ""))
    except BadToken as bad:
        raise _No(str(bad)) from bad
    if (token.get("purge"), token.get("number")) != (purge.pk, planned):
        raise _No(_("This confirmation was made for another plan, so nothing was done."))
    if request.POST.get("number", "").strip().replace(",", "") != str(planned):
        raise _No(_("The number typed is not the number of records. Nothing was deleted."))


def _not_yours(purge: Purge) -> str:
    planner = purge.user.get_username() if purge.user else _("nobody who is known here")
    return _(
        "This plan was made by %(planner)s, and only they can execute it. Nothing was done. "
        "Select the records in the list to make a plan of your own."
    ) % {"planner": printable(planner)}


def _what_moved(purge: Purge, source: Source) -> str:
    old = aged(purge)
    if old:
        return old
    changed = changed_records(purge, source)
    if not changed:
        return ""
    return _("%(number)s of its records were changed or deleted since the plan was made.") % {
        "number": f"{changed:,}"
    }


def _planned_anew(
    model_admin: SyncActions, request: HttpRequest, purge: Purge, source: Source, moved: str
) -> HttpResponse:
    """Back to confirmation, with a plan of now."""
    audit = basis_anew(source, moved).audit
    text = _("%(moved)s Nothing was deleted; here is the plan as it is now. Please look and confirm again.")
    model_admin.message_user(request, text % {"moved": moved}, messages.WARNING)
    planning = Job.objects.filter(kind=Job.Kind.PLAN, purge=purge).first()
    if planning is not None:
        refuse_moved(purge, moved)
        Job.objects.filter(pk=planning.pk).update(state=Job.State.WAITING, purge=None, audit=audit)
        planning.refresh_from_db()
        return jobs.hand_over(model_admin, request, planning)
    fresh = planned_anew(
        purge,
        source,
        moved,
        planned_by=STARTED_BY,
        user=request.user,
        objection=Rights(request, model_admin.admin_site, model_admin.model).objection,
    )
    return HttpResponseRedirect(purge_address(model_admin, fresh))


def _handed_over(model_admin: SyncActions, request: HttpRequest, purge: Purge) -> HttpResponse:
    try:
        job = jobs.start_purge(model_admin, request, purge, secrets.token_hex(16))
    except IntegrityError:  # the same form, sent twice at the same moment
        text = _("This plan was confirmed already. Nothing was done a second time.")
        model_admin.message_user(request, text, messages.WARNING)
        job = Job.objects.get(kind=Job.Kind.PURGE, purge=purge)
        return HttpResponseRedirect(job_address(model_admin, job))
    return jobs.hand_over(model_admin, request, job)


def _executed(model_admin: SyncActions, request: HttpRequest, purge: Purge, source: Source) -> HttpResponse:
    """While the browser waits: the plan is small."""
    try:
        execute_plan(purge, source)
    except AlreadyRunning as running:  # the same form, sent twice at the same moment
        text = _("%(why)s Nothing was done a second time.") % {"why": running}
        model_admin.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(purge_address(model_admin, purge))
    except PurgeRefused as refused:
        log_purge(purge, request.user.pk or 0)  # what had gone before the store was no longer fit
        model_admin.message_user(request, f"{refused.fact} {refused.hint}", messages.ERROR)
    else:
        log_purge(purge, request.user.pk or 0)
    purge.refresh_from_db()
    counts = purge.counts
    done = [_("%d deleted") % counts["deleted"]] if counts["deleted"] or not counts["cleared"] else []
    done += [_("%d cleared") % counts["cleared"]] if counts["cleared"] else []
    text = _("%(done)s, %(kept)d kept.") % {"done": ", ".join(done), "kept": counts["kept"]}
    if counts["deleted"] or counts["cleared"]:
        text += " " + _("Undo: manage.py restore_purged %d") % purge.pk
    model_admin.message_user(
        request, text, messages.SUCCESS if purge.state == Purge.State.DONE else messages.WARNING
    )
    return HttpResponseRedirect(changelist(model_admin))


def _slices(purge: Purge) -> dict[str, Any]:
    """Of a plan that rests on slices: how many they are, and when the stalest was looked at."""
    told = purge.limits.get("slices")
    return {**told, "oldest_at": datetime.fromisoformat(told["oldest_at"])} if told else {}


def _page(
    model_admin: SyncActions, request: HttpRequest, purge: Purge, error: str = "", status: int = 200
) -> TemplateResponse:
    request.current_app = model_admin.admin_site.name  # for the addresses in the templates
    told = told_summary(purge)
    planned = purge.counts.get("planned", 0)
    job = Job.objects.filter(kind=Job.Kind.PURGE, purge=purge).first()
    is_planners = purge.user_id == request.user.pk
    executable = is_planners and purge.state == Purge.State.PLANNED and planned > 0 and job is None
    chosen = purge.limits.get("chosen", {})

    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Delete images whose object is missing"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "purge": purge,
        "audit": purge.audit,
        "slices": _slices(purge),
        "audit_address": history_address(model_admin, "audit", purge.audit_id) if purge.audit_id else "",
        "purge_history": history_address(model_admin, "purge", purge.pk),
        "job": job,
        "job_address": job_address(model_admin, job) if job else "",
        "dead": purge.state == Purge.State.RUNNING and not purge.lease_is_alive,
        "planned": planned,
        "clears": told["clear"],
        "chosen": chosen,
        "not_missing": max(0, chosen.get("records", 0) - told["delete"] - told["keep"]),
        "filter": selection.described(chosen.get("by", "")),
        "sample": [
            {**entry, "key": printable(entry["key"]), "cascades": sorted(entry["cascades"].items())}
            for entry in told["first"]
        ],
        "placeholder": Placeholder.MISSING,
        "more": told["delete"] - len(told["first"]),
        "kept": [(printable(why), number) for why, number in told["why"]],
        "kept_number": told["keep"],
        "cascades": sorted(told["cascades"].items()),
        "receivers": [printable(one) for one in told["receivers"]],
        "refused": purge.refused,
        "rail": RAILS.get((purge.refused or {}).get("id", ""), ""),
        "executable": executable,
        "not_yours": "" if is_planners else _not_yours(purge),
        "error": error,
        "csv_address": plan_csv_address(model_admin, purge),
        "changelist": changelist(model_admin),
        "token": signed(request, PURPOSE, {"purge": purge.pk, "number": planned}) if executable else "",
        "large": planned > at_once.MOST,
    }
    return TemplateResponse(request, "imagesync/confirm_purge.html", context, status=status)
