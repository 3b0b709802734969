"""What the doctor says of the URL that the site hands to a browser, asked for over a real socket; also at the names
of AWS, which lead to the test's own server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.files.storage import default_storage

from tests.django.doctoring import Examined, examined, examined_at, site_at
from tests.django.helpers import make_images
from tests.storage.scripted import Answer, Request, error, scripted
from tests.storage.scripted_bucket import ScriptedBucket, behind_aws_names

pytestmark = pytest.mark.django_db(transaction=True)

AT_AWS = {"endpoint_url": None, "use_ssl": False, "addressing_style": None}
SIGNED = {"signature_version": "s3v4"}


@pytest.fixture(autouse=True)
def record() -> None:
    make_images("a.jpg")


@pytest.fixture
def at_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Examined]]:
    """An examination of a scripted bucket that is reached by AWS's own host names."""
    with ExitStack() as stack:

        def examine(bucket: ScriptedBucket, **options: Any) -> Examined:
            server = stack.enter_context(behind_aws_names(bucket, monkeypatch))
            return examined_at(server.url, **{**AT_AWS, **options})

        yield examine


@pytest.mark.parametrize(
    ("answer", "id", "words"),
    [
        (error(403, "SignatureDoesNotMatch"), "url_refused", "HTTP 403 SignatureDoesNotMatch"),
        (error(403, "AccessDenied"), "url_refused", "HTTP 403 AccessDenied"),
        (error(404, "NoSuchKey"), "url_refused", "HTTP 404 NoSuchKey"),
        (Answer(502, b"<html>"), "url_failed", "HTTP 502"),
        (Answer(200, b"<html>", {"Content_Type": "text/html"}), "url_foreign_answer", "text/html"),
        (
            Answer(307, b"", {"Location": "http://b.elsewhere.example/a"}),
            "url_redirected",
            "b.elsewhere.example",
        ),
    ],
)
def test_doctor__says_what_a_browser_gets(answer: Answer, id: str, words: str) -> None:
    with scripted(ScriptedBucket({"Browse": answer})) as server:
        found = examined_at(server.url, **SIGNED)

    assert (found.code, found.diagnoses) == (3, {id: "failed"})
    assert words in found.diagnosis(id)["fact"]
    assert found.check("read")["status"] == "ok", "while the application sees nothing of it"


def test_doctor__asks_as_a_browser_does() -> None:
    with scripted(ScriptedBucket()) as server:
        found = examined_at(server.url, **SIGNED)

    [browsed] = [one for one in server.requests if "X-Amz-Signature" in one.query]
    assert (browsed.method, browsed.path, browsed.authorization) == ("GET", "/test-bucket/a.jpg", "")
    assert found.diagnoses == {}


def test_doctor__an_unsigned_url_survives_a_redirect() -> None:
    moved = Answer(301, b"", {"Location": "https://images.example/a.jpg"})
    with scripted(ScriptedBucket({"AnonymousGet": moved})) as server:
        host = server.url.removeprefix("http://")
        found = examined_at(server.url, custom_domain=f"{host}/test-bucket", url_protocol="http:")

    assert (found.code, found.diagnoses) == (0, {"url_redirected": "warning"})


def test_doctor__a_host_that_browsers_do_not_reach() -> None:
    with scripted(ScriptedBucket()) as server:
        found = examined_at(server.url, custom_domain="127.0.0.1:9", url_protocol="http:")

    assert found.diagnoses == {"url_unreachable": "failed"}
    assert "127.0.0.1:9" in found.diagnosis("url_unreachable")["fact"]
    assert "ConnectionRefusedError" in found.diagnosis("url_unreachable")["fact"]


def test_doctor__a_storage_that_makes_no_url() -> None:
    with scripted(ScriptedBucket()) as server:
        found = examined_at(server.url, custom_domain="images.example", url_protocol="ftp:")

    assert found.diagnoses == {"url_not_built": "failed"}
    assert "not an absolute one" in found.diagnosis("url_not_built")["fact"]


def test_doctor__a_storage_that_raises_is_told_by_the_exceptions_name_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def url(storage: Any, name: str, *more: Any, **options: Any) -> str:
        raise RuntimeError("https://secret.example/?X-Amz-Signature=5eac1e5")

    monkeypatch.setattr("storages.backends.s3.S3Storage.url", url)
    with scripted(ScriptedBucket()) as server:
        found = examined_at(server.url)

    assert found.diagnoses == {"url_not_built": "failed"}
    assert "it raised RuntimeError" in found.diagnosis("url_not_built")["fact"]
    assert "5eac1e5" not in found.told


def test_doctor__version_2_that_is_still_accepted_is_a_warning() -> None:
    with scripted(ScriptedBucket(region="us-east-1")) as server:
        found = examined_at(server.url, region_name="us-east-1")

    assert (found.code, found.diagnoses) == (0, {"url_signature_v2": "warning"})


def test_doctor__the_regional_host_of_aws_is_fine_but_for_plain_http(at_aws: Any) -> None:
    found = at_aws(ScriptedBucket(), addressing_style="virtual", **SIGNED)

    assert found.diagnoses == {"plain_http": "warning"}
    assert "test-bucket.s3.eu-north-1.amazonaws.com" in found.diagnosis("plain_http")["fact"]
    assert "https:" in found.diagnosis("plain_http")["hint"]


def test_doctor__the_global_host_of_aws_for_a_bucket_elsewhere(at_aws: Any) -> None:
    found = at_aws(ScriptedBucket(), **SIGNED)

    assert found.diagnoses == {"global_host": "warning", "plain_http": "warning"}
    assert "test-bucket.s3.amazonaws.com" in found.diagnosis("global_host")["fact"]
    assert 'AWS_S3_ADDRESSING_STYLE = "virtual"' in found.diagnosis("global_host")["hint"]


def test_doctor__the_global_host_of_aws_redirects_in_a_buckets_first_hours(at_aws: Any) -> None:
    def redirect(request: Request) -> Answer:
        return error(
            307, "TemporaryRedirect", Location="http://test-bucket.s3.eu-north-1.amazonaws.com/a.jpg"
        )

    found = at_aws(ScriptedBucket({"Browse": redirect}), **SIGNED)

    assert found.diagnoses["url_redirected"] == "failed"
    assert "to test-bucket.s3.eu-north-1.amazonaws.com;" in found.diagnosis("url_redirected")["fact"]


def test_doctor__the_global_host_is_right_for_us_east_1(at_aws: Any) -> None:
    found = at_aws(ScriptedBucket(region="us-east-1"), region_name="us-east-1", **SIGNED)

    assert found.diagnoses == {"plain_http": "warning"}


def test_doctor__aws_by_path(at_aws: Any) -> None:
    found = at_aws(ScriptedBucket(), addressing_style="path", **SIGNED)

    assert found.diagnoses == {"path_style": "warning", "plain_http": "warning"}


def test_doctor__a_location_that_aws_tells_is_believed(at_aws: Any) -> None:
    bucket = ScriptedBucket(region="eu-west-3", tells_region=False)

    found = at_aws(bucket, addressing_style="virtual", **SIGNED)

    assert found.diagnoses["wrong_region"] == "failed"
    assert "eu-west-3" in found.diagnosis("wrong_region")["fact"]


def test_doctor__no_region_at_aws(at_aws: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    refused = error(400, "InvalidRequest")

    found = at_aws(ScriptedBucket({"Browse": refused}, region="us-east-1"), region_name=None)

    assert found.diagnoses == {
        "region_unset": "warning",
        "url_signature_v2": "failed",
        "plain_http": "warning",
    }


def test_doctor__an_endpoint_of_plain_http_behind_a_domain_of_https(at_aws: Any) -> None:
    found = at_aws(ScriptedBucket(), custom_domain="images.invalid", addressing_style="virtual")

    assert found.diagnoses == {"url_unreachable": "failed", "plain_http": "warning"}
    assert "s3.eu-north-1.amazonaws.com" in found.diagnosis("plain_http")["fact"]


def test_doctor__tells_neither_url_nor_signature_nor_secret() -> None:
    token = "IQoJb3JpZ2luX2VjEFakeSessionToken"
    bucket = ScriptedBucket({"Browse": error(403, "AccessDenied")})
    with scripted(bucket) as server, site_at(server.url, security_token=token, **SIGNED):
        url = default_storage.url("a.jpg")
        found = examined()

    assert token in url
    for secret in (token, "X-Amz-", "Signature=", "embedded-secret", "?", "/test-bucket/a.jpg"):
        assert secret not in found.told, secret
