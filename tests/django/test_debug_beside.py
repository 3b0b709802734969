"""What lies beside a key: near it in key order, whole or in part, and never more than is known."""

from __future__ import annotations

import pytest

from imagesync.doctor.beside import PAGE_SIZE, SHOWN_EACH_SIDE, look_beside
from imagesync.storage.memory import MemoryStore


def stocked(*keys: str) -> MemoryStore:
    store = MemoryStore("b")
    for key in keys:
        store.put(key)
    return store


def test_beside__shows_the_nearest_on_both_sides_and_the_key_itself() -> None:
    names = [f"images/{number:02}.jpg" for number in range(20)]
    beside = look_beside(stocked(*names, "imagesx.jpg", "other/10.jpg"), "images/10.jpg")

    around = [one.key for one in beside.around("images/10.jpg")]
    assert around == names[10 - SHOWN_EACH_SIDE : 11 + SHOWN_EACH_SIDE]
    assert (beside.directory, beside.complete, beside.lists("images/10.jpg")) == ("images/", True, True)


def test_beside__an_absent_key_is_not_listed_and_its_place_is_shown() -> None:
    beside = look_beside(stocked("images/a.jpg", "images/c.jpg"), "images/b.jpg")

    assert [one.key for one in beside.around("images/b.jpg")] == ["images/a.jpg", "images/c.jpg"]
    assert beside.lists("images/b.jpg") is False


@pytest.mark.parametrize("key", ["a.jpg", "folder/", ""])
def test_beside__keys_without_a_name_or_a_directory(key: str) -> None:
    beside = look_beside(stocked("a.jpg", "folder/", "folder/b.jpg"), key)

    assert beside.directory == key[: key.rfind("/") + 1]
    assert beside.lists(key) is (key != "")


@pytest.mark.parametrize(("stored", "listed"), [(True, True), (False, False)])
def test_beside__far_behind_in_a_large_directory_two_pages_are_enough(stored: bool, listed: bool) -> None:
    store = stocked(*(f"images/{number:05}.jpg" for number in range(3 * PAGE_SIZE)))
    key = "images/02500.jpg"
    if not stored:
        store.delete(key)

    beside = look_beside(store, key)

    assert (beside.complete, beside.lists(key)) == (False, listed)
    behind = [one.key for one in beside.around(key) if one.key > key]
    assert behind == [f"images/{number:05}.jpg" for number in range(2501, 2501 + SHOWN_EACH_SIDE)]
    assert store.requests["LIST"] == 2


def test_beside__a_key_behind_everything_of_a_large_directory_is_not_listed() -> None:
    store = stocked(*(f"images/{number:05}.jpg" for number in range(PAGE_SIZE + 1)))

    assert look_beside(store, "images/z.jpg").lists("images/z.jpg") is False


def test_beside__a_listing_that_fails_says_nothing() -> None:
    store = stocked("images/a.jpg")
    store.fail("ListObjectsV2", 503, "SlowDown")

    beside = look_beside(store, "images/a.jpg")

    assert (beside.around("images/a.jpg"), beside.lists("images/a.jpg")) == ((), None)
    assert "503 SlowDown" in beside.failure
