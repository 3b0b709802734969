"""The actions on selected records, for any ModelAdmin whose model has a file field on S3. A selection may have any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext_lazy as _

from imagesync.admin import confirm, job_page, selection
from imagesync.admin.export import export
from imagesync.models import Job
from imagesync.records import Target
from imagesync.records.targets import targets_of

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:  # it is mixed into ModelAdmins
    _ModelAdmin = object

SYNC_ACTIONS = ("recheck", "mark_missing", "clear_mark", "purge_missing", "export_csv", "export_json")


class SyncActions(_ModelAdmin):
    """To be named before ModelAdmin. Offers nobody an action that they may not take.

    The permissions are those of ``imagesync.Image`` (check, mark, purge), together with the model's own: to view,
    and to delete (or, where a purge only clears the field, to change) each single object.
    """

    def sync_targets(self) -> list[Target]:
        """The file fields that the actions are about."""
        return targets_of(self.model)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        given = (
            {} if action_location is None else {"action_location": action_location}
        )  # Django 6.1 and later
        actions: dict[str, Any] = super().get_actions(request, **given)
        if self.actions is None or IS_POPUP_VAR in request.GET or not self.sync_targets():
            return actions
        for name in SYNC_ACTIONS:
            found = self.get_action(name)
            if found is not None and self._may_take(request, name):
                actions[name] = found
        return actions

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("selection/", view(self.selection_view), name=f"{name}_selection"),
            path("job/<int:job_id>/", view(self.job_view), name=f"{name}_job"),
            path("purge/<int:purge_id>/", view(self.purge_view), name=f"{name}_purge"),
            path("purge/<int:purge_id>/plan.csv", view(self.plan_csv_view), name=f"{name}_plan_csv"),
            *super().get_urls(),
        ]

    def has_check_permission(self, request: HttpRequest) -> bool:
        return self._may_see(request) and request.user.has_perm("imagesync.check_image")

    def has_mark_permission(self, request: HttpRequest) -> bool:
        return self._may_see(request) and request.user.has_perm("imagesync.mark_image")

    def has_purge_permission(self, request: HttpRequest) -> bool:
        """Whether purges are theirs to plan at all; each object is asked about when it is planned, and again."""
        policies = {target.policy for target in self.sync_targets()} - {"report"}
        own = {"delete": self.has_delete_permission, "clear": self.has_change_permission}
        return (
            bool(policies)
            and self._may_see(request)
            and request.user.has_perm("imagesync.purge_image")
            and all(own[policy](request) for policy in policies)
        )

    @admin.action(description=_("Re-check: look at the objects now"), permissions=["check"])
    def recheck(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return selection.begin(self, request, Job.Kind.CHECK, rows)

    @admin.action(description=_("Mark as missing: only what is proven"), permissions=["mark"])
    def mark_missing(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return selection.begin(self, request, Job.Kind.MARK, rows)

    @admin.action(description=_("Clear mark: show it again until the next look"), permissions=["mark"])
    def clear_mark(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return selection.begin(self, request, Job.Kind.CLEAR, rows)

    @admin.action(description=_("Delete where the object is missing…"), permissions=["purge"])
    def purge_missing(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return selection.begin(self, request, Job.Kind.PLAN, rows)

    @admin.action(description=_("Export as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        return export(rows, self.sync_targets(), "csv")

    @admin.action(description=_("Export as JSON"), permissions=["view"])
    def export_json(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        return export(rows, self.sync_targets(), "json")

    def selection_view(self, request: HttpRequest) -> HttpResponse:
        return selection.confirmed(self, request)

    def job_view(self, request: HttpRequest, job_id: int) -> HttpResponse:
        return job_page.show(self, request, job_id)

    def purge_view(self, request: HttpRequest, purge_id: int) -> HttpResponse:
        return confirm.plan_page(self, request, purge_id)

    def plan_csv_view(self, request: HttpRequest, purge_id: int) -> HttpResponseBase:
        return confirm.plan_csv(self, request, purge_id)

    def _may_see(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    def _may_take(self, request: HttpRequest, name: str) -> bool:
        wanted: list[str] = getattr(type(self), name).allowed_permissions
        return all(bool(getattr(self, f"has_{one}_permission")(request)) for one in wanted)
