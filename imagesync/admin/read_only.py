"""What the lists of history have in common: nothing is edited, keys are shown whole and searched by their index."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.core.ranges import prefix_end
from imagesync.models import Audit
from imagesync.records.stream import byte_ordered
from imagesync.reports import printable

PAGED = 10_000
"""Rows that can be paged through; what lies behind is found by filter and search."""
KEY_SHOWN = 60


class ReadOnlyAdmin(admin.ModelAdmin):
    """History: written by audits and purges, never by hand."""

    actions = None
    show_facets = admin.ShowFacets.NEVER  # each facet counts the whole table

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BoundedPaginator(Paginator):
    """Counts no further than ``PAGED``: COUNT(*) of a large table takes longer than the page."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:PAGED].count())


class KeyedAdmin(ReadOnlyAdmin):
    """A list of rows with a ``key``, found by the exact key or by how it begins, with what an index gives."""

    search_fields = ("key",)
    search_help_text = _("The exact key, or how it begins with * at the end: uploads/2026/*")
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    by_store = False
    """Whether the index of keys begins with the store's fingerprint."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        if self.by_store:  # without it the index cannot be entered
            stores = Audit.objects.order_by().values_list("fingerprint", flat=True).distinct()
            queryset = queryset.filter(fingerprint__in=list(stores))
        return with_key(queryset, search_term), False

    @admin.display(description=_("key"))
    def shown_key(self, row: Any) -> SafeString:
        return short_key(row.key)


def with_key(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    """The rows whose key is ``term``; with ``*`` at its end, also those that begin so. In any case its bytes."""
    rows = rows.annotate(byte_key=byte_ordered(F("key"), rows.db))
    if not term.endswith("*"):
        return rows.filter(byte_key=term)
    prefix = term[:-1]
    end = prefix_end(prefix)
    begins = Q(byte_key__gte=prefix) & (Q() if end is None else Q(byte_key__lt=end))
    return rows.filter(begins | Q(byte_key=term))


def short_key(key: str) -> SafeString:
    """A key for a table: its middle left out when it is long, whole when one points at it."""
    whole = printable(key)
    short = whole if len(whole) <= KEY_SHOWN else f"{whole[: KEY_SHOWN // 2]}…{whole[-KEY_SHOWN // 2 :]}"
    return format_html('<span class="imagesync-key" title="{}">{}</span>', whole, short)


def shown_verdict(verdict: str) -> SafeString:
    return format_html('<span class="imagesync-verdict imagesync-{0}">{0}</span>', verdict)


def figures(counts: dict[str, int]) -> str:
    """What was counted, zeros left out."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)


def who(row: Any) -> str:
    """Who started an audit or planned a purge: the user, else the command or the schedule."""
    user: Model | None = row.user
    by: str = getattr(row, "started_by", "") or getattr(row, "planned_by", "")
    return printable(f"{user} ({by})" if user and by else user or by)
