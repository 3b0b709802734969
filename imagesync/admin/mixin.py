"""For other people's admins: what is known of a model's files, in its own list.

::

    from imagesync.admin import ImageSyncAdminMixin

    @admin.register(Product)
    class ProductAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
        list_display = ["name", "price"]

The column costs one query for each page. What a list of millions costs beside it is Django's counting of the whole
table: ``show_full_result_count = False`` and ``paginator = imagesync.admin.paging.CappedPaginator`` spare it that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import (
    BigIntegerField,
    CharField,
    Exists,
    F,
    Field,
    FileField,
    IntegerField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
)
from django.db.models.functions import Cast, Concat, Replace, Substr
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from imagesync.admin.actions import SyncActions
from imagesync.admin.columns import verdict_shown
from imagesync.core.verdicts import Verdict
from imagesync.models import Finding
from imagesync.placeholders import known_of
from imagesync.records import prefetch_verdicts
from imagesync.records.named import FileOwner, owner_of
from imagesync.records.targets import remembers_verdicts

NO_FINDING = "none"
PARAMETER = "object"


class ImageSyncAdminMixin(SyncActions):
    """Adds a column and a filter by verdict, and the actions, to a ModelAdmin; put it before ``ModelAdmin``.

    One query for each page, whatever its length, and none to S3. Where the model's files are not on S3, nothing is
    added.
    """

    imagesync_field = ""
    """The file field that is meant; empty: the model's first one on S3."""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns: Any = super().get_list_display(request)
        if not self.imagesync_owner() or "imagesync_verdict" in columns:
            return columns
        return [*columns, "imagesync_verdict"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters: Any = super().get_list_filter(request)
        if not self.imagesync_owner() or VerdictFilter in filters:
            return filters
        return [*filters, VerdictFilter]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        base: type[ChangeList] = super().get_changelist(request, **kwargs)
        owner = self.imagesync_owner()
        return _noting(base, owner.field.name) if owner else base

    @property
    def media(self) -> forms.Media:
        media: forms.Media = super().media
        return media + forms.Media(css={"all": ("imagesync/admin.css",)})

    @admin.display(description=_("object"))
    def imagesync_verdict(self, record: Model) -> SafeString | str:
        owner = self.imagesync_owner()
        if owner is None:
            return ""
        file = getattr(record, owner.field.name)
        if not file:
            return gettext("no file")
        known = known_of(file)
        if known.verdict == Verdict.UNCHECKED and not remembers_verdicts(owner.model, owner.field):
            return gettext("no finding")
        return verdict_shown(known.verdict, known.reason)

    def imagesync_owner(self) -> FileOwner | None:
        """The file field that the column is about, and its model. None when it is not on S3."""
        model: Any = self.model
        if self.imagesync_field:
            owner = owner_of(model, self.imagesync_field)
            return owner if owner.is_audited else None
        fields = [field for field in model._meta.concrete_fields if isinstance(field, FileField)]
        owners = (owner_of(model, field.name) for field in fields)
        return next((owner for owner in owners if owner.is_audited), None)


def _noting(base: type[ChangeList], field: str) -> type[ChangeList]:
    class NotingChangeList(base):  # type: ignore[misc, valid-type]
        """Notes on the rows of its page what open findings say of them, in one query."""

        def get_results(self, request: HttpRequest) -> None:
            super().get_results(request)
            prefetch_verdicts(self.result_list, field)  # noted on the instances that the page is made of

    return NotingChangeList


class VerdictFilter(admin.SimpleListFilter):
    """By the record's own verdict where the model remembers one, and else by open findings."""

    title = _("object")
    parameter_name = PARAMETER

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.owner: FileOwner = model_admin.imagesync_owner()
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, Any]]:
        if remembers_verdicts(self.owner.model, self.owner.field):
            yield from ((verdict.value, verdict.value) for verdict in Verdict)
            return
        yield from ((verdict.value, verdict.value) for verdict in Verdict if verdict.needs_attention)
        yield NO_FINDING, _("no finding")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        if value not in {str(choice) for choice, _words in self.lookup_choices}:
            raise IncorrectLookupParameters(value)
        if remembers_verdicts(self.owner.model, self.owner.field):
            return queryset.filter(verdict=value)
        return with_finding(queryset, self.owner, "" if value == NO_FINDING else value)


def with_finding(rows: QuerySet[Any], owner: FileOwner, verdict: str) -> QuerySet[Any]:
    """The rows of which an open finding says ``verdict``; those without any open one when it is empty.

    As in ``prefetch_verdicts``, a finding about another key than the present one, or of another store, says nothing.
    """
    pk = owner.model._meta.pk
    name = owner.field.attname
    findings: QuerySet[Any] = Finding.objects.open().filter(
        fingerprint=owner.fingerprint, content_type=owner.content_type, field=owner.field.name
    )
    if verdict:
        findings = findings.filter(verdict=verdict)
    about_this = findings.filter(
        object_pk=_as_text(OuterRef(pk.name), pk, rows.db),
        key=Concat(Value(owner.key_of("")), OuterRef(name), output_field=CharField()),
    )
    if not verdict:
        return rows.filter(~Exists(about_this)).exclude(Q(**{name: ""}) | Q(**{name: None}))
    # found from the findings, which are few, and not by going through the rows; then the key is compared
    named = findings.annotate(record_pk=_as_pk(F("object_pk"), pk, rows.db)).values("record_pk")
    return rows.filter(Q(**{f"{pk.name}__in": Subquery(named)}), Exists(about_this))


def _as_pk(text: Any, pk: Field, using: str) -> Any:
    """A primary key from its text, as the database compares it."""
    plain = _plain(pk)
    if isinstance(plain, UUIDField):
        if connections[using].features.has_native_uuid_field:
            return Cast(text, UUIDField())
        return Replace(text, Value("-"), Value(""), output_field=CharField())
    return Cast(text, BigIntegerField()) if isinstance(plain, IntegerField) else text


def _as_text(pk_value: Any, pk: Field, using: str) -> Any:
    """A primary key as findings name it."""
    if isinstance(_plain(pk), UUIDField) and not connections[using].features.has_native_uuid_field:
        return _with_dashes(pk_value)
    return Cast(pk_value, CharField())


def _with_dashes(pk_value: Any) -> Any:
    text = Cast(pk_value, CharField())
    parts = [Substr(text, start, length) for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))]
    dashed = [piece for part in parts for piece in (Value("-"), part)][1:]
    return Concat(*dashed, output_field=CharField())


def _plain(pk: Any) -> Any:
    """The field that a primary key's values come from: a child's is its parent's."""
    while pk.remote_field is not None:
        pk = pk.target_field
    return pk
