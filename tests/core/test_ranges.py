from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.ranges import just_before, key_is_sendable, prefix_end

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(texts, texts)
def test_prefix_end__bounds_every_string_with_the_prefix(prefix: str, rest: str) -> None:
    end = prefix_end(prefix)

    assert end is None or prefix + rest < end


@given(texts, texts)
def test_prefix_end__lets_no_other_string_in(prefix: str, other: str) -> None:
    end = prefix_end(prefix)

    inside = prefix <= other and (end is None or other < end)
    assert inside == other.startswith(prefix)


@given(texts.filter(bool))
def test_just_before__is_less_and_can_be_sent(key: str) -> None:
    before = just_before(key)

    assert before < key
    assert len(before.encode()) <= 1024


def test_just_before__stays_within_the_limit_of_a_key() -> None:
    assert len(just_before("x" * 1024).encode()) <= 1024
    assert len(just_before("\U0001f600" * 256).encode()) <= 1024


def test_key_is_sendable__counts_bytes_not_characters() -> None:
    assert key_is_sendable("é" * 512)
    assert not key_is_sendable("é" * 513)
    assert not key_is_sendable("")
    assert not key_is_sendable("\ud800")
