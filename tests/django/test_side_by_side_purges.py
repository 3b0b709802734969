"""A purge, a restore, and whoever else is at their records at that moment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from imagesync.models import Audit, Finding, Image, Tombstone
from imagesync.purge import execute, looks
from imagesync.purge.execute import execute_plan
from imagesync.purge.restore import execute_restore, restorable
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.django.beside import (
    Beside,
    lock,
    marked,
    missing,
    never_the_victim,
    once_before,
    plan,
    watch,
)
from tests.django.helpers import audited
from tests.testapp.models import Cover, ProductImage

ThreeImages = tuple[MemoryStore, Source]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def test_purge__keeps_a_record_that_was_stored_anew_under_its_name_since_the_look(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = three_images
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
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds a row that goes along; the record's own is free."""
    store, source = three_images
    store.delete("a.jpg")
    use = ProductImage.objects.create(image=Image.objects.get(file="a.jpg"))
    purge = plan(source, audited(source))
    monkeypatch.setattr(looks, "CONFIRMED_WITHIN", timedelta(seconds=1))
    beside = Beside(lambda: execute_plan(purge, source))

    with transaction.atomic():
        list(ProductImage.objects.filter(pk=use.pk).select_for_update())
        beside.begin()
        time.sleep(1)
    done = beside.outcome()

    assert Image.objects.filter(file="a.jpg").exists(), done.counts
    assert ["too much time passed" in one["why"] for one in done.plan["keep"]] == [True]


def test_purge__that_had_to_wait_for_a_row_keeps_what_was_written_there_meanwhile(
    three_images: ThreeImages,
) -> None:
    """Written past the model, so that nothing tells that it was saved: the tombstone has the row that went."""
    done = purged_while(
        three_images, lambda: Image.objects.filter(file="a.jpg").update(title="written meanwhile")
    )

    assert done.counts["deleted"] == 1
    (row,) = json.loads(Tombstone.objects.get().rows)["rows"]
    assert row["columns"]["title"] == "written meanwhile"


def test_purge__that_had_to_wait_for_a_row_keeps_the_record_when_it_was_saved_meanwhile(
    three_images: ThreeImages,
) -> None:
    done = purged_while(three_images, lambda: Image.objects.get(file="a.jpg").save())

    assert Image.objects.filter(file="a.jpg").exists()
    assert not Tombstone.objects.exists()
    assert ["since it was looked at" in one["why"] for one in done.plan["keep"]] == [True]


def purged_while(images: ThreeImages, write: Callable[[], object]) -> Any:
    """A purge of a.jpg that waits for its row while somebody else writes it."""
    store, source = images
    store.delete("a.jpg")
    purge = plan(source, audited(source))
    beside = Beside(lambda: execute_plan(purge, source))
    with transaction.atomic():
        write()
        beside.begin()
    return beside.outcome()


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
    three_images: ThreeImages, begun: Callable[[Source, Audit], Callable[[], Any]]
) -> None:
    """A site locks rows in whatever order; of two that wait for each other one is broken off."""
    store, source = three_images
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


def test_restore__goes_on_when_the_database_breaks_it_off_for_the_sites(
    three_images: ThreeImages,
) -> None:
    """What was set null is set again, whoever locks the rows in the other order."""
    store, source = three_images
    store.delete("a.jpg")
    image = Image.objects.get(file="a.jpg")
    covers = [Cover.objects.create(image=image, title=str(number)) for number in range(2)]
    done = execute_plan(plan(source, audited(source)), source)
    assert Cover.objects.filter(image=None).count() == 2
    order = [change["pk"][0] for change in json.loads(Tombstone.objects.get().rows)["changed"]]
    beside = Beside(lambda: execute_restore(done, restorable(done), restored_by="test"))

    with never_the_victim():
        list(Cover.objects.filter(pk=order[1]).select_for_update())
        beside.begin()
        list(Cover.objects.filter(pk=order[0]).select_for_update())
    outcome = beside.outcome()

    assert (outcome.conflicts, outcome.notes) == ([], [])
    assert {cover.pk for cover in Cover.objects.filter(image=image.pk)} == {cover.pk for cover in covers}
