"""The page of one image: what is known of its object, and who uses it. Only *Look now* and *Look closer*, which are sent
by POST, ask S3.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.admin.columns import key_shown, verdict_shown, why_no_picture
from imagesync.admin.looked_at import looked_at
from imagesync.admin.uses import uses_of
from imagesync.admin.words import sentence
from imagesync.audit import carry_out, open_audit
from imagesync.core.verdicts import Verdict
from imagesync.doctor.image import debug_record
from imagesync.doctor.image_document import image_document
from imagesync.exceptions import ImageSyncError
from imagesync.models import Audit, FailedRead, Finding
from imagesync.placeholders import picture_of
from imagesync.records import Scope, Source, find_sources
from imagesync.records.named import owner_of
from imagesync.reports import printable
from imagesync.reports.lines import evidence_line
from imagesync.storage.browser import address_of
from imagesync.storage.urls import url_of
from imagesync.uploads import RememberingImageField

MOST_HISTORY = 20


class FileWidget(AdminFileWidget):
    """Names the file without what a key may hide, and without its address, which is signed."""

    template_name = "imagesync/image_page_file.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["shown"] = printable(getattr(value, "name", "") or "")
        return context


class ImagePage(admin.ModelAdmin):
    change_form_template = "imagesync/image_page.html"
    formfield_overrides = {RememberingImageField: {"widget": FileWidget}}

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        look, closer = self.admin_site.admin_view(self.look_now), self.admin_site.admin_view(self.look_closer)
        return [
            path("<path:object_id>/look/", look, name=f"{name}_look"),
            path("<path:object_id>/look-closer/", closer, name=f"{name}_look_closer"),
            *super().get_urls(),
        ]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return ["shown_file" if field == "file" else field for field in fields]

    @admin.display(description=_("file"))
    def shown_file(self, image: Any) -> SafeString:
        return key_shown(str(image.file.name or ""))

    def may_look(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.check_image")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        image = context.get("original")
        if image is not None:
            context["page"] = {
                **_known_of(image),
                "uses": uses_of(image, request, self.admin_site),
                "may_look": self.may_look(request),
                "may_see_audits": request.user.has_perm("imagesync.view_audit")
                and self.admin_site.is_registered(Audit),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def look_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Audit this one record, tell what came of it, and go back to its page."""
        image = self._asked_for(request, object_id)
        if image is None or request.method != "POST":
            return self._back(object_id, image)
        scope = _scope(image)
        try:
            source = _source(self.model)
            audit = carry_out(open_audit(source, scope, started_by="admin", user=request.user), source)
        except ImageSyncError as failure:
            self.message_user(request, str(failure), messages.ERROR)
            return self._back(object_id, image)
        for reason in audit.reasons:
            self.message_user(request, f"{reason['fact']} {reason['hint']}", messages.WARNING)
        for verdict in Verdict:
            if audit.counts.get(verdict.value):
                level = messages.SUCCESS if verdict is Verdict.PRESENT else messages.WARNING
                told = {"verdict": verdict.value, "sentence": sentence(verdict)}
                self.message_user(request, _("Looked just now: %(verdict)s. %(sentence)s") % told, level)
        LogEntry.objects.log_actions(
            request.user.pk or 0, [image], CHANGE, f"Looked at in audit {audit.pk}.", single_object=True
        )
        return self._back(object_id, image)

    def look_closer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask S3 everything about this one image, and a browser's question for its URL. Marks nothing."""
        image = self._asked_for(request, object_id)
        if image is None or request.method != "POST":
            return self._back(object_id, image)
        try:
            reports = debug_record(_scope(image), [_source(self.model)])
        except ImageSyncError as failure:
            self.message_user(request, str(failure), messages.ERROR)
            return self._back(object_id, image)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Look closer"),
            "subtitle": str(image),
            "opts": self.opts,
            "original": image,
            "looks": [looked_at(image_document(report)) for report in reports],
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "imagesync/image_page_look.html", context)

    def _asked_for(self, request: HttpRequest, object_id: str) -> Any:
        """The image that a POST is about, or None when there is none. Raises PermissionDenied."""
        image = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, image) or not self.may_look(request):
            raise PermissionDenied
        return image

    def _back(self, object_id: str, image: Any) -> HttpResponse:
        names = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        if image is None:
            return HttpResponseRedirect(reverse(f"{names}_changelist"))
        return HttpResponseRedirect(reverse(f"{names}_change", args=[object_id]))


def _scope(image: Any) -> Scope:
    owner = owner_of(type(image), "file")
    return Scope(ids=((owner.model._meta.label, str(owner.pk_of(image))),))


def _source(model: Any) -> Source:
    """The store of the file field, with every field that names objects of it."""
    label = f"{owner_of(model, 'file').model._meta.label}.file"
    alias = find_sources(fields=[label])[0].store.identity.alias
    return find_sources(alias=alias)[0]


def _known_of(image: Any) -> dict[str, Any]:
    """What the database says of an image's object: the record's own mark, and findings."""
    owner = owner_of(type(image), "file")
    name, pk = str(image.file.name or ""), str(owner.pk_of(image))
    about = {"content_type": owner.content_type, "object_pk": pk, "field": "file"}
    findings = Finding.objects.filter(**about, settled=True).order_by("-opened_at", "-pk")
    history = [_told(finding) for finding in findings[: MOST_HISTORY + 1]]
    picture = picture_of(image.file, verdict=image.verdict)
    return {
        "key": printable(owner.key_of(name) if owner.is_audited else name),
        "verdict": verdict_shown(image.verdict),
        "sentence": sentence(image.verdict),
        "picture": picture if image.verdict == Verdict.PRESENT and picture.url else None,
        "why_no_picture": why_no_picture(image.verdict),
        "url": _visitors_url(image.file),
        "open": [one for one in history if one["closed_at"] is None],
        "history": history[:MOST_HISTORY],
        "has_more_history": len(history) > MOST_HISTORY,
        "failed_read": FailedRead.objects.filter(**about).first(),
    }


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "verdict": verdict_shown(finding.verdict),
        "sentence": sentence(finding.verdict, finding.reason),
        "reason": finding.reason,
        "key": printable(finding.key),
        "evidence": evidence_line(finding.last_evidence),
        "opened_at": finding.opened_at,
        "opened_by": finding.opened_by_id,
        "closed_at": finding.closed_at,
        "closed_by": finding.closed_by_id,
    }


def _visitors_url(file: Any) -> dict[str, Any] | None:
    """The address without its query: who has a signed one may read the object."""
    url = url_of(file)
    if not url:
        return None
    parts = urlsplit(url)
    try:
        address = address_of(url)
    except ValueError:  # of a storage on this site's own host
        return {"shown": printable(parts.path), "signature": "", "has_query": bool(parts.query)}
    return {
        "shown": printable(f"{address.scheme}://{address.host}{parts.path}"),
        "signature": "" if address.signature == "none" else address.signature,
        "has_query": bool(parts.query),
    }
