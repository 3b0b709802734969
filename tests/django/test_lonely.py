"""Consequences found for many records at once, against those found for each: the same, or left to the latter."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.query import ModelIterable
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.models import Image
from imagesync.purge.execute import BATCH, execute_plan
from imagesync.purge.lonely import CHUNK, delete_lonely, lonely_consequences, read_whole
from imagesync.purge.restore_rows import put_back
from imagesync.purge.rows import Consequences, consequences
from tests.conftest import MakeSource
from tests.django.beside import plan
from tests.django.helpers import audited, make_images
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


def lonely_among(records: list[Any], *, lock: bool = False) -> dict[Any, Consequences]:
    rows = read_whole(type(records[0]), [one.pk for one in records], using="default", lock=lock)
    return lonely_consequences(list(rows), using="default", lock=lock)


def test_lonely__are_those_that_nothing_points_to_and_their_copies_are_the_same() -> None:
    lonely = [image(str(number), size_bytes=number, etag="e") for number in range(3)]
    others = {name: image(name) for name in DEPENDENTS}
    for name, depend in DEPENDENTS.items():
        depend(others[name])

    found = lonely_among([*others.values(), *lonely])

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
        found = lonely_among(rows, lock=True)
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
        assert lonely_among([row]) == {}
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
    assert lonely_among([make()]) == {}


def test_lonely__a_row_that_another_of_the_same_batch_takes_along_is_not_lost() -> None:
    first = shop.Document.objects.create(document="a.pdf")
    second = shop.Document.objects.create(document="b.pdf", replaces=first)

    found = lonely_among([first, second])

    assert set(found) == {second.pk}


def test_lonely__one_that_is_gone_is_nowhere() -> None:
    row = image("a")
    Image.objects.all().delete()

    assert lonely_among([row]) == {}


A_ROW: dict[str, Callable[[], Model]] = {
    "an image": lambda: image("a", size_bytes=5, etag="e"),
    "a column of every kind": lambda: shop.Slide.objects.create(
        image=image("a"),
        shown_at=timezone.now(),
        day=date(2026, 2, 3),
        at=time(1, 2, 3, 4),
        lasts=timedelta(days=-1, microseconds=7),
        raw=b"\x00\xff",
        price=Decimal("12.3400"),
        weight=0.1,
        count=2**60,
        flag=False,
        note="\\N\t",
        token=uuid.uuid4(),
        extra={"a": [1.5, None, "b"]},
    ),
    "a field of one's own": lambda: shop.Spot.objects.create(image=image("a"), at=shop.Point(3, 4)),
    "a parent in a table of its own": lambda: shop.Child.objects.create(file="a.jpg"),
}


@pytest.mark.parametrize("make", A_ROW.values(), ids=A_ROW)
def test_read_whole__makes_of_a_row_what_a_query_makes_of_it(make: Callable[[], Model]) -> None:
    model, pk = type(made := make()), made.pk
    queried = model._base_manager.get(pk=pk)

    with transaction.atomic():
        (whole,) = read_whole(model, [pk], using="default", lock=True)

    assert type(whole.instance) is model
    columns = [field.attname for field in model._meta.concrete_fields]
    (values,) = model._base_manager.values(*columns).filter(pk=pk)
    assert _told({name: whole.values[name] for name in columns}) == _told(values)
    assert _told(vars(whole.instance)) == _told(vars(queried))


def _told(values: Mapping[str, Any]) -> dict[str, tuple[type, str]]:
    """Some of the shop's values are equal to nothing but themselves."""
    states = {"_state": f"{state.db} {state.adding}"} if (state := values.get("_state")) else {}
    return {name: (type(value), str(value)) for name, value in {**values, **states}.items()}


def test_read_whole__leaves_out_what_no_instance_can_be_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = image("good"), image("bad")
    make = Image.from_db

    def from_db(using: str, names: Any, values: Any) -> Image:
        found: Image = make(using, names, values)
        if found.title == "bad":
            raise ValueError("no")
        return found

    monkeypatch.setattr(Image, "from_db", from_db)

    assert set(lonely_among([good, bad])) == {good.pk}


def test_lonely__nobody_is_whose_queries_give_other_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of django-polymorphic do: what listens and what depends is theirs, not the model's."""

    class Others(ModelIterable):
        pass

    row = image("a")
    assert set(lonely_among([row])) == {row.pk}
    rows = Image._base_manager.all()
    rows._iterable_class = Others
    monkeypatch.setattr(type(Image._base_manager), "get_queryset", lambda _manager: rows._chain())

    assert lonely_among([row]) == {}


def test_purge__reads_the_rows_of_a_batch_once_and_in_the_order_in_which_audits_lock(
    memory_source: MakeSource,
) -> None:
    """One query locks a batch, since the order is one query's. What it gave is both checked and kept."""
    store, source = memory_source(bucket="b")
    make_images("d.jpg", "b.jpg", "c.jpg", "a.jpg", "there.jpg")
    store.put("there.jpg")
    purge = plan(source, audited(source))

    with CaptureQueriesContext(connection) as queries:
        execute_plan(purge, source)

    assert purge.counts["deleted"] == 4
    image_rows = [one["sql"] for one in queries if one["sql"].startswith('SELECT "imagesync_image"')]
    (taken,) = [sql for sql in image_rows if '"title"' in sql]
    assert 'ORDER BY "imagesync_image"."id" ASC' in taken
    assert ("FOR UPDATE" in taken) is connection.features.has_select_for_update
    assert BATCH <= CHUNK
