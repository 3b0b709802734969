"""Pages of a list of millions: each begins where the one before ended (no OFFSET), and nothing is counted further than
people care to know.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext

AFTER, BEFORE = "after", "before"
COUNTED = 10_000
"""Beyond this a list is only called longer: counting a table takes longer than showing a page of it."""


class CappedPaginator(Paginator):
    """Counts no further than ``COUNTED``."""

    @cached_property
    def count(self) -> int:
        return min(count_up_to(self.object_list, COUNTED), COUNTED)


def count_up_to(rows: Any, limit: int) -> int:
    """How many rows there are; ``limit + 1`` when there are more than ``limit``."""
    if not isinstance(rows, QuerySet):
        return len(rows)
    # in the order of the page, so that both come from the same index
    counted: int = rows.values("pk")[: limit + 1].count()
    return counted


@dataclass(frozen=True, slots=True)
class Order:
    """One column that an index is ordered by, then the primary key in the same direction."""

    field: str
    """A field's or an annotation's name, or ``pk``."""
    descending: bool

    @classmethod
    def parse(cls, text: str) -> Order:
        return cls(text.removeprefix("-"), text.startswith("-"))

    @property
    def columns(self) -> list[str]:
        sign = "-" if self.descending else ""
        names = ["pk"] if self.field == "pk" else [self.field, "pk"]
        return [sign + name for name in names]

    def place_of(self, row: Any) -> str:
        """Where ``row`` stands, for a URL."""
        value = None if self.field == "pk" else getattr(row, self.field)
        text = json.dumps([value if value is None or isinstance(value, str) else value.isoformat(), row.pk])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def behind(self, rows: QuerySet[Any], place: str) -> QuerySet[Any]:
        """The part of ``rows`` that comes after a place. Raises ValueError when it is none."""
        value, pk = self._read(rows, place)
        if self.field == "pk":
            return rows.filter(pk__lt=pk) if self.descending else rows.filter(pk__gt=pk)
        here = _Row(F(self.field), F("pk"))
        # compared as one: "value > x OR (value = x AND pk > y)" would be read from the first x on, every time
        return rows.filter(_Compared(here, _Row(value, pk), arg_joiner=" < " if self.descending else " > "))

    def _read(self, rows: QuerySet[Any], place: str) -> tuple[Any, Any]:
        try:
            text = base64.urlsafe_b64decode(place + "=" * (-len(place) % 4))
            value, pk = json.loads(text)
            pk_field = rows.model._meta.pk
            pk = pk_field.to_python(pk)
            if pk is None:
                raise ValueError("a place without a primary key")
            pk_field.run_validators(pk)
            if self.field == "pk":
                return None, pk
            field = self._field(rows)
            if not isinstance(value, str) or "\0" in value:
                raise ValueError("a place without a value")
            return Value(field.to_python(value), output_field=field), Value(pk, output_field=pk_field)
        except (
            binascii.Error,
            UnicodeError,
            TypeError,
            OverflowError,
            RecursionError,
            ValidationError,
        ) as error:
            raise ValueError("this is no place in a list") from error

    def _field(self, rows: QuerySet[Any]) -> Any:
        annotation = rows.query.annotations.get(self.field)
        return annotation.output_field if annotation is not None else rows.model._meta.get_field(self.field)


class _Row(Func):
    template = "(%(expressions)s)"
    output_field = BooleanField()  # of no meaning: a row is only ever compared


class _Compared(Func):
    template = "%(expressions)s"
    output_field = BooleanField()


class KeysetChangeList(ChangeList):
    """A list with "next" and "previous" instead of page numbers, sorted only by what has an index.

    The admin says by ``get_sortable_by`` which columns may be sorted by, and by ``get_ordering`` what is taken
    otherwise: one field.
    """

    order: Order
    previous_url: str = ""
    next_url: str = ""
    first_url: str = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        for name in (AFTER, BEFORE):  # a place is of one list: no filter's link keeps it
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        rows = super().get_queryset(request, exclude_parameters)
        # without a value a row has no place in the order, nor in the index that has it
        if self.order.field == "pk" or self._is_narrowed_by(self.order.field):
            return rows
        return rows.filter(**{f"{self.order.field}__isnull": False})

    def _is_narrowed_by(self, field: str) -> bool:
        """Whether a filter by that field leaves only rows with a value. To say so once more, the planner takes for news:
        it would think that few rows are left, and sort them all."""
        return any(
            getattr(spec, "field", None) == field and bool(getattr(spec, "used_parameters", None))
            for spec in self.filter_specs
        )

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        self.order = self._chosen() or Order.parse(str(self.model_admin.get_ordering(request)[0]))
        return self.order.columns

    def _chosen(self) -> Order | None:
        for part in self.params.get(ORDER_VAR, "").split("."):
            number = part.removeprefix("-")
            if not number.isdecimal() or int(number) >= len(self.list_display):
                continue
            column = self.list_display[int(number)]
            field = self.get_ordering_field(column) if column in (self.sortable_by or ()) else None
            if field:
                return Order(str(field), descending=part.startswith("-"))
        return None

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        for index, column in enumerate(self.list_display):
            if column in (self.sortable_by or ()) and self.get_ordering_field(column) == self.order.field:
                return {index: "desc" if self.order.descending else "asc"}
        return {}

    def get_results(self, request: HttpRequest) -> None:
        rows, more_before, more_behind = self._page(request)
        self.result_list = rows
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        if not more_before and not more_behind:
            self.paginator.count = len(rows)  # known without asking
            self.is_capped = False
        else:
            counted = count_up_to(self.queryset, COUNTED)
            self.is_capped = counted > COUNTED
            self.paginator.count = min(counted, COUNTED)
        self.result_count = self.paginator.count
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        if rows and more_before:
            self.first_url = self.get_query_string()
            self.previous_url = self.get_query_string({BEFORE: self.order.place_of(rows[0])})
        elif more_before:
            self.first_url = self.get_query_string()
        if rows and more_behind:
            self.next_url = self.get_query_string({AFTER: self.order.place_of(rows[-1])})

    @property
    def counted(self) -> str:
        """The number of results, in words when there are too many to count."""
        number = number_format(self.result_count, use_l10n=True, force_grouping=True)
        return gettext("more than %(number)s") % {"number": number} if self.is_capped else number

    def _page(self, request: HttpRequest) -> tuple[list[Any], bool, bool]:
        """The rows of the page, whether there are rows before it, and behind it."""
        size, after, before = self.list_per_page, request.GET.get(AFTER), request.GET.get(BEFORE)
        try:
            if before:
                other_way = Order(self.order.field, not self.order.descending)
                rows = list(other_way.behind(self.queryset.reverse(), before)[: size + 1])
                if len(rows) > size:
                    return rows[:size][::-1], True, True
                after = None  # the first page, which is shown whole
            found = self.order.behind(self.queryset, after) if after else self.queryset
            rows = list(found[: size + 1])
        except ValueError as error:
            raise IncorrectLookupParameters from error
        return rows[:size], bool(after), len(rows) > size
