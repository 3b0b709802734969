"""What the tests of freshness share: records of which some are gone, and the schedule at work while time passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import time_machine
from django.utils import timezone

from imagesync.freshness import freshness_of, keep_fresh
from imagesync.models import Audit
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import make_images, only

WEEK = timedelta(days=7)
RECORDS = 300
FIELDS = ("imagesync.Image.file", "testapp.Document.document")
"""Of the tests' dozen: each audit asks the database about each of its fields, and a week has many audits."""


def world(memory_source: MakeSource, records: int = RECORDS, **options: Any) -> tuple[MemoryStore, Source]:
    """``records`` images and objects, of which every thirtieth object is gone."""
    store, every_field = memory_source(**options)
    source = only(every_field, *FIELDS)
    names = [f"{number % 7}/{number:05}.jpg" for number in range(records)]
    make_images(*names)
    for number, name in enumerate(names):
        if number % 30:
            store.put(source.store.identity.prefix + name)
    return store, source


def pass_time(
    source: Source,
    clock: time_machine.Coordinates,
    during: timedelta,
    *,
    every: timedelta = timedelta(hours=4),
) -> list[Audit]:
    """What the schedule does meanwhile."""
    audits: list[Audit] = []
    end = timezone.now() + during
    while timezone.now() < end:
        outcome = keep_fresh(source)
        audits += outcome.audits
        clock.shift(every)
    return audits


def told(source: Source) -> dict[str, Any]:
    document = freshness_of(source.store.identity.fingerprint)
    assert document is not None
    return document
