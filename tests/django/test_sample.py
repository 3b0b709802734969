"""``--sample N``: every record of every field has the same chance, and N are looked at, no more."""

from __future__ import annotations

from collections import Counter

import pytest

from imagesync.audit import finding_rows
from imagesync.records import Scope, Source, count_records, ordered_records
from imagesync.records.sampling import draw_sample
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images
from tests.testapp.models import Document, Product, TwoFiles

pytestmark = pytest.mark.django_db


def drawn(source: Source, scope: Scope) -> list[str]:
    return [f"{one.target.label}:{one.key}" for one in ordered_records(source, draw_sample(source, scope))]


def test_sample__gives_every_record_of_every_model_the_same_chance(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"i/{number}" for number in range(20)))
    Document.objects.bulk_create([Document(document=f"d/{number}") for number in range(10)])
    Product.objects.bulk_create([Product(name="p", photo=f"p/{number}") for number in range(10)])

    times: Counter[str] = Counter()
    for _ in range(400):
        times.update(drawn(source, Scope(sample=10)))

    # 100 of 400 each, with a standard deviation of 8.7: no limit is reached by chance in a thousand years
    assert len(times) == 40
    assert sum(times.values()) == 4_000
    assert all(40 < number < 160 for number in times.values()), times


def test_sample__of_a_model_with_two_files_draws_files_and_not_rows(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    TwoFiles.objects.bulk_create([TwoFiles(file=f"f/{n}", thumbnail=f"t/{n}") for n in range(30)])

    audit = audited(source, Scope(sample=20))

    assert audit.counts["records"] == 20
    assert audit.scope["population"] == 60
    again = [len(drawn(source, Scope(sample=20))) for _ in range(20)]
    assert again == [20] * 20


@pytest.mark.parametrize("number", [7, 8, 1_000])
def test_sample__larger_than_the_table_is_all_of_it(memory_source: MakeSource, number: int) -> None:
    _store, source = memory_source()
    make_images("a", "b", "c", "")
    TwoFiles.objects.bulk_create([TwoFiles(file="f", thumbnail="t"), TwoFiles(file="g", thumbnail="u")])

    audit = audited(source, Scope(sample=number))

    assert (audit.counts["records"], audit.scope["population"]) == (7, 7)
    assert len(list(finding_rows(audit))) == 7


def test_sample__of_no_record_is_none(memory_source: MakeSource) -> None:
    _store, source = memory_source()

    audit = audited(source, Scope(sample=5))

    assert audit.trust == "trustworthy"
    assert audit.counts["records"] == 0


def test_sample__of_a_prefix_is_drawn_from_all_its_fields(memory_source: MakeSource) -> None:
    _store, source = memory_source(prefix="media")
    make_images("a/1", "a/2", "b/1")
    Document.objects.create(document="a/3")
    TwoFiles.objects.create(file="b/2", thumbnail="a/4")

    assert {one.split(":")[1] for one in drawn(source, Scope(sample=100, prefix="media/a/"))} == {
        f"media/a/{number}" for number in range(1, 5)
    }
    assert len(drawn(source, Scope(sample=2, prefix="media/a/"))) == 2


def test_sample__once_drawn_is_the_same_records_again(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"{number}" for number in range(50)))
    TwoFiles.objects.bulk_create([TwoFiles(file=f"f/{n}", thumbnail=f"t/{n}") for n in range(50)])
    scope = draw_sample(source, Scope(sample=15))

    again = Scope.from_dict(scope.to_dict())

    assert again == scope
    assert count_records(source, again) == 15
    assert ordered_records(source, again) == ordered_records(source, scope)
