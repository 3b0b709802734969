"""What people were told, by which channel, and what could not be sent."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.admin.read_only import BoundedPaginator, ReadOnlyAdmin
from imagesync.models import Notice
from imagesync.notices import Message


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("subject", "channel", "state", "attempts", "failure", "created_at", "sent_at")
    list_filter = ("state",)
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    fields = ("subject", "text", "channel", "state", "attempts", "failure", "due_at", "created_at", "sent_at")

    class Media:
        css = {"all": ("imagesync/admin.css",)}

    @admin.display(description=_("what"))
    def subject(self, notice: Notice) -> str:
        return Message(notice.document).subject

    @admin.display(description=_("message"))
    def text(self, notice: Notice) -> SafeString:
        return format_html('<pre class="imagesync-message">{}</pre>', Message(notice.document).text)
