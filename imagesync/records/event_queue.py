"""The queue of S3's events that the settings name, with the credentials of a file field's storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.files.storage import storages

from imagesync.conf import app_settings
from imagesync.exceptions import NothingMatches
from imagesync.records.targets import Source, store_options
from imagesync.storage.queue import EventQueue, SqsQueue


def configured_queue(sources: Sequence[Source]) -> EventQueue:
    """Raises NothingMatches when no queue is set, ImproperlyConfigured when no client can be made for it."""
    settings = app_settings()
    events = settings.events
    if not events.queue_url:
        raise NothingMatches(
            'No queue is set: IMAGESYNC = {"EVENTS": {"QUEUE_URL": "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"}}. '
            "docs/events.md tells how to have S3 write to one."
        )
    return SqsQueue.from_storage(_storage(events.storage, sources), events, store_options(settings))


def _storage(alias: str, sources: Sequence[Source]) -> Any:
    if not alias:
        return sources[0].targets[0].field.storage
    for source in sources:
        if source.store.identity.alias == alias:
            return source.targets[0].field.storage
    if alias in storages.backends:
        return storages[alias]
    raise NothingMatches(f"IMAGESYNC['EVENTS']['STORAGE'] is {alias!r}, which STORAGES does not have.")
