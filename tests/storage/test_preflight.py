"""What makes a store unfit, and what people are told to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagesync.core.diagnosis import DIAGNOSES
from imagesync.core.verdicts import Evidence
from imagesync.storage.memory import MemoryStore
from imagesync.storage.preflight import preflight
from tests.storage.scripted import Answer, Request, error, scripted, store_at

REGION = "x-amz-bucket-region"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("realtor-image-generator", prefix="media/", alias="default")


def test_a_bucket_in_another_region_is_named_with_the_line_to_change(store: MemoryStore) -> None:
    store.answer(
        "HeadBucket", None, Evidence(operation="HeadBucket", status=200, headers={REGION: "eu-north-1"})
    )
    (reason,) = preflight(store).reasons
    assert reason.id == "wrong_region"
    assert reason.fact == (
        'The bucket "realtor-image-generator" is in eu-north-1; the application is configured for us-east-1.'
    )
    assert reason.hint == (
        'Set AWS_S3_REGION_NAME = "eu-north-1" (or "region_name" in STORAGES["default"]["OPTIONS"]).'
    )


def test_an_unreachable_endpoint_is_asked_each_question_once(store: MemoryStore) -> None:
    for operation in ("HeadBucket", "ListObjectsV2", "GetObject", "GetBucketVersioning"):
        store.fail(operation, None, "ConnectTimeoutError")
    assert [one.id for one in preflight(store).reasons] == ["timed_out"]
    assert store.requests == {"HEAD_BUCKET": 1, "LIST": 1, "GET": 1, "VERSIONING": 1}


def test_an_answer_from_another_operation_proves_no_absence(store: MemoryStore) -> None:
    store.answer("GetObject", None, Evidence(operation="CreateSession", status=404, code="NoSuchKey"))
    assert [one.id for one in preflight(store).reasons] == ["no_bucket"]


def test_everything_is_asked_under_the_stores_own_prefix(store: MemoryStore) -> None:
    asked: list[str] = []
    get, list_page = store.get, store.list_page

    def noted_get(key: str) -> Evidence:
        asked.append(key)
        return get(key)

    store.get = noted_get  # type: ignore[method-assign]
    store.list_page = lambda *, prefix, **more: (  # type: ignore[method-assign]
        asked.append(prefix) or list_page(prefix=prefix, **more)
    )
    assert preflight(store).fit
    assert len(asked) == 2
    assert all(key.startswith("media/") for key in asked)


LISTING = {
    "Effect": "Allow",
    "Action": "s3:ListBucket",
    "Resource": "arn:aws:s3:::realtor-image-generator",
}
READING = {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::realtor-image-generator/media/*",
}


def test_what_lacks_is_printed_as_the_statement_to_add(store: MemoryStore) -> None:
    store.fail("ListObjectsV2", 403, "AccessDenied")
    (reason,) = preflight(store).reasons

    assert json.loads(reason.hint.partition("policy: ")[2]) == LISTING


def test_when_the_listing_is_allowed_both_statements_are_printed(store: MemoryStore) -> None:
    store.fail("GetObject", 403, "AccessDenied")
    (reason,) = preflight(store).reasons

    assert json.loads(reason.hint.partition("policy: ")[2]) == [LISTING, READING]


def test_the_incidents_region_is_found_over_a_real_socket() -> None:
    def aws(request: Request) -> Answer:
        """As S3 does: HEAD 400 bare with the region, and the redirected request works."""
        if "/eu-north-1/s3/" not in request.authorization:
            if request.method == "HEAD":
                return Answer(400, headers={"x-amz-bucket-region": "eu-north-1"})
            more = "<Region>eu-north-1</Region>"
            return error(400, "AuthorizationHeaderMalformed", more, x_amz_bucket_region="eu-north-1")
        return Answer(200, headers={"x-amz-bucket-region": "eu-north-1"})

    with scripted(aws) as server:
        fit = preflight(store_at(server.url, region="us-east-1"))
    assert not fit.fit
    assert fit.bucket_region == "eu-north-1"
    assert fit.reasons[0].id == "wrong_region"
    assert 'AWS_S3_REGION_NAME = "eu-north-1"' in fit.reasons[0].hint


def test_a_captive_portal_is_no_store() -> None:
    portal = Answer(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
    with scripted(lambda request: portal) as server:
        fit = preflight(store_at(server.url))
    assert not fit.fit
    assert fit.reasons[0].id == "listing_broken"


def test_every_diagnosis_has_its_section_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagnoses.md").read_text()
    sections = {line[3:].strip().strip("`") for line in page.splitlines() if line.startswith("## ")}
    assert set(DIAGNOSES) <= sections
