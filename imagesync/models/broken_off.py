"""Of transactions that wait for each other the database breaks one off, and that one is carried out once more.

Ours lock rows in one order: records by primary key, then findings. A site locks its rows in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

TRIES = 5
_BROKEN_OFF = {"40P01", "40001"}
"""deadlock_detected, serialization_failure ("PostgreSQL Error Codes")."""

T = TypeVar("T")


def again_if_broken_off(write: Callable[[], T]) -> T:
    """Call what is one transaction, or savepoint, and does the same when it is called again."""
    for _try in range(TRIES - 1):
        try:
            return write()
        except OperationalError as error:
            if not was_broken_off(error):
                raise
    return write()


def was_broken_off(error: BaseException) -> bool:
    cause = error.__cause__
    return (getattr(cause, "sqlstate", "") or getattr(cause, "pgcode", "")) in _BROKEN_OFF
