"""``debug_s3_image`` where there are several stores, or one that cannot be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import override_settings

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION, forget_default_storage, storages_at
from tests.django.debugging import debug
from tests.django.helpers import make_images
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def second_bucket(s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of another storage, where the photos of products are kept."""
    s3.create_bucket("second", REGION)
    both = storages_at(s3.url)
    default = both["default"]
    both["second"] = {**default, "OPTIONS": {**default["OPTIONS"], "bucket_name": "second"}}  # type: ignore[index,dict-item]
    with override_settings(STORAGES=both):
        forget_default_storage()
        monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["second"])
        yield "second"


def test_debug__a_key_that_two_stores_hold_is_two_images(s3: EmbeddedS3, second_bucket: str) -> None:
    make_images("a.jpg")
    Product.objects.create(name="p", photo="a.jpg")
    s3.put(BUCKET, "a.jpg")

    code, document = debug("a.jpg")

    assert (code, document["schema"]) == (3, "imagesync.images/1")
    assert {one["store"]["alias"]: one["verdict"] for one in document["images"]} == {
        "default": "present",
        "second": "missing",
    }
    assert {
        one["store"]["alias"]: [record["field"] for record in one["records"]] for one in document["images"]
    } == {
        "default": ["file"],
        "second": ["photo"],
    }


def test_debug__a_store_that_has_nothing_to_do_with_the_key_is_left_out(
    s3: EmbeddedS3, second_bucket: str
) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")

    code, document = debug("a.jpg")
    asked = debug("a.jpg", "--storage", "second")

    assert (code, document["store"]["alias"]) == (0, "default")
    assert (asked[0], asked[1]["store"]["alias"], asked[1]["conclusion"]["id"]) == (
        3,
        "second",
        "missing_unnamed",
    )


def test_debug__of_an_unfit_store_concludes_nothing_and_says_what_to_change(
    s3: EmbeddedS3, stored_with: Any
) -> None:
    make_images("images/a.jpg", "images/b.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1")

    for key in ("images/a.jpg", "images/b.jpg"):
        code, document = debug(key)
        assert (code, document["verdict"], document["reason"]) == (4, "unknown", "wrong_region")
        assert document["conclusion"]["id"] == "store_unfit"
        assert document["near_misses"] == []
        assert {one["verdict"] for one in document["records"]} == {"unknown"}
        assert f'AWS_S3_REGION_NAME = "{REGION}"' in document["conclusion"]["sentence"]


def test_debug__without_list_bucket_a_lost_image_is_not_missing(s3: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    code, document = debug("images/a.jpg")

    assert (code, document["verdict"], document["reason"]) == (4, "unknown", "list_denied")
    assert document["get"]["status"] == 403
    assert "s3:ListBucket" in document["conclusion"]["sentence"]


def test_debug__an_unreachable_store_is_asked_each_question_of_the_check_once(
    s3: EmbeddedS3, stored_with: Any
) -> None:
    make_images("images/a.jpg")
    stored_with(endpoint_url="http://127.0.0.1:9")

    code, document = debug("images/a.jpg")

    assert (code, document["reason"]) == (4, "unreachable")
    assert (document["head"], document["get"]) == (None, None)
    assert document["requests"] == {"HEAD": 0, "HEAD_BUCKET": 1, "LIST": 1, "GET": 1, "VERSIONING": 1}
