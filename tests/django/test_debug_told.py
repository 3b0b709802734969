"""What ``debug_s3_image`` writes: hostile keys escaped in text and whole in JSON, no secret, every bad answer told."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import override_settings

from imagesync.reports import printable
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION, forget_default_storage, storages_at
from tests.django.helpers import make_images, run
from tests.storage.scripted import XML, Answer, Request, Server, error, scripted

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = {
    "html": "images/<script>alert(1)</script>&amp;\"'.jpg",
    "ansi": "images/\x1b[31mred\x1b]0;title\x07.jpg",
    "newline": "images/a\nGET -> HTTP 200\r\n.jpg",
    "bidi": "images/\u202egpj.exe\u2066\u200b.jpg",
    "formula": '=HYPERLINK("http://x.invalid","y")',
    "shell": "images/$(touch x)`y`;'\"z.jpg",
    "percent": "images/%0a%1b[31m{0}%s.jpg",
    "backslash": "images/a\\nb.jpg",
    "1024 bytes": "images/" + "\u00e9" * 508 + "x",
    "dots": "images/./../a.jpg",
}


def assert_harmless(*texts: str) -> None:
    for text in texts:
        assert not [
            one for one in text if one != "\n" and unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp")
        ]
        for secret in ("Signature=", "X-Amz-", EmbeddedS3.secret_key, EmbeddedS3.access_key, "pa55word"):
            assert secret not in text


@pytest.mark.parametrize("key", HOSTILE.values(), ids=list(HOSTILE))
def test_debug__hostile_keys_are_escaped_in_text_and_whole_in_json(s3: EmbeddedS3, key: str) -> None:
    make_images(key)
    s3.put(BUCKET, "images/beside.jpg")

    code, text, err = run("debug_s3_image", key)
    json_code, out, json_err = run("debug_s3_image", key, "--format", "json")

    assert_harmless(text, err, out, json_err)
    assert text.splitlines()[0] == printable(key)
    assert code == json_code
    assert code in (0, 3, 4)
    document = json.loads(out)
    assert document["key"] == key
    assert [one["name"] for one in document["records"]] == [key]


@pytest.mark.parametrize("key", HOSTILE.values(), ids=list(HOSTILE))
def test_debug__hostile_keys_beside_and_near_are_escaped_too(key: str) -> None:
    """A server that lists one hostile key and has everything, so that each near miss is told."""
    make_images("images/a.jpg", key)
    folder = key[: key.rfind("/") + 1]

    with site(having(lambda asked: True, listed=[key])):
        _code, text, err = run("debug_s3_image", f"{folder}a.jpg")
        _code, out, _err = run("debug_s3_image", f"{folder}a.jpg", "--format", "json")

    assert_harmless(text, err, out)
    document = json.loads(out)
    assert {one["verdict"] for one in document["near_misses"]} == {"present"}
    if document["beside"]["objects"]:  # a key with a line end does not survive XML
        assert printable(key) in text
        assert key in [one["key"] for one in document["beside"]["objects"]]


def test_debug__text_shows_the_whole_story(s3: EmbeddedS3) -> None:
    lost, kept = make_images("images/x.jpg", "images/y.jpg")
    s3.client(REGION).put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put(BUCKET, "images/x.JPG", b"12345")
    s3.put(BUCKET, "images/y.jpg")
    s3.delete(BUCKET, "images/y.jpg")
    run("check_s3_images")

    _code, gone, _err = run("debug_s3_image", "--id", str(lost.pk))
    _code, hidden, _err = run("debug_s3_image", "--id", str(kept.pk))
    _code, there, _err = run("debug_s3_image", "images/x.JPG")

    assert_harmless(gone, hidden, there)
    assert f"  in s3://{BUCKET}/ ({REGION}): missing\n" in gone
    assert "  GET         GetObject -> HTTP 404 NoSuchKey, versions: none, request " in gone
    assert (
        "              images/x.JPG  present: the two differ in upper and lower case; named by no record"
        in gone
    )
    assert f"  history     imagesync.Image:{lost.pk} file: missing since " in gone
    assert f"  records     imagesync.Image:{lost.pk} file: missing, marked missing" in gone
    assert "  delete marker, " in hidden
    assert "  1 byte, " in hidden
    assert "            > images/x.JPG  5 bytes\n" in there
    assert f"signature v4 for {REGION}: a browser gets HTTP 206, image/jpeg\n" in there
    assert "  history     no audit ever found fault with it" in there


def test_debug__text_says_why_a_store_is_not_believed(s3: EmbeddedS3) -> None:
    with override_settings(STORAGES=storages_at(s3.url, region_name="us-east-1")):
        forget_default_storage()
        code, text, err = run("debug_s3_image", "images/x.jpg")

    assert code == 4
    assert "  store       wrong_region: " in text
    assert f'-> Set AWS_S3_REGION_NAME = "{REGION}"' in text
    assert "could not be looked at" in err


# -- bad answers, on the wire ------------------------------------------------------------------------------


Script = Callable[[Request], Answer]


@contextmanager
def site(script: Script) -> Iterator[Server]:
    with scripted(script) as server, override_settings(STORAGES=storages_at(server.url)):
        forget_default_storage()
        yield server
    forget_default_storage()


def listing(keys: list[str], prefix: str) -> Answer:
    from urllib.parse import quote

    entries = "".join(f"<Contents><Key>{quote(key)}</Key><Size>1</Size></Contents>" for key in keys)
    body = (
        f'<ListBucketResult xmlns="{XML}"><Name>{BUCKET}</Name><Prefix>{quote(prefix)}</Prefix>'
        f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>"
        f"<EncodingType>url</EncodingType>{entries}</ListBucketResult>"
    )
    return Answer(200, body.encode())


def versions(prefix: str) -> Answer:
    body = (
        f'<ListVersionsResult xmlns="{XML}"><Name>{BUCKET}</Name><Prefix>{prefix}</Prefix>'
        "<IsTruncated>false</IsTruncated></ListVersionsResult>"
    )
    return Answer(200, body.encode())


VERSIONING = Answer(200, f'<VersioningConfiguration xmlns="{XML}"/>'.encode())


def having(has: Callable[[str], bool], *, listed: list[str] | None = None) -> Script:
    """A fit store that has every key for which ``has`` is true, but none of imagesync's own."""

    def script(asked: Request) -> Answer:
        prefix = asked.query.get("prefix", [""])[0]
        if asked.kind == "ListObjectsV2":
            return listing([key for key in listed or [] if key.startswith(prefix)], prefix)
        if asked.kind == "ListObjectVersions":
            return versions(prefix)
        if asked.kind == "GetBucketVersioning":
            return VERSIONING
        key = unquote(asked.path).removeprefix(f"/{BUCKET}/")
        if asked.kind == "HeadBucket" or (has(key) and ".imagesync/" not in key):
            return Answer(200, b"x")
        return error(404, "NoSuchKey")

    return script


def told(script: Script, *arguments: str) -> tuple[int, dict[str, Any]]:
    with site(script):
        code, out, err = run("debug_s3_image", "--format", "json", *arguments)
    assert_harmless(out, err)
    return code, json.loads(out)


def but(script: Script, kind: str, answer: Answer, *, only: str = "") -> Script:
    """``script``, except that one kind of request (about ``only``) is answered otherwise."""

    def other(asked: Request) -> Answer:
        about = unquote(asked.path).endswith(only) or only in asked.query.get("prefix", [])
        return answer if asked.kind == kind and about else script(asked)

    return other


@pytest.mark.parametrize(
    ("answer", "code", "verdict", "reason"),
    [
        (error(503, "SlowDown"), 4, "unknown", "throttled"),
        (error(500, "InternalError"), 4, "unknown", "server_error"),
        (error(404, "NoSuchBucket"), 4, "unknown", "no_bucket"),
        (Answer(404, b"<html>not found</html>"), 4, "unknown", "bare_404"),
        (error(403, "AccessDenied"), 3, "denied", "access_denied"),
        (error(403, "InvalidObjectState"), 3, "archived", ""),
        (error(416, "InvalidRange"), 3, "mismatched", "empty_object"),
        (error(404, "NoSuchKey", x_amz_delete_marker="true"), 3, "recoverable", ""),
    ],
)
def test_debug__each_answer_of_get_has_its_verdict_and_exit_code(
    answer: Answer, code: int, verdict: str, reason: str
) -> None:
    make_images("images/a.jpg")

    got, document = told(
        but(having(lambda key: False), "GetObject", answer, only="images/a.jpg"), "images/a.jpg"
    )

    assert (got, document["verdict"], document["reason"]) == (code, verdict, reason)


def test_debug__a_store_that_is_unfit_afterwards_proves_no_absence() -> None:
    make_images("images/a.jpg")
    honest = having(lambda key: False)
    looked: list[str] = []

    def script(asked: Request) -> Answer:
        if asked.path.endswith("images/a.jpg"):
            looked.append(asked.kind)
        if looked and asked.kind == "HeadBucket":
            return error(404, "")
        return honest(asked)

    with site(script):
        code, out, _err = run("debug_s3_image", "images/a.jpg", "--format", "json")

    document = json.loads(out)
    assert (code, document["verdict"], document["reason"]) == (4, "unknown", "store_unfit_afterwards")
    assert document["get"]["code"] == "NoSuchKey"


def test_debug__a_listing_that_contradicts_itself_is_told_and_ends_nothing() -> None:
    make_images("images/a.jpg")
    unsorted = listing(["images/z", "images/y"], "images/")

    code, document = told(
        but(having(lambda key: key == "images/a.jpg"), "ListObjectsV2", unsorted, only="images/"),
        "images/a.jpg",
    )

    assert (code, document["verdict"]) == (0, "present")
    assert "not in byte order" in document["beside"]["failure"]
    assert (document["beside"]["objects"], document["beside"]["listed"]) == ([], None)


def test_debug__a_versions_page_of_something_else_is_told_as_failed() -> None:
    make_images("images/a.jpg")

    _code, document = told(
        but(having(lambda key: True), "ListObjectVersions", Answer(200, b"<html/>")), "images/a.jpg"
    )

    assert (document["versions"]["told"], document["versions"]["entries"]) == ("failed", [])


def test_debug__a_version_id_that_a_shell_would_run_is_not_told() -> None:
    make_images("images/a.jpg")
    entry = "<Key>images/a.jpg</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><IsLatest>true</IsLatest>"
    page = versions("images/a.jpg").body.replace(
        b"</ListVersionsResult>",
        f"<DeleteMarker>{entry}<VersionId>x; rm -rf ~</VersionId></DeleteMarker></ListVersionsResult>".encode(),
    )
    script = but(having(lambda key: False), "ListObjectVersions", Answer(200, page), only="images/a.jpg")
    enabled = VERSIONING.body.replace(b"/>", b"><Status>Enabled</Status></VersioningConfiguration>")

    _code, document = told(but(script, "GetBucketVersioning", Answer(200, enabled)), "images/a.jpg")

    assert document["verdict"] == "recoverable"
    assert [one["id"] for one in document["versions"]["entries"]] == [""]


def test_debug__a_listing_names_what_get_cannot_find() -> None:
    make_images("images/a.jpg")

    code, document = told(having(lambda key: False, listed=["images/a.jpg"]), "images/a.jpg")

    assert (code, document["verdict"], document["beside"]["listed"]) == (3, "missing", True)


def test_debug__text_names_some_of_the_many_records_of_a_near_miss(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "default.jpg")
    make_images(*["default.jpg"] * 25)

    _code, out, _err = run("debug_s3_image", "Default.jpg")

    assert " and 5 more" in out
    assert out.count("imagesync.Image:") < 25
