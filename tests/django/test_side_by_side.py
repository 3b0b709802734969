"""Two that write of the same records at once, each stopped where it hurts most: neither fails, and what is left is true."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from imagesync.audit import (
    book,
    cancel_audit,
    carry_out,
    looks,
    open_audit,
)
from imagesync.audit.marks import clear_marks
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, Finding, Image, Tombstone
from imagesync.purge.execute import execute_plan
from imagesync.records import Scope, Source
from imagesync.storage.memory import MemoryStore
from tests.django.beside import (
    Beside,
    marked,
    missing,
    once_after,
    once_before,
    plan,
    watch,
)
from tests.django.helpers import audited, verdicts

ThreeImages = tuple[MemoryStore, Source]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


# -- an audit and a watch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["mark", "changes_of"])
def test_audit_and_watch__that_both_see_files_again_wait_for_each_other(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store, source = three_images
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
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = three_images
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
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = three_images
    store.delete("a.jpg")
    audit = open_audit(source, Scope())

    def comes_back() -> None:
        store.put("a.jpg")
        Beside(lambda: watch(source, "a.jpg")).begin().outcome()

    once_before(monkeypatch, book.Book, "settle", comes_back)
    carry_out(audit, source)

    assert (missing(), marked()) == ([], [])


@pytest.mark.parametrize("where", ["_settle_batch", "_settle"])
def test_audit__that_saw_a_file_again_is_not_overruled_by_one_that_is_settling_an_older_look(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whoever comes second waits for the row, and then knows what the other wrote."""
    store, source = three_images
    store.delete("a.jpg")
    audit = open_audit(source, Scope())
    beside = Beside(lambda: audited(source, Scope(prefix="a")))

    def comes_back() -> None:
        store.put("a.jpg")
        beside.begin()

    once_before(monkeypatch, book.Book, where, comes_back)
    carry_out(audit, source)
    beside.outcome()

    assert missing() == []


def test_watches__of_which_the_slower_one_looked_first_end_with_what_is_true(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is replaced: deleted, then stored. Each of two is handed one of the messages."""
    store, source = three_images
    store.delete("a.jpg")

    def stored() -> None:
        store.put("a.jpg")
        Beside(lambda: watch(source, "a.jpg")).begin().outcome()

    once_before(monkeypatch, looks, "_write", stored)
    watch(source, "a.jpg")

    assert (missing(), verdicts()["a.jpg"]) == ([], "present")


# -- an audit and a purge -------------------------------------------------------------------------------------


def test_audit__beside_a_purge_leaves_no_finding_of_a_record_that_is_gone(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = three_images
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
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch, where: str, left: list[str]
) -> None:
    """Whoever cancels it waits for the batch that is being settled, and for no other."""
    store, source = three_images
    store.delete("a.jpg")
    audit = open_audit(source, Scope())
    beside = Beside(lambda: cancel_audit(Audit.objects.get(pk=audit.pk)))
    once_before(monkeypatch, book.Book, where, beside.begin)

    with pytest.raises(AlreadyRunning, match="cancelled"):
        carry_out(audit, source)
    beside.outcome()

    assert (missing(), marked()) == (left, left)


def test_audit__beside_somebody_who_clears_marks_leaves_finding_and_mark_alike(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = three_images
    store.delete("a.jpg")
    audited(source)
    Image.objects.filter(file="a.jpg").update(verdict="unchecked")  # so that there is something to settle
    audit = open_audit(source, Scope())
    beside = Beside(lambda: list(clear_marks(source, Scope())))
    once_before(monkeypatch, book.Book, "_mark_settled", beside.begin)

    carry_out(audit, source)
    beside.outcome()

    assert (missing(), marked()) == ([], [])


def test_watch__that_saw_a_file_go_is_not_overruled_by_an_audits_older_page(
    three_images: ThreeImages,
) -> None:
    store, source = three_images
    Image.objects.filter(file="a.jpg").update(verdict="unchecked")
    honest, over = store.list_page, []

    def goes_behind_the_page(**asked: Any) -> Any:
        page = honest(**asked)
        if asked.get("max_keys", 1000) >= 1000 and not over:
            over.append(True)
            store.delete("a.jpg")
            Beside(lambda: watch(source, "a.jpg")).begin().outcome()
        return page

    store.list_page = goes_behind_the_page  # type: ignore[method-assign]
    audited(source, strategy="list")

    assert over
    assert (missing(), marked()) == (["a.jpg"], ["a.jpg"])


def test_audit__of_a_file_that_is_stored_anew_between_its_row_and_its_page_finds_no_other_size(
    three_images: ThreeImages,
) -> None:
    store, source = three_images
    Image.objects.filter(file="a.jpg").update(size_bytes=1)
    honest, over = store.list_page, []

    def stored_anew() -> None:
        store.put("a.jpg", size_bytes=5)
        image = Image.objects.get(file="a.jpg")
        image.remember_upload(size_bytes=5, width=1, height=1)
        image.save()

    def stored_before_the_page(**asked: Any) -> Any:
        if asked.get("max_keys", 1000) >= 1000 and not over:
            over.append(True)
            Beside(stored_anew).begin().outcome()
        return honest(**asked)

    store.list_page = stored_before_the_page  # type: ignore[method-assign]
    audited(source, strategy="list")

    assert over
    assert verdicts()["a.jpg"] in ("unchecked", "present")
    assert not Finding.objects.open().exists()
