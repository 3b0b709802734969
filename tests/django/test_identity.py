"""Which store was a record written to, and is this still the same one?"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagesync.audit import carry_out, finding_rows, open_audit
from imagesync.models import Audit, Image
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import LONG_AGO, audited, make_images, only, verdicts
from tests.testapp.models import Document, Product

pytestmark = pytest.mark.django_db


@pytest.fixture
def moved(memory_source: MakeSource) -> tuple[Audit, MemoryStore, Source]:
    """Two records seen present in ``old``; then the settings name ``new``, which is empty."""
    old, before = memory_source(bucket="old")
    make_images("a.jpg", "b.jpg")
    for key in ("a.jpg", "b.jpg"):
        old.put(key)
    first = audited(before)
    new, after = memory_source(bucket="new")
    return first, new, after


IMAGES, PHOTOS = "imagesync.Image.file", "testapp.Product.photo"


def ids(audit: Audit) -> list[str]:
    return [reason["id"] for reason in audit.reasons]


def test_audit__of_another_store_than_the_last_one_says_so_first(moved: Any) -> None:
    first, new, source = moved
    new.put("a.jpg")

    audit = audited(source)

    assert ids(audit) == ["store_changed", "written_elsewhere", "some_unknown"]
    assert "s3://new/" in audit.reasons[0]["fact"]
    assert "s3://old/" in audit.reasons[0]["fact"]
    assert f"--adopt {first.fingerprint}" in audit.reasons[0]["hint"]
    assert audit.trust == Audit.Trust.DEGRADED


def test_audit__says_that_the_store_changed_until_it_is_adopted_or_the_old_one_is_back(moved: Any) -> None:
    first, new, source = moved
    new.put("a.jpg")

    assert ids(audited(source))[0] == ids(audited(source))[0] == "store_changed"
    assert ids(audited(source, Scope(adopt=(first.fingerprint,)))) == []
    assert ids(audited(source)) == []


def test_audit__of_the_old_store_again_has_no_news(memory_source: MakeSource) -> None:
    old, before = memory_source(bucket="old")
    make_images("a.jpg")
    old.put("a.jpg")
    audited(before)
    new, wrong = memory_source(bucket="new")
    new.put("a.jpg")

    assert ids(audited(wrong)) == ["store_changed"]
    assert ids(audited(before)) == []


def test_purge__of_a_store_that_changed_is_refused_until_it_is_adopted(memory_source: MakeSource) -> None:
    """Other people's models remember no store: half of their files in the wrong bucket are not missing."""
    old, before = memory_source(bucket="old")
    rows = [Document.objects.create(document=name) for name in ("a.pdf", "b.pdf", "c.pdf")]
    for key in ("a.pdf", "b.pdf", "c.pdf"):
        old.put(key)
    first = audited(before)
    new, source = memory_source(bucket="new")
    new.put("a.pdf")
    new.put("b.pdf")
    target = next(one for one in source.targets if one.label == "testapp.Document.document")
    deleting = replace(source, targets=(replace(target, policy="delete"),))
    limits = limits_from_settings(max_ratio=1.0, grace_period=timedelta(0), all_missing="new")

    refused = make_plan(deleting, audited(deleting), limits=limits)
    adopted = make_plan(deleting, audited(deleting, Scope(adopt=(first.fingerprint,))), limits=limits)

    assert refused.refused is not None
    assert refused.refused["id"] == "store_changed"
    assert adopted.refused is None
    assert [entry["record"] for entry in adopted.plan["delete"]] == [f"testapp.Document:{rows[2].pk}"]


def test_audit__that_cannot_look_still_says_that_the_store_changed(moved: Any) -> None:
    _first, new, source = moved
    new.fail("HeadBucket", 404, "404")

    assert ids(audited(source)) == ["store_changed", "no_bucket"]


def test_audit__names_the_place_where_records_were_last_seen(moved: Any) -> None:
    first, new, source = moved
    new.put("a.jpg")

    elsewhere = audited(source).reasons[1]

    assert elsewhere["fact"].startswith("1 records were last seen in another store: s3://old/ at memory://")
    assert first.fingerprint in elsewhere["fact"]
    assert verdicts() == {"a.jpg": "present", "b.jpg": "present"}


def test_audit__of_a_place_that_no_audit_looked_at_says_so(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    Image.objects.filter(file="b.jpg").update(store="0123456789abcdef")

    audit = audited(source)

    assert "a store that no audit has looked at (fingerprint 0123456789abcdef)" in audit.reasons[0]["fact"]


def test_audit__of_an_empty_new_store_is_a_collapse_and_feeds_no_purge(memory_source: MakeSource) -> None:
    """Records that remember no store are protected too: the old store's canaries are looked at."""
    old, before = memory_source(bucket="old")
    make_images("a.jpg", "b.jpg", "c.jpg")
    for key in ("a.jpg", "b.jpg"):
        old.put(key)
    audited(before)
    Image.objects.update(store="", verdict="unchecked")
    new, source = memory_source(bucket="new")
    new.put("unrelated.jpg")

    audit = audited(source)
    plan = make_plan(source, audit, limits=limits_from_settings(max_ratio=1.0))

    assert ids(audit) == ["store_changed", "collapse"]
    assert audit.counts["missing"] == 3
    assert plan.refused is not None


def test_audit__finds_the_old_stores_canaries_under_another_location(memory_source: MakeSource) -> None:
    old, before = memory_source(prefix="media")
    make_images("a.jpg")
    old.put("media/a.jpg")
    audited(before)
    new, source = memory_source(prefix="assets")
    new.put("assets/a.jpg")

    audit = audited(source)

    assert ids(audit) == ["store_changed"]
    assert audit.requests["HEAD"] == 1
    assert audit.counts["present"] == 1


def test_adopt__of_a_bucket_that_moved_is_no_news_and_is_logged_with_who(
    moved: Any, admin_user: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first, new, source = moved
    new.put("a.jpg")

    with caplog.at_level(logging.WARNING, logger="imagesync"):
        opened = open_audit(source, Scope(adopt=(first.fingerprint,)), user=admin_user)
    audit = carry_out(opened, source)

    assert ids(audit) == []
    assert [(one["key"], one["verdict"]) for one in finding_rows(audit)] == [("b.jpg", "missing")]
    assert set(Image.objects.values_list("store", flat=True)) == {audit.fingerprint}
    (logged,) = caplog.messages
    assert first.fingerprint in logged
    assert "s3://old/" in logged
    assert logged.endswith("by admin.")


def test_audit__with_another_region_is_of_the_same_store(memory_source: MakeSource) -> None:
    old, before = memory_source(region="us-east-1")
    make_images("a.jpg")
    old.put("a.jpg")
    audited(before)
    new, source = memory_source(region="eu-north-1")
    new.put("a.jpg")

    assert ids(audited(source)) == []


def test_audit__says_that_a_field_was_in_another_store_also_where_its_own_store_is_an_old_one(
    memory_source: MakeSource,
) -> None:
    """The storage of one field names the bucket of the others now, and half of its files are not there."""
    first, photos = memory_source(bucket="first", alias="first")
    second, images = memory_source(bucket="second", alias="second")
    photos, images, together = (
        only(photos, PHOTOS),
        only(images, IMAGES),
        only(images, IMAGES, PHOTOS),
    )
    make_images("a.jpg")
    second.put("a.jpg")
    for name in ("p.jpg", "q.jpg"):
        Product.objects.create(name=name, photo=name, created_at=LONG_AGO)
        first.put(name)
    before = audited(photos)
    assert ids(audited(images)) == []
    second.put("p.jpg")

    moved = audited(together)

    assert ids(moved) == ["store_changed"]
    assert "s3://first/" in moved.reasons[0]["fact"]
    assert ids(audited(together)) == ["store_changed"]
    assert ids(audited(together, Scope(adopt=(before.fingerprint,)))) == []
    assert ids(audited(together)) == []


def test_audit__of_a_field_that_moved_to_an_empty_bucket_of_another_alias_is_a_collapse(
    memory_source: MakeSource,
) -> None:
    first, before = memory_source(bucket="first", alias="first")
    _second, after = memory_source(bucket="second", alias="second")
    for name in ("p.jpg", "q.jpg"):
        Product.objects.create(name=name, photo=name, created_at=LONG_AGO)
        first.put(name)
    audited(only(before, PHOTOS))

    assert ids(audited(only(after, PHOTOS))) == ["store_changed", "collapse"]


def test_audit__compares_with_the_storages_last_audit_where_no_audit_is_known_to_cover_its_fields(
    memory_source: MakeSource,
) -> None:
    old, before = memory_source(bucket="old")
    new, after = memory_source(bucket="new")
    make_images("a.jpg")
    old.put("a.jpg")
    new.put("a.jpg")
    audited(before)
    Audit.objects.update(fields=[])

    assert ids(audited(after))[0] == "store_changed"
