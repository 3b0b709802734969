"""Who uses a record: the rows of other models that point at it, a few of each, none of them counted to the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.contenttypes.fields import GenericRelation
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from imagesync.placeholders import harmless

COUNTED = 100
NAMED = 5


@dataclass(frozen=True, slots=True)
class Use:
    """The rows of one relation."""

    label: str
    """Of the model, in the plural when there are several."""
    number: int
    """At most ``COUNTED``."""
    is_capped: bool
    named: tuple[tuple[str, str], ...]
    """(what it is called, its address in the admin) of a few; empty for who may not see them."""

    @property
    def more(self) -> int:
        return self.number - len(self.named)


def uses_of(record: Model, request: HttpRequest, site: AdminSite) -> list[Use]:
    """One query per relation of the model, whatever the number of rows."""
    found = []
    for model, rows in _relations(record):
        some = list(rows[: COUNTED + 1])
        if some:
            label = str(model._meta.verbose_name_plural if len(some) > 1 else model._meta.verbose_name)
            named = tuple(_named(model, some[:NAMED], request, site))
            found.append(Use(label, min(len(some), COUNTED), len(some) > COUNTED, named))
    return found


def _relations(record: Model) -> Iterator[tuple[type[Model], QuerySet[Any]]]:
    """In no order: an order might lead the database away from the index of the foreign key."""
    options: Any = type(record)._meta
    for relation in options.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or not relation.is_relation:
            continue
        model = relation.related_model
        is_own_half = getattr(relation, "parent_link", False)
        if not model._meta.managed or model._meta.auto_created or is_own_half:
            continue  # a through-table that Django makes has its rows told by the other side of the relation
        # also those that a model's own manager hides: a hidden row still uses the image
        yield model, model._base_manager.filter(**{relation.field.name: record.pk}).order_by()
    for field in options.private_fields:
        if isinstance(field, GenericRelation):
            rows: QuerySet[Any] = getattr(record, field.name).order_by()
            yield rows.model, rows


def _named(
    model: type[Model], rows: list[Any], request: HttpRequest, site: AdminSite
) -> Iterator[tuple[str, str]]:
    if not site.is_registered(model):
        return
    admin = site.get_model_admin(model)
    for row in rows:
        if not admin.has_view_permission(request, row):
            continue
        name = f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_change"
        try:
            address = reverse(name, args=[row.pk], current_app=site.name)
        except NoReverseMatch:  # an admin with addresses of its own
            address = ""
        yield harmless(str(row)) or f"#{row.pk}", address
