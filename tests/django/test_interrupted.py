"""An audit that is interrupted after each batch, or within one, and one whose requests are counted."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from imagesync.audit import carry_out, claim, finding_rows, open_audit, resume_audit
from imagesync.core.cost import Prices
from imagesync.core.progress import Progress
from imagesync.models import Audit, Finding, Image
from imagesync.records import RecordChunks, Scope
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.core.paid import Bucket, key_of, requests_of
from tests.django.helpers import audited, make_images
from tests.testapp.models import Document, Sheet

pytestmark = pytest.mark.django_db

NAMES = [f"{number:04}.jpg" for number in range(400)]


class Interrupting(Progress):
    """After so many batches."""

    def __init__(self, batches: int = 1) -> None:
        super().__init__()
        self._left = batches

    def advance(self, done: int, **more: Any) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


def populate(store: MemoryStore) -> None:
    dice = random.Random(11)
    make_images(*NAMES, *dice.sample(NAMES, 80), *["0200.jpg"] * 40)
    make_images(*(f"{number:04}//odd.jpg" for number in range(0, 400, 25)))
    Document.objects.bulk_create([Document(document=name) for name in dice.sample(NAMES, 60)])
    Sheet.objects.bulk_create([Sheet(number=f"{a}{b}", paper="0200.jpg") for a in "aBäZ" for b in "bAÄz"])
    for name in dice.sample(NAMES, 250):
        store.put(name, size_bytes=dice.choice((1, 1, 1, 0)))
    for number in range(0, 400, 10):
        store.put(f"{number:04}.jpg.bak")


def forget_everything() -> None:
    Finding.objects.all().delete()
    Audit.objects.all().delete()
    Image.objects.update(verdict="unchecked", store="", missing_since=None, verdict_at=None)


def outcome(audit: Audit) -> dict[str, Any]:
    return {
        "trust": (audit.trust, audit.reasons),
        "counts": audit.counts,
        "objects": (audit.saw_all_objects, audit.unreferenced),
        "findings": sorted((one["record"], one["key"], one["verdict"]) for one in finding_rows(audit)),
        "all": Finding.objects.count(),
        "marks": list(Image.objects.order_by("pk").values_list("pk", "verdict", "store")),
    }


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
@pytest.mark.parametrize("ranges", [1, 5])
def test_audit__interrupted_after_every_batch_ends_like_an_undisturbed_one(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch, ranges: int, strategy: str
) -> None:
    monkeypatch.setattr("imagesync.audit.scan.MOST_TO_WRITE", 20)
    monkeypatch.setattr(claim, "LEAST_RECORDS", 600 // ranges)
    store, source = memory_source()
    honest = store.list_page
    store.list_page = lambda **asked: honest(**{**asked, "max_keys": 37})  # type: ignore[method-assign]
    populate(store)
    undisturbed = outcome(audited(source, strategy=strategy))
    forget_everything()
    audit = open_audit(source, Scope(), strategy=strategy)

    times = 0
    while True:
        try:
            carry_out(audit, source, Interrupting())
        except KeyboardInterrupt:
            times += 1
            assert not Finding.objects.open().exists(), "nothing is said before all is seen"
            assert not Image.objects.exclude(verdict__in=("unchecked", "present")).exists()
            audit = resume_audit(Audit.objects.get(), source)
        else:
            break

    assert times >= ranges + (strategy != "head")
    if strategy == "list":
        assert outcome(audit) == undisturbed
    else:  # where the pages lie is another matter after each interruption, so what was seen of the objects is too
        without = {"objects": None}
        assert outcome(audit) | without == undisturbed | without


def test_audit__at_a_batchs_edge_takes_no_finding_for_over(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edges lie within keys of several fields, whose primary keys are numbers, text and UUIDs."""
    monkeypatch.setattr("imagesync.audit.comparing.RecordChunks", partial(RecordChunks, size=3))
    monkeypatch.setattr("imagesync.audit.scan.MOST_TO_WRITE", 1)
    store, source = memory_source()
    populate(store)
    store.put("0200.jpg")
    store.delete("0200.jpg")
    first = audited(source, strategy="list")
    before = list(Finding.objects.order_by("pk").values())
    audit = open_audit(source, Scope(), strategy="list")

    while not audit.complete:
        try:
            carry_out(audit, source, Interrupting(batches=3))
        except KeyboardInterrupt:
            audit = resume_audit(Audit.objects.get(pk=audit.pk), source)

    assert audit.counts == first.counts
    assert list(Finding.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("gaps", "behind"),
    [
        ([1] * 900, 0),
        ([150] * 300, 20),
        ([900] * 150, 0),
        ([1, *[1_200] * 20, *[1] * 150] * 3, 2_500),
        ([5_000], 0),
    ],
    ids=["dense", "a few on a page", "lonely", "by turns", "one"],
)
@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
def test_audit__asks_for_what_the_strategy_is_reckoned_with(
    memory_source: MakeSource, gaps: list[int], behind: int, strategy: str
) -> None:
    """tests/core/paid.py plays the very requests that an audit makes."""
    store, source = memory_source()
    bucket = Bucket.of_gaps(gaps, behind=behind)
    store.put(key_of(bucket.objects - 1))
    store._objects = dict.fromkeys(map(key_of, range(bucket.objects)), store._objects.popitem()[1])
    store._keys = list(store._objects)
    make_images(*map(key_of, bucket.records))

    audit = audited(source, strategy=strategy)

    of_the_checks = 2
    assert audit.counts["present"] == len(bucket.records)
    assert {
        "LIST": audit.requests["LIST"] - of_the_checks,
        "HEAD": audit.requests.get("HEAD", 0),
    } == {"LIST": 0, "HEAD": 0} | requests_of(strategy, bucket, Prices())
