"""Images: the list, and the form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from imagesync.admin.actions import SyncActions
from imagesync.admin.image_list import ImageList
from imagesync.admin.image_page import ImagePage
from imagesync.exceptions import UploadNotVerified
from imagesync.models import Image


@admin.register(Image)
class ImageAdmin(SyncActions, ImagePage, ImageList):
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

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        given = (
            {} if action_location is None else {"action_location": action_location}
        )  # Django 6.1 and later
        actions: dict[str, Any] = super().get_actions(request, **given)
        actions.pop("delete_selected", None)  # it knows neither rails nor undo
        return actions

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """An upload that could not be verified is told on the form; nothing of it was written."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except UploadNotVerified as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
