"""What another process does meanwhile, and how one is stopped for it where it hurts most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from imagesync.models import Audit, Finding, Image, Purge
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Source
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from tests.processes import until
from tests.queues import MemoryQueue, event


class Beside(threading.Thread):
    """What another process does meanwhile, with connections of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._outcome: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._outcome = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self._error = error
        finally:
            connections.close_all()

    def begin(self) -> Beside:
        """Start it; returns when it has ended, or waits for a row that somebody holds."""
        self.start()
        until(lambda: not self.is_alive() or somebody_waits_for_a_row())
        # nobody else would close what a thread of the pool that asks has opened
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()
        return self

    def outcome(self) -> Any:
        self.join(60)
        assert not self.is_alive(), "it never ended"
        if self._error is not None:
            raise self._error
        return self._outcome


def somebody_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_locks WHERE database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return bool(cursor.fetchone()[0])


def once_before(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, step: Callable[[], Any]) -> None:
    """Have ``step`` happen before the first call of ``where.name`` in this thread."""
    honest, here, over = getattr(where, name), threading.current_thread(), []

    def stopped(*args: Any, **kwargs: Any) -> Any:
        if not over and threading.current_thread() is here:
            over.append(True)
            step()
        return honest(*args, **kwargs)

    monkeypatch.setattr(where, name, stopped)


def once_after(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, step: Callable[[], Any]) -> None:
    """The same behind it."""
    honest, here, over = getattr(where, name), threading.current_thread(), []

    def stopped(*args: Any, **kwargs: Any) -> Any:
        outcome = honest(*args, **kwargs)
        if not over and threading.current_thread() is here:
            over.append(True)
            step()
        return outcome

    monkeypatch.setattr(where, name, stopped)


@contextmanager
def never_the_victim() -> Iterator[None]:
    """Of two that wait for each other it is the other one whose transaction the database breaks off."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '50s'")
        yield


def lock(*names: str) -> None:
    list(Image.objects.filter(file__in=names).select_for_update())


def watch(source: Source, *names: str) -> None:
    """Work off an event of each."""
    queue = MemoryQueue()
    queue.send(*(event(name) for name in names))
    one = Watch(queue, [WatchedStore(source)], started_by="events")
    report = one.work_off(one.receive(wait_s=1))
    assert report.left == 0
    assert not queue.waiting


def plan(source: Source, audit: Audit) -> Purge:
    made = make_plan(source, audit, limits=limits_from_settings(max_ratio=1.0))
    assert not made.refused, made.refused
    return made


def missing() -> list[str]:
    return sorted(Finding.objects.open().filter(verdict="missing").values_list("key", flat=True))


def marked() -> list[str]:
    return sorted(Image.objects.filter(verdict="missing").values_list("file", flat=True))
