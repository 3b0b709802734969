"""An audit's memory does not grow with the number of records."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from imagesync.audit.comparing import never
from imagesync.audit.judge import Judge
from imagesync.audit.pages import StorePages
from imagesync.audit.reading import ReadingAtOnce
from imagesync.audit.requests import Requests
from imagesync.audit.scan import RangeScan
from imagesync.audit.walk import walk
from imagesync.core.reservoir import Reservoir
from imagesync.core.strategy import Chooser
from imagesync.core.verdicts import Evidence
from imagesync.models import AuditRange
from imagesync.records import Chunk, Scope, Source
from imagesync.records.chunks import CHUNK, Columns
from imagesync.storage.contract import ListingAnswer
from imagesync.storage.memory import MemoryStore

EVERY = 50
"""So many records to one whose object is gone."""


def name_of(number: int) -> str:
    return f"images/2025/{number:09}.jpg"


class Endless(MemoryStore):
    """Lists as many objects as it is told, made when they are asked for."""

    def __init__(self, objects: int) -> None:
        super().__init__()
        self._number = objects

    def list_page(
        self, *, prefix: str, start_after: str = "", token: str = "", max_keys: int = 1000
    ) -> ListingAnswer:
        begin = bisect_right(range(self._number), token or start_after, key=name_of)
        end = min(begin + max_keys, self._number)
        there = [name_of(number) for number in range(begin, end) if number % EVERY]
        page: dict[str, Any] = {"Name": self.identity.bucket, "Prefix": prefix, "KeyCount": len(there)}
        page["Contents"] = [{"Key": key, "Size": 1, "ETag": f'"{key}"'} for key in there]
        page["IsTruncated"] = end < self._number
        if page["IsTruncated"]:
            page["NextContinuationToken"] = there[-1]
        return ListingAnswer(evidence=Evidence(operation="ListObjectsV2", status=200), page=page)


def chunks_of(number: int, source: Source) -> Iterator[Chunk]:
    (target,) = source.targets
    for begin in range(0, number, CHUNK):
        size = min(CHUNK, number - begin)
        nothing = [None] * size
        names = [name_of(one) for one in range(begin, begin + size)]
        pks = list(range(begin, begin + size))
        keys = target.keys_of(names, source.store)
        columns = Columns(
            names, keys, pks, nothing, nothing, nothing, nothing, [target] * size, [True] * size
        )
        yield Chunk(source.store, columns)


def peak_of(number: int, targets: Any) -> tuple[int, Counter[str]]:
    store = Endless(number)
    source = Source(store=store, targets=targets, workers=4)
    counts: Counter[str] = Counter()
    tracemalloc.start()
    try:
        with Requests(store, workers=4, versioning="off") as requests:
            scan = RangeScan(
                AuditRange(),
                chunks_of(number, source),
                reading=ReadingAtOnce(),
                pages=StorePages(requests, ""),
                requests=requests,
                judge=Judge(source, Scope(), now=lambda: datetime.now(UTC)),
                chooser=Chooser("list", break_even=12.5),
                batch_size=20_000,
                is_over=never,
                canaries=Reservoir(20, seed=1),
            )
            for _scan, batch in walk(iter([scan]), side_by_side=4, heartbeat=lambda: None):
                counts += batch.counts
        return tracemalloc.get_traced_memory()[1], counts
    finally:
        tracemalloc.stop()


def test_scan__of_four_times_the_records_takes_no_more_memory(memory_source: Any) -> None:
    _store, source = memory_source()
    targets = source.targets[:1]
    peak_of(10_000, targets)  # what is imported and compiled once

    small, _counts = peak_of(50_000, targets)
    large, counts = peak_of(200_000, targets)

    print(f"peak {small / 1e6:.1f} MB of 50,000 records, {large / 1e6:.1f} MB of 200,000")
    assert (counts["records"], counts["missing"]) == (200_000, 200_000 // EVERY)
    assert large < 1.2 * small
