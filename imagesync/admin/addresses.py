"""Where the pages of one ModelAdmin are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.urls import NoReverseMatch, reverse

from imagesync.models import Job, Purge

if TYPE_CHECKING:
    from imagesync.admin.actions import SyncActions


def changelist(model_admin: SyncActions) -> str:
    return _reversed(model_admin, "changelist")


def selection_address(model_admin: SyncActions) -> str:
    return _reversed(model_admin, "selection")


def job_address(model_admin: SyncActions, job: Job) -> str:
    return _reversed(model_admin, "job", job.pk)


def purge_address(model_admin: SyncActions, purge: Purge) -> str:
    return _reversed(model_admin, "purge", purge.pk)


def plan_csv_address(model_admin: SyncActions, purge: Purge) -> str:
    return _reversed(model_admin, "plan_csv", purge.pk)


def history_address(model_admin: SyncActions, model: str, pk: Any) -> str:
    """Of an audit's or a purge's own page; empty where this admin site has none."""
    try:
        return reverse(f"admin:imagesync_{model}_change", args=[pk], current_app=model_admin.admin_site.name)
    except NoReverseMatch:
        return ""


def _reversed(model_admin: ModelAdmin, page: str, *arguments: Any) -> str:
    name = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_{page}"
    return reverse(name, args=arguments, current_app=model_admin.admin_site.name)
