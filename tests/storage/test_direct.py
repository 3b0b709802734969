"""The request that is sent without botocore is the one that botocore would have sent: word for word, and signed alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imagesync.selftest.bucket import Page, failure
from imagesync.selftest.wire import Answer, Asked
from imagesync.storage.store import S3Store
from tests.storage.recording import (
    SECRET,
    Heard,
    Recorder,
    cold,
    learnt,
    names_leading_to,
    recorder,
    store_by,
    warm,
)

NOW = "2026-11-25T12:00:00Z"


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Two requests are signed alike only in the same second."""
    with time_machine.travel(NOW, tick=False):
        yield


def nothing_there(asked: Asked) -> Answer:
    if asked.operation == "GET":
        return failure(404, "NoSuchKey")
    return Page(asked.bucket, asked.query.get("prefix", ""), (), False, "", 0).answer()


@pytest.fixture(scope="module")
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        lab.play(nothing_there)
        yield lab


@pytest.fixture(scope="module")
def both(lab: Recorder) -> tuple[S3Store, S3Store]:
    with time_machine.travel(NOW, tick=False):
        return warm(store_by(lab.url)), cold(store_by(lab.url))


def heard(lab: Recorder, ask: Any) -> Heard:
    """The only request that ``ask`` sends."""
    lab.heard.clear()
    ask()
    (request,) = lab.heard
    return request


def same(direct: Heard, botocore: Heard) -> None:
    """The parameters of a query are sent in another order; what is signed is sorted, so even the signature is the same."""
    assert direct.is_direct
    assert not botocore.is_direct
    assert (direct.method, direct.place) == (botocore.method, botocore.place)
    assert direct.query == botocore.query
    assert direct.told() == botocore.told()


ODD = ["a b", "a+b", "a%2Bb", "a%20b", "ä", "a\u0308", "~", "*", "'", "(", "!", "&", "=", "?", "#", ":", "@", "\\", "a/", "/a",
       "a//b", "a/../b", "..", ".", "./a", "\x00", "\n", "\r", "\x7f", "\x85", "\u2028", "\U0001f600", "%2e%2e/a", ";", ",", "$",
       "|", '"', "<", ">", "[", "]", "^", "`", "{", "}", " ", "a ", "€" * 341, "x" * 1024]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
KEYS = st.one_of(TEXT, st.sampled_from(ODD), st.lists(st.sampled_from(ODD[:44]), min_size=1).map("/".join)).filter(
    lambda key: len(key.encode()) <= 1024
)  # fmt: skip
PLAIN = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("how", ["get", "head"])
@PLAIN
@given(key=KEYS)
@example(key="x" * 1024)
@example(key="€" * 341)
@example(key="a b+c%d\x00/~/ä")
@example(key="a//")
def test_object__is_asked_for_as_botocore_would(
    how: str, key: str, lab: Recorder, both: tuple[S3Store, S3Store]
) -> None:
    direct, botocore = (heard(lab, lambda store=store: getattr(store, how)(key)) for store in both)

    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")):
        assert not direct.is_direct  # a path that something on the way may rewrite is left to botocore
        return
    same(direct, botocore)
    assert direct.is_signed_with(SECRET)
    assert not direct.is_signed_with("another")


@PLAIN
@given(
    prefix=st.one_of(st.just(""), KEYS),
    start_after=st.one_of(st.just(""), KEYS),
    token=st.one_of(st.just(""), KEYS),
    max_keys=st.integers(1, 1000),
)
def test_page__is_what_botocore_would_send(
    prefix: str,
    start_after: str,
    token: str,
    max_keys: int,
    lab: Recorder,
    both: tuple[S3Store, S3Store],
) -> None:
    asked = {"prefix": prefix, "start_after": start_after, "token": token, "max_keys": max_keys}
    direct, botocore = (heard(lab, lambda store=store: store.list_page(**asked)) for store in both)

    same(direct, botocore)
    assert direct.is_signed_with(SECRET)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff.jpg"])
def test_text__without_bytes_is_an_outcome_and_no_crash(text: str, both: tuple[S3Store, S3Store]) -> None:
    for ask in ("get", "head"):
        evidence = [getattr(store, ask)(text) for store in both]
        assert evidence[0] == evidence[1]
        assert evidence[0].code == "UnicodeEncodeError"
    pages = [store.list_page(prefix=text).evidence for store in both]
    assert pages[0] == pages[1]
    assert pages[0].code == "UnicodeEncodeError"


def asked_both_ways(lab: Recorder, fast: S3Store, slow: S3Store, *, scheme: str = "http") -> Heard:
    """A page and an object; the direct request for the object."""
    for ask in ("list_page", "head", "get"):
        for each in (fast, slow):
            arguments: Any = {"prefix": "a/"} if ask == "list_page" else {"key": "a/1 ü.jpg"}
            lab.heard.clear()
            getattr(each, ask)(**arguments)
            (request,) = lab.heard
            if each is fast:
                direct = request
        same(direct, request)
        assert direct.is_signed_with(SECRET, scheme=scheme)
    return direct


def test_endpoint__with_a_path_and_a_port(lab: Recorder) -> None:
    with recorder(root="/gate/way") as gate:
        url = f"{gate.url}/gate/way"
        direct = asked_both_ways(gate, warm(store_by(url)), cold(store_by(url)))

    assert direct.place == "/gate/way/lab-bucket/a/1%20%C3%BC.jpg"


@pytest.mark.parametrize(
    ("style", "endpoint", "host"),
    [
        ("virtual", None, "lab-bucket.s3.eu-north-1.amazonaws.com"),
        ("auto", None, "lab-bucket.s3.eu-north-1.amazonaws.com"),
        ("path", None, "s3.eu-north-1.amazonaws.com"),
        ("virtual", "http://s3.example.test:8000", "lab-bucket.s3.example.test:8000"),
        ("auto", "http://s3.example.test", "s3.example.test"),
        ("virtual", "http://s3.example.test/gate", "lab-bucket.s3.example.test"),
    ],
)
def test_addressing__by_host_or_path(
    style: str, endpoint: str | None, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"addressing_style": style, "region_name": "eu-north-1", "use_ssl": False}
    with recorder(root="/gate") as lab, names_leading_to(lab.url, monkeypatch):
        stores = [store_by(endpoint, **options) for _each in range(2)]
        direct = asked_both_ways(lab, warm(stores[0]), cold(stores[1]))

    assert direct.headers["host"] == host


def test_proxy__of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as lab:
        options = {"proxies": {"http": lab.url}}
        stores = [store_by("http://s3.example.test", **options) for _each in range(2)]
        direct = asked_both_ways(lab, warm(stores[0]), cold(stores[1]))

    assert direct.place == "http://s3.example.test/lab-bucket/a/1%20%C3%BC.jpg"


def test_proxy__of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as lab, recorder() as other:
        monkeypatch.setenv("http_proxy", lab.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        stores = [store_by("http://s3.example.test") for _each in range(2)]
        direct = asked_both_ways(lab, warm(stores[0]), cold(stores[1]))
        lab.heard.clear()
        past = asked_both_ways(other, warm(store_by(other.url)), cold(store_by(other.url)))

    assert direct.place.startswith("http://s3.example.test/lab-bucket/")
    assert past.place.startswith("/lab-bucket/")
    assert not lab.heard


def test_signature__of_version_2_is_left_to_botocore(lab: Recorder) -> None:
    store = warm(store_by(lab.url, signature_version="s3"))
    lab.heard.clear()
    store.get("a/1.jpg")
    store.list_page(prefix="")

    assert not learnt(store)
    assert [one.is_direct for one in lab.heard] == [False, False]
    assert lab.heard[0].headers["authorization"].startswith("AWS AKIDTEST:")


def test_parameters__of_the_storage_are_in_the_request_and_bind_it(lab: Recorder) -> None:
    payer = {"RequestPayer": "requester", "ExpectedBucketOwner": "111122223333"}
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    stores = [store_by(lab.url, object_parameters={**payer, **secret}) for _each in range(2)]

    direct = asked_both_ways(lab, warm(stores[0]), cold(stores[1]))

    assert direct.headers["x-amz-request-payer"] == "requester"
    assert direct.headers["x-amz-expected-bucket-owner"] == "111122223333"
    assert direct.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"


def test_parameters__that_differ_by_key_go_through_botocore(lab: Recorder) -> None:
    def parameters(key: str) -> dict[str, Any]:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "12"[key.startswith("2/")] * 32}

    store = store_by(lab.url, parameters=parameters)
    store.get("1/warm")
    requests = [heard(lab, lambda key=key: store.get(key)) for key in ("1/a", "2/a", "1/b")]

    name = "x-amz-server-side-encryption-customer-key"
    assert [one.is_direct for one in requests] == [True, False, True]
    assert requests[0].headers[name] == requests[2].headers[name] != requests[1].headers[name]


def test_parameters__that_cannot_be_told_go_through_botocore(lab: Recorder) -> None:
    def parameters(key: str) -> dict[str, Any]:
        if key == "a/2.jpg":
            raise LookupError(key)
        return {}

    store = warm(store_by(lab.url, parameters=parameters))

    assert store.get("a/2.jpg").code == "LookupError"
    assert store.get("a/1.jpg").code == "NoSuchKey"
