"""Fixtures that several files of Django tests share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import override_settings
from django.utils import timezone

from imagesync.freshness import keep
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, MakeSource, forget_default_storage, storages_at
from tests.django.helpers import audited, half_of_them, make_images
from tests.django.noticing import heard
from tests.django.watching import World
from tests.hook import Hook
from tests.queues import MemoryQueue


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    """Six records, three objects."""
    return half_of_them(s3)


@pytest.fixture
def four_of_seven(memory_source: MakeSource) -> tuple[MemoryStore, Source]:
    """Four present, three missing, in memory."""
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "c.jpg", "d.jpg", "x.jpg", "y.jpg", "z.jpg")
    for key in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        store.put(key)
    return store, source


@pytest.fixture
def three_images(memory_source: MakeSource) -> tuple[MemoryStore, Source]:
    """Three images that are there and known to be."""
    store, source = memory_source(bucket=BUCKET)
    make_images("a.jpg", "b.jpg", "c.jpg")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        store.put(name)
    audited(source)
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


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """What is more than two records is a large selection."""
    monkeypatch.setattr("imagesync.admin.at_once.MOST", 2)
    settings.IMAGESYNC = {**settings.IMAGESYNC, "BATCH_SIZE": 2}


@pytest.fixture
def stored_with(s3: EmbeddedS3) -> Iterator[Any]:
    """Have the project's storage made with other options."""
    with override_settings():
        from django.conf import settings

        def change(**options: object) -> None:
            settings.STORAGES = storages_at(s3.url, **options)
            forget_default_storage()

        yield change


@pytest.fixture
def three_of_six(memory_source: MakeSource) -> tuple[MemoryStore, Source]:
    """Three present, three missing, in the store that the default storage names."""
    store, source = memory_source(bucket="test-bucket", alias="default")
    make_images("a.jpg", "b.jpg", "c.jpg", "img/x.jpg", "img/y.jpg", "img/z.jpg")
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        store.put(key)
    return store, source


@pytest.fixture(scope="module")
def the_hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def hook(the_hook: Hook) -> Hook:
    the_hook.reset()
    return the_hook


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works in the background, unless a test says so."""
    heard.clear()
    monkeypatch.setattr("imagesync.notices.outbox.has_queue", lambda: False)


@pytest.fixture
def world(memory_source: MakeSource) -> World:
    """Two images that are there and known to be, and a watch."""
    store, source = memory_source(bucket=BUCKET)
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    store.put("b.jpg")
    audited(source)
    queue = MemoryQueue()
    return store, source, queue, Watch(queue, [WatchedStore(source)], started_by="events")
