"""A project with two stores: which one is meant, and what is said when none is or several are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.files.storage import storages

from imagesync.models import Image, Purge
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION, forget_default_storage, storages_at
from tests.django.helpers import LONG_AGO, make_images, run
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "other-bucket"
PHOTO = "testapp.Product.photo"


@pytest.fixture
def two(s3: EmbeddedS3, settings: Any, monkeypatch: pytest.MonkeyPatch) -> EmbeddedS3:
    """Images in one bucket and products in another, two of each; the second object of both is gone."""
    s3.create_bucket(OTHER, REGION)
    entries: Any = storages_at(s3.url)
    options = {**entries["default"]["OPTIONS"], "bucket_name": OTHER}
    settings.STORAGES = {**entries, "products": {**entries["default"], "OPTIONS": options}}
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {PHOTO: "delete"}}
    forget_default_storage()
    monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["products"])
    make_images("0.jpg", "1.jpg")
    s3.put(BUCKET, "0.jpg")
    for number in range(2):
        Product.objects.create(pk=number + 1, name="p", photo=f"p{number}.jpg", created_at=LONG_AGO)
    s3.put(OTHER, "p0.jpg")
    return s3


def test_purge__by_id_takes_the_store_that_holds_the_record(two: EmbeddedS3) -> None:
    code, out, err = run(
        "purge_orphans", "--no-input", "--grace=0s", "--id=testapp.Product:2", "--format=json"
    )

    assert code == 0, err
    assert [entry["record"] for entry in json.loads(out)["delete"]] == ["testapp.Product:2"]
    assert Purge.objects.get().audit.bucket == OTHER
    assert (Product.objects.count(), Image.objects.count()) == (1, 2)


@pytest.mark.parametrize("ids", [(), ("testapp.Product:2", "1")], ids=["none", "of both"])
def test_purge__of_several_stores_has_one_named(two: EmbeddedS3, ids: tuple[str, ...]) -> None:
    code, _out, err = run("purge_orphans", "--no-input", *(f"--id={one}" for one in ids))

    assert code == 2
    assert "name one with --storage" in err
    assert not Purge.objects.exists()


@pytest.mark.parametrize("command", ["check_s3_images", "purge_orphans"])
@pytest.mark.parametrize(
    ("storage", "fields", "told"),
    [
        ("products", ["imagesync.Image.file"], f"imagesync.Image.file does not name objects in the store .*'products'.*{PHOTO}"),
        ("default", [PHOTO], f"{PHOTO} does not name objects in the store .*'default'.*imagesync.Image.file"),
        ("staticfiles", [PHOTO], "No file field uses the storage 'staticfiles'"),
        ("nowhere", [PHOTO], "There is no storage 'nowhere'"),
    ],
)  # fmt: skip
def test_storage_and_field__that_do_not_meet(
    two: EmbeddedS3, command: str, storage: str, fields: list[str], told: str
) -> None:
    arguments = [f"--storage={storage}", *(f"--field={one}" for one in fields)]

    code, out, err = run(command, *arguments)

    assert (code, out) == (1, "")
    assert re.search(told, err)
