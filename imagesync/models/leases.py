"""Leases: work that one process does at a time, and that another takes over when the lease ran out."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from imagesync.exceptions import AlreadyRunning

LEASE = timedelta(seconds=60)
"""A process that has not renewed for this long is taken for dead."""


def new_owner() -> str:
    """Who holds a lease: host and process for people, a random part so that no two are ever the same."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


class Leased(models.Model):
    """A row whose ``state`` is ``running`` while ``lease_owner`` works on it."""

    lease_owner = models.CharField(max_length=64, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def lease_is_alive(self) -> bool:
        return self.lease_until is not None and self.lease_until > timezone.now()

    def _rows(self) -> models.QuerySet[Any]:
        return type(self)._default_manager.all()

    def take_lease(self, *, states: tuple[str, ...]) -> bool:
        """Claim this row for ourselves, atomically; False when somebody else holds or got it.

        It can be had in one of ``states``, or ``running`` under a lease that ran out.
        """
        now = timezone.now()
        free = models.Q(state__in=states) | models.Q(state="running", lease_until__lt=now)
        owner = new_owner()
        claimed = (
            self._rows()
            .filter(free, pk=self.pk)
            .update(state="running", lease_owner=owner, lease_until=now + LEASE)
        )
        if claimed:
            self.refresh_from_db()
        return bool(claimed) and self.lease_owner == owner

    def renew_lease(self) -> None:
        """Say that we are alive. Raises AlreadyRunning when the lease was lost to another process."""
        until = timezone.now() + LEASE
        renewed = (
            self._rows()
            .filter(pk=self.pk, state="running", lease_owner=self.lease_owner)
            .update(lease_until=until)
        )
        if not renewed:
            raise AlreadyRunning(
                f"The lease of {self} ran out and another process took over. Nothing was lost."
            )
        self.lease_until = until
