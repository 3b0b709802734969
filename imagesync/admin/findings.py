"""Findings and failed reads: to be read."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.admin.read_only import KeyedAdmin, shown_verdict
from imagesync.models import FailedRead, Finding


@admin.register(Finding)
class FindingAdmin(KeyedAdmin):
    list_display = ("shown_record", "shown_key", "verdict_word", "reason", "opened_at", "closed_at")
    list_filter = ("verdict", ("closed_at", admin.EmptyFieldListFilter))
    list_select_related = ("content_type",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        return super().get_queryset(request).filter(settled=True)

    @admin.display(description=_("verdict"))
    def verdict_word(self, finding: Finding) -> SafeString:
        return shown_verdict(finding.verdict)


@admin.register(FailedRead)
class FailedReadAdmin(KeyedAdmin):
    list_display = ("shown_record", "shown_key", "code", "times", "first_at", "last_at")
    list_select_related = ("content_type",)
