"""The store that talks to S3: how it is made, and what it makes of answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.utils.functional import SimpleLazyObject
from storages.backends.s3 import S3Storage

from imagesync.core.verdicts import Reason, Verdict
from imagesync.selftest import wire
from imagesync.storage.client import and_a_few_more
from imagesync.storage.probe import confirm, look, look_all
from imagesync.storage.store import ClientOptions, S3Store, is_s3
from tests.storage.scripted import Answer, Request, error, scripted, storage_of, store_at

SECONDS = 60

OPTIONS: dict[str, Any] = {
    "bucket_name": "b",
    "region_name": "eu-north-1",
    "access_key": "AKIDTEST",
    "secret_key": "hush",
}


def made(**options: Any) -> S3Store:
    return S3Store.from_storage(S3Storage(**{**OPTIONS, **options}), alias="default")


def test_making_a_store_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    store = made()
    assert store.identity.region == "eu-north-1"
    assert not store.requests


def test_importing_the_store_does_not_import_boto3() -> None:
    code = "import sys, imagesync.storage.store, imagesync.storage.memory; print('boto3' in sys.modules or 'botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_s3_storage_is_known_even_through_a_lazy_object() -> None:
    assert is_s3(S3Storage(**OPTIONS))
    assert is_s3(default_storage)
    assert is_s3(SimpleLazyObject(lambda: S3Storage(**OPTIONS)))
    assert not is_s3(FileSystemStorage())
    assert not is_s3(storages["disk"])


def test_attempts_are_counted_in_total() -> None:
    with scripted(lambda request: Answer(503)) as server:
        storage = S3Storage(**OPTIONS, endpoint_url=server.url, addressing_style="path")
        store = S3Store.from_storage(storage, alias="default", options=ClientOptions(max_attempts=2))
        assert store.head("k").status == 503
    assert len(server.requests) == 2


def test_a_few_more_requests_than_workers_have_a_connection_each(caplog: pytest.LogCaptureFixture) -> None:
    workers = 16
    at_once = and_a_few_more(workers)
    under_way = threading.Barrier(at_once)

    def script(asked: wire.Asked) -> wire.Answer:
        under_way.wait(SECONDS)
        return wire.Answer(200, b"x")

    with wire.Lab(script) as server:
        store = S3Store.from_storage(
            storage_of(server.url), alias="default", options=ClientOptions(workers=workers)
        )
        wanted = ((number, f"{number}.jpg", None) for number in range(at_once))
        looks = list(look_all(store, wanted, how=look, versioning="off", workers=at_once))

    assert at_once > workers
    assert {one.verdict for _number, one in looks} == {Verdict.PRESENT}
    assert not caplog.records, "urllib3 warns when it has to throw connections away"


def test_the_field_storages_own_client_is_left_alone() -> None:
    storage = S3Storage(**OPTIONS)
    before = storage.client_config
    S3Store.from_storage(storage, alias="default")
    assert storage.client_config is before
    assert storage.client_config.read_timeout == 60


def test_an_identity_shows_no_user_information() -> None:
    identity = made(endpoint_url="http://user:hush@127.0.0.1:9/").identity
    assert "hush" not in str(identity.to_dict())


def test_a_store_without_a_bucket_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ImproperlyConfigured, match="AWS_STORAGE_BUCKET_NAME"):
        made(bucket_name="")


@pytest.mark.parametrize(
    "options",
    [
        {"session_profile": "no-such-profile", "access_key": None, "secret_key": None},
        {"endpoint_url": "localhost:9000"},
        {"endpoint_url": "http://user:hush@bad host"},
        {"region_name": "not a region"},
        {"location": "a//b"},
    ],
)
def test_a_mistake_in_the_settings_is_improperly_configured(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="default"):
        made(**options)


def test_supported_object_parameters_are_sent() -> None:
    seen: list[Request] = []

    def server_script(request: Request) -> Answer:
        seen.append(request)
        return Answer(200, headers={"Content-Length": "0"})

    with scripted(server_script) as server:
        store = store_at(server.url, object_parameters={"RequestPayer": "requester", "CacheControl": "no"})
        calls: list[dict[str, Any]] = []
        store._client.meta.events.register(  # the last public place before the wire
            "before-parameter-build.s3", lambda params, **event: calls.append(dict(params))
        )
        store.head("k")
        store.list_page(prefix="")
        store.head_bucket()
    assert calls[0]["RequestPayer"] == "requester"
    assert calls[1]["RequestPayer"] == "requester"
    assert "RequestPayer" not in calls[2]
    assert all("CacheControl" not in call for call in calls)


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (error(404, "NoSuchKey"), Verdict.MISSING, ""),
        (error(404, "NoSuchBucket"), Verdict.UNKNOWN, Reason.NO_BUCKET),
        (Answer(404, b"<html><body>nothing</body></html>"), Verdict.UNKNOWN, Reason.BARE_404),
        (Answer(404, b"<html><p>nothing"), Verdict.UNKNOWN, Reason.BARE_404),
        (Answer(404), Verdict.UNKNOWN, Reason.BARE_404),
        (Answer(301, headers={"Location": "https://elsewhere/"}), Verdict.UNKNOWN, Reason.REDIRECTED),
        (error(403, "AccessDenied"), Verdict.DENIED, Reason.ACCESS_DENIED),
        (error(403, "InvalidObjectState"), Verdict.ARCHIVED, ""),
        (error(503, "SlowDown"), Verdict.UNKNOWN, Reason.THROTTLED),
        (error(404, "NoSuchKey", x_amz_delete_marker="true"), Verdict.RECOVERABLE, ""),
        (error(416, "InvalidRange"), Verdict.MISMATCHED, Reason.EMPTY_OBJECT),
    ],
)
def test_an_answer_over_a_real_socket_is_judged(answer: Answer, verdict: Verdict, reason: str) -> None:
    with scripted(lambda request: answer) as server:
        seen = confirm(store_at(server.url), "k", versioning="off")
    assert (seen.verdict, seen.reason) == (verdict, reason)


def test_a_refused_connection_is_an_outcome() -> None:
    seen = confirm(store_at("http://127.0.0.1:9"), "k", versioning="off")
    assert (seen.verdict, seen.reason, seen.evidence.status) == (Verdict.UNKNOWN, Reason.UNREACHABLE, None)


def test_a_hanging_server_is_an_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = store_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        seen = confirm(store, "k", versioning="off")
    assert (seen.verdict, seen.reason) == (Verdict.UNKNOWN, Reason.TIMED_OUT)


def test_evidence_keeps_the_headers_that_matter_and_no_others() -> None:
    headers = {
        "x-amz-storage-class": "GLACIER_IR",
        "Set-Cookie": "session=1",
        "Location": "https://x/",
        "ETag": '"e"',
    }
    with scripted(lambda request: Answer(200, headers=headers)) as server:
        evidence = store_at(server.url).head("k")
    assert evidence.headers["x-amz-storage-class"] == "GLACIER_IR"
    assert not {"set-cookie", "location"} & set(evidence.headers)
    assert evidence.etag == "e"


def test_an_error_code_that_is_no_word_is_dropped() -> None:
    with scripted(lambda request: error(400, "&lt;script&gt; x")) as server:
        assert store_at(server.url).get("k").code == ""


def test_a_server_that_ignores_range_is_not_read_to_the_end() -> None:
    body = b"x" * 3_000_000
    with scripted(lambda request: Answer(200, body)) as server:
        evidence = store_at(server.url).get("k")
    assert (evidence.status, evidence.size_bytes) == (200, len(body))


def test_answers_of_one_byte_leave_the_connection_usable() -> None:
    partial = Answer(206, b"x", {"Content-Range": "bytes 0-0/77"})
    with scripted(lambda request: partial) as server:
        store = store_at(server.url)
        assert [store.get("k").size_bytes for _n in range(5)] == [77] * 5
