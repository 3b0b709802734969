"""Why a record cannot go: protected, not to be kept without loss, or in the reach of the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import post_init

from imagesync.purge.database_rules import forget_database_rules
from imagesync.purge.rows import consequences
from tests.django.test_rows import assert_comes_back, image
from tests.testapp import models as shop

pytestmark = pytest.mark.django_db


def blocked(record: models.Model) -> tuple[str, str]:
    found = consequences(record, using="default")
    with pytest.raises(RuntimeError):
        found.copy()
    with pytest.raises(RuntimeError):
        found.execute()
    assert type(record)._base_manager.filter(pk=record.pk).exists()
    return found.block_id, found.blocked


@pytest.mark.parametrize("model", [shop.Contract, shop.Restricted, shop.Loose])
def test_protected_by_a_relation(model: type[models.Model]) -> None:
    record = image()
    for _ in range(2):
        model._base_manager.create(image=record)
    block_id, why = blocked(record)
    assert block_id == "protected"
    assert f"2 {model._meta.label}" in why
    assert not consequences(image("other"), using="default").blocked


def test_a_value_that_does_not_survive() -> None:
    record = image()
    shop.Blot.objects.create(image=record, at=shop.Point(1, 2))
    block_id, why = blocked(record)
    assert block_id == "not_preservable"
    assert "testapp.Blot.at" in why


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite rounds decimals")
def test_a_decimal_that_django_cannot_read() -> None:
    record = image()
    slide = shop.Slide.objects.create(image=record)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_slide SET price = 1234567890123450.12")
    assert slide.pk
    assert blocked(record)[0] == "not_preservable"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite rounds decimals")
def test_a_decimal_that_sqlite_shows_rounded() -> None:
    record = image()
    slide = shop.Slide.objects.create(image=record)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_slide SET price = 1.00005")
    assert slide.pk
    assert blocked(record) == (
        "not_preservable",
        "it could not be put back without loss: testapp.Slide.price: its value does not survive a round trip",
    )


def test_a_hook_that_fails_while_rows_are_loaded() -> None:
    record = image()
    shop.Remark.objects.create(image=record)

    def fails(sender: Any, **kwargs: Any) -> None:
        raise FileNotFoundError("images/a.jpg")

    post_init.connect(fails, sender=shop.Remark)
    try:
        assert blocked(record)[0] == "not_preservable"
    finally:
        post_init.disconnect(fails, sender=shop.Remark)


def test_a_hook_that_colours_values_is_not_copied() -> None:
    record = image()
    shop.Cover.objects.create(image=record, title="c")
    remark = shop.Remark.objects.create(image=record, deleted=False)

    def colours(sender: Any, instance: Any, **kwargs: Any) -> None:
        instance.deleted = True

    post_init.connect(colours, sender=shop.Remark)
    try:
        assert_comes_back(record)
    finally:
        post_init.disconnect(colours, sender=shop.Remark)
    assert not shop.Remark._base_manager.get(pk=remark.pk).deleted


@pytest.fixture
def by_hand() -> Iterator[Any]:
    """Make a table whose foreign key Django does not know."""
    made: list[str] = []

    def make(on_delete: str, *, name: str = "hand_made") -> None:
        kind = "bigint" if connection.vendor == "postgresql" else "integer"
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE {name} (id {kind} PRIMARY KEY, "
                f"image_id {kind} DEFAULT 1 REFERENCES imagesync_image (id) ON DELETE {on_delete})"
            )
        made.append(name)
        forget_database_rules()

    yield make
    with connection.cursor() as cursor:
        for name in made:
            cursor.execute(f"DROP TABLE {name}")
    forget_database_rules()


def insert(record: models.Model, *, name: str = "hand_made") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {name} VALUES (%s, %s)", [record.pk, record.pk])


@pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_a_foreign_key_made_by_hand(by_hand: Any, on_delete: str) -> None:
    by_hand(on_delete)
    record, other = image(), image("other")
    insert(record)
    block_id, why = blocked(record)
    assert block_id == "database_cascade"
    assert "hand_made" in why
    assert on_delete in why
    assert not consequences(other, using="default").blocked


def test_a_foreign_key_made_by_hand_behind_a_row_that_goes_along(by_hand: Any) -> None:
    picture = shop.Picture.objects.create(file="images/p.jpg")
    note = shop.PictureNote.objects.create(picture=picture, text="n")
    kind = "bigint" if connection.vendor == "postgresql" else "integer"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE hand_deep (id {kind} PRIMARY KEY, note_id {kind} "
            "REFERENCES testapp_picturenote (id) ON DELETE CASCADE)"
        )
    forget_database_rules()
    try:
        assert not consequences(picture, using="default").blocked
        insert(note, name="hand_deep")
        assert blocked(picture)[0] == "database_cascade"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE hand_deep")


def test_a_harmless_foreign_key_made_by_hand(by_hand: Any) -> None:
    by_hand("NO ACTION")
    record = image()
    insert(record)
    assert not consequences(record, using="default").blocked
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM hand_made")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite cannot change a foreign key")
@pytest.mark.parametrize(("model", "on_delete"), [(shop.Remark, "CASCADE"), (shop.Cover, "SET NULL")])
def test_rows_that_django_knows_may_go_by_the_database_too(model: Any, on_delete: str) -> None:
    """The same relation, CASCADE in Django and in the database: every row is kept, so nothing is blocked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE {model._meta.db_table} ADD CONSTRAINT hand FOREIGN KEY (image_id) "
            f"REFERENCES imagesync_image (id) ON DELETE {on_delete} DEFERRABLE INITIALLY DEFERRED"
        )
    forget_database_rules()
    try:
        record, other = image(), image("other")
        for one in (record, record, other):
            model._base_manager.create(image=one)
        assert not consequences(record, using="default").blocked
        assert_comes_back(record)
    finally:
        forget_database_rules()


@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="Django 6.1")
def test_django_level_database_cascade() -> None:
    forget_database_rules()
    record = shop.TwoFiles.objects.create(file="two/a.jpg")
    assert not consequences(record, using="default").blocked
    shop.DatabaseChild.objects.create(record=record)
    assert blocked(record)[0] == "database_cascade"


def test_decimals_that_fit_go_through() -> None:
    record = image()
    shop.Slide.objects.create(image=record, price=Decimal("99999999.9999"))
    assert not consequences(record, using="default").blocked
