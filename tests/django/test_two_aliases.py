"""Two aliases of STORAGES that name one bucket: one store, whose fields keep what their own storage says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from storages.backends.s3 import S3Storage

from imagesync import tasks
from imagesync.models import Audit, Finding
from imagesync.records import find_sources
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import LONG_AGO, make_images, run
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

PHOTO = "testapp.Product.photo"
Second = Callable[..., EmbeddedS3]


class CachedStorage(S3Storage):
    """Keeps everything below ``cache/``."""

    def _normalize_name(self, name: str) -> str:
        return str(super()._normalize_name(f"cache/{name}"))


@pytest.fixture
def second(s3: EmbeddedS3, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Second:
    """Put the photos of products on an alias ``second`` of the same bucket, with options of its own."""

    def make(
        backend: str = "storages.backends.s3.S3Storage", *, endpoint: str | None = s3.url, **options: Any
    ) -> EmbeddedS3:
        entries: Any = storages_at(s3.url, endpoint_url=endpoint)
        own = {**entries["default"]["OPTIONS"], "querystring_auth": False, **options}
        settings.STORAGES = {**entries, "second": {"BACKEND": backend, "OPTIONS": own}}
        forget_default_storage()
        monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["second"])
        policy = {"policy": "delete", "age_field": "created_at"}
        settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {PHOTO: policy}}
        return s3

    return make


def six_images(s3: EmbeddedS3) -> None:
    make_images(*(f"{number}.jpg" for number in range(6)))
    for number in range(6):
        s3.put(BUCKET, f"{number}.jpg")


def a_product(photo: str) -> Product:
    return Product.objects.create(name=photo, photo=photo, created_at=LONG_AGO)


def days_pass() -> None:
    """As if everything so far had been three days earlier."""
    for audit in Audit.objects.all():
        audit.started_at -= timedelta(days=3)
        audit.finished_at = audit.finished_at and audit.finished_at - timedelta(days=3)
        audit.save(update_fields=["started_at", "finished_at"])
    for finding in Finding.objects.all():
        finding.opened_at -= timedelta(days=3)
        finding.save(update_fields=["opened_at"])


@pytest.mark.parametrize("strategy", ["list", "head"])
def test_audit__maps_the_names_of_each_field_as_its_own_storage_does(second: Second, strategy: str) -> None:
    six_images(second(f"{__name__}.CachedStorage"))
    storages["second"].save("p.jpg", ContentFile(b"x"))
    a_product("p.jpg")

    run("check_s3_images", "--strategy", strategy)
    days_pass()
    run("check_s3_images", "--strategy", strategy)
    tasks.purge_orphans()

    assert list(Finding.objects.values_list("key", "verdict")) == [("p.jpg", "ambiguous")]
    assert Product.objects.count() == 1


def test_purge__looks_at_the_name_again_by_the_mapping_of_the_fields_own_storage(
    second: Second, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage was given a way of its own after the audit."""
    six_images(second())
    a_product("p.jpg")
    run("check_s3_images")
    assert Finding.objects.get().verdict == "missing"
    second(f"{__name__}.CachedStorage")
    storages["second"].save("p.jpg", ContentFile(b"x"))

    code, out, err = run("purge_orphans", "--no-input")

    assert code == 0, err
    assert "its stored name changed since the audit" in out
    assert Product.objects.count() == 1


def test_find_sources__refuses_two_accounts_that_name_one_bucket_on_a_server_that_is_not_aws(
    second: Second,
) -> None:
    six_images(second(access_key="AKIDOFANOTHERTENANT"))

    for narrowed in ({}, {"alias": "default"}, {"alias": "second"}, {"fields": [PHOTO]}):
        with pytest.raises(ImproperlyConfigured, match="'default' and 'second' name the bucket") as refused:
            find_sources(**narrowed)  # type: ignore[arg-type]

        assert "AKID" not in str(refused.value)
        assert "AKIA" not in str(refused.value)
        assert EmbeddedS3.access_key not in str(refused.value)


def test_find_sources__takes_two_accounts_of_one_bucket_on_aws_for_one_store(second: Second) -> None:
    second(access_key="AKIDREADSONLY", endpoint=None)

    [source] = find_sources()

    assert PHOTO in {target.label for target in source.targets}


def test_find_sources__leaves_two_accounts_with_buckets_of_their_own_alone(second: Second) -> None:
    second(access_key="AKIDOFANOTHERTENANT", bucket_name="other-bucket")

    assert [source.store.identity.bucket for source in find_sources()] == [BUCKET, "other-bucket"]


def test_find_sources__of_an_alias_is_its_store_with_the_fields_of_every_alias(second: Second) -> None:
    second()
    [everything] = find_sources()

    for alias in ("default", "second"):
        [source] = find_sources(alias=alias)
        assert source.store.identity.alias == alias
        assert {one.label for one in source.targets} == {one.label for one in everything.targets}
    assert source.targets[0].label == PHOTO  # the alias's own first
    assert [[one.label for one in found.targets] for found in find_sources(fields=[PHOTO])] == [[PHOTO]]


def test_audit__of_one_alias_is_a_basis_for_every_field_of_its_store(second: Second) -> None:
    """What has no finding any more by an audit of one alias was looked at by it, whatever alias names it."""
    s3 = second()
    six_images(s3)
    s3.put(BUCKET, "q.jpg")
    a_product("p.jpg")
    run("check_s3_images")
    assert Finding.objects.open().get().key == "p.jpg"
    days_pass()
    s3.put(BUCKET, "p.jpg")

    run("check_s3_images", "--storage", "default")
    s3.delete(BUCKET, "p.jpg")
    [told] = tasks.purge_orphans()

    assert not Finding.objects.open().exists()
    assert told["counts"]["planned"] == 0
    assert Product.objects.count() == 1


def test_audit__of_a_field_that_moved_to_another_alias_says_that_its_store_changed(
    second: Second, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other alias named this bucket before, and this one has no other field: only the field itself tells."""
    s3 = second()
    six_images(s3)
    for number in range(40):
        a_product(f"products/{number}.jpg")
        s3.put(BUCKET, f"products/{number}.jpg")
    run("check_s3_images")
    s3.create_bucket("copy", "eu-north-1")
    for number in range(37):
        s3.put("copy", f"products/{number}.jpg")
    options = {**settings.STORAGES["second"]["OPTIONS"], "bucket_name": "copy"}
    settings.STORAGES = {**settings.STORAGES, "third": {**settings.STORAGES["second"], "OPTIONS": options}}
    monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["third"])

    run("check_s3_images", "--storage", "third")
    code, _out, err = run("purge_orphans", "--storage", "third", "--no-input")

    assert [reason["id"] for reason in Audit.objects.latest().reasons] == ["store_changed"]
    assert code == 4
    assert f"--adopt {Audit.objects.earliest().fingerprint}" in err
    assert Product.objects.count() == 40
    run("check_s3_images", "--storage", "third", "--adopt", Audit.objects.earliest().fingerprint)
    assert Audit.objects.latest().reasons == []
    run("check_s3_images", "--storage", "third")
    assert Audit.objects.latest().reasons == []
