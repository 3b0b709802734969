"""Near misses: what each slip of the pen leads to, and what holds for every key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.nearmiss import MAX_NEAR_MISSES, SENTENCES, Slip, alike, near_misses
from imagesync.core.ranges import key_is_sendable

# letters that change under every one of the slips, beside everything else
SLIPPERY = st.text(st.sampled_from("aZ.jJpPgG/ +%2F\\\n\u00e9e\u0301\u00c3\u00a9\u0130\u00df"), max_size=40)
KEYS = st.one_of(SLIPPERY, st.text(max_size=60), st.text(st.characters(codec=None), max_size=20))
PREFIXES = st.sampled_from(["", "media/", "a/", "Z/a/", "\u00e9/"])


@given(KEYS, PREFIXES)
def test_near_misses__are_few_other_sendable_keys_each_named_once(key: str, prefix: str) -> None:
    for whole in (key, prefix + key):
        found = [miss.key for miss in near_misses(whole, prefix)]

        assert whole not in found
        assert len(found) == len(set(found)) <= MAX_NEAR_MISSES
        assert all(key_is_sendable(one) and "\0" not in one for one in found)


@given(st.integers(1000, 1024), PREFIXES)
def test_near_misses__of_a_key_as_long_as_keys_may_be_are_sendable(length: int, prefix: str) -> None:
    key = (prefix + "\u00e9 +" * length).encode()[:length].decode(errors="ignore")

    assert all(key_is_sendable(miss.key) for miss in near_misses(key, prefix))


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40), PREFIXES)
def test_near_misses__undo_a_lacking_and_a_doubled_location(name: str, prefix: str) -> None:
    right = prefix + name

    for wrong in (name, prefix + right):
        if prefix:
            assert right in [miss.key for miss in near_misses(wrong, prefix)]


@pytest.mark.parametrize(
    ("key", "meant", "slip"),
    [
        ("images/x.jpg", "images/x.JPG", Slip.CASE),
        ("images/x.JPG", "images/x.jpg", Slip.CASE),
        ("images/Photo.jpg", "images/photo.jpg", Slip.CASE),
        ("Images/Photo.JPG", "images/photo.jpg", Slip.CASE),
        ("images/caf\u00e9.jpg", "images/cafe\u0301.jpg", Slip.UNICODE_FORM),
        ("images/cafe\u0301.jpg", "images/caf\u00e9.jpg", Slip.UNICODE_FORM),
        ("images/a+b.jpg", "images/a b.jpg", Slip.PLUS_AND_SPACE),
        ("images/a b.jpg", "images/a+b.jpg", Slip.PLUS_AND_SPACE),
        ("media/media/a.jpg", "media/a.jpg", Slip.LOCATION),
        ("media/a.jpg", "media/media/a.jpg", Slip.LOCATION),
        ("a.jpg", "media/a.jpg", Slip.LOCATION),
        ("media/a.jpg", "a.jpg", Slip.LOCATION),
        ("images/a%20b.jpg", "images/a b.jpg", Slip.QUOTED),
        ("images/a b.jpg", "images/a%20b.jpg", Slip.QUOTED),
        ("images/a b+c.jpg", "images/a+b%2Bc.jpg", Slip.QUOTED),
        ("images/a.jpg ", "images/a.jpg", Slip.WHITESPACE),
        ("images/a.jpg", "images/a.jpg ", Slip.WHITESPACE),
        ("images/a.jpg", "images/a.jpg\n", Slip.WHITESPACE),
        ("media/ a.jpg", "media/a.jpg", Slip.WHITESPACE),
        ("images//a.jpg", "images/a.jpg", Slip.SLASHES),
        ("images/a.jpg", "images//a.jpg", Slip.SLASHES),
        ("images/a.jpg", "/images/a.jpg", Slip.SLASHES),
        ("/images/a.jpg", "images/a.jpg", Slip.SLASHES),
        ("images\\a.jpg", "images/a.jpg", Slip.SLASHES),
        ("images/caf\u00e9.jpg", "images/caf\u00c3\u00a9.jpg", Slip.ENCODED_TWICE),
        ("images/caf\u00c3\u00a9.jpg", "images/caf\u00e9.jpg", Slip.ENCODED_TWICE),
    ],
)
def test_near_misses__name_what_was_meant_and_why(key: str, meant: str, slip: Slip) -> None:
    assert {miss.key: miss.slip for miss in near_misses(key, "media/")}[meant] is slip


def test_near_misses__of_escapes_that_are_not_utf_8_guess_no_replacement_character() -> None:
    assert not [miss for miss in near_misses("a%ff.jpg") if "\ufffd" in miss.key]


def test_alike__finds_in_a_listing_what_no_guess_would_reach() -> None:
    beside = [
        "images/IMG_Photo.JPG",
        "images/img_photo.jpg",
        "images/img_photo2.jpg",
        "images/Img%5Fphoto.jpg",
    ]

    assert [miss.key for miss in alike("images/img_photo.jpg", beside)] == [beside[0], beside[3]]


def test_slips__have_each_their_sentence() -> None:
    assert set(SENTENCES) == set(Slip)
