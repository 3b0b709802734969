"""An audit covers the fields that it was opened with: nothing goes on with others, and no purge of others rests on it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from imagesync import tasks
from imagesync.audit import carry_out, interrupted_audit, open_audit, resume_audit, source_now, source_of
from imagesync.exceptions import InvalidRequest
from imagesync.freshness import keep_fresh
from imagesync.models import Audit, Image, Slice
from imagesync.purge.basis import Basis, basis_of, fresh_basis
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source, find_sources
from imagesync.storage.memory import MemoryStore
from project.embedded_s3 import EmbeddedS3
from tests.conftest import MakeSource
from tests.django.freshening import WEEK, pass_time, world
from tests.django.helpers import LONG_AGO, audited, make_images, only, plan, run
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db

IMAGES, PHOTOS = "imagesync.Image.file", "testapp.Product.photo"


@pytest.fixture
def shop(memory_source: MakeSource, settings: Any) -> tuple[MemoryStore, Source]:
    """Images and photos of products in one store; one of each is gone."""
    settings.IMAGESYNC = {
        **settings.IMAGESYNC,
        "FIELDS": {PHOTOS: {"policy": "delete", "age_field": "created_at"}},
    }
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "x.jpg")
    for name in ("p.jpg", "q.jpg", "y.jpg"):
        Product.objects.create(name=name, photo=name, created_at=LONG_AGO)
    for key in ("a.jpg", "b.jpg", "p.jpg", "q.jpg"):
        store.put(key)
    return store, source


def died(source: Source, scope: Scope | None = None) -> Audit:
    audit = open_audit(source, scope or Scope())
    Audit.objects.filter(pk=audit.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    audit.refresh_from_db()
    return audit


def test_audit__keeps_the_fields_that_it_covers(shop: tuple[MemoryStore, Source]) -> None:
    _store, source = shop

    assert audited(only(source, PHOTOS, IMAGES)).fields == [IMAGES, PHOTOS]
    assert audited(only(source, PHOTOS), Scope(fields=(PHOTOS,))).fields == [PHOTOS]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((IMAGES,), (IMAGES, PHOTOS), f"not among them then: {PHOTOS}."),
        ((IMAGES, PHOTOS), (PHOTOS,), f"not among them any more: {IMAGES}."),
    ],
)
def test_resume__with_other_fields_is_refused(
    shop: tuple[MemoryStore, Source], before: tuple[str, ...], now: tuple[str, ...], said: str
) -> None:
    _store, source = shop
    audit = died(only(source, *before))

    with pytest.raises(InvalidRequest, match="was begun with other file fields") as refused:
        resume_audit(audit, only(source, *now))

    assert said in str(refused.value)
    assert interrupted_audit(only(source, *now), Scope()) is None
    assert interrupted_audit(only(source, *before), Scope()) == audit
    audit.refresh_from_db()
    assert not audit.lease_is_alive


def test_resume__of_an_audit_from_before_fields_were_kept_goes_on_and_feeds_no_purge(
    shop: tuple[MemoryStore, Source],
) -> None:
    _store, source = shop
    audit = died(source)
    Audit.objects.update(fields=[])
    audit.refresh_from_db()

    carry_out(resume_audit(audit, source), source)

    assert audit.trust == "trustworthy"
    assert plan(source).refused is not None


def test_source_of__has_the_fields_that_the_audit_was_opened_with(s3: EmbeddedS3) -> None:
    [source] = find_sources()
    audit = open_audit(only(source, IMAGES), Scope())

    assert [one.label for one in source_of(audit).targets] == [IMAGES]
    assert len(source_now(audit).targets) == len(source.targets)
    audit.fields = [IMAGES, "testapp.Product.old_photo"]
    with pytest.raises(InvalidRequest, match=r"not among them any more: testapp.Product.old_photo\."):
        source_of(audit)


def test_check_s3_images__goes_on_with_the_fields_of_the_audit(s3: EmbeddedS3) -> None:
    [source] = find_sources()
    make_images("a.jpg")
    Product.objects.create(name="p", photo="p.jpg", created_at=LONG_AGO)
    audit = died(only(source, IMAGES))

    run("check_s3_images", "--resume", str(audit.pk))

    audit.refresh_from_db()
    assert (audit.state, audit.counts["records"]) == ("finished", 1)


def test_check_images__begins_anew_where_fields_came_since_an_audit_died(s3: EmbeddedS3) -> None:
    [source] = find_sources()
    dead = died(only(source, IMAGES))

    [answer] = tasks.check_images()

    assert answer["audit"] != dead.pk
    assert Audit.objects.get(pk=answer["audit"]).fields == sorted(one.label for one in source.targets)


@pytest.mark.parametrize("how", ["the newest", "named by hand"])
def test_purge__of_a_field_that_the_audit_overlooked_is_refused(
    shop: tuple[MemoryStore, Source], how: str
) -> None:
    store, source = shop
    audited(source)
    store.put("y.jpg")
    newest = audited(only(source, IMAGES))
    store.delete("y.jpg")

    purge = make_plan(source, newest, limits=limits_from_settings(), named_by_hand=how == "named by hand")

    assert purge.refused is not None
    assert purge.refused["id"] == "audit_partial"
    assert f"Audit {newest.pk} is not known to have looked at " in purge.refused["fact"]
    assert basis_of(source) is not None
    assert fresh_basis(source) is None
    assert fresh_basis(only(source, IMAGES)) == Basis(newest)


def test_purge__rests_on_an_audit_that_covers_more_fields_than_there_are_now(
    shop: tuple[MemoryStore, Source],
) -> None:
    _store, source = shop
    audited(source)

    purge = plan(only(source, IMAGES), max_ratio=1.0)

    assert purge.refused is None
    assert [one["key"] for one in purge.plan["delete"]] == ["x.jpg"]


def test_purge__of_one_field_rests_on_an_audit_of_it_that_was_named(
    shop: tuple[MemoryStore, Source],
) -> None:
    _store, source = shop
    scope = Scope(fields=(PHOTOS,))
    audit = audited(only(source, PHOTOS), scope)

    purge = make_plan(source, audit, limits=limits_from_settings(), named_by_hand=True)

    assert purge.refused is None
    assert [one["key"] for one in purge.plan["delete"]] == ["y.jpg"]


def test_purge_orphans__runs_an_audit_first_where_the_newest_is_from_before_fields_were_kept(
    s3: EmbeddedS3,
) -> None:
    make_images("a.jpg", "b.jpg", "x.jpg")
    s3.put("test-bucket", "a.jpg")
    s3.put("test-bucket", "b.jpg")
    run("check_s3_images")
    Audit.objects.update(fields=[])

    code, out, err = run("purge_orphans", "--no-input", "--format", "json")

    assert (code, json.loads(out)["counts"]["deleted"]) == (0, 1)
    assert "so one runs first" in err
    assert Image.objects.count() == 2


def test_union__of_slices_that_overlooked_a_field_is_no_basis(
    memory_source: MakeSource, clock: time_machine.Coordinates, small_slices: None
) -> None:
    _store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    assert basis_of(source) is not None

    Audit.objects.filter(pk=Slice.objects.order_by("first_key")[0].audit_id).update(fields=[IMAGES])

    assert basis_of(source) is None


def test_keep_fresh__takes_no_audit_of_other_fields_for_a_look_at_all_slices(
    memory_source: MakeSource, clock: time_machine.Coordinates, small_slices: None
) -> None:
    """As of a process that runs the release before the field came."""
    _store, source = world(memory_source)
    keep_fresh(source, seconds=0)
    clock.shift(timedelta(minutes=1))

    whole = audited(only(source, IMAGES))
    keep_fresh(source, seconds=0)

    assert not Slice.objects.filter(audit=whole).exists()
