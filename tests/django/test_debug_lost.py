"""``debug_s3_image``: where the object of a lost image went. Another key, or a version behind a delete marker."""

from __future__ import annotations

from typing import Any

import pytest

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION
from tests.django.debugging import debug
from tests.django.helpers import make_images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def versioned(s3: EmbeddedS3) -> EmbeddedS3:
    s3.client(REGION).put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.mark.parametrize(
    ("named", "stored", "slip"),
    [
        ("images/x.jpg", "images/x.JPG", "case"),
        ("images/caf\u00e9.jpg", "images/cafe\u0301.jpg", "unicode_form"),
        ("images/a b.jpg", "images/a+b.jpg", "plus_and_space"),
        ("images/a%20b.jpg", "images/a b.jpg", "quoted"),
        ("images/x.jpg", "images/x.jpg ", "whitespace"),
        ("images/x.jpg", "images//x.jpg", "slashes"),
        ("images/img_photo.jpg", "images/IMG_Photo.JPG", "spelling"),
    ],
)
def test_debug__a_near_miss_that_is_there_is_named(
    s3: EmbeddedS3, named: str, stored: str, slip: str
) -> None:
    make_images(named)
    s3.put(BUCKET, stored)

    code, document = debug(named)

    assert code == 3
    there = [one for one in document["near_misses"] if one["verdict"] == "present"]
    assert [(one["key"], one["slip"]) for one in there] == [(stored, slip)]
    assert there[0]["evidence"]["status"] == 206
    assert document["conclusion"]["id"] == "near_miss"
    assert f'"{stored}" is there' in document["conclusion"]["sentence"]


def test_debug__a_doubled_location_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    stored_with(location="media")
    (image,) = make_images("media/a.jpg")
    s3.put(BUCKET, "media/a.jpg")

    code, document = debug("--id", f"imagesync.Image:{image.pk}")

    assert (code, document["key"], document["verdict"]) == (3, "media/media/a.jpg", "missing")
    assert document["conclusion"]["id"] == "near_miss"
    assert f'set the file of imagesync.Image:{image.pk} to "a.jpg"' in document["conclusion"]["sentence"]


def test_debug__a_key_without_its_location_is_looked_up_all_the_same(
    s3: EmbeddedS3, stored_with: Any
) -> None:
    stored_with(location="media")
    make_images("a.jpg")
    s3.put(BUCKET, "media/a.jpg")

    code, document = debug("a.jpg")

    assert (code, document["verdict"], document["url"]) == (3, "missing", None)
    assert [one["key"] for one in document["near_misses"] if one["records"]] == ["media/a.jpg"]


def test_debug__a_near_miss_that_another_record_names_is_not_handed_over(s3: EmbeddedS3) -> None:
    _lost, other = make_images("images/x.jpg", "images/x.JPG")
    s3.put(BUCKET, "images/x.JPG")

    _code, document = debug("images/x.jpg")

    assert f"imagesync.Image:{other.pk} names that object already" in document["conclusion"]["sentence"]


def test_debug__a_delete_marker_is_named_with_the_version_behind_it(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")

    code, document = debug("images/a.jpg")

    marker, version = document["versions"]["entries"]
    assert code == 3
    assert document["verdict"] == "recoverable"
    assert (marker["is_delete_marker"], version["is_delete_marker"]) == (True, False)
    sentence = document["conclusion"]["sentence"]
    assert sentence.startswith(f"A delete marker hides version {version['id']}: bring it back")
    assert f"--key images/a.jpg --version-id {marker['id']}" in sentence


def test_debug__the_step_that_it_names_brings_the_object_back(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")
    _code, document = debug("images/a.jpg")
    words = document["conclusion"]["sentence"].rstrip(".").split()

    versioned.client(REGION).delete_object(
        Bucket=words[words.index("--bucket") + 1],
        Key=words[words.index("--key") + 1],
        VersionId=words[words.index("--version-id") + 1],
    )

    assert debug("images/a.jpg")[0] == 0


def test_debug__a_delete_marker_counts_where_versions_may_not_be_listed(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")
    versioned.denied[versioned.access_key] = {"s3:ListBucketVersions"}

    _code, document = debug("images/a.jpg")

    assert document["versions"]["told"] == "denied"
    assert (document["verdict"], document["conclusion"]["id"]) == ("recoverable", "delete_marker_unseen")
    assert "s3:ListBucketVersions" in document["conclusion"]["sentence"]
