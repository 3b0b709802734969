"""What somebody may delete, object by object, as the admin's own pages ask it: of a record, and of what goes along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.contrib.admin import ModelAdmin
from django.contrib.admin.sites import AdminSite
from django.http import HttpRequest
from django.utils.text import capfirst

from imagesync.jobs.listed import request_of, site_of
from imagesync.models import Job, Purge
from imagesync.purge.objections import Case, open_cases
from imagesync.records import Source
from imagesync.records.stream import base_rows

CHUNK = 500
PERMISSIONS = {
    Job.Kind.CHECK: "check",
    Job.Kind.MARK: "mark",
    Job.Kind.CLEAR: "mark",
    Job.Kind.PLAN: "purge",
    Job.Kind.PURGE: "purge",
}
"""``has_…_permission`` of the ModelAdmin."""


class Rights:
    """Of one user, on one admin site, over the records of one model."""

    def __init__(self, request: HttpRequest, admin_site: AdminSite, model: type[Any]) -> None:
        self._request = request
        self._site = admin_site
        self._model = model

    @classmethod
    def of_job(cls, job: Job) -> Rights:
        return cls(request_of(job), site_of(job), job.model)

    def may(self, kind: str) -> bool:
        """Whether they may have such work done at all."""
        own = self._admin(self._model)
        ask = getattr(own, f"has_{PERMISSIONS[Job.Kind(kind)]}_permission", None)
        return ask is not None and bool(ask(self._request))

    def objection(self, case: Case) -> str:
        """Why the record of a case may not be purged by them, or nothing."""
        own = self._admin(self._model)
        if own is None:
            return f"no admin site says who may delete {self._model._meta.verbose_name_plural}"
        if case.effects is None:  # its field is to be cleared
            return (
                ""
                if own.has_change_permission(self._request, case.row)
                else "who planned this may not change it"
            )
        if not own.has_delete_permission(self._request, case.row):
            return "who planned this may not delete it"
        for instance in case.effects.taken:
            registered = self._admin(type(instance))
            if registered is None or instance == case.row:
                continue
            if not registered.has_delete_permission(self._request, instance):
                label = capfirst(instance._meta.verbose_name)
                return f"who planned this may not delete what goes along: {label}"
        return ""

    def denied(self, purge: Purge, source: Source, *, heartbeat: Callable[[], None] = lambda: None) -> str:
        """The first record of a plan that they may not purge (any more), and why; or nothing."""
        entries = purge.plan.get("delete", [])
        clears = any(entry["action"] == "clear" for entry in entries)
        if not clears and self._may_delete_all_of(
            {label for entry in entries for label in entry["cascades"]}
        ):
            return ""
        for record, case in _cases(entries, source):
            heartbeat()
            why = self.objection(case)
            if why:
                return f"{record}: {why}"
        return ""

    def _may_delete_all_of(self, labels: set[str]) -> bool:
        """Whether it is settled without looking at single objects: no admin's rule is about those."""
        if self._admin(self._model) is None:
            return False
        models = [apps.get_model(label) for label in sorted(labels)]
        admins = [one for model in (self._model, *models) if (one := self._admin(model)) is not None]
        return all(
            type(one).has_delete_permission is ModelAdmin.has_delete_permission
            and one.has_delete_permission(self._request)
            for one in admins
        )

    def _admin(self, model: type[Any]) -> Any:
        return self._site._registry.get(model)


def _cases(entries: list[dict[str, Any]], source: Source) -> Iterator[tuple[str, Case]]:
    for target in source.targets:
        prefix = f"{target.model._meta.label}:"
        ours = [
            one for one in entries if one["record"].startswith(prefix) and one["field"] == target.field.name
        ]
        for start in range(0, len(ours), CHUNK):
            keys = {
                target.model._meta.pk.to_python(one["record"].removeprefix(prefix)): one["key"]
                for one in ours[start : start + CHUNK]
            }
            rows = base_rows(target.model).filter(pk__in=list(keys))
            for case in open_cases(target, [(row, keys[row.pk]) for row in rows], source.store):
                yield f"{prefix}{case.row.pk}", case
