"""Answers to the questions about a bucket: is it there, what does it list, are there versions, are they kept.

Sources: "HeadBucket", "ListObjectsV2", "ListObjectVersions" and "GetBucketVersioning" in the Amazon S3 API
reference; what botocore's own paginator takes for the end of a listing is marked.
"""

from __future__ import annotations

import re
from dataclasses import replace

from imagesync.selftest.bucket import ELSEWHERE, Bucket, Page, failure, versions_page
from imagesync.selftest.objects import BROKEN_HTML, BUSY, HTML, JSON
from imagesync.selftest.row import (
    FIT,
    Play,
    Row,
    always,
    at_first,
    honest,
    manner,
    page,
    page_bytes,
    until_signed_for,
)
from imagesync.selftest.wire import Answer, Asked, Manner


def _bucket(id: str, answer: Answer, judged: str) -> Row:
    return Row(f"HeadBucket {id}", "HEAD_BUCKET", always(answer), judged)


HEAD_BUCKETS = [
    Row("HeadBucket 200", "HEAD_BUCKET", honest, FIT),
    _bucket("200 without a region", Answer(200), FIT),
    _bucket("200 with another region", Answer(200, headers={"x-amz-bucket-region": ELSEWHERE}), "wrong_region"),
    _bucket("200 with a region that is none", Answer(200, headers={"x-amz-bucket-region": "<b>eu</b>"}), FIT),
    _bucket("403", Answer(403), FIT),
    _bucket("403 with another region", Answer(403, headers={"x-amz-bucket-region": ELSEWHERE}), "wrong_region"),
    _bucket("400", Answer(400), FIT),
    _bucket("400 with another region", Answer(400, headers={"x-amz-bucket-region": ELSEWHERE}), "wrong_region"),
    _bucket("301 with another region", Answer(301, headers={"x-amz-bucket-region": ELSEWHERE}), "wrong_region"),
    _bucket("301, endless", Answer(301), "redirected"),
    _bucket("302", Answer(302, headers={"Location": "https://login.invalid/"}), "redirected"),
    _bucket("307", Answer(307), "redirected"),
    _bucket("404", Answer(404), "no_bucket"),
    _bucket("405", Answer(405), "bad_request"),
    _bucket("429", Answer(429), "throttled"),
    _bucket("500", Answer(500), "server_error"),
    _bucket("501", Answer(501), "server_error"),
    _bucket("503", Answer(503), "server_error"),
    Row("HeadBucket 503, then 200", "HEAD_BUCKET", at_first(Answer(503)), FIT),
    Row("HeadBucket closed", "HEAD_BUCKET", manner(Manner.CLOSE), "unreachable"),
    Row("HeadBucket reset", "HEAD_BUCKET", manner(Manner.RESET), "unreachable"),
    Row("HeadBucket garbage", "HEAD_BUCKET", manner(Manner.RAW, b"garbage\r\n\r\n"), "unreachable"),
    Row("HeadBucket silence", "HEAD_BUCKET", manner(Manner.SILENT), "timed_out"),
]  # fmt: skip


def _list(id: str, play: Play, judged: str = "listing_broken") -> Row:
    return Row(f"LIST {id}", "LIST", play, judged)


def _failed(answer: Answer, judged: str) -> Row:
    code = re.search(rb"<Code>(.*?)</Code>", answer.body)
    return _list(f"{answer.status} {code[1].decode() if code else 'without body'}", always(answer), judged)


def _unsorted(one: Page) -> Page:
    return replace(one, keys=one.keys[::-1])


def _repeated(one: Page) -> Page:
    return replace(one, keys=one.keys[:1] + one.keys, key_count=len(one.keys) + 1)


def _with_more(key: str) -> Play:
    def change(one: Page) -> Page:
        return replace(one, keys=(*one.keys, (key, 1)), key_count=len(one.keys) + 1)

    return page(change)


def _without_prefix_echo(body: bytes) -> bytes:
    return re.sub(rb"<Prefix>.*?</Prefix>", b"<Prefix>elsewhere/</Prefix>", body)


def _endless(asked: Asked, bucket: Bucket) -> Answer:
    """The first page again and again, each with a token of its own."""
    first = bucket.page(replace(asked, query={**asked.query, "continuation-token": "", "start-after": ""}))
    return replace(
        first, truncated=True, token=f"token-{asked.query.get('continuation-token', '')}"[:60]
    ).answer()


LISTS = [
    _list("a page", honest, FIT),
    _list("a page without KeyCount", page(lambda one: replace(one, key_count=None)), FIT),
    _list("503, then a page", at_first(BUSY), FIT),
    _list("400 until it is signed for another region, then a page", until_signed_for(
        ELSEWHERE, failure(400, "AuthorizationHeaderMalformed", f"<Region>{ELSEWHERE}</Region>")), "wrong_region"),
    _list("error of HTTP 200, then a page", at_first(replace(BUSY, status=200)), FIT),
    _list("a page, slowly", lambda asked, bucket: replace(bucket.answer(asked), manner=Manner.SLOW), FIT),
    # HTTP 200 that botocore's paginator takes for the end
    _list("200 without body", always(Answer(200))),
    _list("200 the frame alone", always(Answer(200, b"<ListBucketResult/>"))),
    _list("200 HTML", always(Answer(200, HTML))),
    _list("200 <Error> of the namespace", always(Answer(200, b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>SlowDown</Code></Error>'))),
    _list("truncated without a token", page(lambda one: replace(one, truncated=True, token=""))),
    _list("a token without IsTruncated", page(lambda one: replace(one, truncated=None, token="more"))),
    _list("a token, not truncated", page(lambda one: replace(one, truncated=False, token="more"))),
    _list("no IsTruncated", page(lambda one: replace(one, truncated=None, token=""))),
    _list("another bucket's name", page(lambda one: replace(one, name="elsewhere"))),
    _list("no bucket's name", page_bytes(lambda body: re.sub(rb"<Name>.*?</Name>", b"", body))),
    _list("another prefix", page_bytes(_without_prefix_echo)),
    # contradictions
    _list("KeyCount too high", page(lambda one: replace(one, key_count=len(one.keys) + 1))),
    _list("KeyCount 0 with keys", page(lambda one: replace(one, key_count=0))),
    _list("keys left out, KeyCount kept", page(lambda one: replace(one, keys=one.keys[1:]))),
    _list("unsorted", page(_unsorted)),
    _list("a key twice", page(_repeated)),
    _list("a key outside of the prefix", _with_more("\U0010ffff/outside")),
    _list("a key before the prefix", _with_more("!")),
    _list("an empty key", _with_more("")),
    _list("the first page for ever", _endless),
    # not a page
    _list("200 broken HTML", always(Answer(200, BROKEN_HTML)), "server_error"),
    _list("200 JSON", always(Answer(200, JSON)), "server_error"),
    _list("200 <Error>", always(Answer(200, b"<Error><Code>InternalError</Code></Error>")), "server_error"),
    _list("cut in the middle of a tag", page_bytes(lambda body: body[: len(body) // 2]), "server_error"),
    _list("cut off", lambda asked, bucket: replace(bucket.answer(asked), manner=Manner.CUT), "server_error"),
    _list("closed", manner(Manner.CLOSE), "unreachable"),
    _list("reset", manner(Manner.RESET), "unreachable"),
    _list("garbage", manner(Manner.RAW, b"garbage\r\n\r\n"), "unreachable"),
    _list("silence", manner(Manner.SILENT), "timed_out"),
    _failed(failure(400, "ExpiredToken"), "expired_credentials"),
    _failed(failure(400, "InvalidRequest"), "bad_request"),
    _failed(failure(400, "AuthorizationHeaderMalformed", f"<Region>{ELSEWHERE}</Region>"), "wrong_region"),
    _failed(failure(403, "AccessDenied"), "list_denied"),
    _failed(failure(403, "InvalidAccessKeyId"), "bad_credentials"),
    _failed(failure(403, "SignatureDoesNotMatch"), "bad_credentials"),
    _failed(failure(403, "RequestTimeTooSkewed"), "clock_skew"),
    _failed(failure(404, "NoSuchBucket"), "no_bucket"),
    _failed(failure(404, "NoSuchKey"), "no_bucket"),
    _failed(failure(301, "PermanentRedirect"), "wrong_region"),
    _failed(failure(307, "TemporaryRedirect"), "redirected"),
    _failed(failure(500, "InternalError"), "server_error"),
    _failed(failure(501, "NotImplemented"), "server_error"),
    _failed(failure(503, "SlowDown"), "throttled"),
    _failed(Answer(502, HTML), "server_error"),
    _failed(Answer(429), "throttled"),
]  # fmt: skip


def _versions(id: str, play: Play, judged: str, reason: str = "") -> Row:
    return Row(f"VERSIONS {id}", "VERSIONS", play, judged, reason)


def _entries(entry: str, *, truncated: bool | None = False, bucket: str = "") -> Play:
    def play(asked: Asked, _bucket: Bucket) -> Answer:
        prefix = asked.query.get("prefix", "")
        return versions_page(
            bucket or asked.bucket, prefix, entry.replace("KEY", prefix), truncated=truncated
        )

    return play


_UNHEARD = ("unknown", "unexpected_answer")

VERSIONS = [
    _versions("none", _entries(""), "missing"),
    _versions("of another key", _entries("<Version><Key>KEY.bak</Key></Version>"), "missing"),
    _versions("denied", always(failure(403, "AccessDenied")), "missing"),
    _versions("not offered", always(failure(501, "NotImplemented")), "missing"),
    _versions("method not allowed", always(failure(405, "MethodNotAllowed")), "missing"),
    _versions("503, then none", at_first(BUSY), "missing"),
    _versions("a delete marker", _entries("<DeleteMarker><Key>KEY</Key></DeleteMarker>"), "recoverable"),
    _versions("a version", _entries("<Version><Key>KEY</Key></Version>"), "recoverable"),
    _versions("200 without body", always(Answer(200)), *_UNHEARD),
    _versions("200 HTML", always(Answer(200, HTML)), *_UNHEARD),
    _versions("no IsTruncated", _entries("", truncated=None), *_UNHEARD),
    _versions("truncated and empty", _entries("", truncated=True), *_UNHEARD),
    _versions("another bucket's", _entries("", bucket="elsewhere"), *_UNHEARD),
    _versions("of a key before", _entries("<Version><Key>!</Key></Version>"), *_UNHEARD),
    _versions("403 ExpiredToken", always(failure(403, "ExpiredToken")), *_UNHEARD),
    _versions("503", always(BUSY), *_UNHEARD),
    _versions("404 NoSuchBucket", always(failure(404, "NoSuchBucket")), *_UNHEARD),
    _versions("reset", manner(Manner.RESET), *_UNHEARD),
    _versions("silence", manner(Manner.SILENT), *_UNHEARD),
]


def _versioning(id: str, play: Play, judged: str) -> Row:
    return Row(f"VERSIONING {id}", "VERSIONING", play, judged)


def _status(word: str) -> Answer:
    return Answer(200, f"<VersioningConfiguration><Status>{word}</Status></VersioningConfiguration>".encode())


VERSIONINGS = [
    _versioning("never enabled", honest, "off"),
    _versioning("enabled", always(_status("Enabled")), "enabled"),
    _versioning("suspended", always(_status("Suspended")), "suspended"),
    _versioning(
        "200 HTML about versioning",
        always(Answer(200, b"<html><title>Bucket Versioning</title></html>")),
        "unknown",
    ),
    _versioning("another word", always(_status("On")), "unknown"),
    _versioning("200 without body", always(Answer(200)), "unknown"),
    _versioning("200 HTML", always(Answer(200, HTML)), "unknown"),
    _versioning("denied", always(failure(403, "AccessDenied")), "unknown"),
    _versioning("not offered", always(failure(501, "NotImplemented")), "unknown"),
    _versioning("503", always(BUSY), "unknown"),
    _versioning("reset", manner(Manner.RESET), "unknown"),
]
