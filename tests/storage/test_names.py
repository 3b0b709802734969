"""The key mapping, held against what django-storages really does."""

from __future__ import annotations

import pytest
from django.core.exceptions import SuspiciousOperation
from hypothesis import example, given
from hypothesis import strategies as st
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from imagesync.storage.contract import fingerprint
from imagesync.storage.names import exact_key, exact_keys, location_prefix

CORPUS = [
    "a", "a//b", "/a", "./a", "x/../a", "../a", "a\\b", "x/..\\..\\a", "", ".", "..", "x/..", "dir/", "media/a",
    "a b", "a%20b", "caf\u00e9", "cafe\u0301", "a\nb", " a ", ".hidden", "a.", "...", "a/.", "a/..", "//a", "a/", "a//",
]  # fmt: skip
LOCATIONS = ["", "media", "media/", "a/b", "a/b/"]


def storages_key(location: str, name: str) -> str | None:
    storage = S3Storage(bucket_name="b", location=location)
    try:
        return str(storage._normalize_name(clean_name(name)))
    except SuspiciousOperation:
        return None


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("name", CORPUS)
def test_exact_key__is_the_storages_or_none(location: str, name: str) -> None:
    key = exact_key(location, name)

    assert key is None or key == storages_key(location, name)


@given(st.sampled_from(LOCATIONS), st.text(alphabet="ab./\\ %\u00e9\u0301\n", min_size=1, max_size=8))
@example("media", "a/b")
def test_exact_key__is_exact_when_it_is_given(location: str, name: str) -> None:
    key = exact_key(location, name)
    prefix = location_prefix(location)

    assert prefix is not None
    if key is not None:
        assert key == storages_key(location, name) == prefix + name
    elif storages_key(location, name) == prefix + name:
        # the storage would not rewrite it, and still another name could mean the same: never the other way round
        assert clean_name(name) != name


_NAMES = st.text(alphabet="ab./\\ %\u00e9\0\n", min_size=1, max_size=8)


@given(st.sampled_from(LOCATIONS), st.lists(_NAMES))
def test_exact_keys__are_those_of_each_name(location: str, names: list[str]) -> None:
    assert exact_keys(location, names) == [exact_key(location, name) for name in names]


@pytest.mark.parametrize("name", ["a//b", "/a", "./a", "x/../a", "../a", "a\\b", "", ".", "..", "x/.."])
def test_exact_key__a_name_that_would_be_rewritten_has_none(name: str) -> None:
    assert exact_key("", name) is None
    assert exact_key("media", name) is None


@pytest.mark.parametrize("location", ["./media", "../media", "a//b", "a/../b"])
def test_location__that_is_rewritten_has_no_prefix(location: str) -> None:
    assert location_prefix(location) is None


SAME = [
    "https://s3.eu-north-1.amazonaws.com",
    "https://s3.amazonaws.com",
    "http://s3.us-east-1.amazonaws.com",
    "https://s3.dualstack.eu-west-1.amazonaws.com",
    "https://s3-accelerate.amazonaws.com",
    "https://bucket.vpce-1.s3.eu-north-1.vpce.amazonaws.com",
]


def test_fingerprint__all_of_awss_hosts_are_one() -> None:
    assert len({fingerprint(endpoint, "b", "p/") for endpoint in SAME}) == 1


def test_fingerprint__tells_apart_what_is_apart() -> None:
    places = [
        ("https://s3.amazonaws.com", "b", "p/"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "b", "p/"),
        ("https://s3.amazonaws.com.evil.example", "b", "p/"),
        ("https://minio.example", "b", "p/"),
        ("https://minio.example:9000", "b", "p/"),
        ("https://minio.example/path", "b", "p/"),
        ("https://s3.amazonaws.com", "c", "p/"),
        ("https://s3.amazonaws.com", "b", "q/"),
        ("https://s3.amazonaws.com", "b", ""),
    ]

    assert len({fingerprint(*place) for place in places}) == len(places)


def test_fingerprint__scheme_default_port_and_case_do_not_matter() -> None:
    spellings = ["https://minio.example", "https://MINIO.example:443/", "http://minio.example:80"]

    assert len({fingerprint(endpoint, "b", "") for endpoint in spellings}) == 1
