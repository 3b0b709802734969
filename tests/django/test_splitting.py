"""Where a table's keys are cut into ranges: ascending, within the scope, of about equal weight."""

from __future__ import annotations

import random
from bisect import bisect_left
from itertools import pairwise

import pytest
from django.db import connection

from imagesync.audit import claim, open_audit
from imagesync.models import Image
from imagesync.records import Scope
from imagesync.records.splitting import estimated_records, split_keys
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images
from tests.testapp.models import Document, Product

pytestmark = pytest.mark.django_db


def parts_of(keys: list[str], cuts: list[str]) -> list[int]:
    """How many of the sorted ``keys`` each part has."""
    edges = [0, *(bisect_left(keys, cut) for cut in cuts), len(keys)]
    return [end - begin for begin, end in pairwise(edges)]


def skewed_names(number: int) -> list[str]:
    """Nine in ten in one folder, whose names begin alike."""
    return [f"{'a' if n % 10 else 'z'}/{n % 7}/the/same/beginning/{n:06}.jpg" for n in range(number)]


@pytest.mark.parametrize("parts", [2, 8])
def test_split_keys__cuts_skewed_keys_into_parts_of_about_equal_weight(
    memory_source: MakeSource, parts: int
) -> None:
    _store, source = memory_source(prefix="media")
    names = skewed_names(4_000)
    make_images(*names)
    keys = sorted(f"media/{name}" for name in names)

    cuts = split_keys(source, Scope(), parts)

    assert cuts == sorted(set(cuts))
    assert len(cuts) == parts - 1
    assert all(cut.startswith("media/") for cut in cuts)
    # 24 draws a part: a part of three times its share, or of a tenth, does not come by chance in a thousand years
    assert all(4_000 / parts / 10 < weight < 4_000 / parts * 3 for weight in parts_of(keys, cuts))


def test_split_keys__of_many_parts_makes_the_last_ones_the_smallest(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    names = [f"images/{number:06}.jpg" for number in range(12_800)]
    make_images(*names)

    cuts = split_keys(source, Scope(), 64)

    weights = parts_of(names, cuts)
    assert len(weights) == 64
    # drawn exactly, 348 records the first and 52 the last
    assert sum(weights[:32]) > 1.7 * sum(weights[32:])
    assert max(weights[-8:]) < min(weights[:8])


def test_split_keys__weighs_each_field_by_its_records(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"m/{n:05}" for n in range(3_000)))
    Document.objects.bulk_create([Document(document=f"a/{n:05}") for n in range(300)])
    Product.objects.bulk_create([Product(name="p", photo=f"z/{n:05}") for n in range(300)])

    cuts = split_keys(source, Scope(), 6)

    # 600 of 3,600 records each; the documents and the products alone fill none
    assert sum(cut.startswith("m/") for cut in cuts) >= 3


def test_split_keys__of_a_table_whose_primary_keys_have_gaps(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images("b/first", pk=1)
    make_images(*(f"b/{n:05}" for n in range(1_000)))
    make_images("b/last", pk=2**40)

    assert len(split_keys(source, Scope(), 4)) == 3


def test_split_keys__stays_within_the_prefix(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*skewed_names(1_000))

    cuts = split_keys(source, Scope(prefix="z/"), 4)

    assert len(cuts) == 3
    assert all(cut.startswith("z/") for cut in cuts)


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_split_keys__of_few_records_cuts_no_more_than_there_are(
    memory_source: MakeSource, number: int
) -> None:
    _store, source = memory_source()
    make_images(*(f"{n}.jpg" for n in range(number)))

    cuts = split_keys(source, Scope(), 10)

    assert cuts == sorted(set(cuts))
    assert set(cuts) <= {f"{n}.jpg" for n in range(1, number)}, (
        "a cut at the first key would leave a part empty"
    )


def test_split_keys__cuts_no_key_in_two(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*["same.jpg"] * 500)

    assert split_keys(source, Scope(), 5) == []


def test_split_keys__around_one_key_of_half_the_records_makes_no_tiny_parts(
    memory_source: MakeSource,
) -> None:
    _store, source = memory_source()
    names = [f"{n:04}" for n in range(1_000)] + ["0200"] * 1_000
    make_images(*names)

    cuts = split_keys(source, Scope(), 10)

    weights = parts_of(sorted(names), cuts)
    assert max(weights) < 1_600
    assert sum(weight < 40 for weight in weights) <= 2, weights


def test_split_keys__of_one_part_or_of_single_records_are_none(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"{n}.jpg" for n in range(100)))

    assert split_keys(source, Scope(), 1) == split_keys(source, Scope(), 0) == []
    assert split_keys(source, Scope(keys=("1.jpg",)), 10) == []


def test_estimated_records__are_those_that_name_something_in_the_scope(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images("a/1", "a/2", "b/1", "")
    Product.objects.create(name="p", photo="a/3")
    Product.objects.create(name="p", photo="")

    assert estimated_records(source, Scope()) == 4
    assert estimated_records(source, Scope(prefix="a/")) == 3
    assert estimated_records(source, Scope(keys=("a/3", "c"))) == 1
    assert estimated_records(source, Scope(prefix="nowhere/")) == 0


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL keeps statistics")
@pytest.mark.parametrize(("known", "expected"), [(-1, 2), (0, 2), (150_000, 2), (7_000_000, 7_000_000)])
def test_estimated_records__of_a_large_table_are_what_the_database_last_knew(
    memory_source: MakeSource, known: int, expected: int
) -> None:
    _store, source = memory_source()
    make_images("a", "b")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = %s WHERE relname = %s", [known, Image._meta.db_table])

    assert estimated_records(source, Scope()) == expected
    assert estimated_records(source, Scope(prefix="a")) == 1


def test_audit__of_any_ranges_finds_the_same(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    store, source = memory_source()
    folders = ["a", "é", "\uffff", "\U0001f600"]
    names = [f"{dice.choice(folders)}/{dice.randrange(300):03}" for _ in range(600)]
    make_images(*names)
    for name in {*dice.sample(names, 400), "a/0", "zz"}:
        store.put(name)
    whole = audited(source)
    assert whole.ranges.count() == 1
    monkeypatch.setattr(claim, "LEAST_RECORDS", 20)

    parted = audited(source, strategy="list")

    assert parted.ranges.count() > 10
    assert parted.counts == whole.counts
    assert parted.unreferenced == len({key for key in store._keys if key not in names})
    assert not parted.opened.exists(), "nothing changed, so nothing is new"
    edges = [(part.first_key, part.end_key) for part in parted.ranges.order_by("number")]
    assert edges[0][0] == ""
    assert edges[-1][1] is None
    assert all(end == first for (_first, end), (first, _end) in pairwise(edges))


def test_ranges__of_a_small_scope_are_one(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images("a", "b")

    for scope in (Scope(), Scope(prefix="a"), Scope(keys=("a",)), Scope(sample=1)):
        audit = open_audit(source, scope)
        assert [(one.first_key, one.end_key) for one in audit.ranges.all()] == [("", None)]
