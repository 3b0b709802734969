from __future__ import annotations

from typing import Any

import pytest

from imagesync.core.verdicts import Evidence
from imagesync.exceptions import ListingBroken
from imagesync.storage.listing import Asked, listed, validate_page
from imagesync.storage.memory import MemoryStore
from imagesync.storage.preflight import preflight

ASKED = Asked(bucket="b", prefix="p/", after="p/1", token="t1")
GOOD: dict[str, Any] = {
    "Name": "b",
    "Prefix": "p/",
    "IsTruncated": True,
    "NextContinuationToken": "t2",
    "KeyCount": 2,
    "Contents": [{"Key": "p/2", "Size": 1, "ETag": '"e"'}, {"Key": "p/3", "Size": 2}],
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_validate_page__takes_a_good_one() -> None:
    objects, token = validate_page(GOOD, ASKED)

    assert [(one.key, one.size_bytes, one.etag) for one in objects] == [("p/2", 1, "e"), ("p/3", 2, "")]
    assert token == "t2"
    assert validate_page(without("KeyCount"), ASKED)[1] == "t2"


BROKEN = {
    "an empty body": {},
    "a foreign bucket": {**GOOD, "Name": "c"},
    "no bucket name": without("Name"),
    "a foreign prefix": {**GOOD, "Prefix": "q/"},
    "no IsTruncated": without("IsTruncated"),
    "IsTruncated as a word": {**GOOD, "IsTruncated": "true"},
    "truncated without a token": without("NextContinuationToken"),
    "a token without truncation": {**GOOD, "IsTruncated": False},
    "two tokens": {**GOOD, "NextContinuationToken": ["t2", "t3"]},
    "its own token again": {**GOOD, "NextContinuationToken": "t1"},
    "a wrong count": {**GOOD, "KeyCount": 3},
    "keys out of order": {**GOOD, "Contents": list(reversed(GOOD["Contents"]))},
    "a key twice": {**GOOD, "Contents": [GOOD["Contents"][0]] * 2},
    "a key of the page before": {**GOOD, "Contents": [{"Key": "p/1"}, {"Key": "p/2"}]},
    "a key outside of the prefix": {**GOOD, "Contents": [{"Key": "p/2"}, {"Key": "q/1"}]},
    "an entry without a key": {**GOOD, "Contents": [{"Size": 1}, {"Key": "p/3"}]},
}


@pytest.mark.parametrize("page", BROKEN.values(), ids=BROKEN.keys())
def test_validate_page__refuses(page: dict[str, Any]) -> None:
    with pytest.raises(ListingBroken) as caught:
        validate_page(page, ASKED)

    assert caught.value.reason == "listing_broken"


def test_validate_page__an_access_point_answers_with_another_name() -> None:
    asked = Asked(bucket="my-point-s3alias", prefix="p/", after="")

    assert validate_page({**GOOD, "Name": "b"}, asked)[1] == "t2"


def test_listed__a_server_that_never_ends_is_broken() -> None:
    store = MemoryStore("b")
    tokens = iter(range(10_000))

    def endless(**asked: Any) -> Any:
        answer = MemoryStore.list_page(store, **{**asked, "token": ""})
        return type(answer)(
            evidence=answer.evidence,
            page={**answer.page, "IsTruncated": True, "NextContinuationToken": str(next(tokens))},  # type: ignore[dict-item]
        )

    store.list_page = endless  # type: ignore[method-assign]

    with pytest.raises(ListingBroken, match="does not end"):
        list(listed(store, prefix=""))


def test_listed__a_page_that_the_server_spoils_is_asked_for_with_another_end() -> None:
    store = MemoryStore("b")
    keys = [f"{number:04}" for number in range(25)]
    for key in keys:
        store.put(key)
    honest = store.list_page
    spoilt: list[str] = []

    def spoils(**asked: Any) -> Any:
        answer = honest(**asked)
        if answer.page is not None and answer.page["Contents"][-1]["Key"] == "0009":
            spoilt.append(asked["token"])
            evidence = Evidence(operation="ListObjectsV2", status=500, code="500")
            return type(answer)(evidence=evidence, page=None)
        return answer

    store.list_page = spoils  # type: ignore[method-assign]

    assert [one.key for one in listed(store, prefix="", page_size=10)] == keys
    assert spoilt == [""]


PREFLIGHTS = [
    ("HeadBucket", 404, "404", "no_bucket"),
    ("HeadBucket", 301, "301", "redirected"),
    ("HeadBucket", 503, "503", "server_error"),
    ("HeadBucket", None, "EndpointConnectionError", "unreachable"),
    ("HeadBucket", None, "ConnectTimeoutError", "timed_out"),
    ("HeadBucket", None, "NoCredentialsError", "no_credentials"),
    ("ListObjectsV2", 403, "AccessDenied", "list_denied"),
    ("ListObjectsV2", 403, "RequestTimeTooSkewed", "clock_skew"),
    ("ListObjectsV2", 400, "ExpiredToken", "expired_credentials"),
    ("ListObjectsV2", 404, "NoSuchBucket", "no_bucket"),
    ("ListObjectsV2", 400, "InvalidRequest", "bad_request"),
    ("GetObject", 403, "AccessDenied", "list_denied"),
    ("GetObject", 206, "", "absent_key_answered"),
    ("GetObject", 404, "", "no_bucket"),
    ("GetObject", 404, "NoSuchBucket", "no_bucket"),
    ("GetObject", 503, "SlowDown", "throttled"),
]


@pytest.mark.parametrize(("operation", "status", "code", "id"), PREFLIGHTS)
def test_preflight__an_unfit_store_is_told_by_id(
    operation: str, status: int | None, code: str, id: str
) -> None:
    store = MemoryStore("b")
    store.fail(operation, status, code)

    fit = preflight(store)

    assert not fit.fit
    assert [reason.id for reason in fit.reasons] == [id]
    assert fit.reasons[0].hint


def test_preflight__a_bucket_that_may_not_be_headed_is_tolerable() -> None:
    store = MemoryStore("b")
    store.fail("HeadBucket", 403, "403")

    assert preflight(store).fit


def test_preflight__a_wrong_region_is_told_though_every_call_works() -> None:
    store = MemoryStore("b", region="us-east-1")
    headers = {"x-amz-bucket-region": "eu-north-1"}
    store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=200, headers=headers))

    fit = preflight(store)

    assert [reason.id for reason in fit.reasons] == ["wrong_region"]
    assert fit.bucket_region == "eu-north-1"


@pytest.mark.parametrize(
    ("configured", "told"),
    [("aws-global", "us-east-1"), ("", "us-east-1"), ("eu-west-1", "EU"), ("auto", "weur")],
)
def test_preflight__spellings_of_the_same_region(configured: str, told: str) -> None:
    store = MemoryStore("b", region=configured)
    headers = {"x-amz-bucket-region": told}
    store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=200, headers=headers))

    assert preflight(store).fit
