"""The endpoint that Prometheus scrapes. It is closed until somebody opens it."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from imagesync.conf import app_settings
from imagesync.metrics.figures import gauges
from imagesync.reports import PROMETHEUS_CONTENT_TYPE, exposition

MAY_READ = "imagesync.view_audit"


@require_safe
@never_cache
def metrics_view(request: HttpRequest) -> HttpResponse:
    """The figures, for who sends ``Authorization: Bearer`` with ``IMAGESYNC["METRICS_TOKEN"]``, and for staff who may
    see audits. 401 for everybody else."""
    if not (_has_token(request) or _may_see_audits(request)):
        return HttpResponse(
            "A bearer token is needed, or a user of the admin who may see audits.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="imagesync"'},
        )
    return HttpResponse("".join(exposition(gauges())), content_type=PROMETHEUS_CONTENT_TYPE)


def _has_token(request: HttpRequest) -> bool:
    wanted = app_settings().metrics_token
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    return (
        bool(wanted)
        and scheme.lower() == "bearer"
        and compare_digest(given.strip().encode(), wanted.encode())
    )


def _may_see_audits(request: HttpRequest) -> bool:
    user: Any = getattr(request, "user", None)  # a site without accounts has none
    return user is not None and user.is_active and user.is_staff and user.has_perm(MAY_READ)
