"""A check for django-health-check (4.0 or later): ``pip install "django-imagesync[health]"``."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from django.db import connections, router
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from imagesync.core.values import parse_duration
from imagesync.health import audit_troubles
from imagesync.models import Audit


@dataclasses.dataclass
class ImagesAudited(HealthCheck):  # type: ignore[misc]  # it comes without types
    """Fails when the last trustworthy audit is older than ``max_age``, or the last one is untrustworthy.

    ``max_age`` is a timedelta or ``"26h"``; None: ``OVERDUE_AFTER`` of ``NOTIFY``.
    """

    max_age: timedelta | str | None = None

    def run(self) -> None:
        limit = None if self.max_age is None else parse_duration(self.max_age)
        # it runs in a thread of its own, which leaves no connection behind
        with connections[router.db_for_read(Audit)].temporary_connection():
            troubles = audit_troubles(limit)
        if troubles:
            raise ServiceUnavailable(" ".join(troubles))
