"""Audits of a part: a prefix, single records, a sample. What lies beside it stays as it is."""

from __future__ import annotations

import pytest

from imagesync.audit import audit_document, finding_rows
from imagesync.core.estimate import estimate_missing
from imagesync.models import Finding, Image
from imagesync.records import Scope
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, verdicts

pytestmark = pytest.mark.django_db


def test_audit__of_a_prefix_leaves_the_findings_beside_it_open(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a/1.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg")
    store.put("b/2.jpg")
    audited(source)
    Image.objects.get(file="b/1.jpg").delete()
    store.put("a/1.jpg")

    audit = audited(source, Scope(prefix="b/"))

    assert audit.counts["records"] == 1
    assert sorted(Finding.objects.open().values_list("key", flat=True)) == ["a/1.jpg", "c/1.jpg"]
    assert verdicts()["a/1.jpg"] == "missing"


def test_audit__of_single_records_leaves_all_other_findings_open(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("1.jpg", "2.jpg", "3.jpg")
    audited(source)
    store.put("2.jpg")

    audited(source, Scope(keys=("2.jpg",)))

    assert sorted(Finding.objects.open().values_list("key", flat=True)) == ["1.jpg", "3.jpg"]


def test_audit__of_a_sample_estimates_how_many_are_missing_in_all(memory_source: MakeSource) -> None:
    store, source = memory_source(prefix="media")
    names = [f"{folder}/{number}.jpg" for folder in ("a", "b") for number in range(60)]
    make_images(*names)
    for name in names[::2]:
        store.put(f"media/{name}")

    audit = audited(source, Scope(sample=40))
    estimate = audit_document(audit)["estimate"]

    assert (estimate["population"], estimate["sampled"]) == (120, 40)
    # the interval holds the truth in 95 of 100 samples, so what is looked at here is that it is this sample's
    expected = estimate_missing(audit.counts, 120)
    assert expected is not None
    assert (estimate["records_low"], estimate["records_high"]) == expected.records
    assert audit.counts["missing"] + audit.counts["present"] == 40
    assert audit_document(audited(source))["estimate"] is None


def test_audit__of_a_sample_of_a_prefix_draws_from_the_prefix(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"{folder}/{number}.jpg" for folder in ("a", "b") for number in range(5)))

    audit = audited(source, Scope(sample=100, prefix="b/"))

    assert audit.counts["records"] == 5
    assert {finding["key"][0] for finding in finding_rows(audit)} == {"b"}
