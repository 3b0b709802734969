"""What the lists of history have in common: nothing is edited, keys are shown whole and searched by their index."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.core.ranges import prefix_end
from imagesync.core.verdicts import Verdict
from imagesync.records.stream import byte_ordered
from imagesync.reports import printable

PAGED = 10_000
"""Rows that can be paged through; what lies behind is found by filter and search."""
KEY_SHOWN = 60
ORDER = ["records", *(verdict.value for verdict in Verdict), "planned", "deleted", "cleared", "kept"]


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
        return capped(self.object_list)


def capped(rows: Any) -> int:
    """How many rows there are, ``PAGED`` at the most."""
    return int(rows.order_by().values("pk")[:PAGED].count())


class KeyedAdmin(ReadOnlyAdmin):
    """A list of rows with a ``key``, found by the exact key or by how it begins, with what an index gives."""

    search_fields = ("key",)
    search_help_text = _("The exact key, or how it begins with * at the end: uploads/2026/*")
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    sortable_by = ()  # by any other column, the whole table would be sorted for one page

    class Media:
        css = {"all": ("imagesync/admin.css",)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What is found comes in key order: so the index has it."""
        if not search_term:
            return queryset, False
        return with_key(queryset, search_term).order_by("byte_key", "pk"), False

    @admin.display(description=_("record"))
    def shown_record(self, row: Any) -> str:
        return str(row.record_label)

    @admin.display(description=_("key"))
    def shown_key(self, row: Any) -> SafeString:
        return short_key(row.key)


def with_key(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    """The rows whose key is ``term``, or begins with what stands before a ``*`` at its end; compared by their bytes."""
    rows = rows.annotate(byte_key=byte_ordered(F("key"), rows.db))
    if not term.endswith("*"):
        return rows.filter(byte_key=term)
    prefix = term[:-1]
    end = prefix_end(prefix)
    rows = rows.filter(byte_key__gte=prefix)
    return rows if end is None else rows.filter(byte_key__lt=end)


def short_key(key: str) -> SafeString:
    """A key for a table: its middle left out when it is long, whole when one points at it."""
    whole = printable(key)
    short = whole if len(whole) <= KEY_SHOWN else f"{whole[: KEY_SHOWN // 2]}…{whole[-KEY_SHOWN // 2 :]}"
    return format_html('<span class="imagesync-key" title="{}">{}</span>', whole, short)


def shown_verdict(verdict: str) -> SafeString:
    return format_html('<span class="imagesync-verdict imagesync-{0}">{0}</span>', verdict)


def figures(counts: dict[str, int]) -> str:
    """What was counted, zeros left out."""
    return ", ".join(f"{number:,} {what}" for what, number in in_order(counts) if number)


def in_order(counts: dict[str, int]) -> list[tuple[str, int]]:
    """What was counted, in the order in which people think of it; PostgreSQL's JSON has one of its own."""
    return sorted(counts.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER))


def who(row: Any) -> str:
    """Who started an audit or planned a purge: the user, else the command or the schedule."""
    user: Model | None = row.user
    by: str = getattr(row, "started_by", "") or getattr(row, "planned_by", "")
    return printable(f"{user} ({by})" if user and by else user or by)
