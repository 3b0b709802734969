"""Images: the list with its actions, and the page that confirms a purge."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from imagesync.admin.image_list import ImageList
from imagesync.admin.image_page import ImagePage
from imagesync.audit import carry_out, open_audit
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import ImageSyncError, PurgeRefused, UploadNotVerified
from imagesync.models import Image, Purge
from imagesync.purge.document import purge_document
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import is_fresh, latest_audit, limits_from_settings, make_plan
from imagesync.records import Scope, Source, find_sources
from imagesync.records.targets import OWN_FIELD
from imagesync.reports import printable

AT_ONCE = 500
"""More than this is not looked at while a browser waits."""
SAMPLE = 20


@admin.register(Image)
class ImageAdmin(ImagePage, ImageList):
    raw_id_fields = ("owner",)
    readonly_fields = (
        "verdict",
        "verdict_at",
        "missing_since",
        "size_bytes",
        "etag",
        "width",
        "height",
        "store",
    )
    actions = ("recheck", "mark_missing", "purge_missing")

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        given = (
            {} if action_location is None else {"action_location": action_location}
        )  # Django 6.1 and later
        actions: dict[str, Any] = super().get_actions(request, **given)
        actions.pop("delete_selected", None)  # it knows neither rails nor undo
        return actions

    def get_urls(self) -> list[Any]:
        confirm = self.admin_site.admin_view(self.confirm_purge)
        return [path("purge/<int:purge_id>/", confirm, name="imagesync_image_purge"), *super().get_urls()]

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """An upload that could not be verified is told on the form; nothing of it was written."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except UploadNotVerified as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def has_check_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.check_image")

    def has_mark_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.mark_image")

    def has_purge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.purge_image") and self.has_delete_permission(request)

    @admin.action(description=_("Re-check: look at the objects now"), permissions=["check"])
    def recheck(self, request: HttpRequest, images: QuerySet[Image]) -> None:
        counts = self._look(request, images)
        if counts:
            told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
            self.message_user(request, _("Looked: %(told)s.") % {"told": told}, messages.SUCCESS)

    @admin.action(description=_("Mark as missing: only what is proven"), permissions=["mark"])
    def mark_missing(self, request: HttpRequest, images: QuerySet[Image]) -> None:
        counts = self._look(request, images)
        if not counts:
            return
        missing = counts.pop(Verdict.MISSING, 0)
        text = (
            ngettext("%d image is marked as missing.", "%d images are marked as missing.", missing) % missing
        )
        self.message_user(request, text, messages.SUCCESS if missing else messages.WARNING)
        if counts:
            told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
            self.message_user(request, _("Not proven missing, so not marked: %(told)s.") % {"told": told})

    @admin.action(description=_("Delete where the object is missing…"), permissions=["purge"])
    def purge_missing(self, request: HttpRequest, images: QuerySet[Image]) -> HttpResponse | None:
        ids = self._ids(request, images)
        source = self._source(request) if ids else None
        if not ids or source is None:
            return None
        audit = latest_audit(source)
        if audit is None or not is_fresh(audit):
            self.message_user(
                request,
                _(
                    "There is no fresh, believable audit of the whole store to rest a purge on. Run check_s3_images."
                ),
                messages.ERROR,
            )
            return None
        purge = make_plan(
            source,
            audit,
            limits=limits_from_settings(),
            scope=Scope(ids=ids),
            planned_by="admin",
            user=request.user,
        )
        return HttpResponseRedirect(reverse("admin:imagesync_image_purge", args=[purge.pk]))

    def confirm_purge(self, request: HttpRequest, purge_id: int) -> HttpResponse:
        """Show a stored plan; execute it when the number of its records is typed."""
        if not self.has_purge_permission(request):
            raise PermissionDenied
        purge = Purge.objects.filter(pk=purge_id, user=request.user.pk).select_related("audit").first()
        if purge is None:
            raise Http404
        error: Any = ""
        if request.method == "POST":
            planned = purge.counts["planned"]
            if purge.state != Purge.State.PLANNED or not planned:
                error = _("This plan cannot be executed any more.")
            elif request.POST.get("number", "").strip() != str(planned):
                error = _("The number typed is not the number of records. Nothing was deleted.")
            else:
                return self._execute(request, purge)
        return self._plan_page(request, purge, error)

    def _execute(self, request: HttpRequest, purge: Purge) -> HttpResponse:
        if not self._may_delete_each(request, purge):
            raise PermissionDenied
        source = self._source(request)
        back = HttpResponseRedirect(reverse("admin:imagesync_image_changelist"))
        if source is None:
            return back
        try:
            execute_plan(purge, source)
        except PurgeRefused as refused:
            self.message_user(request, f"{refused.fact} {refused.hint}", messages.ERROR)
        except ImageSyncError as failure:
            self.message_user(request, str(failure), messages.ERROR)
        finally:
            self._log(request, purge)
        purge.refresh_from_db()
        counts = purge.counts
        text = _("%(deleted)d deleted, %(kept)d kept. Undo: manage.py restore_purged %(purge)d")
        self.message_user(request, text % {**counts, "purge": purge.pk}, messages.SUCCESS)
        return back

    def _plan_page(self, request: HttpRequest, purge: Purge, error: Any) -> HttpResponse:
        document = purge_document(purge, dry_run=False)
        kept: dict[str, int] = {}
        for entry in document["keep"]:
            kept[entry["why"]] = kept.get(entry["why"], 0) + 1
        cascades: dict[str, int] = {}
        for entry in document["delete"]:
            for label, number in entry["cascades"].items():
                cascades[label] = cascades.get(label, 0) + number
        sample = [{**entry, "key": printable(entry["key"])} for entry in document["delete"][:SAMPLE]]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Delete images whose object is missing"),
            "opts": self.model._meta,
            "purge": purge,
            "audit": purge.audit,
            "planned": document["counts"]["planned"],
            "sample": sample,
            "more": max(0, len(document["delete"]) - SAMPLE),
            "kept": sorted(kept.items()),
            "cascades": sorted(cascades.items()),
            "receivers": document["receivers"],
            "refused": purge.refused,
            "executable": purge.state == Purge.State.PLANNED and document["counts"]["planned"] > 0,
            "error": error,
            "media": self.media,
        }
        return TemplateResponse(request, "imagesync/confirm_purge.html", context)

    def _look(self, request: HttpRequest, images: QuerySet[Image]) -> dict[str, int]:
        """Audit just these images; verdict -> number, or nothing when it could not be done (then it was said)."""
        ids = self._ids(request, images)
        source = self._source(request) if ids else None
        if not ids or source is None:
            return {}
        try:
            audit = carry_out(
                open_audit(source, Scope(ids=ids), started_by="admin", user=request.user), source
            )
        except ImageSyncError as failure:
            self.message_user(request, str(failure), messages.ERROR)
            return {}
        for reason in audit.reasons:
            self.message_user(request, f"{reason['fact']} {reason['hint']}", messages.WARNING)
        for image in images:
            LogEntry.objects.log_actions(
                request.user.pk or 0, [image], CHANGE, f"Looked at in audit {audit.pk}."
            )
        return {
            verdict: number for verdict, number in audit.counts.items() if number and verdict != "records"
        }

    def _ids(self, request: HttpRequest, images: QuerySet[Image]) -> tuple[tuple[str, str], ...]:
        pks = list(images.order_by("pk").values_list("pk", flat=True)[: AT_ONCE + 1])
        if len(pks) > AT_ONCE:
            text = _(
                "More than %(limit)d images are selected. Use check_s3_images and purge_orphans on the command line."
            )
            self.message_user(request, text % {"limit": AT_ONCE}, messages.ERROR)
            return ()
        return tuple(("imagesync.Image", str(pk)) for pk in pks)

    def _source(self, request: HttpRequest) -> Source | None:
        """The store that Image's file field is in, with every field that names objects of it."""
        try:
            alias = find_sources(fields=[OWN_FIELD])[0].store.identity.alias
            return find_sources(alias=alias)[0]
        except ImageSyncError as failure:
            self.message_user(request, str(failure), messages.ERROR)
            return None

    def _may_delete_each(self, request: HttpRequest, purge: Purge) -> bool:
        pks = [entry["record"].split(":", 1)[1] for entry in purge.plan["delete"]]
        return all(
            self.has_delete_permission(request, image) for image in Image._base_manager.filter(pk__in=pks)
        )

    def _log(self, request: HttpRequest, purge: Purge) -> None:
        for tombstone in purge.tombstones.select_related("content_type"):
            LogEntry.objects.create(
                user_id=request.user.pk or 0,
                content_type=tombstone.content_type,
                object_id=tombstone.object_pk,
                object_repr=printable(tombstone.key)[:200],
                action_flag=DELETION,
                change_message=f"Purged by purge {purge.pk}: its object is missing.",
            )
