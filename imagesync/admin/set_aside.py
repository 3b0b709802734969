"""Messages of the event queue that nobody could read: to be read by people, and deleted when they have."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from imagesync.admin.read_only import ReadOnlyAdmin
from imagesync.models import SetAsideMessage
from imagesync.reports import printable


@admin.register(SetAsideMessage)
class SetAsideMessageAdmin(ReadOnlyAdmin):
    actions = ()  # type: ignore[assignment]  # Django's own, to delete several
    list_display = ("message_id", "queue", "reason", "set_aside_at")
    list_filter = ("reason",)
    fields = ("message_id", "queue", "reason", "set_aside_at", "shown_body")
    readonly_fields = ("shown_body",)

    def has_delete_permission(self, request: HttpRequest, obj: SetAsideMessage | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SetAsideMessage]:
        """A list without the bodies, each of which may have a megabyte."""
        messages: QuerySet[SetAsideMessage] = super().get_queryset(request).defer("body")
        return messages

    @admin.display(description=_("body"))
    def shown_body(self, message: SetAsideMessage) -> str:
        return printable(message.text)
