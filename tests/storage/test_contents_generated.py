"""Listing pages of every make, valid and mangled: cut from their bytes they are what botocore parses, or left to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from imagesync.core.classify import ARCHIVE_CLASSES
from imagesync.exceptions import ListingBroken
from imagesync.selftest.row import Row
from imagesync.selftest.table import rows_of
from imagesync.selftest.wire import Answer
from imagesync.storage import direct
from imagesync.storage.client import ClientOptions
from imagesync.storage.contents import is_ordinary, keys_of, objects_of, plain_page
from imagesync.storage.listing import Asked, ListedPage, list_page, validate_but_order, validate_page
from imagesync.storage.store import S3Store
from tests.storage.recording import BUCKET, NAME, Recorder, cold, recorder, store_by, warm

ASKED = Asked(bucket=NAME, prefix="", after="")
OFTEN = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        yield lab


@pytest.fixture(scope="module")
def stores(lab: Recorder) -> tuple[S3Store, S3Store]:
    options = ClientOptions(connect_timeout=1, read_timeout=1, max_attempts=1)
    lab.play(BUCKET.answer)
    return warm(store_by(lab.url, client=options)), cold(store_by(lab.url, client=options))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "PATIENCE", 10**9)


# --- documents ----------------------------------------------------------------------------------------------

KEY = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(["a", "b/c.jpg", "a+b", "a b", "100%", "%41", "&", "<", "é", "a\u0308", "\r", "GLACIER", "</Key>", "\x01", "\ufffe"]),
)  # fmt: skip
WHEN = st.sampled_from(["2026-11-01T00:00:00.000Z"] * 4 + ["2024-02-29T23:59:59Z", "2026-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
                        "2026-12-31T23:59:60Z", "2026-00-10T00:00:00Z", "2026-11-01T24:00:00Z", "1000-01-01T00:00:00Z", "2999-12-31T00:00:00Z",
                        "2026-11-01T00:00:00+02:00", "1760000000", "", "yesterday"])  # fmt: skip
SIZE = st.sampled_from(["1", "1", "77", "0", "00", "007", "-1", "", " 5", "1.0", "9" * 17, "9" * 18, "9" * 19, "9" * 5000, "x"])  # fmt: skip
ETAG = st.sampled_from(["&quot;e&quot;", '"e"', "e", "W/e", "W/&quot;e&quot;", "&#34;e&#34;", "", "e" * 128, "e" * 130, "&quot;&quot;", "a b", "é"])  # fmt: skip
CLASS = st.sampled_from(["STANDARD", "STANDARD", "GLACIER", "DEEP_ARCHIVE", "STANDARD_IA", "", " GLACIER", "glacier", "x" * 65, "&lt;"])  # fmt: skip
OWNER = st.sampled_from(["<Owner><ID>1</ID></Owner>", "<Owner/>", "<Owner>text</Owner>"])
OTHERS = st.sampled_from(["<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "<ChecksumType>FULL_OBJECT</ChecksumType>", "<Type>Normal</Type>",
                          "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>", "<Key>twice</Key>", "<Size>2</Size>"])  # fmt: skip


@st.composite
def entries(draw: st.DrawFn, *, quoted: bool, plain: bool) -> str:
    """Objects as one server writes them: each alike, but for the one that is not."""
    order = draw(st.permutations(["Key", "LastModified", "ETag", "Size", "StorageClass"]))
    leave_out = draw(st.sampled_from([set(), set(), {"StorageClass"}, {"ETag"}, {"LastModified"}, {"Size"}]))
    between = draw(st.sampled_from(["", "", "", "\n", "\n  ", " ", "<!-- -->", "text", "\x0c"]))
    owner = draw(st.one_of(st.just(""), st.just(""), OWNER))
    if plain:
        between = owner = ""
    made = []
    for key in sorted(set(draw(st.lists(KEY, max_size=5)))):
        texts = {
            "Key": escape(quote(key, safe="/") if quoted else key),
            "LastModified": "2026-11-01T00:00:00.000Z" if plain else draw(WHEN),
            "ETag": "&quot;e&quot;" if plain else draw(ETAG),
            "Size": str(draw(st.integers(0, 10**12))) if plain else draw(SIZE),
            "StorageClass": "STANDARD" if plain else draw(CLASS),
        }
        inside = "".join(f"<{name}>{texts[name]}</{name}>" for name in order if name not in leave_out)
        more = draw(OTHERS) if not plain and draw(st.integers(0, 7)) == 0 else ""
        made.append(f"<Contents>{inside}{owner}{more}</Contents>")
    return between.join(made)


MORE = st.sampled_from(["<MaxKeys>1000</MaxKeys>", "<MaxKeys/>", "<KeyCount>1</KeyCount>", "<KeyCount>x</KeyCount>", "<Delimiter>/</Delimiter>", "<StartAfter/>",
                        "<StartAfter>%41</StartAfter>", "<ContinuationToken>t</ContinuationToken>", "<NextContinuationToken>t+2%20=</NextContinuationToken>",
                        "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>", "<Unknown>1</Unknown>", "<Name>twice</Name>", "<Prefix>%2B</Prefix>", "<Contents/>",
                        "<EncodingType/>", "<EncodingType>none</EncodingType>", "<IsTruncated>true</IsTruncated>", "<IsTruncated>True</IsTruncated>"])  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    quoted, plain = draw(st.booleans()), draw(st.booleans())
    frame = [f"<Name>{NAME}</Name>", "<Prefix></Prefix>", "<IsTruncated>false</IsTruncated>", draw(entries(quoted=quoted, plain=plain))]  # fmt: skip
    if quoted:
        frame.append("<EncodingType>url</EncodingType>")
    if not plain:
        frame += draw(st.lists(MORE, max_size=2))
    between = draw(st.sampled_from(["", "", "", "\n", " ", "\t", "\x0b", "text"]))
    declaration = draw(st.sampled_from(['<?xml version="1.0" encoding="UTF-8"?>\n', "", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="latin-1"?>', " "]))  # fmt: skip
    namespace = draw(st.sampled_from([' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "", ' xmlns="{a}b"', ' xmlns=""', " xmlns='a'", ' a="b"']))  # fmt: skip
    if plain:
        between = "\n" if between else ""
        declaration = declaration.replace("latin-1", "UTF-8").strip(" ")
        namespace = namespace if "amazonaws" in namespace else ""
    inside = between.join(draw(st.permutations(frame)))
    return f"{declaration}<ListBucketResult{namespace}>{inside}</ListBucketResult>".encode("utf-8", "surrogatepass")  # fmt: skip


NOISE = st.sampled_from([b"", b"\x00", b"\x0c", b"&", b"&#65;", b"&amp;", b"<!-- -->", b"<!--", b"-->", b"<![CDATA[a]]>", b"]]>", b"<?p?>", b"<x/>", b"<x>", b"</x>",
                         b"<Contents>", b"</Contents>", b"</Contents><Contents>", b"<Contents/>", b"<Contents ", b"<Key>", b"</Key>", b"\xff", b"\xc3\xa9",
                         b"<Key>z</Key>", b"<IsTruncated>true</IsTruncated>", b"\xef\xbb\xbf", b">", b"<"])  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A document in which something was put in, taken out, doubled or changed."""
    body = draw(documents())
    for _each in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(["noise", "cut", "double", "change"]))
        if piece == "noise":
            body = body[:start] + draw(NOISE) + body[start:]
        elif piece == "cut":
            body = body[:start] + body[end:]
        elif piece == "double":
            body = body[:end] + body[start:end] + body[end:]
        elif start < len(body):
            body = body[:start] + bytes([draw(st.integers(0, 255))]) + body[start + 1 :]
    return body


# --- both ways ----------------------------------------------------------------------------------------------


def all_of(page: ListedPage) -> Any:
    objects = list(page.objects())
    assert page.keys == [one.key for one in objects]
    # a page that is no better than it looks is only looked at more closely
    assert not page.ordinary or not any(
        one.size_bytes == 0 or one.storage_class in ARCHIVE_CLASSES for one in objects
    )
    return objects, page.next_token


def read(store: S3Store, **asked: str) -> Any:
    """What an audit gets of a page: the objects and the token, or the error."""
    try:
        return all_of(list_page(store, prefix="", **asked))
    except ListingBroken as broken:
        return type(broken), str(broken), broken.reason


def compared(body: bytes, lab: Recorder, stores: tuple[S3Store, S3Store]) -> None:
    lab.play(lambda asked: Answer(200, body))
    fast, slow = (read(store) for store in stores)

    event("cut from its bytes" if plain_page(body) else "left to botocore")
    assert fast == slow


@OFTEN
@given(body=documents())
@example(body=b"")
def test_page__of_any_make_is_the_same_both_ways(
    body: bytes, lab: Recorder, stores: tuple[S3Store, S3Store]
) -> None:
    compared(body, lab, stores)


@OFTEN
@given(body=mangled())
def test_page__however_mangled_is_the_same_both_ways(
    body: bytes, lab: Recorder, stores: tuple[S3Store, S3Store]
) -> None:
    compared(body, lab, stores)


@settings(OFTEN, max_examples=1000)
@given(body=st.one_of(documents(), mangled()))
def test_page__cut_from_its_bytes_is_what_botocores_parser_makes_of_it(body: bytes) -> None:
    """The same without a socket, so that there are more of them."""
    page = plain_page(body)
    if page is None:
        return
    parsed = parsed_by_botocore(body)

    outcomes = []
    for each in (page, parsed):
        for validate in (validate_page, validate_but_order):
            try:
                objects, token = validate(each, ASKED)
                outcomes.append((list(objects), token, keys_of(each)))
            except ListingBroken as broken:
                outcomes.append((type(broken), str(broken)))
    assert outcomes[:2] == outcomes[2:]
    assert is_ordinary(parsed) or not is_ordinary(page)
    assert list(objects_of(page)) == list(objects_of(parsed))


def parsed_by_botocore(body: bytes) -> dict[str, Any]:
    from botocore.handlers import decode_list_object_v2
    from botocore.parsers import create_parser
    from botocore.session import get_session

    shape = get_session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
    parsed: dict[str, Any] = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": {}, "body": body}, shape
    )
    decode_list_object_v2(parsed, {"encoding_type_auto_set": True})
    return parsed


@pytest.mark.parametrize("row", rows_of("LIST"), ids=lambda row: row.id)
def test_row__is_the_same_both_ways_and_as_the_table_says(
    row: Row, lab: Recorder, stores: tuple[S3Store, S3Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every listing row, asked from the start, behind a key and by a token."""
    options = ClientOptions(connect_timeout=0.4, read_timeout=0.4, max_attempts=2)
    outcomes = []
    for prepare in (warm, cold):
        lab.play(BUCKET.answer)
        store = prepare(store_by(lab.url, client=options, region_name="eu-north-1"))
        lab.play(lambda asked: row.play(asked, BUCKET) if asked.operation == "LIST" else BUCKET.answer(asked))
        asked = [{}, {"start_after": "a/1.jpg", "after": "a/1.jpg"}, {"token": b"a/2.jpg".hex(), "after": "a/2.jpg"}]  # fmt: skip
        if row.id in ("LIST silence", "LIST 503 SlowDown"):
            asked = asked[:1]  # each costs seconds
        outcomes.append([read(store, **each) for each in asked])

    assert outcomes[0] == outcomes[1]
    if row.judged == "fit":
        assert [one.key for one in outcomes[0][0][0]] == list(BUCKET.objects)
