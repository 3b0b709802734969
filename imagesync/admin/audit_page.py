"""The page of one audit, what can be started from it, and its findings as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from imagesync.admin.audit_scope import CHECK, command_of, scope_lines, with_storage
from imagesync.admin.background import audit_again, audit_stores, log, now, queue, resume
from imagesync.admin.dashboard import is_dead, money, percent_done, took
from imagesync.admin.finding_pages import FindingFilter, filtered_findings, findings_page
from imagesync.admin.read_only import short_key, shown_verdict, who
from imagesync.audit import audit_document, cancel_audit, finding_rows, pause_audit
from imagesync.cluster import cluster_is_running, why_no_cluster
from imagesync.exceptions import InvalidRequest
from imagesync.models import Audit
from imagesync.reports import audit_pieces, printable
from imagesync.reports.audits import PROMISES
from imagesync.reports.failed_reads import failed_read_lines
from imagesync.reports.lines import estimate_lines, evidence_line, where_line

EXPORTS = {"csv": "text/csv", "json": "application/json"}


class AuditPages(admin.ModelAdmin):
    """What AuditAdmin has beside its list."""

    def get_urls(self) -> list[Any]:
        def page(address: str, view: Any, name: str) -> Any:
            return path(address, self.admin_site.admin_view(view), name=f"imagesync_audit_{name}")

        return [
            page("run/", require_POST(self.run_now), "run"),
            page("<int:audit>/again/", require_POST(self.run_again), "again"),
            page("<int:audit>/resume/", require_POST(self.resume), "resume"),
            page("<int:audit>/pause/", require_POST(self.pause), "pause"),
            page("<int:audit>/cancel/", require_POST(self.cancel), "cancel"),
            page("<int:audit>/findings.<str:format>", self.export, "export"),
            *super().get_urls(),
        ]

    def has_check_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.check_image")

    def starting_context(self, request: HttpRequest) -> dict[str, Any]:
        """Whether somebody may start audits, and if so whether there is who carries them out."""
        may_check = self.has_check_permission(request)
        has_cluster = may_check and cluster_is_running()
        return {
            "may_check": may_check,
            "has_cluster": has_cluster,
            "why_no_cluster": "" if has_cluster or not may_check else why_no_cluster(),
            "check_command": CHECK,
        }

    def run_now(self, request: HttpRequest) -> HttpResponse:
        self._demand_check(request)
        storage = request.POST.get("storage", "")
        started = self._start(
            request, with_storage(CHECK, storage), audit_stores, storage, str(request.user.pk), now()
        )
        if started:
            self.message_user(
                request, _("An audit is queued. It is listed here once it has begun."), messages.SUCCESS
            )
        return HttpResponseRedirect(reverse("admin:imagesync_audit_changelist"))

    def run_again(self, request: HttpRequest, audit: int) -> HttpResponse:
        self._demand_check(request)
        earlier = self._audit(request, audit)
        if self._start(request, command_of(earlier), audit_again, audit, str(request.user.pk), now()):
            text = _("An audit of the same records is queued. It is listed here once it has begun.")
            self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:imagesync_audit_changelist"))
        return self._back_to(audit)

    def resume(self, request: HttpRequest, audit: int) -> HttpResponse:
        self._demand_check(request)
        interrupted = self._audit(request, audit)
        if not can_be_resumed(interrupted):
            text = _("Audit %(audit)d is not interrupted, so there is nothing to resume.")
            self.message_user(request, text % {"audit": audit}, messages.WARNING)
        elif self._start(request, f"{CHECK} --resume {audit}", resume, audit, str(request.user.pk)):
            self.message_user(
                request,
                _("Queued: the audit goes on where it stopped. Reload to see how far."),
                messages.SUCCESS,
            )
        return self._back_to(audit)

    def pause(self, request: HttpRequest, audit: int) -> HttpResponse:
        return self._stop(request, audit, pause_audit, "Paused.", _("Audit %(audit)d is paused."))

    def cancel(self, request: HttpRequest, audit: int) -> HttpResponse:
        told = _("Audit %(audit)d is cancelled. Nothing that it found counts.")
        return self._stop(request, audit, cancel_audit, "Cancelled.", told)

    def export(self, request: HttpRequest, audit: int, format: str) -> HttpResponse | StreamingHttpResponse:
        """The findings, all or filtered, exactly as ``check_s3_images`` writes them."""
        found, wanted = self._audit(request, audit), FindingFilter(request.GET)
        if format not in EXPORTS or not wanted.is_valid():
            raise Http404
        document = {**audit_document(found), **({"filter": wanted.chosen} if wanted.chosen else {})}
        rows = finding_rows(found, filtered_findings(found, wanted))
        return StreamingHttpResponse(
            audit_pieces(format, [(document, rows)]),
            content_type=f"{EXPORTS[format]}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="audit-{audit}-findings.{format}"'},
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        audit = self._audit(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            "title": str(audit),
            "opts": self.model._meta,
            "media": self.media,
            **audit_context(audit, request),
            **self.starting_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "imagesync/audit_page.html", context)

    def _start(self, request: HttpRequest, command: str, function: Any, *arguments: Any) -> bool:
        """Hand work to the cluster; without one, say so and what to type instead."""
        if cluster_is_running():
            queue(function, *arguments)
            return True
        told = [_("Nothing was started."), why_no_cluster()]
        if command:
            told.append(_("Or on the command line: %(command)s") % {"command": command})
        self.message_user(request, " ".join(told), messages.WARNING)
        return False

    def _stop(
        self, request: HttpRequest, pk: int, stop: Callable[[Audit], None], change: str, told: str
    ) -> HttpResponse:
        """At once, whichever processes are at it; no cluster is needed."""
        self._demand_check(request)
        audit = self._audit(request, pk)
        try:
            stop(audit)
        except InvalidRequest as over:
            self.message_user(request, str(over), messages.WARNING)
        else:
            log(str(request.user.pk), audit, CHANGE, change)
            self.message_user(request, told % {"audit": pk}, messages.SUCCESS)
        return self._back_to(pk)

    def _demand_check(self, request: HttpRequest) -> None:
        if not (self.has_check_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied

    def _audit(self, request: HttpRequest, pk: int) -> Audit:
        if not self.has_view_permission(request):
            raise PermissionDenied
        audit: Audit | None = (
            self.get_queryset(request).defer(None).select_related("user").filter(pk=pk).first()
        )
        if audit is None:
            raise Http404
        return audit

    def _back_to(self, audit: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:imagesync_audit_change", args=[audit]))


def audit_context(audit: Audit, request: HttpRequest) -> dict[str, Any]:
    """Everything that the page shows of an audit."""
    document = audit_document(audit)
    wanted = FindingFilter(request.GET)
    after = request.GET.get("after", "")
    page = findings_page(audit, wanted, _pk(after)) if wanted.is_valid() else None
    query = urlencode(wanted.chosen) if wanted.is_valid() else ""
    records = audit.counts.get("records", 0)
    return {
        "audit": audit,
        "where": where_line(document["store"]),
        "endpoint": printable(audit.endpoint),
        "who": who(audit),
        "state": _("interrupted") if is_dead(audit) else audit.get_state_display(),
        "is_dead": is_dead(audit),
        "can_be_resumed": can_be_resumed(audit),
        "is_running": audit.state == Audit.State.RUNNING and not is_dead(audit),
        "can_be_cancelled": audit.state not in (Audit.State.FINISHED, Audit.State.CANCELLED),
        "progress": "" if audit.complete else progress_line(document["progress"]),
        "percent": None if audit.complete else percent_done(audit),
        "took": took(audit),
        "scope": scope_lines(audit),
        "counts": [
            (
                shown_verdict(verdict),
                audit.counts[verdict],
                f"{100 * audit.counts[verdict] / records:.2f} %",
                promise,
            )
            for verdict, promise in PROMISES.items()
            if audit.counts.get(verdict)
        ],
        "reasons": [
            {"id": one["id"], "fact": printable(one["fact"]), "hint": printable(one["hint"])}
            for one in audit.reasons
        ],
        "requests": [(kind, number) for kind, number in sorted(document["requests"].items()) if number],
        "cost": money(document["requests"]),
        "estimate": list(estimate_lines(document["estimate"])),
        "failed_reads": list(failed_read_lines(audit.failed_reads)),
        "cleanup": document["cleanup"],
        "form": wanted,
        "rows": [
            {
                "finding": finding,
                "record": finding.record_label,
                "verdict": shown_verdict(finding.verdict),
                "key": short_key(finding.key),
                "because": evidence_line(finding.last_evidence, brief=True),
                "reason": printable(finding.reason),
            }
            for finding in (page.rows if page else ())
        ],
        "query": query,
        "next": urlencode({**wanted.chosen, "after": str(page.after)}) if page and page.after else "",
        "is_first": not after,
        "resume_command": f"{CHECK} --resume {audit.pk}",
        "again_command": command_of(audit),
    }


def can_be_resumed(audit: Audit) -> bool:
    return audit.state == Audit.State.PAUSED or is_dead(audit)


def progress_line(progress: Mapping[str, Any]) -> str:
    """What ``check_s3_images`` tells while it waits, in words."""
    parts = [_("%(records)s records judged") % {"records": f"{progress['records']:,}"}]
    if progress["expected_records"] is not None:
        parts[0] = _("%(records)s of about %(expected)s records judged") % {
            "records": f"{progress['records']:,}",
            "expected": f"{progress['expected_records']:,}",
        }
    if progress["workers"]:
        workers = progress["workers"]
        parts.append(ngettext("%d worker", "%d workers", workers) % workers)
    if progress["per_second"]:
        parts.append(_("%(rate)s a second") % {"rate": f"{progress['per_second']:,.0f}"})
    if progress["seconds_left"] is not None:
        minutes, seconds = divmod(progress["seconds_left"], 60)
        parts.append(_("about %(minutes)d min %(seconds)d s left") % {"minutes": minutes, "seconds": seconds})
    return ", ".join(parts)


def _pk(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None
