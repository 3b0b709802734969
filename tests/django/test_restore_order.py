"""Records of one purge that pointed to each other come back in the reverse of the order in which they went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from imagesync.admin import background
from imagesync.models import Purge
from imagesync.purge.execute import execute_plan
from imagesync.purge.restore import execute_restore, left_of, preview_restore, restorable
from tests.conftest import BUCKET, MakeSource
from tests.django.helpers import LONG_AGO, audited, make_images, plan, run
from tests.testapp.models import Edition, Product

pytestmark = pytest.mark.django_db(transaction=True)

Rows = list[list[dict[str, Any]]]


def rows() -> Rows:
    return [list(model._base_manager.order_by("pk").values()) for model in (Product, Edition)]


@pytest.fixture
def before() -> Rows:
    """A chain of editions, the first one of a product; set by ``purged``."""
    return []


@pytest.fixture
def purged(memory_source: MakeSource, settings: Any, before: Rows) -> Purge:
    policies = {"testapp.Product.photo": "delete", "testapp.Edition.file": "delete"}
    settings.IMAGESYNC = {**settings.IMAGESYNC, "GRACE_PERIOD": "0s", "FIELDS": policies}
    store, source = memory_source(bucket=BUCKET)
    make_images(*(f"{number}.jpg" for number in range(20)))
    for number in range(20):
        store.put(f"{number}.jpg")
    product = Product.objects.create(name="house", photo="gone/1", created_at=LONG_AGO)
    one = None
    for number in range(4):
        one = Edition.objects.create(file=f"gone/{number}", made_of=one, product=product)
    before += rows()
    audited(source)
    purge = execute_plan(plan(source), source)
    assert purge.counts["deleted"] == 5, (purge.refused, purge.plan["keep"])
    assert rows() == [[], []]
    return purge


def test_restore__of_all_gives_each_record_its_relations_back(purged: Purge, before: Rows) -> None:
    shown = preview_restore(purged, restorable(purged))
    outcome = execute_restore(purged, restorable(purged), restored_by="test")

    assert (shown.conflicts, shown.notes) == ([], [])
    assert (outcome.conflicts, outcome.notes) == ([], [])
    assert rows() == before


def test_restore__of_some_by_their_ids_gives_them_their_relations_back(purged: Purge, before: Rows) -> None:
    """In whatever order they are named."""
    [product], editions = before
    ids = [f"testapp.Edition:{one['id']}" for one in editions[:2]] + [f"testapp.Product:{product['id']}"]

    code, out, err = run("restore_purged", "--no-input", *(word for id in ids for word in ("--id", id)))

    assert code == 0, out + err
    assert Edition.objects.get(pk=editions[1]["id"]).made_of_id == editions[0]["id"]


def test_restore__that_was_broken_off_goes_on_where_it_was(purged: Purge, before: Rows) -> None:
    for number in range(5):
        assert len(restorable(purged)) == 5 - number
        outcome = execute_restore(purged, restorable(purged)[:1], restored_by="test")
        assert (outcome.conflicts, outcome.notes) == ([], [])

    assert rows() == before


@pytest.mark.parametrize("together", [1, 2, 500])
def test_restore__in_the_background_does_too(
    purged: Purge, before: Rows, admin_user: User, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(background, "RESTORED_TOGETHER", together)

    told = background.restore_records(purged.pk, str(admin_user.pk), "admin")

    assert told == {"purge": purged.pk, "restored": 5, "conflicts": 0}
    assert rows() == before


@pytest.fixture
def chosen(purged: Purge) -> dict[str, Callable[[], dict[str, Any]]]:
    pks = [str(one.pk) for one in purged.tombstones.order_by("pk")]
    return {"all": lambda: {"all": "1"}, "each": lambda: {"record": pks}}


@pytest.mark.parametrize("which", ["all", "each"])
def test_restore__in_the_admin_does_too(
    purged: Purge, before: Rows, admin_client: Client, chosen: Any, which: str
) -> None:
    address = f"/admin/imagesync/purge/{purged.pk}/restore/"

    shown = admin_client.post(address, chosen[which]())
    admin_client.post(address, {**chosen[which](), "confirmed": "5"})

    assert (shown.context["can"], shown.context["notes"]) == (5, [])
    assert rows() == before


def test_left_of__begins_with_what_went_last(purged: Purge) -> None:
    pks = [one.pk for one in left_of(purged)]

    assert pks == sorted(pks, reverse=True) == [one.pk for one in restorable(purged)]
