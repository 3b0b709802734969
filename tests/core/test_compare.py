from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.compare import Matched, OutOfOrder, Unlisted, Unnamed, compare


@dataclass(frozen=True)
class One:
    key: str
    number: int = 0


# few letters, so that keys meet; some whose UTF-8, UTF-16 and alphabetical orders differ
keys = st.text(alphabet="aAbé\n\uffff\U0001f600", min_size=1, max_size=3)


@given(records=st.lists(st.tuples(keys, st.integers(0, 9))), listed=st.sets(keys))
def test_compare__agrees_with_set_arithmetic(records: list[tuple[str, int]], listed: set[str]) -> None:
    ordered = [One(key, number) for key, number in sorted(records)]
    named = {key for key, _number in records}

    joined = list(compare(ordered, [One(key) for key in sorted(listed)]))

    assert [one.record for one in joined if not isinstance(one, Unnamed)] == ordered
    assert {one.record.key for one in joined if isinstance(one, Matched)} == named & listed
    assert {one.record.key for one in joined if isinstance(one, Unlisted)} == named - listed
    unnamed = [one.object.key for one in joined if isinstance(one, Unnamed)]
    assert unnamed == sorted(listed - named)


@given(st.lists(keys))
def test_compare__order_is_that_of_utf8_bytes(some: list[str]) -> None:
    by_bytes = sorted(set(some), key=str.encode)

    assert by_bytes == sorted(set(some))
    assert all(isinstance(one, Matched) for one in compare(map(One, by_bytes), map(One, by_bytes)))


def test_compare__several_records_may_name_one_object() -> None:
    joined = list(compare([One("a", 1), One("a", 2)], [One("a"), One("b")]))

    assert [type(one) for one in joined] == [Matched, Matched, Unnamed]


@pytest.mark.parametrize("listing", [["b", "a"], ["a", "a"]])
def test_compare__refuses_a_listing_that_does_not_ascend(listing: list[str]) -> None:
    with pytest.raises(OutOfOrder, match="listing: 'a' came after") as caught:
        list(compare([], map(One, listing)))

    assert caught.value.side == "listing"


def test_compare__refuses_records_that_go_backwards() -> None:
    with pytest.raises(OutOfOrder, match="records: 'a' came after 'b'"):
        list(compare([One("b"), One("a")], []))
