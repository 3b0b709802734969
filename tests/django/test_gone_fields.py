"""A field of which nothing is left is doubted before its records are, however few they are among all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imagesync.core.rails import MANY_OF_A_FIELD
from imagesync.models import Purge
from imagesync.purge.execute import execute_plan
from imagesync.records import Scope
from imagesync.records.findings import gone_fields
from tests.conftest import MakeSource
from tests.django.helpers import age_findings, audited, make_images, plan
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

PHOTO = "testapp.Product.photo"


@pytest.fixture(autouse=True)
def products_may_go(settings: pytest.FixtureRequest) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {PHOTO: "delete"}}  # type: ignore[attr-defined]


def planned(memory_source: MakeSource, *, photos: int, there: int = 0, scope: Scope | None = None) -> Purge:
    """Images, 400 of which are there and one is not, and products whose photos are gone but for some."""
    store, source = memory_source()
    make_images(*(f"{number}.jpg" for number in range(400)), "gone.jpg")
    for number in range(400):
        store.put(f"{number}.jpg")
    for number in range(photos):
        Product.objects.create(name="chair", photo=f"photos/{number}.jpg")
    Product.objects.create(name="without", photo="")
    for number in range(there):
        store.put(f"photos/{number}.jpg")
    audited(source)
    age_findings(timedelta(hours=2))
    return plan(source, scope)


def test_purge__of_a_field_that_is_wholly_gone_is_refused(memory_source: MakeSource) -> None:
    purge = planned(memory_source, photos=MANY_OF_A_FIELD)

    assert purge.state == Purge.State.REFUSED
    assert purge.refused is not None
    assert purge.refused["id"] == "nothing_present"
    assert f"{MANY_OF_A_FIELD} records of {PHOTO}" in purge.refused["fact"]


@pytest.mark.parametrize(("photos", "there"), [(MANY_OF_A_FIELD - 1, 0), (MANY_OF_A_FIELD + 1, 1)])
def test_purge__of_few_or_of_all_but_one_is_not(memory_source: MakeSource, photos: int, there: int) -> None:
    assert planned(memory_source, photos=photos, there=there).refused is None


def test_purge__of_the_other_fields_goes_on(memory_source: MakeSource) -> None:
    scope = Scope(fields=("imagesync.Image.file",))
    purge = planned(memory_source, photos=MANY_OF_A_FIELD, scope=scope)
    _store, source = memory_source()

    assert purge.refused is None
    assert [line["key"] for line in purge.plan["delete"]] == ["gone.jpg"]
    assert gone_fields(source) == {PHOTO: MANY_OF_A_FIELD}


def test_gone_fields__do_not_count_what_was_removed_since(memory_source: MakeSource) -> None:
    planned(memory_source, photos=MANY_OF_A_FIELD + 3)
    Product.objects.filter(photo__in=[f"photos/{number}.jpg" for number in range(3)]).delete()
    _store, source = memory_source()

    assert gone_fields(source) == {PHOTO: MANY_OF_A_FIELD}


def test_purge__with_the_buckets_name_typed_takes_them(memory_source: MakeSource) -> None:
    planned(memory_source, photos=MANY_OF_A_FIELD)
    _store, source = memory_source()

    purge = execute_plan(plan(source, all_missing=source.store.identity.bucket), source)

    assert purge.counts["deleted"] == MANY_OF_A_FIELD + 1
    assert list(Product.objects.values_list("name", flat=True)) == ["without"]
