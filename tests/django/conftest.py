"""Fixtures that several files of Django tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from imagesync.freshness import keep
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from project.embedded_s3 import EmbeddedS3
from tests.django.helpers import half_of_them, make_images


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    """Six records, three objects."""
    return half_of_them(s3)


@pytest.fixture
def four_of_seven(memory_source: Callable[..., tuple[MemoryStore, Source]]) -> tuple[MemoryStore, Source]:
    """Four present, three missing, in memory."""
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "c.jpg", "d.jpg", "x.jpg", "y.jpg", "z.jpg")
    for key in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        store.put(key)
    return store, source


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Records are kept fresh within a week, by slices of a hundred."""
    monkeypatch.setattr(keep, "SLICE_RECORDS", 100)
    monkeypatch.setattr("imagesync.audit.claim.LEAST_RECORDS", 60)
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FRESHNESS": "7d"}
    settings.SESSION_COOKIE_AGE = 10**7  # weeks go by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    """Time that stands, the database's too, until it is shifted."""
    monkeypatch.setattr("imagesync.models.leases._database_now", lambda _model: timezone.now())
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller
