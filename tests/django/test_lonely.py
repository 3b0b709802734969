"""Consequences found for many records at once, against those found for each: the same, or left to the latter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_delete

from imagesync.models import Image
from imagesync.purge.lonely import delete_lonely, lonely_consequences
from imagesync.purge.restore_rows import put_back
from imagesync.purge.rows import consequences
from tests.django.test_rows import dump, image
from tests.testapp import models as shop

pytestmark = pytest.mark.django_db

DEPENDENTS: dict[str, Callable[[Image], Any]] = {
    "cascade": lambda one: shop.ProductImage.objects.create(image=one),
    "set null": lambda one: shop.Cover.objects.create(image=one),
    "protect": lambda one: shop.Contract.objects.create(image=one),
    "restrict": lambda one: shop.Restricted.objects.create(image=one),
    "do nothing": lambda one: shop.Loose.objects.create(image=one),
    "many to many": lambda one: shop.Album.objects.create().images.add(one),
    "through": lambda one: shop.Slide.objects.create(image=one),
    "hidden by a manager": lambda one: shop.Remark.objects.create(image=one),
}


def test_lonely__are_those_that_nothing_points_to_and_their_copies_are_the_same() -> None:
    lonely = [image(str(number), size_bytes=number, etag="e") for number in range(3)]
    others = {name: image(name) for name in DEPENDENTS}
    for name, depend in DEPENDENTS.items():
        depend(others[name])

    found = lonely_consequences([*others.values(), *lonely], using="default")

    assert set(found) == {one.pk for one in lonely}
    for one in lonely:
        slow, fast = consequences(one, using="default"), found[one.pk]
        assert fast.copy() == slow.copy()
        assert (fast.cascades(), fast.files(), fast.receivers(), fast.blocked) == (
            slow.cascades(),
            slow.files(),
            slow.receivers(),
            slow.blocked,
        )


def test_lonely__deleted_together_come_back_as_they_were() -> None:
    rows = [image(str(number)) for number in range(5)]
    image("stays")
    before = dump()
    with transaction.atomic():
        found = lonely_consequences(rows, using="default", lock=True)
        copies = [one.copy() for one in found.values()]
        delete_lonely(list(found.values()), using="default")
    assert list(Image.objects.values_list("title", flat=True)) == ["stays"]

    for copy in copies:
        put_back(copy, using="default")

    assert dump() == before


def test_lonely__nobody_is_where_a_receiver_listens() -> None:
    def listens(**_event: Any) -> None:
        pass

    row = image("a")
    post_delete.connect(listens, sender=Image)
    try:
        assert lonely_consequences([row], using="default") == {}
    finally:
        post_delete.disconnect(listens, sender=Image)


@pytest.mark.parametrize(
    "make",
    [
        lambda: shop.Picture.objects.create(file="a.jpg"),  # a generic relation
        lambda: shop.Child.objects.create(file="a.jpg"),  # a parent in a table of its own
    ],
)
def test_lonely__nobody_is_whose_deletion_is_more_than_a_row(make: Callable[[], Model]) -> None:
    assert lonely_consequences([make()], using="default") == {}


def test_lonely__a_row_that_another_of_the_same_batch_takes_along_is_not_lost() -> None:
    first = shop.Document.objects.create(document="a.pdf")
    second = shop.Document.objects.create(document="b.pdf", replaces=first)

    found = lonely_consequences([first, second], using="default")

    assert set(found) == {second.pk}


def test_lonely__one_that_is_gone_is_nowhere() -> None:
    row = image("a")
    Image.objects.all().delete()

    assert lonely_consequences([row], using="default") == {}
