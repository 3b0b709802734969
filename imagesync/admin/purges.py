"""Purges and what they kept of each record."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from imagesync.admin.read_only import KeyedAdmin, ReadOnlyAdmin, figures
from imagesync.models import Purge, Tombstone


@admin.register(Purge)
class PurgeAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "state", "shown_counts", "planned_at", "finished_at", "planned_by", "user")
    list_filter = ("state",)
    list_select_related = ("user",)

    @admin.display(description=_("records"))
    def shown_counts(self, purge: Purge) -> str:
        return figures(purge.counts)


@admin.register(Tombstone)
class TombstoneAdmin(KeyedAdmin):
    list_display = ("record_label", "shown_key", "action", "purge", "purged_at", "restored_at")
    list_filter = ("action", ("restored_at", admin.EmptyFieldListFilter))
    list_select_related = ("content_type", "purge")
