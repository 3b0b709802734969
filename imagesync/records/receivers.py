"""What listens when a record of a model is deleted."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Model
from django.db.models.signals import post_delete, pre_delete


def deletion_receivers(model: type[Model]) -> list[str]:
    """Dotted paths of the receivers of ``pre_delete`` and ``post_delete``, besides Django's and our own."""
    found = {
        _dotted(receiver)
        for signal in (pre_delete, post_delete)
        for receivers in cast(Any, signal)._live_receivers(model)  # synchronous ones, and asynchronous
        for receiver in receivers
    }
    return sorted(path for path in found if not path.startswith(("django.", "imagesync.")))


def _dotted(receiver: Any) -> str:
    receiver = getattr(receiver, "func", receiver)  # functools.partial
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{named.__module__}.{named.__qualname__}"
