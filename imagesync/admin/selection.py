"""From the list to the work: at once when few records are selected; else the selection is confirmed first.

A confirmation carries the list's filter, how many records it had and the audit that a plan would rest on, signed; never
the records themselves, unless each of them was ticked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from imagesync.admin import at_once, jobs
from imagesync.admin.addresses import changelist, job_address, selection_address
from imagesync.admin.tokens import BadToken, read, signed
from imagesync.cluster import cluster_is_running, why_no_cluster
from imagesync.conf import app_settings
from imagesync.exceptions import ImageSyncError, SelectionChanged
from imagesync.jobs import PERMISSIONS, rows_as_listed, source_to_purge, write_down
from imagesync.models import Audit, Job
from imagesync.purge.basis import Basis, fresh_basis
from imagesync.records.selected import Counted, counted
from imagesync.records.stream import base_rows
from imagesync.reports import printable

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions

WRITTEN_AT_ONCE = 10_000
"""More than this is not written down while a browser waits: the job does it."""
PURPOSE = "selection"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What somebody selected, and for what."""

    kind: Job.Kind
    rows: QuerySet[Any]
    query: str
    """The list's filter, as its address had it."""
    ticked: list[str] | None
    """The primary keys, when single rows were ticked; None for everything that the filter finds."""
    found: Counted
    at: datetime
    """When it was found: days that a filter counts are days before that."""
    basis: Basis | None = None
    """What a plan would rest on."""

    @property
    def audit(self) -> Audit | None:
        """Of slices, the newest one's."""
        return self.basis.audit if self.basis else None

    @property
    def number(self) -> int:
        return self.found.number


def may(model_admin: SyncActions, request: HttpRequest, kind: str) -> bool:
    ask: Callable[[HttpRequest], bool] = getattr(model_admin, f"has_{PERMISSIONS[Job.Kind(kind)]}_permission")
    return ask(request)


def begin(
    model_admin: SyncActions, request: HttpRequest, kind: Job.Kind, rows: QuerySet[Any]
) -> HttpResponse | None:
    """What an action does first: all of it for few records, a page that asks for confirmation for many."""
    if not may(model_admin, request, kind):
        raise PermissionDenied
    across = request.POST.get("select_across") not in (None, "", "0")
    ticked = None if across else [str(pk) for pk in rows.order_by().values_list("pk", flat=True)]
    try:
        basis = _basis_for(model_admin, request, kind)
        if basis is None and kind == Job.Kind.PLAN:
            return None
        selection = Selection(
            kind=kind,
            rows=rows,
            query=request.META.get("QUERY_STRING", ""),
            ticked=ticked,
            found=counted(rows),
            at=timezone.now(),
            basis=basis,
        )
        if selection.number <= at_once.MOST:
            return at_once.do(model_admin, request, selection)
    except ImageSyncError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return None
    return _asked(model_admin, request, selection)


def confirmed(model_admin: SyncActions, request: HttpRequest) -> HttpResponse:
    """The second click: the same selection still, or back to the confirmation."""
    back = HttpResponseRedirect(changelist(model_admin))
    if request.method != "POST":
        return back
    try:
        token = read(request, PURPOSE, request.POST.get("token", ""))
        if token["model"] != model_admin.opts.label:
            raise BadToken(_("This confirmation is about other records, so nothing was done."))
        kind = Job.Kind(token["kind"])
        if not may(model_admin, request, kind):
            raise PermissionDenied
        again = Job.objects.filter(nonce=token["nonce"]).first()
        if again is not None:
            return _already(model_admin, request, again)
        selection = _selected_now(model_admin, request, token)
        if selection is None:
            return back
    except BadToken as bad:
        model_admin.message_user(request, str(bad), messages.ERROR)
        return back
    except ImageSyncError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return back
    moved = _what_moved(selection, token)
    if moved:
        return _asked(model_admin, request, selection, moved)
    try:
        job = _write_down(model_admin, request, selection, token["nonce"])
    except IntegrityError:  # the same form, sent twice at the same moment
        return _already(model_admin, request, Job.objects.get(nonce=token["nonce"]))
    except SelectionChanged as changed:
        return _asked(
            model_admin, request, _selected_now(model_admin, request, token) or selection, str(changed)
        )
    return jobs.hand_over(model_admin, request, job)


def asked_anew(model_admin: SyncActions, request: HttpRequest, job: Job) -> HttpResponse:
    """Back to the confirmation, of a job whose selection was another one by the time it was written down."""
    back = HttpResponseRedirect(changelist(model_admin))
    try:
        selection = _selected_now(model_admin, request, {"kind": job.kind, "query": job.chosen_by})
    except ImageSyncError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return back
    return back if selection is None else _asked(model_admin, request, selection, job.failure)


def _basis_for(model_admin: SyncActions, request: HttpRequest, kind: Job.Kind) -> Basis | None:
    """What a plan would rest on; when there is nothing, that was said."""
    if kind != Job.Kind.PLAN:
        return None
    source = source_to_purge([target.label for target in model_admin.sync_targets()])
    basis = fresh_basis(source)
    if basis is not None:
        return basis
    text = _(
        "There is no fresh, believable audit of the whole store to rest a purge on. Run check_s3_images."
    )
    if app_settings().freshness is not None:
        text += " " + _(
            "The slices of FRESHNESS are not all looked at and believed, so they do not do either."
        )
    model_admin.message_user(request, text, messages.ERROR)
    return None


def _asked(
    model_admin: SyncActions, request: HttpRequest, selection: Selection, moved: str = ""
) -> TemplateResponse:
    values = {
        "model": model_admin.opts.label,
        "kind": str(selection.kind),
        "query": selection.query,
        "number": selection.number,
        "sum": selection.found.sum,
        "audit": selection.audit.pk if selection.audit else 0,
        "nonce": secrets.token_hex(16),
    }
    if selection.ticked is not None:
        values["ticked"] = selection.ticked
    request.current_app = model_admin.admin_site.name  # for the addresses in the templates
    cluster = cluster_is_running()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": selection.kind.label.capitalize(),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "kind": str(selection.kind),
        "number": selection.number,
        "audit": selection.audit,
        "slices": len(selection.basis.union.slices) if selection.basis and selection.basis.union else 0,
        "filter": described(selection.query) if selection.ticked is None else [],
        "is_ticked": selection.ticked is not None,
        "moved": moved,
        "cluster": cluster,
        "why_no_cluster": "" if cluster else why_no_cluster(),
        "address": selection_address(model_admin),
        "back": f"{changelist(model_admin)}?{selection.query}",
        "token": signed(request, PURPOSE, values),
    }
    return TemplateResponse(request, "imagesync/confirm_selection.html", context)


def described(query: str) -> list[tuple[str, str]]:
    """A list's filter for people: name and value of what narrows it."""
    return [
        (printable(name), printable(value)) for name, values in QueryDict(query).lists() for value in values
    ]


def _selected_now(model_admin: SyncActions, request: HttpRequest, token: dict[str, Any]) -> Selection | None:
    kind = Job.Kind(token["kind"])
    basis = _basis_for(model_admin, request, kind)
    if basis is None and kind == Job.Kind.PLAN:
        return None
    at, query, ticked = timezone.now(), token["query"], token.get("ticked")
    rows = rows_as_listed(model_admin, request, query, as_of=at)
    if ticked is not None:
        rows = rows.filter(pk__in=ticked)
    return Selection(
        kind=kind, rows=rows, query=query, ticked=ticked, found=counted(rows), at=at, basis=basis
    )


def _what_moved(selection: Selection, token: dict[str, Any]) -> str:
    if selection.number != token["number"]:
        return _(
            "The selection has changed: it had %(before)s records when you looked, it has %(now)s now. "
            "Nothing was done. Please look again and confirm."
        ) % {"before": f"{token['number']:,}", "now": f"{selection.number:,}"}
    if selection.found.sum != token.get("sum"):
        return _(
            "The selection has changed: it has as many records as when you looked, and not the same ones. "
            "Nothing was done. Please look again and confirm."
        )
    if selection.audit is not None and selection.audit.pk != token["audit"]:
        return _(
            "Another audit has finished meanwhile (%(now)s instead of %(before)s). Nothing was done. "
            "Please look again and confirm."
        ) % {"before": token["audit"], "now": selection.audit.pk}
    return ""


def _write_down(model_admin: SyncActions, request: HttpRequest, selection: Selection, nonce: str) -> Job:
    is_whole = _is_whole(selection)
    with transaction.atomic():
        job = jobs.new_job(
            model_admin,
            request,
            nonce,
            kind=selection.kind,
            chosen_by=selection.query,
            records=selection.number,
            selection={"whole": True} if is_whole else {"sum": selection.found.sum},
            audit=selection.audit,
            created_at=selection.at,
        )
        if not is_whole and selection.number <= WRITTEN_AT_ONCE:
            write_down(job, selection.rows, lambda seen: None)
    return job


def _is_whole(selection: Selection) -> bool:
    """Whether it is every row there is, so that a million records need not be written down one by one.

    Only for a look: what comes to the table meanwhile may be looked at, too.
    """
    if selection.ticked is not None or selection.kind not in (Job.Kind.CHECK, Job.Kind.MARK):
        return False
    # of a child in a table of its own, the fields' records are the parent's: there are more of those
    return (
        not selection.rows.model._meta.parents and selection.number == base_rows(selection.rows.model).count()
    )


def _already(model_admin: SyncActions, request: HttpRequest, job: Job) -> HttpResponse:
    text = _("This was confirmed already, as job %(job)d. Nothing was done a second time.")
    model_admin.message_user(request, text % {"job": job.pk}, messages.WARNING)
    return HttpResponseRedirect(job_address(model_admin, job))
