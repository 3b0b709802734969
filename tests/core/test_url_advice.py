"""What a browser got from the site's URL -> which diagnosis, and the line to change."""

from __future__ import annotations

from typing import Any

import pytest

from imagesync.core.diagnosis import Place
from imagesync.core.url_advice import url_failure
from imagesync.storage.browser import Address, Browsed

PLACE = Place(
    alias="default", bucket="b", region="eu-north-1", endpoint="https://s3.amazonaws.com", prefix="media/"
)
V4 = {"host": "b.s3.amazonaws.com", "scheme": "https", "signature": "v4", "region": "eu-north-1"}
UNSIGNED = {"signature": "none", "region": ""}


def browsed(address: dict[str, str] | None = None, **answer: Any) -> Browsed:
    return Browsed(address=Address(**{**V4, **(address or {})}), **{"status": 206, **answer})


TABLE: list[tuple[Browsed, str, str, tuple[str, ...]]] = [
    (browsed({"region": "us-east-1"}, status=400, code="AuthorizationQueryParametersError"), "eu-north-1", "url_refused",
     ("signed for us-east-1; the bucket is in eu-north-1", 'AWS_S3_REGION_NAME = "eu-north-1"')),
    (browsed({"region": "eu-west-1"}, status=403, code="AccessDenied"), "EU", "url_refused", ("kms:Decrypt",)),
    (browsed(status=400, code="AuthorizationQueryParametersError"), "", "url_refused", ("AWS_QUERYSTRING_EXPIRE",)),
    (browsed({"signature": "v2", "region": ""}, status=400, code="InvalidRequest"), "", "url_signature_v2",
     ('AWS_S3_SIGNATURE_VERSION = "s3v4"', "HTTP 400 InvalidRequest")),
    (browsed(status=307, redirected_to="b.s3.eu-north-1.amazonaws.com"), "eu-north-1", "url_redirected",
     ('AWS_S3_ADDRESSING_STYLE = "virtual"', "b.s3.eu-north-1.amazonaws.com")),
    (browsed(UNSIGNED, status=301, redirected_to="x.com"), "", "url_redirected", ("to x.com", "two requests")),
    (browsed(status=301), "", "url_redirected", ("somewhere that it does not name",)),
    (browsed(UNSIGNED, status=403, code="AccessDenied"), "", "url_refused", ("carries no signature",)),
    (browsed(status=403, code="SignatureDoesNotMatch"), "", "url_refused", ("secret key",)),
    (browsed(status=400, code="ExpiredToken"), "", "url_refused", ("outlives",)),
    (browsed(status=404), "", "url_refused", ("custom_domain",)),
    (browsed(status=410), "", "url_refused", ("HTTP 410",)),
    (browsed(status=503, code="SlowDown"), "", "url_failed", ("HTTP 503 SlowDown",)),
    (browsed(status=429), "", "url_failed", ("HTTP 429",)),
    (browsed(status=None, code="TimeoutError"), "", "url_unreachable", ("TimeoutError",)),
    (browsed(content_type="text/html"), "", "url_foreign_answer", ("text/html",)),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "bucket_region", "id", "words"), TABLE)
def test_url_failure(seen: Browsed, bucket_region: str, id: str, words: tuple[str, ...]) -> None:
    diagnosis = url_failure(PLACE, seen, bucket_region)

    assert diagnosis is not None
    assert diagnosis.id == id
    assert all(word in f"{diagnosis.fact} {diagnosis.hint}" for word in words), diagnosis


@pytest.mark.parametrize("status", [200, 206])
def test_url_failure__is_none_when_a_browser_gets_the_image(status: int) -> None:
    assert url_failure(PLACE, browsed(status=status, content_type="image/jpeg"), "eu-north-1") is None
