"""Fields without an index in byte order, and which fields those are."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection

from imagesync.audit import audit_document
from imagesync.models import Image
from imagesync.models.indexes import byte_order_index_sql, has_byte_order_index
from imagesync.records import RecordChunks, Scope, Source, presorted
from imagesync.records.keyset import as_stored
from imagesync.records.presorted import presorted_fields
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images
from tests.testapp.models import Document, Picture, Product

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["b", "B", "ä", "z/1", "Z", "a\U0001f600", "a\ufffd", "same", "a b", "a+b", "%"]


@pytest.fixture
def every_field_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presorted, "SORTED_BY_THE_DATABASE", 0)


@pytest.fixture
def source(memory_source: MakeSource) -> Source:
    """Names in many orders, repeated within a field and across fields, pks that are no numbers."""
    draw = random.Random(4)
    for model, field in ((Product, "photo"), (Picture, "file"), (Document, "document")):
        names = [*NAMES, *(["same"] * 5), *(f"{draw.randrange(30):03}.jpg" for _ in range(40))]
        draw.shuffle(names)
        model._base_manager.bulk_create(model(**{field: name}) for name in names)
    make_images(*NAMES)
    return memory_source(prefix="media")[1]


def places(source: Source, size: int = 7, **window: Any) -> list[tuple[str, str, Any]]:
    with presorted_fields(source, Scope(), lambda: None) as fields:
        chunks = RecordChunks(source, Scope(), size=size, presorted=fields).between(**window)
        return [chunk.cursor(index) for chunk in chunks for index in range(len(chunk))]


@pytest.fixture
def by_the_database(source: Source) -> list[tuple[str, str, Any]]:
    chunks = RecordChunks(source, Scope(), size=7).between()
    return [chunk.cursor(index) for chunk in chunks for index in range(len(chunk))]


@pytest.mark.usefixtures("every_field_is_large")
def test_presorted__gives_the_order_that_an_index_would(
    source: Source, by_the_database: list[tuple[str, str, Any]]
) -> None:
    with presorted_fields(source, Scope(), lambda: None) as fields:
        assert sorted(fields) == [
            "testapp.Document.document",
            "testapp.Picture.file",
            "testapp.Product.photo",
        ]

    assert places(source) == by_the_database
    assert len(by_the_database) == 3 * 56 + len(NAMES)


@pytest.mark.usefixtures("every_field_is_large")
def test_presorted__goes_on_behind_any_record(
    source: Source, by_the_database: list[tuple[str, str, Any]]
) -> None:
    for number, (key, label, pk) in enumerate(by_the_database):
        assert places(source, after=(key, label, as_stored(pk))) == by_the_database[number + 1 :]


@pytest.mark.usefixtures("every_field_is_large")
def test_presorted__keeps_to_the_window(source: Source, by_the_database: list[tuple[str, str, Any]]) -> None:
    first, end = "media/a", "media/same"

    found = places(source, first_key=first, end_key=end)

    assert found == [place for place in by_the_database if first <= place[0] < end]
    assert found


def test_presorted__leaves_small_fields_to_the_database(source: Source) -> None:
    with presorted_fields(source, Scope(), lambda: None) as fields:
        assert fields == {}


@pytest.mark.usefixtures("every_field_is_large")
def test_audit__of_fields_without_an_index_judges_every_record(memory_source: MakeSource) -> None:
    store, source = memory_source(prefix="media")
    Product.objects.bulk_create(Product(photo=f"{number}.jpg") for number in range(100))
    for number in range(0, 100, 2):
        store.put(f"media/{number}.jpg")

    document = audit_document(audited(source))

    assert (document["counts"]["present"], document["counts"]["missing"]) == (50, 50)


def test_has_byte_order_index__knows_ours_and_one_made_by_the_statement() -> None:
    photo = Product._meta.get_field("photo")
    assert has_byte_order_index(Image, Image._meta.get_field("file"))
    assert not has_byte_order_index(Product, photo)
    statement = byte_order_index_sql(Product, photo)

    with connection.cursor() as cursor:
        cursor.execute(statement)
        try:
            assert has_byte_order_index(Product, photo)
        finally:
            cursor.execute("DROP INDEX testapp_product_photo_key_order")


@pytest.mark.parametrize("statement", ["(name)", "(photo) WHERE id > 5", "(name, photo)"])
def test_has_byte_order_index__not_of_another_column_or_a_part(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX of_no_use ON testapp_product {statement}")
        try:
            assert not has_byte_order_index(Product, Product._meta.get_field("photo"))
        finally:
            cursor.execute("DROP INDEX of_no_use")


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's indexes are in byte order")
def test_has_byte_order_index__not_in_a_languages_order() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX of_no_use ON testapp_product (photo)")
        try:
            assert not has_byte_order_index(Product, Product._meta.get_field("photo"))
        finally:
            cursor.execute("DROP INDEX of_no_use")


def warned(databases: list[str]) -> dict[str, str]:
    found = run_checks(tags=["imagesync"], databases=databases)
    return {one.msg.split()[0]: one.hint or "" for one in found if one.id == "imagesync.W007"}


def test_check__prints_the_statement_for_an_image_model_of_the_project(
    memory_source: MakeSource, every_field_is_large: None
) -> None:
    memory_source()
    assert warned([]) == {}
    found = warned(["default"])

    assert "testapp.Picture.file" in found
    assert "CREATE INDEX" in found["testapp.Picture.file"]
    assert "imagesync.Image.file" not in found
    assert "testapp.Product.photo" not in found  # it has no row
    Product.objects.create(photo="a.jpg")
    assert "testapp.Product.photo" in warned(["default"])
