"""Two that write of the same records at once, each stopped where it hurts most: neither fails, and what is left is true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from imagesync.audit import book, cancel_audit, carry_out, looks, open_audit
from imagesync.audit.marks import clear_marks
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, Finding, Image, Purge, Tombstone
from imagesync.purge import execute, taking
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source
from imagesync.storage.memory import MemoryStore
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from tests.conftest import BUCKET
from tests.django.helpers import audited, make_images, verdicts
from tests.queues import MemoryQueue, event
from tests.testapp.models import ProductImage

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]

MakeSource = Callable[..., tuple[MemoryStore, Source]]


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
        return self

    def outcome(self) -> Any:
        self.join(60)
        assert not self.is_alive(), "it never ended"
        if self._error is not None:
            raise self._error
        return self._outcome


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


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


@pytest.fixture
def world(memory_source: MakeSource) -> tuple[MemoryStore, Source]:
    """Three images that are there and known to be."""
    store, source = memory_source(bucket=BUCKET)
    make_images("a.jpg", "b.jpg", "c.jpg")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        store.put(name)
    audited(source)
    return store, source


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


# -- an audit and a watch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["_mark", "changes_of"])
def test_audit_and_watch__that_both_see_files_again_wait_for_each_other(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store, source = world
    for name in ("a.jpg", "b.jpg"):
        store.delete(name)
    audited(source)
    for name in ("a.jpg", "b.jpg"):
        store.put(name)
    beside = Beside(lambda: watch(source, "b.jpg", "a.jpg"))
    once_before(monkeypatch, book, where, beside.begin)

    audit = audited(source)
    beside.outcome()

    assert (audit.state, audit.counts["present"]) == ("finished", 3)
    assert (missing(), marked()) == ([], [])


def test_audit_and_watch__that_find_the_same_at_once_find_it_once(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = world
    store.delete("a.jpg")
    audit = open_audit(source, Scope())
    beside = Beside(lambda: watch(source, "a.jpg"))
    # between what it read and what it writes
    once_before(
        monkeypatch, book.Book, "_settle", lambda: once_after(monkeypatch, book, "by_record", beside.begin)
    )
    carry_out(audit, source)
    beside.outcome()

    assert (missing(), marked()) == (["a.jpg"], ["a.jpg"])


def test_watch__that_saw_a_file_again_is_not_overruled_by_an_audit_that_looked_before(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = world
    store.delete("a.jpg")
    audit = open_audit(source, Scope())

    def comes_back() -> None:
        store.put("a.jpg")
        Beside(lambda: watch(source, "a.jpg")).begin().outcome()

    once_before(monkeypatch, book.Book, "settle", comes_back)
    carry_out(audit, source)

    assert (missing(), marked()) == ([], [])


def test_watches__of_which_the_slower_one_looked_first_end_with_what_is_true(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is replaced: deleted, then stored. Each of two is handed one of the messages."""
    store, source = world
    store.delete("a.jpg")

    def stored() -> None:
        store.put("a.jpg")
        Beside(lambda: watch(source, "a.jpg")).begin().outcome()

    once_before(monkeypatch, looks, "_write", stored)
    watch(source, "a.jpg")

    assert (missing(), verdicts()["a.jpg"]) == ([], "present")


# -- an audit and a purge -------------------------------------------------------------------------------------


def test_audit__beside_a_purge_leaves_no_finding_of_a_record_that_is_gone(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = world
    store.delete("a.jpg")
    purge = plan(source, audited(source))
    Finding.objects.update(verdict="recoverable")  # as if it had been known as something else
    audit = open_audit(source, Scope())
    once_before(
        monkeypatch,
        book.Book,
        "settle",
        lambda: Beside(lambda: execute_plan(purge, source)).begin().outcome(),
    )

    carry_out(audit, source)

    assert Tombstone.objects.get().key == "a.jpg"
    assert not Finding.objects.open().exists()


@pytest.mark.parametrize(("where", "left"), [("_settle_batch", []), ("_settle", ["a.jpg"])])
def test_audit__that_is_cancelled_while_it_settles_leaves_finding_and_mark_alike(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch, where: str, left: list[str]
) -> None:
    """Whoever cancels it waits for the batch that is being settled, and for no other."""
    store, source = world
    store.delete("a.jpg")
    audit = open_audit(source, Scope())
    beside = Beside(lambda: cancel_audit(Audit.objects.get(pk=audit.pk)))
    once_before(monkeypatch, book.Book, where, beside.begin)

    with pytest.raises(AlreadyRunning, match="cancelled"):
        carry_out(audit, source)
    beside.outcome()

    assert (missing(), marked()) == (left, left)


def test_audit__beside_somebody_who_clears_marks_leaves_finding_and_mark_alike(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = world
    store.delete("a.jpg")
    audited(source)
    Image.objects.filter(file="a.jpg").update(verdict="unchecked")  # so that there is something to settle
    audit = open_audit(source, Scope())
    beside = Beside(lambda: list(clear_marks(source, Scope())))
    once_before(monkeypatch, book.Book, "_mark_settled", beside.begin)

    carry_out(audit, source)
    beside.outcome()

    assert (missing(), marked()) == ([], [])


# -- a purge, and whoever else is at its records --------------------------------------------------------------


def test_purge__keeps_a_record_that_was_stored_anew_under_its_name_since_the_look(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = world
    store.delete("a.jpg")
    purge = plan(source, audited(source))

    def stored_anew() -> None:
        store.put("a.jpg")
        image = Image.objects.get(file="a.jpg")
        image.remember_upload(size_bytes=5, width=1, height=1)
        image.save()

    once_before(monkeypatch, execute, "take", stored_anew)
    execute_plan(purge, source)

    assert Image.objects.filter(file="a.jpg").exists()
    (kept,) = purge.plan["keep"]
    assert "since it was looked at" in kept["why"]


def test_purge__that_had_to_wait_for_a_row_keeps_what_it_saw_too_long_ago(
    world: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds a row that goes along; the record's own is free."""
    store, source = world
    store.delete("a.jpg")
    use = ProductImage.objects.create(image=Image.objects.get(file="a.jpg"))
    purge = plan(source, audited(source))
    monkeypatch.setattr(taking, "CONFIRMED_WITHIN", timedelta(seconds=1))
    beside = Beside(lambda: execute_plan(purge, source))

    with transaction.atomic():
        list(ProductImage.objects.filter(pk=use.pk).select_for_update())
        beside.begin()
        time.sleep(1)
    done = beside.outcome()

    assert Image.objects.filter(file="a.jpg").exists(), done.counts
    assert ["too much time passed" in one["why"] for one in done.plan["keep"]] == [True]


def a_purge(source: Source, audit: Audit) -> Callable[[], Any]:
    purge = plan(source, audit)
    return lambda: execute_plan(purge, source)


def a_watch(source: Source, _audit: Audit) -> Callable[[], Any]:
    Finding.objects.update(verdict="recoverable")
    return lambda: watch(source, "a.jpg", "b.jpg")


def an_audit(source: Source, _audit: Audit) -> Callable[[], Any]:
    Image.objects.update(verdict="unchecked")
    return lambda: audited(source)


@pytest.mark.parametrize("begun", [a_purge, a_watch, an_audit])
def test_all__go_on_when_the_database_breaks_their_transaction_off_for_the_sites(
    world: tuple[MemoryStore, Source], begun: Callable[[Source, Audit], Callable[[], Any]]
) -> None:
    """A site locks rows in whatever order; of two that wait for each other one is broken off."""
    store, source = world
    for name in ("a.jpg", "b.jpg"):
        store.delete(name)
    beside = Beside(begun(source, audited(source)))

    with never_the_victim():
        lock("b.jpg")
        beside.begin()
        lock("a.jpg")
    beside.outcome()

    there = list(Image.objects.filter(file__in=["a.jpg", "b.jpg"]))
    assert len(there) + Tombstone.objects.count() == 2
    assert missing() == marked() == sorted(str(image.file) for image in there)
