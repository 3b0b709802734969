"""Whether ``IMAGESYNC["FIELDS"]`` names what exists. The models alone tell it: no storage is made, and no boto3 imported."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateField, FileField, Model

Problem = tuple[str, str]
"""Fact and hint."""


def field_problems(configured: Mapping[str, str | Mapping[str, str]]) -> list[Problem]:
    """What is wrong with the entries, once all apps are loaded."""
    found = (_problem(label, entry) for label, entry in configured.items())
    return [problem for problem in found if problem is not None]


def age_problem(label: str, model: type[Model], age_field: Any) -> Problem | None:
    """What speaks against a field that shall say how old a record is."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    # a generated field is of the kind that it puts out
    kinds = {name: getattr(field, "output_field", field) for name, field in fields.items()}
    dates = sorted(name for name, kind in kinds.items() if isinstance(kind, DateField))
    fact = f"IMAGESYNC['FIELDS'][{label!r}]: {model._meta.label} has no field {age_field!r}."
    if isinstance(age_field, str) and age_field in fields:
        if age_field in dates:
            return None
        fact = (
            f"IMAGESYNC['FIELDS'][{label!r}]: {model._meta.label}.{age_field} is no date, so it says of no record how old "
            "it is."
        )
    hint = f"Its dates are: {', '.join(dates)}." if dates else "It has no date; leave 'age_field' out."
    return fact, hint


def _problem(label: str, entry: str | Mapping[str, str]) -> Problem | None:
    app_label, model_name, field_name = label.split(".")
    try:
        model = apps.get_model(app_label, model_name)
        field = model._meta.get_field(field_name)
    except (LookupError, FieldDoesNotExist):
        return f"IMAGESYNC['FIELDS'] names {label!r}, which does not exist.", _did_you_mean(label)
    if not isinstance(field, FileField):
        return f"IMAGESYNC['FIELDS'] names {label!r}, which is not a file field.", _did_you_mean(label)
    if model._meta.object_name != model_name:  # Django finds it in any case, and nothing else does
        return f"IMAGESYNC['FIELDS'] names {label!r}, which does not exist.", _did_you_mean(label)
    age_field = "" if isinstance(entry, str) else entry.get("age_field", "")
    return age_problem(label, model, age_field) if age_field else None


def _did_you_mean(label: str) -> str:
    labels = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if isinstance(field, FileField)
    ]
    close = get_close_matches(label, labels, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"File fields are: {', '.join(sorted(labels))}."
