"""Any value of any kind comes back, found by hypothesis, compared by SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagesync.purge.restore_rows import put_back
from tests.django.test_rows import dump, image, purge
from tests.testapp import models as shop

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROW = st.fixed_dictionaries(
    {
        "shown_at": st.none()
        | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        "day": st.none() | st.dates(),
        "at": st.none() | st.times(),
        "lasts": st.none() | st.timedeltas().filter(lambda one: abs(one.days) < 10**6),
        "raw": st.none() | st.binary(max_size=64),
        "price": st.none() | st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False),
        "weight": st.none() | st.floats(allow_nan=False),
        "count": st.none() | st.integers(-(2**61), 2**61),
        "flag": st.none() | st.booleans(),
        "note": TEXT,
        "token": st.none() | st.uuids(),
        "extra": JSON,
        "config": JSON.filter(lambda one: one is not None),
    }
)


class Undone(Exception):
    pass


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=ROW, title=TEXT, name=TEXT)
def test_any_row_comes_back(row: dict[str, Any], title: str, name: str) -> None:
    try:
        with transaction.atomic():
            record = image(name, size_bytes=1)
            type(record).objects.filter(pk=record.pk).update(title=title)
            shop.Slide.objects.create(image=record, **row)
            before = dump()
            copy = purge(record)
            assert dump() != before
            assert put_back(copy, using="default") == []
            assert dump() == before
            raise Undone
    except Undone:
        return
