"""Uploads that go wrong on the way, behind a proxy that spoils them: each has its reason, and none is deleted."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile, File
from django.test import override_settings

from imagesync.exceptions import ImageSyncError, UploadNotVerified
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.storage.spoiling import MIB, SMALL_PARTS, Passing, Proxy, Stream, proxy_of, storage_at

LARGE = b"0123456789abcdef" * (11 * MIB // 16)


@pytest.fixture
def proxy(s3: EmbeddedS3) -> Iterator[Proxy]:
    port = urlsplit(s3.url).port
    assert port is not None
    with proxy_of(port) as proxy:
        yield proxy


def refused(
    storage: Any, content: bytes | File[Any] = b"the bytes", name: str = "a.jpg"
) -> UploadNotVerified:
    file = ContentFile(content) if isinstance(content, bytes) else content
    with pytest.raises(UploadNotVerified) as caught:
        storage.save(name, file)
    assert caught.value.fact.endswith(".")
    assert caught.value.hint
    assert caught.value.name == name
    assert isinstance(caught.value, ImageSyncError)
    return caught.value


def at_put(change: Callable[[bytes], bytes], part: str = "") -> Callable[[Passing], None]:
    def spoil(passing: Passing) -> None:
        if passing.method == "PUT" and (not part or f"partNumber={part}" in passing.path):
            passing.body = change(passing.body)

    return spoil


def at_head(status: int, **headers: str) -> Callable[[Passing], None]:
    def spoil(passing: Passing) -> None:
        if passing.method == "HEAD" and passing.path.count("/") > 1:
            passing.status = status
            passing.answer |= headers

    return spoil


def other_bytes(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def test_spoiled__the_proxy_that_spoils_nothing_lets_an_upload_pass(proxy: Proxy) -> None:
    assert storage_at(proxy.url).save("a.jpg", ContentFile(b"x")) == "a.jpg"
    assert proxy.seen == ["PUT", "HEAD"]


@pytest.mark.parametrize("how", ["content", "size"])
def test_spoiled__shorter_than_sent(proxy: Proxy, s3: EmbeddedS3, how: str) -> None:
    proxy.before = at_put(lambda body: body[:-3])

    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}):
        problem = refused(storage_at(proxy.url))

    assert problem.reason == "size_differs"
    assert "holds 6 bytes" in problem.fact
    assert "9 were sent" in problem.fact
    assert s3.keys_in(BUCKET) == ["a.jpg"]
    assert proxy.seen == ["PUT", "HEAD"]


def test_spoiled__other_bytes_of_the_same_size(proxy: Proxy, s3: EmbeddedS3) -> None:
    """The embedded S3 repeats the checksum that it was sent, so it is the ETag that tells."""
    proxy.before = at_put(other_bytes)

    problem = refused(storage_at(proxy.url))

    assert problem.reason == "content_differs"
    assert 'IMAGESYNC["VERIFY_UPLOADS"] = "size"' in problem.hint
    assert s3.keys_in(BUCKET) == ["a.jpg"]


def test_spoiled__a_part_with_other_bytes(proxy: Proxy) -> None:
    proxy.before = at_put(other_bytes, part="2")

    problem = refused(storage_at(proxy.url, transfer_config=SMALL_PARTS), LARGE)

    assert problem.reason == "content_differs"


@pytest.mark.parametrize("how", ["content", "size"])
@pytest.mark.parametrize("seekable", [True, False])
def test_spoiled__a_part_that_is_shorter(proxy: Proxy, how: str, seekable: bool) -> None:
    proxy.before = at_put(lambda body: body[:-1], part="3")
    content: Any = LARGE if seekable else File(Stream(LARGE), name="a.jpg")

    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}):
        problem = refused(storage_at(proxy.url, transfer_config=SMALL_PARTS), content)

    assert problem.reason == "size_differs"
    assert f"{len(LARGE)} were sent" in problem.fact


def test_spoiled__gone_after_the_upload(proxy: Proxy, s3: EmbeddedS3) -> None:
    def delete(passing: Passing) -> None:
        if passing.method == "PUT":
            s3.delete(BUCKET, "a.jpg")

    proxy.after = delete

    problem = refused(storage_at(proxy.url))

    assert problem.reason == "vanished"
    assert "404" in problem.fact


@pytest.mark.parametrize(("how", "reason"), [("content", "content_differs"), ("size", "replaced")])
def test_spoiled__overwritten_after_the_upload(proxy: Proxy, s3: EmbeddedS3, how: str, reason: str) -> None:
    def overwrite(passing: Passing) -> None:
        if passing.method == "PUT":
            s3.put(BUCKET, "a.jpg", b"same size")

    proxy.after = overwrite

    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}):
        assert refused(storage_at(proxy.url), b"the bytes").reason == reason


def test_spoiled__two_uploads_of_one_key_at_the_same_time(proxy: Proxy) -> None:
    storage = storage_at(proxy.url)

    def meanwhile(passing: Passing) -> None:
        if passing.method == "PUT":
            proxy.before = lambda passing: None
            storage.save("a.jpg", ContentFile(b"the other"))

    proxy.before = meanwhile

    problem = refused(storage)

    assert problem.reason == "contested"
    assert '"file_overwrite": False' in problem.hint


def test_spoiled__upload_only_credentials(s3: EmbeddedS3) -> None:
    s3.denied[s3.access_key] = {"s3:GetObject"}

    problem = refused(storage_at(s3.url, location="media"))

    assert problem.reason == "denied"
    assert "could not be verified" in problem.fact
    statement = json.loads(problem.hint[problem.hint.index("{") : problem.hint.rindex("}") + 1])
    assert statement == {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/media/*",
    }
    assert 'IMAGESYNC["VERIFY_UPLOADS"] = False' in problem.hint
    assert s3.keys_in(BUCKET) == ["media/a.jpg"]


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (503, {}, "server_error"),
        (500, {}, "server_error"),
        (400, {}, "bad_request"),
        (400, {"x-amz-bucket-region": "eu-north-1"}, "bad_request"),
        (301, {}, "redirected"),
        (412, {}, "bad_request"),
    ],
)
def test_spoiled__a_head_that_says_nothing(
    proxy: Proxy, status: int, headers: dict[str, str], reason: str
) -> None:
    proxy.after = at_head(status, **headers)

    problem = refused(storage_at(proxy.url))

    assert problem.reason == reason
    assert "could not be verified" in problem.fact


def test_spoiled__a_head_with_another_size(proxy: Proxy) -> None:
    proxy.after = at_head(200, **{"Content-Length": "10"})

    assert refused(storage_at(proxy.url)).reason == "size_differs"


def test_spoiled__a_server_that_ends_before_the_head(proxy: Proxy) -> None:
    def hang_up(passing: Passing) -> None:
        if passing.method == "HEAD":
            raise ConnectionAbortedError

    proxy.before = hang_up

    assert refused(storage_at(proxy.url)).reason == "unreachable"


def test_spoiled__a_file_read_to_its_end_is_noticed(s3: EmbeddedS3) -> None:
    stream = File(Stream(b""), name="a.jpg")
    stream.size = 9  # as it was before somebody read it

    problem = refused(storage_at(s3.url), stream)

    assert problem.reason == "nothing_sent"
    assert "the file has 9" in problem.fact


def test_spoiled__a_text_that_the_storage_cuts(s3: EmbeddedS3) -> None:
    """django-storages takes the number of characters for that of bytes, and S3 gets as many bytes."""
    problem = refused(storage_at(s3.url), ContentFile("h\u00e9llo"))

    assert problem.reason == "size_differs"
    assert "holds 5 bytes" in problem.fact
    assert "6 were sent" in problem.fact
    assert "as bytes" in problem.hint


def test_spoiled__the_wrong_region_is_followed_as_the_upload_was(s3: EmbeddedS3) -> None:
    """botocore learns the region from the refusal of the PUT, and the HEAD goes where the upload went."""
    storage = storage_at(s3.url, region_name="us-east-1")

    assert storage.save("a.jpg", ContentFile(b"x")) == "a.jpg"
    assert [(method, status) for method, _path, _query, status in s3.requests if method != "GET"][-2:] == [
        ("PUT", 200),
        ("HEAD", 200),
    ]


def test_spoiled__an_upload_that_fails_by_itself_fails_as_ever(proxy: Proxy) -> None:
    from botocore.exceptions import ClientError

    def refuse(passing: Passing) -> None:
        if passing.method == "PUT":
            passing.status, passing.content = 403, b"<Error><Code>AccessDenied</Code></Error>"

    proxy.after = refuse

    with pytest.raises(ClientError, match="AccessDenied"):
        storage_at(proxy.url).save("a.jpg", ContentFile(b"x"))
    assert proxy.seen == ["PUT"]


def test_spoiled__the_same_file_can_be_saved_once_more(proxy: Proxy) -> None:
    storage = storage_at(proxy.url)
    file = File(io.BytesIO(b"the bytes"), name="a.jpg")
    proxy.before = at_put(other_bytes)
    refused(storage, file)
    proxy.before = lambda passing: None

    assert storage.save("a.jpg", file) == "a.jpg"


def test_spoiled__hostile_keys_and_secrets_stay_out_of_the_message(proxy: Proxy) -> None:
    proxy.before = at_put(other_bytes)
    name = "a\x1b[31m\u202e<script>.jpg"

    problem = refused(storage_at(proxy.url), name=name)

    assert problem.fact.isascii()
    assert problem.fact.isprintable()
    assert EmbeddedS3.secret_key not in str(problem)
    assert "Signature" not in str(problem)


def test_head__repeats_what_the_upload_needed(proxy: Proxy) -> None:
    """Without its key S3 answers a HEAD of an object encrypted by SSE-C with 400."""
    seen: list[dict[str, str]] = []

    def note(passing: Passing) -> None:
        if passing.method == "HEAD":
            seen.append({name.lower(): value for name, value in passing.headers.items()})

    proxy.before = note
    parameters = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32, "RequestPayer": "requester"}

    storage_at(proxy.url, object_parameters=parameters).save("a.bin", ContentFile(b"x"))

    [head] = seen
    assert head["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert "x-amz-server-side-encryption-customer-key" in head
    assert head["x-amz-request-payer"] == "requester"
    assert head["x-amz-checksum-mode"] == "ENABLED"


@pytest.mark.parametrize(("how", "kms"), [("content", True), ("size", False)])
def test_head__asks_for_checksums_only_where_it_may(proxy: Proxy, how: str, kms: bool) -> None:
    seen: list[set[str]] = []
    proxy.before = lambda passing: seen.append({name.lower() for name in passing.headers})
    parameters = {"ServerSideEncryption": "aws:kms"} if kms else {}

    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}):
        storage_at(proxy.url, object_parameters=parameters).save("a.bin", ContentFile(b"x"))

    assert len(seen) == 2
    assert "x-amz-checksum-mode" not in seen[1]
