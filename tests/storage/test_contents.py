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
from imagesync.storage.contents import CUT, cut_contents, plain_objects
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
def pair(lab: Lab) -> tuple[S3Store, S3Store]:
    """The store as it is, and one that leaves everything to botocore."""
    plain = store_at(lab.url)
    plain._client.meta.events.unregister("before-parse.s3.ListObjectsV2", cut_contents)
    return store_at(lab.url), plain


def read(store: S3Store) -> Any:
    """What a page comes to: its objects and token, or why it is none."""
    answer = store.list_page(prefix="", max_keys=3)
    if answer.page is None:
        return answer.evidence.status, answer.evidence.code
    try:
        objects, token = validate_page(answer.page, ASKED)
    except ListingBroken as broken:
        return str(broken)
    return list(objects), token


@pytest.mark.parametrize(
    "row", [one for one in rows_of("LIST") if "silence" not in one.id], ids=lambda row: row.id
)
def test_objects__are_those_of_botocore_for_every_answer_of_the_lab(
    row: Any, lab: Lab, pair: tuple[S3Store, S3Store]
) -> None:
    outcomes = []
    for store in pair:
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
def test_objects__are_those_of_botocore_for_any_bytes(
    body: bytes, lab: Lab, pair: tuple[S3Store, S3Store]
) -> None:
    lab.play(lambda asked: Answer(200, body))

    assert read(pair[0]) == read(pair[1])


def test_objects__of_a_plain_page_are_cut_out(lab: Lab, pair: tuple[S3Store, S3Store]) -> None:
    lab.play(BUCKET.answer)

    pages = [store.list_page(prefix="").page for store in pair]

    assert [CUT in page for page in pages if page] == [True, False]


def test_objects__of_bytes_that_are_not_plain_are_left_to_botocore() -> None:
    entry = (
        b"<Contents><Key>%b</Key><ETag>e</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )

    assert plain_objects(entry % b"a", url_encoded=True)
    for odd in (b"\xc3\xa9", b"a\rb", b"&#13;", b"&unknown;", b"<b/>"):
        assert plain_objects(entry % odd, url_encoded=True) is None
    assert plain_objects(entry % b"a" + b"<Contents><Key>b</Key></Contents>", url_encoded=True) is None
