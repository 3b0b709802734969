"""Filters and search of the image list: each is answered by an index, and none counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from imagesync.core.ranges import key_is_sendable, prefix_end
from imagesync.core.verdicts import Verdict
from imagesync.jobs import as_of
from imagesync.models import Audit
from imagesync.records.stream import COLLATIONS
from imagesync.reports import printable

BYTE_FILE = "byte_file"
"""The annotation by which names are compared and ordered, in the order of the index."""
RECENT_AUDITS = 200
MOST_FOLDERS = 20
_STEPS = 40
NO_STORE = "none"


class _AgeFilter(admin.SimpleListFilter):
    field = ""
    spans: dict[str, timedelta]
    longest: timedelta

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        now = as_of(request)
        if value == "older":
            return queryset.filter(**{f"{self.field}__lt": now - self.longest})
        if value not in self.spans:
            raise IncorrectLookupParameters(value)
        return queryset.filter(**{f"{self.field}__gte": now - self.spans[value]})


class CreatedFilter(_AgeFilter):
    title = _("created")
    parameter_name = "created"
    field = "created_at"
    spans = {
        "1d": timedelta(days=1),
        "7d": timedelta(days=7),
        "30d": timedelta(days=30),
        "365d": timedelta(days=365),
    }
    longest = timedelta(days=365)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("1d", _("in the last 24 hours")),
            ("7d", _("in the last 7 days")),
            ("30d", _("in the last 30 days")),
            ("365d", _("in the last 365 days")),
            ("older", _("before that")),
        ]


class MissingSinceFilter(_AgeFilter):
    title = _("missing since")
    parameter_name = "missing"
    field = "missing_since"
    spans = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
    longest = timedelta(days=30)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("1d", _("in the last 24 hours")),
            ("7d", _("in the last 7 days")),
            ("30d", _("in the last 30 days")),
            ("older", _("before that")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        rows = super().queryset(request, queryset)
        return rows if rows is None else rows.filter(verdict=Verdict.MISSING.value)  # as the index has it


class StoreFilter(admin.SimpleListFilter):
    """By the store that a record was last seen in. The stores are those of the latest audits: nobody counts rows."""

    title = _("store")
    parameter_name = "seen_in"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        recent = Audit.objects.order_by("-pk").values_list("fingerprint", "bucket", "prefix")[:RECENT_AUDITS]
        stores: dict[str, str] = {}
        for fingerprint, bucket, prefix in recent:
            stores.setdefault(fingerprint, printable(f"{bucket}/{prefix}" if prefix else bucket))
        asked = self.value()
        if asked and asked != NO_STORE:
            stores.setdefault(asked, printable(asked[:12]))
        return [*sorted(stores.items(), key=lambda one: one[1]), (NO_STORE, _("not seen in any yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        if value is None:
            return None
        if not re.fullmatch(f"{NO_STORE}|[0-9a-f]{{1,64}}", value):
            raise IncorrectLookupParameters(value)
        return queryset.filter(store="" if value == NO_STORE else value)


class FolderFilter(admin.SimpleListFilter):
    """By prefix: a folder, its parents, and the first folders in it, each found by one step through the index."""

    title = _("folder")
    parameter_name = "folder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        here = self.value() or ""
        if here and not (key_is_sendable(here) and "\0" not in here):
            raise IncorrectLookupParameters(here)
        folders = folders_in(model_admin.model, here)
        self.has_more = len(folders) > MOST_FOLDERS
        return [(folder, printable(folder[len(here) :])) for folder in folders[:MOST_FOLDERS]]

    def has_output(self) -> bool:
        return bool(self.lookup_choices) or self.value() is not None

    def choices(self, changelist: Any) -> Iterator[Any]:
        here = self.value()
        yield self._choice(changelist, None, gettext("All"), selected=here is None)
        if here is not None:
            for parent in _parents(here):
                yield self._choice(changelist, parent, printable(parent), selected=False)
            yield self._choice(changelist, here, printable(here), selected=True)
        for folder, shown in self.lookup_choices:
            yield self._choice(changelist, str(folder), f"+ {shown}", selected=False)
        if self.has_more:
            yield self._choice(changelist, here, gettext("… and more: search by prefix"), selected=False)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        return with_prefix(queryset, value) if value else None

    def _choice(self, changelist: Any, folder: str | None, shown: str, *, selected: bool) -> dict[str, Any]:
        changed = {self.parameter_name: folder}
        return {
            "selected": selected,
            "query_string": changelist.get_query_string(changed),
            "display": shown,
        }


def with_prefix(rows: QuerySet[Any], prefix: str) -> QuerySet[Any]:
    """Those whose name starts with ``prefix``, byte by byte: a stretch of the index."""
    end = prefix_end(prefix)
    rows = rows.filter(**{f"{BYTE_FILE}__gte": prefix})
    return rows if end is None else rows.filter(**{f"{BYTE_FILE}__lt": end})


def searched(rows: QuerySet[Any], text: str, location: str) -> QuerySet[Any]:
    """``#42`` is a primary key, ``"key"`` in quotes exactly that key; anything else is how keys begin.

    Of keys that begin alike the exact one comes first. ``location`` is what stands before every stored name.
    """
    if re.fullmatch(r"#[0-9]{1,18}", text):
        return rows.filter(pk=int(text[1:]))
    exact = len(text) > 2 and text.startswith('"') and text.endswith('"')
    name = (text[1:-1] if exact else text).removeprefix(location)
    if "\0" in name or (name and not key_is_sendable(name)):
        return rows.none()
    if exact:
        return rows.filter(**{BYTE_FILE: name})
    return with_prefix(rows, name) if name else rows


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")[:-1]
    return ["/".join(parts[:number]) + "/" for number in range(1, len(parts))]


_POSITION = {"postgresql": "strpos", "sqlite": "instr"}


def folders_in(model: Any, folder: str) -> list[str]:
    """The first folders in ``folder``, in byte order. A few steps through the index, whatever the table's size.

    Each step goes to the least name behind the folder just found. Names that lie in ``folder`` itself are steps, too,
    so where very many come before the first folder, none is found.
    """
    using = model._default_manager.db
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    collated = f'{quote(model._meta.get_field("file").column)} COLLATE "{COLLATIONS[connection.vendor]}"'
    position = _POSITION[connection.vendor]
    end = prefix_end(folder)
    below = f" AND {collated} < %(end)s" if end is not None else ""
    # "0" is the character behind "/"; behind a name itself, the least that a text may hold
    behind = (
        f"CASE WHEN {position}(substr(first, %(begin)s), '/') > 0 "
        f"THEN substr(first, 1, %(begin)s - 2 + {position}(substr(first, %(begin)s), '/')) || '0' "
        "ELSE first || %(least)s END"
    )
    sql = (
        "WITH RECURSIVE walk (first, step) AS ("  # noqa: S608 - names of a model's own table; values are parameters
        f"SELECT (SELECT min({collated}) FROM {table} WHERE {collated} >= %(folder)s{below}), 1 "
        f"UNION ALL SELECT (SELECT min({collated}) FROM {table} WHERE {collated} >= ({behind}){below}), step + 1 "
        f"FROM walk WHERE first IS NOT NULL AND step < {_STEPS}"
        ") SELECT first FROM walk WHERE first IS NOT NULL"
    )
    values = {"folder": folder, "end": end, "begin": len(folder) + 1, "least": "\x01"}
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [name for (name,) in cursor.fetchall()]
    found = (name[len(folder) :].partition("/") for name in names)
    return [f"{folder}{head}/" for head, slash, _rest in found if slash][: MOST_FOLDERS + 1]
