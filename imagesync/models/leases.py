"""Leases: work that one process does at a time, and that another takes over when the lease ran out.

They are taken, renewed and judged by the database's clock alone: those of two machines may be an hour apart.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections, models, router
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.exceptions import AlreadyRunning, NothingMatches


def new_owner() -> str:
    """Who holds a lease: host and process for people, a random part so that no two are ever the same."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def lease_end() -> CombinedExpression:
    """When a lease that is taken or renewed now runs out (``IMAGESYNC["LEASE"]`` from the database's now)."""
    return Now() + app_settings().lease


def is_free() -> models.Q:
    """Leased rows that nobody holds, or whose holder is taken for dead."""
    return models.Q(lease_owner="") | models.Q(lease_until__lt=Now())


def database_clock(model: type[models.Model]) -> Callable[[], datetime]:
    """The time as the database of ``model`` has it. Asked once: what this machine's clock is off is added from then on."""
    if not settings.USE_TZ:
        return timezone.now
    off = _database_now(model) - timezone.now()
    if abs(off) < timedelta(seconds=1):  # as far apart as a slow answer
        return timezone.now
    return lambda: timezone.now() + off


def _database_now(model: type[models.Model]) -> datetime:
    connection = connections[router.db_for_write(model)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT statement_timestamp()")
            now: datetime = cursor.fetchone()[0]
            return now.astimezone(UTC)
        cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


class Leased(models.Model):
    """A row whose ``state`` is ``running`` while ``lease_owner`` works on it."""

    lease_owner = models.CharField(max_length=64, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def lease_is_alive(self) -> bool:
        """Asked of the database, unless nobody holds one."""
        return (
            self.lease_until is not None and self._rows().filter(pk=self.pk, lease_until__gt=Now()).exists()
        )

    def _rows(self) -> models.QuerySet[Any]:
        return type(self)._default_manager.all()

    def take_lease(self, *, states: tuple[str, ...]) -> bool:
        """Claim this row for ourselves, atomically; False when somebody else holds or got it.

        It can be had in one of ``states``, or ``running`` under a lease that ran out.
        """
        free = models.Q(state__in=states) | models.Q(state="running", lease_until__lt=Now())
        owner = new_owner()
        claimed = (
            self._rows()
            .filter(free, pk=self.pk)
            .update(state="running", lease_owner=owner, lease_until=lease_end())
        )
        if claimed:
            self.refresh_from_db()
        return bool(claimed) and self.lease_owner == owner

    def read_again(self) -> None:
        """As the database has it now. Raises NothingMatches when a clean-up has removed it."""
        try:
            self.refresh_from_db()
        except type(self).DoesNotExist as error:
            raise NothingMatches(f"{self} was removed meanwhile; nothing was done.".capitalize()) from error

    def renew_lease(self) -> None:
        """Say that we are alive. Raises AlreadyRunning when the lease was lost to another process."""
        self._write(lease_until=lease_end())

    def write(self, **values: Any) -> None:
        """Write columns, as whoever holds the lease. Raises AlreadyRunning when it was lost, writing nothing."""
        self._write(**values)
        for name, value in values.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self, name, value)

    def _write(self, **values: Any) -> None:
        ours = self._rows().filter(pk=self.pk, state="running", lease_owner=self.lease_owner)
        if not ours.update(**values):
            raise AlreadyRunning(self._why_lost())

    def _why_lost(self) -> str:
        state = self._rows().filter(pk=self.pk).values_list("state", flat=True).first()
        if state in (None, "running"):
            return f"The lease of {self} ran out and another process took over. Nothing was lost."
        return f"{self} is {state} meanwhile. Nothing was lost.".capitalize()
