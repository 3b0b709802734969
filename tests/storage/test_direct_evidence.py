"""A direct answer about an object is the evidence that botocore's would be: for every answer of the lab, and for mangled ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imagesync.core.verdicts import Evidence, Verdict
from imagesync.selftest.bucket import REGION, Bucket, failure
from imagesync.selftest.row import Row
from imagesync.selftest.table import rows_of
from imagesync.selftest.wire import Answer
from imagesync.storage import direct
from imagesync.storage.client import ClientOptions
from imagesync.storage.plain import says_no_such_key
from imagesync.storage.probe import confirm, look
from imagesync.storage.store import S3Store
from tests.storage.recording import Recorder, cold, learnt, recorder, store_by, warm

BUCKET = Bucket({"there": 3})
KEY = "asked for.jpg"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        yield lab


ROWS_PER_CLIENT = 8
"""botocore stops to try again when a client has seen many failures."""


@cache
def client(url: str, way: str, number: int) -> Any:
    options = ClientOptions(connect_timeout=0.5, read_timeout=0.5, max_attempts=2)
    return store_by(url, client=options, region_name=REGION)._client


def two_stores(lab: Recorder, number: int = 0) -> tuple[S3Store, S3Store]:
    """One that asks directly, one that never does. botocore remembers redirects by bucket, so each has its own."""
    lab.play(BUCKET.answer)
    fast, slow = (
        S3Store(
            client(lab.url, way, number // ROWS_PER_CLIENT),
            alias="default",
            bucket=f"bucket-{number}",
            location="",
        )
        for way in ("fast", "slow")
    )
    warm(fast)
    assert learnt(fast) == {"GetObject", "HeadObject", "ListObjectsV2"}
    return fast, cold(slow)


@pytest.mark.parametrize("row", rows_of("GET"), ids=lambda row: row.id)
def test_row__is_the_same_evidence_both_ways(row: Row, lab: Recorder) -> None:
    looks = []
    for store in two_stores(lab, 1 + rows_of("GET").index(row)):
        lab.play(lambda asked: row.play(asked, BUCKET) if asked.operation == "GET" else BUCKET.answer(asked))
        lab.heard.clear()
        looks.append(confirm(store, KEY, versioning="off", now=lambda: NOW))
        assert lab.heard[0].is_direct is (len(looks) == 1)

    assert looks[0] == looks[1]
    assert (looks[0].verdict, looks[0].reason) == (row.judged, row.reason)


@pytest.mark.parametrize("row", rows_of("HEAD"), ids=lambda row: row.id)
def test_row_of_head__is_the_same_evidence_both_ways(row: Row, lab: Recorder) -> None:
    """And so is that of the GET behind it, wherever HEAD cannot tell."""
    bucket = Bucket({} if row.of_absent else {KEY: 3})
    looks = []
    for store in two_stores(lab, 1 + len(rows_of("GET")) + rows_of("HEAD").index(row)):
        lab.play(lambda asked: row.play(asked, bucket) if asked.operation == "HEAD" else bucket.answer(asked))
        lab.heard.clear()
        evidence = store.head(KEY)
        assert (lab.heard[0].method, lab.heard[0].is_direct) == ("HEAD", not looks)
        looks.append((evidence, look(store, KEY, versioning="off", now=lambda: NOW)))

    assert looks[0] == looks[1]
    assert (looks[0][1].verdict, looks[0][1].reason) == (row.judged, row.reason)


# --- mangled answers ----------------------------------------------------------------------------------------

WHEN = st.sampled_from(["Wed, 25 Nov 2026 10:00:00 GMT", "Mon, 30 Feb 2026 10:00:00 GMT", "Wed, 25 Nov 2026 24:00:00 GMT",
                        "Mon, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:60 GMT", "yesterday", "", "1760000000", "0"])  # fmt: skip
NUMBER = st.sampled_from(["0", "3", "-1", "three", "", "1.5", " 7 ", "٣", "9" * 30])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Last-Modified": WHEN,
        "Expires": WHEN,
        "x-amz-tagging-count": NUMBER,
        "x-amz-missing-meta": NUMBER,
        "x-amz-mp-parts-count": NUMBER,
        "x-amz-object-lock-retain-until-date": st.sampled_from(
            ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.123Z", "2030-02-30T00:00:00Z", "never"]
        ),
        "x-amz-delete-marker": st.sampled_from(["true", "false", "maybe", ""]),
        "x-amz-server-side-encryption-bucket-key-enabled": st.sampled_from(["true", "perhaps"]),
        "x-amz-request-id": st.sampled_from(["R1", "", "a b"]),
        "x-amzn-requestid": st.sampled_from(["R2", ""]),
        "x-amz-storage-class": st.sampled_from(["GLACIER", "STANDARD_IA", "", "<b>", "glacier"]),
        "x-amz-restore": st.sampled_from(['ongoing-request="false"', "x"]),
        "x-amz-version-id": st.sampled_from(["null", "v1", "\x80\xff"]),
        "x-amz-bucket-region": st.sampled_from([REGION, "us-west-2", "no region", ""]),
        "x-amz-checksum-crc32": st.sampled_from(["AAAAAA==", "nonsense", "abc-2"]),
        "x-amz-meta-name": st.sampled_from(["a", "\xe9", "=?UTF-8?Q?=C3?="]),
        "ETag": st.sampled_from(['"e"', "e", 'W/"e"', '""', "", '"' + "e" * 300, "\xe9"]),
        "Content-Range": st.sampled_from(
            ["bytes 0-0/3", "bytes 0-0/*", "bytes 5-5/9", "bytes */0", "", "x/12"]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "aws-chunked"]),
        "Content-Length": st.sampled_from(
            ["0", "1", "3", "01", "+1", "1, 1", "x", "", "9" * 19, "9" * 5000, "-1"]
        ),
        "Date": st.just("Wed, 25 Nov 2026 10:00:00 GMT"),
    },
)
NOISE = st.sampled_from([b" ", b"\n", b"\t", b"\x0b", b"\x0c", b"\x00", b"&", b"&amp;", b"&apos;", b"&#65;", b"&nbsp;", b"<!-- -->", b"<?x?>", b"\xc3\xa9", b"\xe9",
                         b"\xc3\xa9\xef\xbf\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80", b"]]>", b"<![CDATA[x]]>", b"<1a>b</1a>", b"<a/>", b"<a:b>c</a:b>", b"<a>b</A>",
                         b"<Code>AccessDenied</Code>", b"<Code>NoSuchKey</Code>", b"<Code/>", b"<Region>eu-north-1</Region>",
                         b"<Error>", b"</Error>", b"\xef\xbb\xbf", b"<!DOCTYPE a>", b" standalone='yes'", b" xmlns='a'", b">", b"<"])  # fmt: skip
DECLARATIONS = st.sampled_from([b"", b'<?xml version="1.0" encoding="UTF-8"?>\n', b"<?xml version='1.0'?>", b"<?xml version=\"1.0'?>",
                                b'<?xml version="1.1"?>', b'<?xml version="1.0" encoding="latin-1"?>', b'<?xml version="1.0" standalone="no"?>'])  # fmt: skip


@st.composite
def errors(draw: st.DrawFn) -> bytes:
    """S3's error document with something in it that does not belong there, or something missing."""
    code = draw(st.sampled_from([b"NoSuchKey"] * 6 + [b"NoSuchBucket", b"AccessDenied", b" NoSuchKey", b""]))
    parts = [b"<Code>" + code + b"</Code>", b"<Message>The key.</Message>", b"<Key>a/b.jpg</Key>", b"<RequestId>R</RequestId>"]  # fmt: skip
    parts = draw(st.permutations(parts))[: draw(st.integers(1, 4))]
    body = draw(DECLARATIONS) + b"<Error>" + draw(st.sampled_from([b"", b"\n", b"\x0c"])).join(parts)
    body += b"</Error>"
    for _each in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(body)))
        cut = draw(st.sampled_from([0, 0, 0, 1, 5]))
        body = body[:place] + draw(NOISE) + body[place + cut :]
    return body


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    status = draw(st.sampled_from([404] * 8 + [200, 206, 206, 206, 403, 410, 416, 429, 500, 503, 204]))
    body = draw(st.sampled_from([b"x", b"x", b"xxx", b""])) if status in (200, 206) else draw(errors())
    headers = draw(HEADERS)
    if "Content-Length" in headers:  # what is announced does not come: the connection says that it is the end
        headers["Connection"] = "close"
    return Answer(status, body, {name: value.encode().decode("latin-1") for name, value in headers.items()})


@pytest.fixture
def stores(lab: Recorder, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(direct, "PATIENCE", 10**9)
    options = ClientOptions(connect_timeout=1, read_timeout=1, max_attempts=1)
    lab.play(BUCKET.answer)
    fast, slow = (store_by(lab.url, client=options, region_name=REGION) for _each in range(2))
    return warm(fast), cold(slow)


@pytest.mark.parametrize("how", ["get", "head"])
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers())
@example(answer=Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {"x-amz-checksum-crc32": "AAAAAA=="}))
@example(answer=Answer(404, b"", {"x-amzn-requestid": "R2", "x-amz-request-id": "R1"}))
@example(answer=Answer(200, b"xxx", {"Content-Range": "bytes 0-0/9"}))
@example(answer=Answer(206, b"x", {"Expires": ""}))
def test_answer__however_mangled_is_the_same_evidence_both_ways(
    how: str, answer: Answer, lab: Recorder, stores: tuple[S3Store, S3Store]
) -> None:
    lab.play(lambda asked: answer)

    fast, slow = (getattr(store, how)(KEY) for store in stores)

    assert fast == slow


@settings(max_examples=1000, deadline=None)
@given(body=errors())
def test_error__is_read_as_no_such_key_only_when_botocore_reads_that(body: bytes) -> None:
    if says_no_such_key(body):
        assert botocores_code(body) == "NoSuchKey"


def botocores_code(body: bytes) -> str:
    from botocore.parsers import create_parser

    parsed = create_parser("rest-xml").parse({"status_code": 404, "headers": {}, "body": body}, None)
    return str(parsed["Error"]["Code"])


@pytest.mark.parametrize(
    "body",
    [
        failure(404, "NoSuchKey", "<Key>a/ü &amp; &lt;b&gt;.jpg</Key><RequestId>R</RequestId>").body,
        b"<Error><Code>NoSuchKey</Code></Error>",
        b"<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<Error>\n  <Code>NoSuchKey</Code>\n</Error>\n",
    ],
)
def test_error__that_is_plain_is_read_directly(body: bytes) -> None:
    """Else the tests above would show nothing."""
    assert says_no_such_key(body)
    assert botocores_code(body) == "NoSuchKey"


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [
        (Answer(206, b"x", {"Content-Range": "bytes 0-0/3"}), True),
        (Answer(200, b"xxx"), True),
        (Answer(206, b"x", {"Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT", "x-amz-tagging-count": "0"}), True),
        (failure(404, "NoSuchKey"), True),
        (Answer(200), False),
        (Answer(206, b"x", {"Last-Modified": "yesterday"}), False),
        (failure(403, "NoSuchKey"), False),
    ],
)  # fmt: skip
def test_answer__that_is_plain_costs_one_request(answer: Answer, is_taken: bool, lab: Recorder) -> None:
    fast, _slow = two_stores(lab)
    lab.play(lambda asked: answer)
    lab.heard.clear()

    evidence = fast.get(KEY)

    assert isinstance(evidence, Evidence)
    assert [one.is_direct for one in lab.heard] == ([True] if is_taken else [True, False])


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [
        (Answer(200, b"xxx", {"ETag": '"e"', "Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT"}), True),
        (Answer(200), True),
        (Answer(404), True),
        (Answer(404, headers={"x-amz-delete-marker": "true"}), True),
        (Answer(200, b"xxx", {"Last-Modified": "yesterday"}), False),
        (Answer(206, b"x"), False),
        (Answer(403), False),
        (Answer(301, headers={"x-amz-bucket-region": REGION}), False),
    ],
)
def test_head__that_is_plain_costs_one_request(answer: Answer, is_taken: bool, lab: Recorder) -> None:
    fast, _slow = two_stores(lab)
    lab.play(lambda asked: answer)
    lab.heard.clear()

    fast.head(KEY)

    directly = [one.is_direct for one in lab.heard]
    assert directly == [True] if is_taken else directly[:2] == [True, False]


def test_absence__of_another_key_or_bucket_is_told_alike_both_ways(lab: Recorder) -> None:
    """Servers name the key as they like (quoted, cut, not at all), so that both ways take what the status and the code say."""
    looks = []
    body = "<Key>another/key.jpg</Key><BucketName>another-bucket</BucketName>"
    for store in two_stores(lab):
        lab.play(lambda asked: failure(404, "NoSuchKey", body))
        looks.append(confirm(store, KEY, versioning="off", now=lambda: NOW))

    assert looks[0] == looks[1]
    assert looks[0].verdict is Verdict.MISSING
