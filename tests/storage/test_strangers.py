"""Answers that botocore takes for good, settings that only look right, and what must not follow from them."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from storages.backends.s3 import S3Storage

from imagesync.core.diagnosis import Place, failed_call, list_denied
from imagesync.core.verdicts import Evidence, Look, Verdict
from imagesync.storage import listing, probe
from imagesync.storage.contract import ListingAnswer
from imagesync.storage.listing import listed
from imagesync.storage.memory import MemoryStore
from imagesync.storage.names import location_prefix
from imagesync.storage.preflight import preflight
from imagesync.storage.probe import confirm, look, look_all
from imagesync.storage.store import S3Store, fingerprint
from tests.storage.scripted import XML, Answer, Request, error, scripted, store_at

VERSIONS = (
    f'<ListVersionsResult xmlns="{XML}"><Name>b</Name><Prefix>%s</Prefix><IsTruncated>%s</IsTruncated>%s'
    "</ListVersionsResult>"
)
LISTING = (
    f'<ListBucketResult xmlns="{XML}"><Name>b</Name><Prefix></Prefix><KeyCount>0</KeyCount>'
    "<IsTruncated>false</IsTruncated></ListBucketResult>"
)
HTML = b"<html><body>Please log in</body></html>"


def absent_but_for(versions: bytes, status: int = 200) -> Any:
    """A bucket where every GET is NoSuchKey and the question for versions is answered by ``versions``."""

    def script(request: Request) -> Answer:
        return Answer(status, versions) if request.kind == "ListObjectVersions" else error(404, "NoSuchKey")

    return script


# -- versions: the last word before "missing" --------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        f'<ListVersionsResult xmlns="{XML}"/>'.encode(),
        (VERSIONS % ("k", "false", "")).replace("<Name>b", "<Name>other").encode(),
        (VERSIONS % ("another", "false", "")).encode(),
        (VERSIONS % ("k", "true", "")).encode(),
        (VERSIONS % ("k", "false", "<Version><Key>a</Key></Version>")).encode(),
    ],
    ids=["empty", "portal", "no frame", "other bucket", "other prefix", "truncated and empty", "other key"],
)
def test_a_versions_page_that_is_not_the_one_asked_for_proves_no_absence(body: bytes) -> None:
    with scripted(absent_but_for(body)) as server:
        seen = confirm(store_at(server.url), "k", versioning="enabled")
    assert (seen.verdict, seen.evidence.versions) == (Verdict.UNKNOWN, "failed")


@pytest.mark.parametrize(
    "entry", ["<Version><Key>k</Key></Version>", "<DeleteMarker><Key>k</Key></DeleteMarker>"]
)
def test_a_version_or_a_marker_makes_a_key_recoverable(entry: str) -> None:
    with scripted(absent_but_for((VERSIONS % ("k", "true", entry)).encode())) as server:
        assert confirm(store_at(server.url), "k", versioning="enabled").verdict is Verdict.RECOVERABLE


@pytest.mark.parametrize("key", ["a+b", "a%20b", "a b"])
def test_an_echo_that_was_decoded_once_too_often_is_the_same_prefix(key: str) -> None:
    body = (
        (VERSIONS % (key, "false", ""))
        .replace("<Prefix>", "<EncodingType>url</EncodingType><Prefix>")
        .encode()
    )
    with scripted(absent_but_for(body)) as server:
        assert confirm(store_at(server.url), key, versioning="enabled").evidence.versions == "none"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (error(403, "AccessDenied"), "denied"),
        (error(403, "RequestTimeTooSkewed"), "failed"),
        (error(403, "InvalidAccessKeyId"), "failed"),
        (error(501, "NotImplemented"), "not_offered"),
        (error(405, "MethodNotAllowed"), "not_offered"),
        (error(503, "SlowDown"), "failed"),
    ],
)
def test_only_a_lacking_permission_counts_as_denied(answer: Answer, told: str) -> None:
    with scripted(lambda request: answer) as server:
        assert store_at(server.url).versions_of("k") == told


@pytest.mark.parametrize(
    "body", [b"", HTML, LISTING.encode()], ids=["empty", "portal", "subresource ignored"]
)
def test_an_answer_that_is_not_about_versioning_does_not_say_that_it_is_off(body: bytes) -> None:
    with scripted(lambda request: Answer(200, body)) as server:
        assert store_at(server.url).versioning() == "unknown"


@pytest.mark.parametrize(
    ("status", "told"),
    [("", "off"), ("<Status>Enabled</Status>", "enabled"), ("<Status>Suspended</Status>", "suspended")],
)
def test_versioning_is_what_the_bucket_says(status: str, told: str) -> None:
    body = f'<VersioningConfiguration xmlns="{XML}">{status}</VersioningConfiguration>'.encode()
    with scripted(lambda request: Answer(200, body)) as server:
        assert store_at(server.url).versioning() == told


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1"])
def test_any_delete_marker_header_makes_a_key_recoverable(value: str) -> None:
    with scripted(lambda request: error(404, "NoSuchKey", x_amz_delete_marker=value)) as server:
        assert confirm(store_at(server.url), "k", versioning="off").verdict is Verdict.RECOVERABLE


# -- sizes, codes, words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["bytes 0-0/*", "bytes 0-0/\u00b2", "bytes 0-0/" + "9" * 5000, "nonsense"])
def test_a_size_that_the_server_does_not_know_is_not_the_ranges(told: str) -> None:
    partial = Answer(206, b"x", {"Content-Range": told.encode().decode("latin-1")})
    with scripted(lambda request: partial) as server:
        assert store_at(server.url).get("k").size_bytes is None


def test_a_weak_etag_is_the_etag() -> None:
    with scripted(lambda request: Answer(200, headers={"ETag": 'W/"abc"'})) as server:
        assert store_at(server.url).head("k").etag == "abc"


def test_a_region_that_could_not_be_one_is_not_put_into_a_hint() -> None:
    headers = {"x-amz-bucket-region": 'x"; import os'}
    with scripted(lambda request: Answer(200, headers=headers)) as server:
        assert "x-amz-bucket-region" not in store_at(server.url).head_bucket().headers


def test_a_storage_that_raises_is_an_outcome() -> None:
    class Broken(S3Storage):
        def get_object_parameters(self, name: str) -> dict[str, Any]:
            raise RuntimeError("my own code")

    storage = Broken(
        bucket_name="b", region_name="x", access_key="a", secret_key="s", endpoint_url="http://127.0.0.1:9"
    )
    store = S3Store(
        storage.connection.meta.client,
        alias="a",
        bucket="b",
        location="",
        parameters=storage.get_object_parameters,
    )
    assert store.get("k").code == "RuntimeError"


# -- regions -----------------------------------------------------------------------------------------------


def swift(request: Request) -> Answer:
    """As Swift's s3api: the region is named in an error's body only, which botocore swallows and follows."""
    if "/eu-north-1/s3/" not in request.authorization:
        if request.method == "HEAD":
            return Answer(400)
        return error(400, "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>")
    if request.kind == "ListObjectsV2":
        return Answer(200, LISTING.encode())
    return error(404, "NoSuchKey")


def test_a_redirect_that_botocore_follows_silently_is_a_wrong_region() -> None:
    with scripted(swift) as server:
        fit = preflight(store_at(server.url, region="us-east-1"))
        right = preflight(store_at(server.url, region="eu-north-1"))
    assert (fit.fit, fit.bucket_region, fit.reasons[0].id) == (False, "eu-north-1", "wrong_region")
    assert right.reasons == () or right.reasons[0].id != "wrong_region"


def test_a_bare_400_in_the_right_region_is_explained_by_what_the_listing_says() -> None:
    def expired(request: Request) -> Answer:
        told = {"x_amz_bucket_region": "us-east-1"}
        if request.method == "HEAD":
            return Answer(400, headers=told)
        return error(400, "ExpiredToken", **told)

    with scripted(expired) as server:
        assert preflight(store_at(server.url)).reasons[0].id == "expired_credentials"


def test_a_bucket_is_never_said_to_be_where_it_is_configured_to_be() -> None:
    place = Place(alias="default", bucket="b", region="us-east-1", endpoint="e", prefix="")
    headers = {"x-amz-bucket-region": "us-east-1"}
    refused = Evidence(operation="ListObjectsV2", status=400, code="InvalidRequest", headers=headers)
    assert failed_call(place, refused).id == "bad_request"


@pytest.mark.parametrize(
    ("region", "arn"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("", "aws")]
)
def test_the_statement_to_add_names_the_partition(region: str, arn: str) -> None:
    place = Place(alias="default", bucket="b", region=region, endpoint="e", prefix="")
    assert f'"arn:{arn}:s3:::b"' in list_denied(place, "the listing").hint


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://ec2-1-2-3-4.compute-1.amazonaws.com:9000",
        "http://minio-1234.eu-north-1.elb.amazonaws.com",
        "https://abc.execute-api.eu-north-1.amazonaws.com",
    ],
)
def test_a_server_of_ones_own_on_awss_machines_is_not_s3(endpoint: str) -> None:
    assert fingerprint(endpoint, "b", "") != fingerprint("https://s3.amazonaws.com", "b", "")


def test_govcloud_is_a_place_of_its_own() -> None:
    gov = fingerprint("https://s3.us-gov-west-1.amazonaws.com", "b", "")
    assert gov == fingerprint("https://s3.dualstack.us-gov-east-1.amazonaws.com", "b", "")
    assert gov != fingerprint("https://s3.amazonaws.com", "b", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"session_profile": "nobody", "access_key": None, "secret_key": None},
            "AWS_S3_SESSION_PROFILE .*'nobody'",
        ),
        ({"endpoint_url": "localhost:9000"}, "AWS_S3_ENDPOINT_URL .*'localhost:9000'.* write"),
        ({"endpoint_url": "http://127.0.0.1:99999"}, "AWS_S3_ENDPOINT_URL .*:99999.* write"),
        ({"signature_version": "nope"}, "AWS_S3_SIGNATURE_VERSION .*'nope'.* Write"),
        ({"region_name": "not a region"}, "AWS_S3_REGION_NAME .*'not a region'.* write"),
        ({"endpoint_url": "http://user:hush@bad host"}, "AWS_S3_ENDPOINT_URL"),
    ],
)
def test_a_mistake_is_named_with_its_setting_its_value_and_what_to_write(
    options: dict[str, Any], said: str
) -> None:
    given = {
        "bucket_name": "b",
        "region_name": "eu-north-1",
        "access_key": "AKIDTEST",
        "secret_key": "hush",
        **options,
    }
    with pytest.raises(ImproperlyConfigured, match=said) as caught:
        S3Store.from_storage(S3Storage(**given), alias="default")
    assert "hush" not in str(caught.value)


def test_a_bucket_name_that_cannot_be_one_is_named() -> None:
    (reason,) = preflight(store_at("http://127.0.0.1:9", bucket="no bucket name")).reasons
    assert reason.id == "no_bucket"
    assert "AWS_STORAGE_BUCKET_NAME" in reason.hint


class Plain(S3Storage):
    """A storage of a project's own whose construction takes nothing."""

    def __init__(self) -> None:
        super().__init__(bucket_name="b", region_name="eu-north-1", access_key="a", secret_key="s")


def test_a_storage_whose_construction_takes_nothing_gets_our_timeouts() -> None:
    store = S3Store.from_storage(Plain(), alias="default")
    assert store._client.meta.config.read_timeout == 20


def test_the_location_of_the_current_folder_maps_no_name() -> None:
    assert location_prefix(".") is None


# -- running -----------------------------------------------------------------------------------------------


def test_a_store_that_raises_for_one_key_does_not_end_the_run() -> None:
    store = MemoryStore()
    store.put("a")

    def broken(store: Any, key: str, **options: Any) -> Look:
        if key == "b":
            raise TimeoutError
        return confirm(store, key, **options)

    wanted = [(key, key, None) for key in "abc"]
    seen = dict(look_all(store, wanted, how=broken, versioning="off", workers=1))
    assert [seen[key].verdict for key in "abc"] == [Verdict.PRESENT, Verdict.UNKNOWN, Verdict.MISSING]
    assert seen["b"].evidence.code == "TimeoutError"


def test_the_time_of_evidence_is_the_callers() -> None:
    then = datetime(2025, 10, 27, tzinfo=UTC)
    assert look(MemoryStore(), "a", versioning="off", now=lambda: then).evidence.at == then


def test_the_heart_beats_regularly_over_many_short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "HEARTBEAT_SECONDS", 0.05)
    beats: list[float] = []

    def slow(store: Any, key: str, **options: Any) -> Look:
        time.sleep(0.03)
        return confirm(store, key, **options)

    wanted = [(n, str(n), None) for n in range(4)]
    asked = look_all(
        MemoryStore(),
        wanted,
        how=slow,
        versioning="off",
        workers=1,
        heartbeat=lambda: beats.append(time.monotonic()),
    )
    assert len(list(asked)) == 4
    assert beats


def test_the_heart_beats_while_a_page_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "HEARTBEAT_SECONDS", 0.02)
    beats: list[int] = []

    class Slow(MemoryStore):
        def list_page(self, **asked: Any) -> ListingAnswer:
            time.sleep(0.2)
            return super().list_page(**asked)

    pages: list[int] = []
    assert list(listed(Slow(), prefix="", heartbeat=lambda: beats.append(1), on_page=pages.append)) == []
    assert len(beats) >= 3
    assert pages == [0]


def test_a_memory_store_is_listed_while_others_write() -> None:
    store = MemoryStore()

    def write() -> None:
        for n in range(3000):
            store.put(f"{n:05}")

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        list(listed(store, prefix="", page_size=50, until="00200"))
    writer.join()
    assert len(list(listed(store, prefix=""))) == 3000


def test_a_prefix_without_a_slash_gets_one_in_memory_as_in_s3() -> None:
    assert MemoryStore(prefix="media").identity.prefix == "media/"


def test_deleting_leaves_a_marker_where_versioning_is_suspended_too() -> None:
    store = MemoryStore(versioning="suspended")
    store.delete("never")
    assert confirm(store, "never", versioning="suspended").verdict is Verdict.RECOVERABLE


def test_no_socket_is_left_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        store_at(f"http://127.0.0.1:{listening.getsockname()[1]}")
        listening.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listening.accept()
