"""``debug_s3_image``: an object that is there, and the URL that no browser gets it by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import Storage
from django.test import override_settings

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION
from tests.django.debugging import debug
from tests.django.helpers import make_images

pytestmark = pytest.mark.django_db(transaction=True)


def client_in_the_right_region(storage: Storage, config: Any) -> Any:
    from tests.django.test_debug_url import SERVER

    return SERVER[0].client(REGION)


SERVER: list[EmbeddedS3] = []


@pytest.fixture
def api_in_the_right_region(s3: EmbeddedS3) -> Iterator[None]:
    """Every API call of imagesync works, whatever region the site's storage is set to."""
    SERVER[:] = [s3]
    path = f"{client_in_the_right_region.__module__}.client_in_the_right_region"
    with override_settings(IMAGESYNC={"CLIENT_FACTORY": path}):
        yield


def test_debug__a_url_that_is_signed_for_another_region_is_found_out(
    s3: EmbeddedS3, stored_with: Any, api_in_the_right_region: None
) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1", signature_version="s3v4")

    code, document = debug("images/a.jpg")

    assert (code, document["verdict"], document["conclusion"]["id"]) == (3, "present", "url_refused")
    sentence = document["conclusion"]["sentence"]
    assert sentence.startswith("The object is there, but visitors do not see it: ")
    assert "HTTP 400 AuthorizationQueryParametersError" in sentence
    assert f"signed for us-east-1; the bucket is in {REGION}" in sentence
    assert f'AWS_S3_REGION_NAME = "{REGION}"' in document["conclusion"]["sentence"]


def test_debug__a_url_of_signature_version_2_is_found_out(
    s3: EmbeddedS3, stored_with: Any, api_in_the_right_region: None
) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1", signature_version="s3")

    code, document = debug("images/a.jpg")

    assert (code, document["url"]["signature"], document["conclusion"]["id"]) == (3, "v2", "url_signature_v2")
    assert 'AWS_S3_SIGNATURE_VERSION = "s3v4"' in document["conclusion"]["sentence"]


def test_debug__an_unsigned_url_of_a_private_bucket_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(querystring_auth=False)

    code, document = debug("images/a.jpg")

    assert (code, document["url"]["signature"], document["conclusion"]["id"]) == (3, "none", "url_refused")


def test_debug__a_host_that_does_not_answer_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(custom_domain="127.0.0.1:9")

    code, document = debug("images/a.jpg")

    assert (code, document["conclusion"]["id"]) == (3, "url_unreachable")
    assert document["url"]["host"] == "127.0.0.1:9"
