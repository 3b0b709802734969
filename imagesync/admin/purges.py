"""Purges and what they kept of each record."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from imagesync.admin.purge_page import PurgePages
from imagesync.admin.read_only import KeyedAdmin, figures, who
from imagesync.models import Purge, Tombstone
from imagesync.reports import printable


@admin.register(Purge)
class PurgeAdmin(PurgePages):
    list_display = (
        "__str__",
        "shown_state",
        "shown_counts",
        "can_be_restored",
        "planned_at",
        "finished_at",
        "planned_by_whom",
    )
    list_filter = ("state",)
    list_select_related = ("user",)
    list_per_page = 50
    show_full_result_count = False

    class Media:
        css = {"all": ("imagesync/admin.css", "imagesync/audits.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Purge]:
        """Without the plans, each of which may name a million records."""
        purges: QuerySet[Purge] = super().get_queryset(request).defer("plan")
        # equality, as a range: where one purge has nearly all tombstones, the planner would take any of them for one of
        # this purge, and read them all
        left = Tombstone.objects.filter(
            purge__gte=OuterRef("pk"), purge__lte=OuterRef("pk"), restored_at=None
        )
        return purges.annotate(is_restorable=Exists(left))

    @admin.display(description=_("state"), ordering="state")
    def shown_state(self, purge: Purge) -> str:
        if purge.refused:
            return f"{purge.get_state_display()}: {printable(purge.refused['id'])}"
        return purge.get_state_display()

    @admin.display(description=_("records"))
    def shown_counts(self, purge: Purge) -> str:
        return figures(purge.counts)

    @admin.display(description=_("can be restored"), boolean=True)
    def can_be_restored(self, purge: Purge) -> bool:
        return bool(getattr(purge, "is_restorable", False))

    @admin.display(description=_("planned by"))
    def planned_by_whom(self, purge: Purge) -> str:
        return who(purge)


@admin.register(Tombstone)
class TombstoneAdmin(KeyedAdmin):
    list_display = ("shown_record", "shown_key", "action", "purge", "purged_at", "restored_at")
    list_filter = ("action", ("restored_at", admin.EmptyFieldListFilter))
    list_select_related = ("content_type", "purge")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tombstone]:
        tombstones: QuerySet[Tombstone] = super().get_queryset(request).defer("rows", "purge__plan")
        return tombstones
