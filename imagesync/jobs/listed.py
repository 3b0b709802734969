"""What a list of the admin shows under a filter, to one user: by the list itself, also where there is no request."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.sites import AdminSite, all_sites
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from imagesync.exceptions import InvalidRequest
from imagesync.models import Job

AS_OF = "imagesync_as_of"


def site_of(job: Job) -> AdminSite:
    """The admin site that a job was asked for on."""
    default: AdminSite = admin.site  # asked for now: another app may have put its own in its place
    others = (one for one in all_sites if one.name == job.site != default.name)
    return next(others, default)


def request_of(job: Job) -> HttpRequest:
    """As if the job's user asked: a hook that wants more of it than ``request.user`` and ``GET`` finds nothing."""
    request = HttpRequest()
    request.method = "GET"
    request.user = job.user or AnonymousUser()
    return request


def rows_as_listed(model_admin: Any, request: HttpRequest, query: str, *, as_of: datetime) -> QuerySet[Any]:
    """What the list shows to ``request.user`` under the filter ``query``. Raises InvalidRequest.

    A filter of so many days means the days before ``as_of``.
    """
    as_listed = copy.copy(request)
    as_listed.GET = QueryDict(query)
    setattr(as_listed, AS_OF, as_of)
    try:
        shown = model_admin.get_changelist_instance(as_listed)
        rows: QuerySet[Any] = shown.get_queryset(as_listed)
    except (IncorrectLookupParameters, DisallowedModelAdminLookup, SuspiciousOperation) as error:
        raise InvalidRequest("The list has no such filter any more, so nothing was done.") from error
    return rows


def as_of(request: HttpRequest) -> datetime:
    """The moment that a list's filters count their days from: now, or when the selection was confirmed."""
    at: datetime = getattr(request, AS_OF, None) or timezone.now()
    return at
