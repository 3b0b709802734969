"""Audits, findings, failed reads, purges and tombstones: to be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from imagesync.models import Audit, FailedRead, Finding, Purge, Tombstone
from imagesync.reports import printable


class ReadOnlyAdmin(admin.ModelAdmin):
    """History: written by audits and purges, never by hand."""

    actions = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__",
        "state",
        "trust",
        "shown_counts",
        "started_at",
        "finished_at",
        "started_by",
        "user",
    )
    list_filter = ("trust", "state")
    list_select_related = ("user",)

    @admin.display(description=_("records"))
    def shown_counts(self, audit: Audit) -> str:
        return _figures(audit.counts)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("shown_record", "shown_key", "verdict", "reason", "opened_at", "closed_at")
    list_filter = ("verdict", ("closed_at", admin.EmptyFieldListFilter))
    list_select_related = ("content_type",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        return super().get_queryset(request).filter(settled=True)

    @admin.display(description=_("record"))
    def shown_record(self, finding: Finding) -> str:
        return finding.record_label

    @admin.display(description=_("key"))
    def shown_key(self, finding: Finding) -> str:
        return printable(finding.key)


@admin.register(FailedRead)
class FailedReadAdmin(ReadOnlyAdmin):
    list_display = ("record_label", "shown_key", "code", "times", "first_at", "last_at")
    list_select_related = ("content_type",)
    show_full_result_count = False

    @admin.display(description=_("key"))
    def shown_key(self, failed: FailedRead) -> str:
        return printable(failed.key)


@admin.register(Purge)
class PurgeAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "state", "shown_counts", "planned_at", "finished_at", "planned_by", "user")
    list_filter = ("state",)
    list_select_related = ("user",)

    @admin.display(description=_("records"))
    def shown_counts(self, purge: Purge) -> str:
        return _figures(purge.counts)


@admin.register(Tombstone)
class TombstoneAdmin(ReadOnlyAdmin):
    list_display = ("record_label", "shown_key", "action", "purge", "purged_at", "restored_at")
    list_filter = ("action", ("restored_at", admin.EmptyFieldListFilter))
    list_select_related = ("content_type", "purge")
    show_full_result_count = False

    @admin.display(description=_("key"))
    def shown_key(self, tombstone: Tombstone) -> str:
        return printable(tombstone.key)


def _figures(counts: dict[str, int]) -> str:
    """What was counted, zeros left out."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
