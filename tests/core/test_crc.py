from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.crc import CRCS


@pytest.mark.parametrize(
    ("name", "check"), [("crc32", 0xCBF43926), ("crc32c", 0xE3069283), ("crc64nvme", 0xAE8B14860A799888)]
)
def test_crc__has_the_catalogue_s_check_value(name: str, check: int) -> None:
    assert CRCS[name].of(b"123456789") == check


@given(st.binary(max_size=200))
def test_crc__crc32_is_zlib_s(data: bytes) -> None:
    assert CRCS["crc32"].of(data) == zlib.crc32(data)


@given(st.sampled_from(sorted(CRCS)), st.binary(max_size=60), st.binary(max_size=60))
def test_joined__is_the_crc_of_both_in_a_row(name: str, first: bytes, second: bytes) -> None:
    crc = CRCS[name]

    assert crc.joined(crc.of(first), crc.of(second), len(second)) == crc.of(first + second)


def test_joined__takes_parts_of_gigabytes() -> None:
    zeros = bytes(1024 * 1024)
    whole = crc = 0
    for _ in range(64):
        crc = zlib.crc32(zeros, crc)
    whole = CRCS["crc32"].joined(0, crc, 64 * len(zeros))

    assert whole == crc
    assert CRCS["crc32"].joined(zlib.crc32(b"a"), 0, 5 * 1024**4) > 0
