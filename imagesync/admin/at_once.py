"""A few selected records: done while the browser waits, and told on the list."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from imagesync.admin.addresses import purge_address
from imagesync.audit import carry_out, open_audit
from imagesync.core.verdicts import Verdict
from imagesync.jobs import Rights, clear_and_log, source_to_purge, sources_of
from imagesync.jobs.log import log_looks
from imagesync.jobs.work import STARTED_BY
from imagesync.models import Job
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Target
from imagesync.records.named import FileOwner

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions
    from imagesync.admin.selection import Selection

MOST = 500
"""More than this is not done while a browser waits."""


def do(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> HttpResponse | None:
    """Carry a small selection out. Raises ImageSyncError."""
    if not selection.number:
        model_admin.message_user(request, _("Nothing is selected any more."), messages.WARNING)
        return None
    steps = {Job.Kind.CHECK: _recheck, Job.Kind.MARK: _mark, Job.Kind.CLEAR: _clear, Job.Kind.PLAN: _plan}
    return steps[selection.kind](model_admin, request, selection)


def _recheck(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> None:
    counts = _look(model_admin, request, selection)
    if counts:
        told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        model_admin.message_user(request, _("Looked: %(told)s.") % {"told": told}, messages.SUCCESS)


def _mark(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> None:
    counts = _look(model_admin, request, selection)
    if not counts:
        return
    missing = counts.pop(Verdict.MISSING.value, 0)
    text = ngettext("%d image is marked as missing.", "%d images are marked as missing.", missing) % missing
    model_admin.message_user(request, text, messages.SUCCESS if missing else messages.WARNING)
    if counts:
        told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        model_admin.message_user(
            request, _("Not proven missing, so not marked: %(told)s.") % {"told": told}, messages.WARNING
        )


def _clear(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> None:
    fields = [target.label for target in model_admin.sync_targets()]
    scope = Scope(fields=tuple(fields), ids=_ids(model_admin, selection.rows))
    cleared = 0
    for source in sources_of(fields):
        cleared += sum(clear_and_log(source, scope, request.user.pk))
    text = ngettext("%d mark was cleared.", "%d marks were cleared.", cleared) % cleared
    if cleared:
        text += " " + _("Visitors are handed the file's address again; the next look marks it anew.")
    else:
        text += " " + _("None of the selected was marked as missing.")
    model_admin.message_user(request, text, messages.SUCCESS if cleared else messages.WARNING)


def _plan(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> HttpResponse | None:
    fields = [target.label for target in model_admin.sync_targets()]
    source = source_to_purge(fields)
    if selection.basis is None:
        return None
    purge = make_plan(
        source,
        selection.basis.audit,
        union=selection.basis.union,
        limits=limits_from_settings(),
        scope=Scope(fields=tuple(fields), ids=_ids(model_admin, selection.rows)),
        planned_by=STARTED_BY,
        user=request.user,
        objection=Rights(request, model_admin.admin_site, model_admin.model).objection,
        chosen={"records": selection.number, "by": selection.query if selection.ticked is None else ""},
    )
    return HttpResponseRedirect(purge_address(model_admin, purge))


def _look(model_admin: SyncActions, request: HttpRequest, selection: Selection) -> dict[str, int]:
    """Audit just these records; verdict -> number, or nothing when nothing could be told (then why was said)."""
    scope = Scope(ids=_ids(model_admin, selection.rows))
    targets = model_admin.sync_targets()
    counts: Counter[str] = Counter()
    for source in sources_of([target.label for target in targets]):
        audit = carry_out(open_audit(source, scope, started_by=STARTED_BY, user=request.user), source)
        for reason in audit.reasons:
            model_admin.message_user(request, f"{reason['fact']} {reason['hint']}", messages.WARNING)
        counts.update(audit.counts)
        for target in source.targets:
            log_looks(audit, request.user.pk or 0, _lines(target, selection.rows))
    return {verdict: number for verdict, number in counts.items() if number and verdict != "records"}


def _ids(model_admin: SyncActions, rows: QuerySet[Any]) -> tuple[tuple[str, str], ...]:
    pks = list(rows.order_by("pk").values_list("pk", flat=True))
    labels = sorted({target.model._meta.label for target in model_admin.sync_targets()})
    return tuple((label, str(pk)) for label in labels for pk in pks)


def _lines(target: Target, rows: QuerySet[Any]) -> list[tuple[int, str, str]]:
    owner = FileOwner(target.model, target.field)
    named = rows.order_by("pk").values_list("pk", target.field.attname)
    return [(target.content_type.pk, str(pk), owner.key_of(name or "")) for pk, name in named]
