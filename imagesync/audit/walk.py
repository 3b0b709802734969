"""Many scans, driven by one thread while their requests are under way together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from imagesync.audit.batch import Batch
from imagesync.audit.requests import Answer
from imagesync.audit.scan import RangeScan

HEARTBEAT_SECONDS = 5.0

_Running = tuple[RangeScan, Iterator[Answer[Any] | Batch]]


def walk(
    scans: Iterator[RangeScan],
    *,
    side_by_side: int,
    may_begin: Callable[[], bool] = lambda: True,
    heartbeat: Callable[[], None],
    beat_every: float = HEARTBEAT_SECONDS,
) -> Iterator[tuple[RangeScan, Batch]]:
    """Drive scans, up to ``side_by_side`` at a time, from this one thread.

    Another one is begun when there is nothing to do for those under way but to wait, and ``may_begin`` says so; a store
    that answers fast has few of them, each with its pages and rows in memory. ``heartbeat`` is called after each
    ``beat_every`` seconds in which nothing is answered. Raises what a scan raises.
    """
    under_way = 0
    # of this walk alone: what a walk that was broken off still waits for must not be taken for one of ours
    answered: SimpleQueue[_Running] = SimpleQueue()
    while True:
        running = _next(answered, seconds=0)
        if running is None and (not under_way or (under_way < side_by_side and may_begin())):
            running = _begun(scans)
            under_way += running is not None
        if running is None:
            if not under_way:
                return
            running = _next(answered, seconds=beat_every)
        if running is None:
            heartbeat()
            continue
        scan, steps = running
        for step in steps:
            if isinstance(step, Batch):
                yield scan, step
            elif not step.is_here:
                step.when_here(partial(answered.put, running))
                break
        else:
            under_way -= 1


def _begun(scans: Iterator[RangeScan]) -> _Running | None:
    scan = next(scans, None)
    return None if scan is None else (scan, scan.steps())


def _next(answered: SimpleQueue[_Running], *, seconds: float) -> _Running | None:
    try:
        return answered.get(block=seconds > 0, timeout=seconds)
    except Empty:
        return None
