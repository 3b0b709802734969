"""Signatures of our own are those that botocore makes, and only made where that was seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from imagesync.storage.pattern import sorted_query
from imagesync.storage.sigv4 import Signatures, signatures_like
from tests.storage.recording import Recorder, learnt, recorder, store_by, warm

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SECRETS = st.text("abcXYZ019+/=", min_size=1, max_size=40)
CREDENTIALS = st.builds(ReadOnlyCredentials, st.just("AKID"), SECRETS, st.none() | SECRETS)
QUERIES = st.dictionaries(st.sampled_from(["prefix", "max-keys", "a", "a-b", "a.b", "list-type"]), TEXT)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PATTERN = ReadOnlyCredentials("AKID", "secret", "token")


def signed_by_botocore(url: str, credentials: Any) -> dict[str, str]:
    request = AWSRequest("GET", url, {"Host": "s3.test:9000", "Range": "bytes=0-0", "User-Agent": "  a   b "})
    S3SigV4Auth(credentials, "s3", "eu-north-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def learnt_of(credentials: Any) -> Signatures:
    headers = signed_by_botocore("http://s3.test:9000/bucket/a", credentials)
    found = signatures_like(headers, "GET", "/bucket/a", "", credentials)
    assert found is not None
    return found


@given(
    learnt_by=CREDENTIALS,
    moments=st.lists(MOMENTS, min_size=1, max_size=3),
    key=TEXT,
    query=QUERIES,
    then=CREDENTIALS,
)
def test_signatures__are_botocores(
    learnt_by: Any, moments: list[datetime], key: str, query: dict[str, str], then: Any
) -> None:
    """Of any key, query, day and credentials, with or without a session's token, whatever they were learnt of."""
    signatures = learnt_of(learnt_by)
    path, asked = f"/bucket/{quote(key, safe='/~')}", sorted_query(query.items())
    url = f"http://s3.test:9000{path}" + (f"?{asked}" if asked else "")
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            expected = signed_by_botocore(url, then)
            made = signatures.headers("GET", path, asked, then)
        assert made.items() <= expected.items()
        assert expected.keys() - made.keys() == {"host", "range", "user-agent"}


@pytest.mark.parametrize(
    ("changed", "path", "credentials"),
    [
        ({}, "/bucket/b", PATTERN),
        ({}, "/bucket/a", ReadOnlyCredentials("AKID", "another", "token")),
        ({}, "/bucket/a", ReadOnlyCredentials("AKID", "secret", None)),
        ({}, "/bucket/a", None),
        ({"range": "bytes=0-1"}, "/bucket/a", PATTERN),
        ({"authorization": "AWS AKID:abc"}, "/bucket/a", PATTERN),
        ({"authorization": ""}, "/bucket/a", PATTERN),
    ],
)
def test_signatures__are_not_made_where_botocore_makes_others(
    changed: dict[str, str], path: str, credentials: Any
) -> None:
    headers = signed_by_botocore("http://s3.test:9000/bucket/a", PATTERN) | changed

    assert signatures_like(headers, "GET", path, "", credentials) is None


@pytest.fixture
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        yield lab


def test_store__needs_botocores_signer_for_the_first_request_of_a_kind_only(
    lab: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = warm(store_by(lab.url))
    monkeypatch.setattr(S3SigV4Auth, "add_auth", lambda *_given: pytest.fail("botocore signed"))
    lab.heard.clear()

    assert store.get("a/1.jpg").status == 206
    assert store.head("a/1.jpg").status == 200
    assert store.list_page(prefix="").page is not None
    assert len(lab.direct()) == 3
    assert learnt(store)


def test_store__whose_client_signs_otherwise_is_asked_by_botocores_signer(
    lab: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header that the client's own signing adds is none that we know how to make."""
    add_auth = S3SigV4Auth.add_auth
    signed: list[str] = []

    def otherwise(self: Any, request: Any) -> None:
        add_auth(self, request)
        signed.append(request.url)
        request.headers["Authorization"] = request.headers["Authorization"][:-1] + "!"

    monkeypatch.setattr(S3SigV4Auth, "add_auth", otherwise)
    store = warm(store_by(lab.url))
    lab.heard.clear()
    signed.clear()

    assert store.get("a/2.jpg").status == 206
    assert len(signed) == len(lab.direct()) == 1
