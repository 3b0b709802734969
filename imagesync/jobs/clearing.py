"""Marks cleared in somebody's name: each batch in one transaction with its lines in Django's admin log."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from imagesync.audit import clear_marks
from imagesync.jobs.log import log_cleared
from imagesync.records import Scope, Source


def clear_and_log(source: Source, scope: Scope, user_id: int | None) -> Iterator[int]:
    """How many marks were cleared, batch by batch."""
    batches = clear_marks(source, scope)
    while True:
        with transaction.atomic():
            batch = next(batches, None)
            if batch is None:
                return
            if user_id:
                log_cleared(((record[0], record[1], key) for record, key in batch), user_id)
        yield len(batch)
