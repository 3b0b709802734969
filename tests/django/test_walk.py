"""Many scans, driven by one thread: which are begun, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from imagesync.audit import claim
from imagesync.audit.batch import Batch
from imagesync.audit.requests import Answer
from imagesync.audit.walk import walk
from imagesync.records import Source
from imagesync.storage.contract import ListingAnswer
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images


class Scan:
    """Waits for one answer, then hands over one batch."""

    def __init__(self, name: str, told: list[str], answered: Future[None] | None = None) -> None:
        self.name = name
        self._told = told
        self._answered = answered

    def steps(self) -> Iterator[Answer[Any] | Batch]:
        self._told.append(f"{self.name} begins")
        if self._answered is not None:
            yield Answer.of(self._answered)
        self._told.append(f"{self.name} goes on")
        yield Batch(behind=None)


def walked(scans: Any, **options: Any) -> list[str]:
    return [scan.name for scan, _batch in walk(iter(scans), **options)]


@pytest.mark.parametrize("may_begin", [True, False])
def test_walk__begins_another_one_while_it_waits_if_that_may_be(may_begin: bool) -> None:
    told: list[str] = []
    first: Future[None] = Future()

    def beat() -> None:
        told.append("nothing to do")
        first.set_result(None)

    names = walked(
        [Scan("a", told, first), Scan("b", told)],
        side_by_side=2,
        may_begin=lambda: may_begin,
        heartbeat=beat,
        beat_every=0.01,
    )

    meanwhile = ["b begins", "b goes on", "nothing to do"] if may_begin else ["nothing to do"]
    afterwards = ["a goes on"] if may_begin else ["a goes on", "b begins", "b goes on"]
    assert told == ["a begins", *meanwhile, *afterwards]
    assert sorted(names) == ["a", "b"]


def test_walk__of_none_under_way_always_begins_the_next() -> None:
    told: list[str] = []

    names = walked(
        [Scan(name, told) for name in "abc"], side_by_side=2, may_begin=lambda: False, heartbeat=lambda: None
    )

    assert names == ["a", "b", "c"]


def test_walk__has_no_more_side_by_side_than_it_may() -> None:
    told: list[str] = []
    waiting = [Future[None]() for _ in range(3)]

    def beat() -> None:
        told.append("nothing to do")
        next(one for one in waiting if not one.done()).set_result(None)

    walked(
        [Scan(str(number), told, one) for number, one in enumerate(waiting)],
        side_by_side=2,
        heartbeat=beat,
        beat_every=0.01,
    )

    assert told[:5] == ["0 begins", "1 begins", "nothing to do", "0 goes on", "2 begins"]


class Slow(MemoryStore):
    """Answers when as many pages as are expected were asked for at once, and takes its time even then; notes the most."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self._expected = expected
        self._at_once = 0
        self._counting = threading.Condition()
        self.most = 0

    def list_page(self, **asked: Any) -> ListingAnswer:
        with self._counting:
            self._at_once += 1
            self.most = max(self.most, self._at_once)
            self._counting.notify_all()
            self._counting.wait_for(lambda: self.most >= self._expected, timeout=10)
        time.sleep(0.1)  # for one too many
        try:
            return super().list_page(**asked)
        finally:
            with self._counting:
                self._at_once -= 1


@pytest.mark.django_db
@pytest.mark.parametrize("workers", [1, 4])
def test_audit__of_more_ranges_than_workers_asks_for_no_more_pages_at_once(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(claim, "LEAST_RECORDS", 30)
    store = Slow(workers)
    _memory, source = memory_source()
    names = [f"{number:04}.jpg" for number in range(300)]
    make_images(*names)
    for name in names:
        store.put(name)

    audit = audited(Source(store=store, targets=source.targets, workers=workers), strategy="list")

    assert audit.ranges.count() > 6
    assert audit.counts["present"] == 300
    assert store.most == workers
