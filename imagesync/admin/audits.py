"""Audits: the list under a dashboard of their store."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.admin.audit_page import AuditPages
from imagesync.admin.audit_scope import CHECK, with_storage
from imagesync.admin.dashboard import LARGE, STANDINGS, dashboard, money, took
from imagesync.admin.read_only import ReadOnlyAdmin, figures, who
from imagesync.core.trust import BELIEVED
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit


@admin.register(Audit)
class AuditAdmin(AuditPages, ReadOnlyAdmin):
    list_display = (
        "__str__",
        "shown_state",
        "shown_trust",
        "shown_counts",
        "change_of_missing",
        "started_at",
        "duration",
        "cost",
        "started_by_whom",
    )
    list_filter = ("trust", "state", "full_scope")
    list_select_related = ("user",)
    list_per_page = 50
    show_full_result_count = False
    change_list_template = "imagesync/audit_list.html"

    class Media:
        css = {"all": ("imagesync/admin.css", "imagesync/audits.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Audit]:
        """With what the believed audit of everything before each of them had counted."""
        before = Audit.objects.filter(
            fingerprint=OuterRef("fingerprint"),
            state=Audit.State.FINISHED,
            full_scope=True,
            trust__in=BELIEVED,
            pk__lt=OuterRef("pk"),
        )
        audits: QuerySet[Audit] = super().get_queryset(request).defer(*LARGE)
        return audits.annotate(counts_before=Subquery(before.order_by("-pk").values("counts")[:1]))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = dashboard(request.GET.get("fingerprint__exact", "")) if self._is_shown(request) else None
        # of several stores, the one that is shown is audited
        storage = found.store.alias if found and found.store and found.others else ""
        extra = {
            **(extra_context or {}),
            "dashboard": found,
            "standing": STANDINGS[found.standing] if found else "",
            "run_address": reverse("admin:imagesync_audit_run"),
            "run_label": _("Run an audit now"),
            "run_storage": storage,
            "run_command": with_storage(CHECK, storage),
            **self.starting_context(request),
        }
        return super().changelist_view(request, extra)

    def _is_shown(self, request: HttpRequest) -> bool:
        return request.method == "GET" and self.has_view_or_change_permission(request)

    @admin.display(description=_("state"), ordering="state")
    def shown_state(self, audit: Audit) -> str:
        if audit.is_dead:
            return str(Audit.State.INTERRUPTED.label)
        return audit.get_state_display()

    @admin.display(description=_("trust"), ordering="trust")
    def shown_trust(self, audit: Audit) -> SafeString | str:
        if not audit.trust:
            return ""
        return format_html('<span class="imagesync-trust imagesync-{0}">{0}</span>', audit.trust)

    @admin.display(description=_("records"))
    def shown_counts(self, audit: Audit) -> str:
        return figures(audit.counts)

    @admin.display(description=_("change of missing"))
    def change_of_missing(self, audit: Audit) -> str:
        before: dict[str, int] | None = getattr(audit, "counts_before", None)
        if not audit.full_scope or audit.trust not in BELIEVED or before is None:
            return ""
        return f"{audit.counts.get(Verdict.MISSING, 0) - before.get(Verdict.MISSING, 0):+,}"

    @admin.display(description=_("took"))
    def duration(self, audit: Audit) -> str:
        return took(audit)

    @admin.display(description=_("cost"))
    def cost(self, audit: Audit) -> str:
        return money(audit.requests) if audit.requests else ""

    @admin.display(description=_("started by"))
    def started_by_whom(self, audit: Audit) -> str:
        return who(audit)
