"""What a deletion takes along, kept and put back: every table row for row what it was, compared by SQL."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection, models, transaction
from django.db.models import Value
from django.test.utils import CaptureQueriesContext

from imagesync.models import Image
from imagesync.purge.restore_rows import put_back
from imagesync.purge.rows import Consequences, NamedFile, RowsChanged, consequences
from tests.django.helpers import preview
from tests.testapp import models as shop

pytestmark = pytest.mark.django_db

Dump = dict[str, list[str]]


def dump() -> Dump:
    """Every row of the shop and of Image, as the database holds it, read by SQL."""
    found: Dump = {}
    of_interest = [*apps.get_app_config("testapp").get_models(include_auto_created=True), Image]
    with connection.cursor() as cursor:
        for model in of_interest:
            if not model._meta.proxy:
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)}")
                plain = ([bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor)
                found[model._meta.db_table] = sorted(map(repr, plain))
    return found


def image(name: str = "a", **values: Any) -> Image:
    return Image.objects.create(file=f"images/{name}.jpg", title=name, **values)


def purge(record: models.Model) -> str:
    """Delete as a purge does it: copy first."""
    found = consequences(record, using="default")
    assert not found.blocked
    with transaction.atomic():
        copy = found.copy()
        found.execute()
    return copy


def assert_comes_back(record: models.Model, using: str = "default") -> Consequences:
    """Copy, delete, preview, put back; nothing differs afterwards."""
    before = dump()
    found = consequences(record, using=using)
    assert not found.blocked
    copy = found.copy()
    assert dump() == before, "looking changes nothing"
    cascades = found.cascades()
    with transaction.atomic():
        found.execute()
    gone = dump()
    assert gone != before
    assert preview(copy, using=using) == []
    assert dump() == gone, "a preview changes nothing"
    assert put_back(copy, using=using) == []
    assert dump() == before
    again = consequences(type(record)._base_manager.get(pk=json.loads(json.dumps(pk_of(copy)))), using=using)
    assert again.cascades() == cascades
    assert again.copy() == copy
    return again


def pk_of(copy: str) -> Any:
    root = next(row for row in reversed(json.loads(copy)["rows"]) if row["root"])
    name = apps.get_model(root["model"])._meta.pk.attname
    value = root["columns"][name]
    return value["text"] if isinstance(value, dict) else value


@pytest.fixture
def rich() -> Image:
    """An image with everything around it, beside a neighbour that must not be touched."""
    standard, neighbour = image("standard"), image("neighbour")
    Image.objects.filter(pk=standard.pk).update(id=1)
    owner = get_user_model().objects.create(username="owner")
    record = image("rich", owner=owner, size_bytes=2**40, verdict="missing")
    moment = datetime(2025, 10, 26, 23, 17, 45, 123456, tzinfo=UTC)
    Image.objects.filter(pk=record.pk).update(updated_at=moment, missing_since=moment)
    product = shop.Product.objects.create(name="lamp", price=Decimal("19.90"))
    for position, one in enumerate([record, record, neighbour]):
        shop.ProductImage.objects.create(image=one, product=product, position=position)
    for title in ("summer", "winter"):
        shop.Album.objects.create(title=title).images.add(record, neighbour)
    show = shop.Show.objects.create(title="show")
    shop.Slide.objects.create(show=show, image=record)
    shop.Slide.objects.create(
        show=show,
        image=record,
        shown_at=moment,
        day=date(1899, 12, 31),
        at=time(23, 59, 59, 999999),
        lasts=-timedelta(days=3, microseconds=7),
        raw=bytes(range(256)),
        price=Decimal("-1234567890.1234"),
        weight=0.1 + 0.2,
        count=-(2**62),
        flag=False,
        note="NFC é NFD é 😀 'quote' \"double\" \\ \n\t",
        token=uuid.UUID(int=2**127),
        extra={"at": [1, 1.0, "é", None, True]},
        config=[],
    )
    for one in (record, neighbour):
        shop.Cover.objects.create(image=one, title="cover")
    shop.Banner.objects.create(image=record)
    shop.Poster.objects.create(image=record)
    shop.Remark.objects.create(image=record, deleted=True)
    shop.Spot.objects.create(image=record, at=shop.Point(3, -4))
    left = shop.Left.objects.create(image=record, right=shop.Right.objects.create())
    shop.Right.objects.update(left=left)
    return record


def test_everything_comes_back(rich: Image) -> None:
    found = assert_comes_back(rich)
    assert found.cascades() == {
        "testapp.Album_images": 2,
        "testapp.Banner": 1,
        "testapp.Cover": 1,
        "testapp.Left": 1,
        "testapp.Poster": 1,
        "testapp.ProductImage": 2,
        "testapp.Remark": 1,
        "testapp.Right": 1,
        "testapp.Slide": 2,
        "testapp.Spot": 1,
    }


def test_nulled_rows_keep_their_old_value(rich: Image) -> None:
    found = consequences(rich, using="default")
    kept = {(type(one.instance), one.field.name): (one.old, one.new) for one in found.changed}
    assert kept[shop.Cover, "image"] == (rich.pk, None)
    assert kept[shop.Banner, "image"] == (rich.pk, 1)
    assert kept[shop.Poster, "image"][0] == rich.pk


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extra", None),
        ("extra", Value(None, models.JSONField())),
        ("config", Value(None, models.JSONField())),
        ("config", {"nested": [{}, [], "", 0, -0.0, 1e300]}),
        ("config", 'a "text"'),
        ("weight", float("inf")),
        ("weight", -0.0),
        ("weight", 5e-324),
        ("price", Decimal("0.0001")),
        ("lasts", timedelta(days=10**6, microseconds=1)),
        ("raw", b""),
        ("note", ""),
        ("shown_at", datetime(1, 1, 2, tzinfo=UTC)),
        ("shown_at", datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
@pytest.mark.filterwarnings("ignore:Using None as the right-hand side", "ignore:.*JSONNull")
def test_values_of_every_kind(field: str, value: Any) -> None:
    record = image()
    slide = shop.Slide.objects.create(image=record)
    shop.Slide.objects.filter(pk=slide.pk).update(**{field: value})
    assert_comes_back(record)


def test_json_keeps_the_digits_that_python_rounds() -> None:
    record = image()
    shop.Slide.objects.create(image=record)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_slide SET config = %s", ['{"a": 0.12345678901234567890123}'])
    assert "0.12345678901234567890123" in repr(dump()["testapp_slide"])
    assert_comes_back(record)


@pytest.mark.parametrize("name", [None, "", "maybe/a.jpg"])
def test_no_file_and_an_empty_name_differ(name: str | None) -> None:
    record = shop.MaybeFile.objects.create(file="maybe/a.jpg")
    shop.MaybeFile.objects.filter(pk=record.pk).update(file=name)
    assert_comes_back(record)


def test_multi_table_child_goes_and_returns_with_its_parent() -> None:
    child = shop.Child.objects.create(file="images/c.jpg", caption="c", scan="scans/c.pdf")
    shop.PictureNote.objects.create(picture=child, text="note")
    shop.Tagged.objects.create(target=child, word="hidden: the generic relation names the child's own type")
    found = assert_comes_back(child)
    assert [type(one) for one in found.taken if not isinstance(one, shop.PictureNote | shop.Tagged)] == [
        shop.Child,
        shop.Picture,
    ]
    assert found.cascades()["testapp.PictureNote"] == 1
    assert "testapp.Picture" not in found.cascades()
    assert_comes_back(shop.Picture.objects.get(pk=child.pk))
    assert (
        consequences(shop.Picture.objects.get(pk=child.pk), using="default").cascades()["testapp.Child"] == 1
    )


def test_proxy_and_generic_relation() -> None:
    record = shop.PictureProxy.objects.create(file="images/p.jpg")
    picture = shop.Picture.objects.get(pk=record.pk)
    shop.Tagged.objects.create(target=picture, word="one")
    shop.Tagged.objects.create(target=picture, word="two")
    found = assert_comes_back(picture)
    assert found.cascades() == {"testapp.Tagged": 2}
    assert_comes_back(record)


def test_self_relation_and_uuid_keys() -> None:
    first = shop.Document.objects.create(document="documents/1.pdf")
    second = shop.Document.objects.create(document="documents/2.pdf", replaces=first)
    shop.Document.objects.filter(pk=first.pk).update(replaces=second)
    shop.Document.objects.create(document="documents/3.pdf", replaces=second)
    found = assert_comes_back(first)
    assert found.cascades() == {"testapp.Document": 2}
    assert sorted(one.name for one in found.files()) == [f"documents/{n}.pdf" for n in (1, 2, 3)]


def test_symmetric_many_to_many_with_itself() -> None:
    one, two = (shop.Album.objects.create(title=title) for title in "ab")
    one.friends.add(two)
    assert_comes_back(one)


def test_numbers_that_django_gives_on_insert_stay() -> None:
    record = image()
    rows = [shop.Ordered.objects.create(image=record) for _ in range(3)]
    record.set_ordered_order([rows[2].pk, rows[0].pk, rows[1].pk])
    shop.Ordered.objects.filter(pk=rows[0].pk).update(_order=17)
    assert_comes_back(record)


def test_files_of_every_row_that_goes() -> None:
    record = shop.TwoFiles.objects.create(file="two/a.jpg", thumbnail="two/thumbnails/a.jpg")
    assert consequences(record, using="default").files() == [
        NamedFile(shop.TwoFiles, record.pk, shop.TwoFiles._meta.get_field("file"), "two/a.jpg"),
        NamedFile(
            shop.TwoFiles, record.pk, shop.TwoFiles._meta.get_field("thumbnail"), "two/thumbnails/a.jpg"
        ),
    ]
    child = shop.Child.objects.create(file="images/c.jpg", scan="scans/c.pdf")
    named = {(one.model, one.field.name, one.name) for one in consequences(child, using="default").files()}
    assert named == {(shop.Child, "scan", "scans/c.pdf"), (shop.Picture, "file", "images/c.jpg")}


def test_what_is_in_memory_does_not_leak_in() -> None:
    record = image("as stored")
    shop.Cover.objects.create(image=record, title="c")
    record.title, record.file.name = "in memory", "images/other.jpg"
    found = consequences(record, using="default")
    assert "in memory" not in found.copy()
    assert found.files()[0].name == "images/as stored.jpg"
    assert record.title == "in memory"
    deferred = Image.objects.only("pk").get(pk=record.pk)
    assert consequences(deferred, using="default").copy() == found.copy()


def test_overrides_are_for_the_record_alone() -> None:
    child = shop.Child.objects.create(file="images/c.jpg", caption="c", verdict="missing")
    copy = purge(child)
    assert put_back(copy, using="default", overrides={"verdict": "unchecked", "nothing": 1}) == []
    assert shop.Child.objects.get(pk=child.pk).verdict == "unchecked"


def test_a_record_without_relations_costs_one_query_more_than_its_relations() -> None:
    record = shop.MaybeFile.objects.create(file="maybe/a.jpg")
    consequences(record, using="default")  # the rules of the database are remembered
    with CaptureQueriesContext(connection) as queries:
        consequences(record, using="default")
    assert len(queries) == 1


def test_rows_that_changed_since_the_copy_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.features, "has_select_for_update", True)
    monkeypatch.setattr("django.db.models.query.QuerySet.select_for_update", lambda self: self)
    record = image()
    found = consequences(record, using="default")
    Image.objects.filter(pk=record.pk).update(title="meanwhile")
    with pytest.raises(RowsChanged):
        found.execute()
    assert Image.objects.filter(pk=record.pk).exists()


def test_a_record_that_is_gone() -> None:
    record = image()
    Image.objects.all().delete()
    assert consequences(record, using="default").block_id == "gone"
