"""Batch after batch, until it is told to stop, or there is nothing more to do."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError, close_old_connections

from imagesync import logs
from imagesync.exceptions import CannotLook, QueueRefused
from imagesync.storage.queue import LONGEST_WAIT_S
from imagesync.watching.batch import BatchReport, Watch

SHORTEST_WAIT_S = 1
"""Long polling asks all of SQS's servers, a receive without waiting only some ("short and long polling")."""
PATIENCE_S = 300.0
"""How long what is away (queue, store, database) is waited for; then whoever supervises the process is told."""
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a watch ends by itself; all empty: never."""

    batches: int | None = None
    when_empty: bool = False
    seconds: float | None = None

    @property
    def is_soon(self) -> bool:
        """Whether whoever waits for it is better told of trouble than kept waiting."""
        return self.batches is not None or self.when_empty or self.seconds is not None


@dataclass(slots=True)
class Totals:
    """What a watch did."""

    batches: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    """As in a batch's report, ``changes`` counted."""

    def add(self, report: BatchReport) -> None:
        self.batches += 1
        for name, value in report.to_dict().items():
            if name != "schema":
                self.figures[name] += len(value) if isinstance(value, list) else value


class Stopped(BaseException):
    """Raised where a watch only waits. Not an Exception, because clients would take that for the queue's."""


class Stop:
    """How a watch is told to end: at once where it only waits, else behind the batch under way."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._waits = False

    @property
    def is_asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        """To be called by a signal's handler, in the watch's own thread."""
        self._asked.set()
        if self._waits:
            raise Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self._waits = True
        try:
            if self.is_asked:
                raise Stopped
            yield
        finally:
            self._waits = False


def watch(
    watched: Watch,
    ending: Ending,
    *,
    stop: Stop,
    tell: Callable[[BatchReport], None],
    complain: Callable[[str], None],
) -> Totals:
    """Work batches off and tell of each.

    Raises CannotLook for a queue or a store that cannot be asked, and what the database raises. A watch without end
    waits for them first, ``PATIENCE_S`` long; messages stay in the queue meanwhile.
    """
    totals = Totals()
    began = time.monotonic()
    away = _Away(complain)
    while not stop.is_asked:
        left = None if ending.seconds is None else began + ending.seconds - time.monotonic()
        if left is not None and left <= 0:
            break
        if not ending.is_soon:  # of a short one, whoever called it has connections that are good enough
            close_old_connections()
        try:
            with stop.waiting():
                messages = watched.receive(wait_s=_wait_s(ending, left))
            report = watched.work_off(messages)
            away.is_over()
            totals.add(report)
            tell(report)
            if (ending.when_empty and not messages) or totals.batches == ending.batches:
                break
        except Stopped:
            break
        except (CannotLook, OperationalError, InterfaceError) as error:
            if ending.is_soon or isinstance(error, QueueRefused):
                raise
            away.wait(error, stop)
    return totals


class _Away:
    """What is away for the moment, and for how long by now."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._since: float | None = None
        self._pause = 1.0

    def is_over(self) -> None:
        self._since, self._pause = None, 1.0

    def wait(self, error: Exception, stop: Stop) -> None:
        """Raises the error when it has been waited for long enough, Stopped never."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > PATIENCE_S:
            raise error
        what = (str(error).splitlines() or [type(error).__name__])[0]
        self._complain(f"{what} Trying again in {self._pause:.0f} s; nothing is lost.")
        logs.of_queue("watch_waits", what, level=logging.WARNING, seconds=self._pause)
        try:
            with stop.waiting():
                time.sleep(self._pause)
        except Stopped:
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)


def _wait_s(ending: Ending, left: float | None) -> int:
    if ending.when_empty or ending.batches is not None:
        return SHORTEST_WAIT_S
    return LONGEST_WAIT_S if left is None else min(LONGEST_WAIT_S, math.ceil(left))
