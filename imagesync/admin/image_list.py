"""The list of images: every page, filter, search and order of it comes from an index, and nothing asks S3."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.admin.columns import key_shown, size_shown, thumbnail, verdict_shown
from imagesync.admin.filters import (
    BYTE_FILE,
    CreatedFilter,
    FolderFilter,
    MissingSinceFilter,
    StoreFilter,
    searched,
)
from imagesync.admin.paging import CappedPaginator, KeysetChangeList
from imagesync.core.verdicts import Verdict
from imagesync.models import AbstractImage
from imagesync.placeholders import harmless
from imagesync.records.named import owner_of
from imagesync.records.stream import byte_ordered


class ImageList(admin.ModelAdmin):
    """The changelist of a model made from ``AbstractImage`` with the indexes that ``Image`` has."""

    list_display = (
        "shown_picture",
        "shown_verdict",
        "shown_key",
        "shown_title",
        "missing_since",
        "shown_size",
        "owner",
        "created_at",
    )
    list_display_links = ("shown_key",)
    list_filter = ("verdict", MissingSinceFilter, FolderFilter, StoreFilter, CreatedFilter)
    list_select_related = ("owner",)
    list_per_page = 40
    paginator = CappedPaginator
    ordering = ("-pk",)
    search_fields = ("=file",)  # get_search_results decides; this shows the field
    search_help_text = _('How the key begins; the whole key in "quotes" for it alone; #42 for a record.')
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    change_list_template = "imagesync/image_list.html"

    class Media:
        css = {"all": ("imagesync/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model._default_manager.get_queryset()
        ordered: QuerySet[Any] = rows.annotate(**{BYTE_FILE: byte_ordered(F("file"), rows.db)})
        return ordered.order_by(*self.get_ordering(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        owner = owner_of(self.model, "file")
        return searched(queryset, search_term, owner.key_of("") if owner.is_audited else ""), False

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        """What the rows that are asked for can be sorted by in an index: else all of them would be read first."""
        asked = request.GET
        if asked.get("q") or asked.get("folder"):
            return ("shown_key",)
        if asked.get("missing"):
            return ("missing_since",)
        verdict = asked.get("verdict__exact")
        by_age = ("created_at",) if asked.get("created") else ()
        if verdict == Verdict.MISSING:
            return ("shown_key", "missing_since", *by_age)
        if verdict and verdict != Verdict.PRESENT:  # which nearly all are: no index has it
            return ("shown_key", *by_age)
        if by_age:
            return by_age
        if verdict:
            return ()
        return () if asked.get("seen_in") else ("shown_key", "created_at")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """In the order of the index that finds the rows."""
        asked = request.GET
        if (
            asked.get("q") or asked.get("folder") or asked.get("term")
        ):  # term: of other admins' autocomplete fields
            return (BYTE_FILE,)
        if asked.get("missing"):
            return ("-missing_since",)
        if asked.get("created"):
            return ("-created_at",)
        return ("-pk",)

    @admin.display(description=_("picture"))
    def shown_picture(self, image: AbstractImage) -> SafeString:
        return thumbnail(image.file, image.verdict)

    @admin.display(description=_("verdict"))
    def shown_verdict(self, image: AbstractImage) -> SafeString:
        return verdict_shown(image.verdict)

    @admin.display(description=_("key"), ordering=BYTE_FILE)
    def shown_key(self, image: AbstractImage) -> SafeString:
        owner = owner_of(type(image), "file")
        name = str(image.file.name or "")
        return key_shown(owner.key_of(name) if owner.is_audited else name)

    @admin.display(description=_("title"))
    def shown_title(self, image: AbstractImage) -> SafeString:
        return format_html('<span class="imagesync-title">{}</span>', harmless(image.title))

    @admin.display(description=_("size"))
    def shown_size(self, image: AbstractImage) -> str:
        return size_shown(image.size_bytes)
