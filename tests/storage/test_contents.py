"""The objects of a page read from its bytes, and the same page parsed by botocore: they never disagree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagesync.exceptions import ListingBroken
from imagesync.selftest.bucket import Bucket, Page
from imagesync.selftest.table import rows_of
from imagesync.selftest.wire import Answer, Lab
from imagesync.storage.contents import PLAIN, is_ordinary, keys_of, objects_of, plain_page
from imagesync.storage.listing import Asked, validate_page
from imagesync.storage.store import S3Store
from tests.storage.scripted import store_at

ASKED = Asked(bucket="b", prefix="", after="")
BUCKET = Bucket({f"a/{number}.jpg": number for number in range(5)})


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(lambda asked: Answer(500)) as lab:
        yield lab


@pytest.fixture(scope="module")
def slow(lab: Lab) -> S3Store:
    """A store that leaves everything to botocore: it never learns how to ask directly."""
    store = store_at(lab.url)
    store._direct._patterns = _NeverLearns()
    return store


class _NeverLearns(dict[str, Any]):
    def __setitem__(self, operation: str, pattern: Any) -> None:
        pass


@pytest.fixture
def fast(lab: Lab) -> S3Store:
    """A store that has learnt how to ask directly."""
    store = store_at(lab.url)
    lab.play(BUCKET.answer)
    assert store.list_page(prefix="").page
    assert "ListObjectsV2" in store._direct._patterns
    return store


def read(store: S3Store) -> Any:
    """What a page comes to: its objects and token, or why it is none."""
    answer = store.list_page(prefix="", max_keys=3)
    if answer.page is None:
        return answer.evidence.status, answer.evidence.code
    try:
        objects, token = validate_page(answer.page, ASKED)
    except ListingBroken as broken:
        return str(broken)
    return list(objects), token, keys_of(answer.page), is_ordinary(answer.page)


@pytest.mark.parametrize(
    "row", [one for one in rows_of("LIST") if "silence" not in one.id], ids=lambda row: row.id
)
def test_page__asked_for_directly_is_that_of_botocore_for_every_answer_of_the_lab(
    row: Any, lab: Lab, slow: S3Store, fast: S3Store
) -> None:
    outcomes = []
    for store in (slow, fast):
        lab.play(lambda asked: row.play(asked, BUCKET))
        outcomes.append(read(store))

    assert outcomes[0] == outcomes[1]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_KEYS = st.one_of(
    _TEXT,
    st.sampled_from(["a+b", "a b", "a%20b", "&amp;", "&quot;", "<b>", "]]>", "é", "a\nb", "\r", "\x01"]),
)
_NOISE = st.sampled_from([b"", b"", b"", b"\n  ", b"text", b"<!-- c -->", b"&", b"&#65;", b"<Owner><ID>x</ID></Owner>", b"\x00", b"<x/>", b"</Contents>", b"<Contents>"])  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Pages with keys of every kind, quoted or not, with noise at a random place."""
    keys = tuple(dict.fromkeys(draw(st.lists(_KEYS, max_size=5))))
    page = Page(
        "b", "", tuple((key, draw(st.integers(0, 10**12))) for key in sorted(keys)), False, "", len(keys)
    )
    body = page.answer().body
    if draw(st.booleans()):  # a server that does not know encoding-type
        body = body.replace(b"<EncodingType>url</EncodingType>", b"")
        for key in keys:
            body = body.replace(b"<Key>", b"<Key>" + escape(key).encode(), 1) if draw(st.booleans()) else body
    noise = draw(_NOISE)
    place = draw(st.integers(0, len(body)))
    return body[:place] + noise + body[place:]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies())
def test_page__cut_from_any_bytes_is_that_of_botocore_or_none(body: bytes, lab: Lab, slow: S3Store) -> None:
    page = plain_page(body)
    if page is None:
        return
    lab.play(lambda asked: Answer(200, body))

    assert read(slow) == outcome(page)


def outcome(page: dict[str, Any]) -> Any:
    try:
        objects, token = validate_page(page, ASKED)
    except ListingBroken as broken:
        return str(broken)
    return list(objects), token, keys_of(page), is_ordinary(page)


def test_page__that_is_plain_is_cut_from_its_bytes(lab: Lab, slow: S3Store, fast: S3Store) -> None:
    lab.play(BUCKET.answer)

    pages = [store.list_page(prefix="").page for store in (slow, fast)]

    assert [PLAIN in page for page in pages if page] == [False, True]


FRAME = b"<ListBucketResult><Name>b</Name><Prefix></Prefix><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>%b</ListBucketResult>"
ENTRY = b"<Contents><Key>%b</Key><ETag>e</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"


@pytest.mark.parametrize(
    "entries",
    [
        ENTRY % b"\xc3\xa9",
        ENTRY % b"a\rb",
        ENTRY % b"&#13;",
        ENTRY % b"&amp;",
        ENTRY % b"<b/>",
        ENTRY % b"a" + b"<Contents><Key>b</Key></Contents>",
        ENTRY % b"a" + b"\n" + ENTRY % b"b",
        ENTRY % b"a" + b"<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>",
        (ENTRY % b"a").replace(b"<Size>1", b"<Size>-1"),
        (ENTRY % b"a").replace(b"<ETag>", b"<LastModified>yesterday</LastModified><ETag>"),
        (ENTRY % b"a").replace(b"<ETag>", b"<LastModified>2026-02-30T00:00:00Z</LastModified><ETag>"),
        (ENTRY % b"a").replace(b"<Size>1", b"<Size>01"),
        ENTRY % b"a" + b"\n<Contents><Key>b</Key><Size>1</Size></Contents>",
        ENTRY % b"a" + b"<\nContents><Key>b</Key><Size>1</Size></Contents>",
        ENTRY % b"a" + b'<Contents x="y"><Key>b</Key></Contents>',
        ENTRY % b"a" + b"<!--</Contents><Contents>-->" + ENTRY % b"b",
        ENTRY % b"a" + b" <Contents>c</Contents><Contents>d" + ENTRY % b"b" + b"</Contents>",
        ENTRY % b"a" + b" text " + ENTRY % b"b",
    ],
)
def test_page__that_is_not_plain_is_left_to_botocore(entries: bytes) -> None:
    assert plain_page(FRAME % (ENTRY % b"a"))
    assert plain_page(FRAME % entries) is None


@pytest.mark.parametrize(
    ("this", "that"),
    [
        (b"<Name>b</Name>", b"<Name>b" + ENTRY % b"a" + b"</Name>"),
        (b"<Name>b</Name>", b"<Name>b</Name><Contents/>"),
        (b"<Name>b</Name>", b"<Name>b</Name>\x0c"),
        (b"<ListBucketResult>", b"<?xml version=\"1.0'?><ListBucketResult>"),
        (b"<ListBucketResult>", b'<ListBucketResult xmlns="a" xmlns="b">'),
        (b"<ListBucketResult>", b'<ListBucketResult xmlns="a"b">'),
    ],
)
def test_page__whose_frame_is_not_plain_is_left_to_botocore(this: bytes, that: bytes) -> None:
    page = FRAME % b""
    assert plain_page(page)
    assert plain_page(page.replace(this, that)) is None


@pytest.mark.parametrize(
    ("size", "storage_class", "ordinary"),
    [
        (b"1", b"STANDARD", True),
        (b"1", b"STANDARD_IA", True),
        (b"0", b"STANDARD", False),
        (b"1", b"GLACIER", False),
    ],
)
def test_page__says_whether_its_objects_can_be_read_as_they_are(
    size: bytes, storage_class: bytes, ordinary: bool
) -> None:
    entry = (ENTRY % b"a").replace(b">1<", b">%b<" % size).replace(b"STANDARD", storage_class)
    page = plain_page(FRAME % entry)

    assert page is not None
    assert is_ordinary(page) is ordinary
    assert [(one.size_bytes, one.storage_class) for one in objects_of(page)] == [
        (int(size), storage_class.decode())
    ]
