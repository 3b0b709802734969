"""What the tests of events share: a store, its source, a queue and who watches it; and one batch."""

from __future__ import annotations

from imagesync.models import Finding
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from imagesync.watching import BatchReport, Watch
from tests.queues import MemoryQueue

World = tuple[MemoryStore, Source, MemoryQueue, Watch]


def work_off(watch: Watch) -> BatchReport:
    return watch.work_off(watch.receive(wait_s=1))


def open_findings() -> list[tuple[str, str]]:
    return list(Finding.objects.open().order_by("key", "verdict").values_list("key", "verdict"))
