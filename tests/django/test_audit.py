from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from imagesync.audit import carry_out, finding_rows, open_audit, resume_audit
from imagesync.audit.book import Book
from imagesync.core.progress import Progress
from imagesync.core.verdicts import Evidence, Verdict
from imagesync.exceptions import AlreadyRunning
from imagesync.models import Audit, Finding, Image
from imagesync.records import Scope
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, verdicts

pytestmark = pytest.mark.django_db


def test_audit__tells_present_from_missing_and_marks_both(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")

    audit = audited(source)

    assert audit.trust == "trustworthy"
    assert (audit.counts["records"], audit.counts["present"], audit.counts["missing"]) == (2, 1, 1)
    assert verdicts() == {"a.jpg": "present", "b.jpg": "missing"}
    assert Image.objects.get(file="b.jpg").missing_since is not None
    [finding] = finding_rows(audit)
    assert finding["record"] == f"imagesync.Image:{Image.objects.get(file='b.jpg').pk}"
    assert finding["evidence"]["operation"] == "GetObject"
    assert (finding["evidence"]["status"], finding["evidence"]["code"]) == (404, "NoSuchKey")


def test_audit__marks_again_what_was_stored_anew_and_is_gone_again(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    [image] = make_images("a.jpg")
    audited(source)
    before = Finding.objects.values().get()
    Image.objects.update(verdict="unchecked", verdict_at=None, missing_since=None)  # as an upload leaves it

    unmarked = audited(source, marks=False)
    assert verdicts() == {"a.jpg": "unchecked"}
    again = audited(source)

    image.refresh_from_db()
    assert (image.verdict, image.missing_since is None) == ("missing", False)
    assert Finding.objects.values().get() == before, "the finding stood all the time"
    assert unmarked.counts["missing"] == again.counts["missing"] == 1


def test_audit__counts_objects_that_no_record_names(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("b.jpg", "b.jpg", "d.jpg")
    for key in ("a.jpg", "b.jpg", "c.jpg", "e.jpg"):
        store.put(key)

    audit = audited(source)

    assert audit.unreferenced == 3
    assert audit.saw_all_objects


def test_audit__unchanged_findings_cost_no_write(
    memory_source: MakeSource, django_assert_num_queries
) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    audited(source)
    before = Finding.objects.values().get()
    touched = Image.objects.get(file="b.jpg").verdict_at

    again = audited(source)

    assert Finding.objects.values().get() == before
    assert Image.objects.get(file="b.jpg").verdict_at == touched
    assert [one["verdict"] for one in finding_rows(again)] == ["missing"]


def test_audit__an_object_that_comes_back_heals_its_record(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    first = audited(source)
    store.put("b.jpg")

    second = audited(source)

    assert verdicts() == {"a.jpg": "present", "b.jpg": "present"}
    assert Image.objects.get(file="b.jpg").missing_since is None
    assert Finding.objects.get().closed_by == second
    assert list(finding_rows(second)) == []
    assert [one["verdict"] for one in finding_rows(first)] == ["missing"]


@pytest.mark.parametrize("strategy", ["auto", "list"])
def test_audit__of_a_store_that_lists_in_another_order_sorts_it_itself(
    memory_source: MakeSource, strategy: str
) -> None:
    store, source = memory_source()
    names = [f"{number:04}.jpg" for number in range(1500)]
    make_images(*names, "9999.jpg", names[7])
    for name in names[5:]:
        store.put(name)
    store.put("unnamed")
    whole = store.list_page

    def in_its_own_order(**asked):
        answer = whole(**asked)
        answer.page["Contents"].reverse()
        return answer

    store.list_page = in_its_own_order  # type: ignore[method-assign]

    audit = carry_out(open_audit(source, Scope(), strategy=strategy), source)

    assert audit.trust == "trustworthy"
    assert (audit.counts["present"], audit.counts["missing"]) == (1496, 6)
    assert (audit.saw_all_objects, audit.unreferenced) == (True, 1)
    assert sorted(one["key"] for one in finding_rows(audit)) == [*names[:5], "9999.jpg"]


def test_audit__of_a_store_that_ignores_start_after_sorts_it_itself(memory_source: MakeSource) -> None:
    store, source = memory_source()
    names = [f"{number:05}.jpg" for number in range(12_000)]
    make_images(*names)
    for name in names[10:]:
        store.put(name)
    honest = store.list_page
    store.list_page = lambda **asked: honest(**{**asked, "start_after": ""})  # type: ignore[method-assign]

    audit = audited(source)

    assert audit.ranges.count() > 1
    assert audit.trust == "trustworthy"
    assert (audit.counts["present"], audit.counts["missing"]) == (11_990, 10)


def test_audit__verdicts_beside_present_and_missing(memory_source: MakeSource) -> None:
    store, source = memory_source(versioning="enabled")
    make_images("deleted.jpg", "empty.jpg", "cold.jpg", "a//b.jpg", "resized.jpg", "fine.jpg")
    Image.objects.filter(file="resized.jpg").update(size_bytes=10)
    store.put("deleted.jpg")
    store.delete("deleted.jpg")
    store.put("empty.jpg", size_bytes=0)
    store.put("cold.jpg", storage_class="GLACIER")
    store.put("resized.jpg", size_bytes=11)
    store.put("fine.jpg")

    audited(source)

    assert verdicts() == {
        "deleted.jpg": "recoverable",
        "empty.jpg": "mismatched",
        "cold.jpg": "archived",
        "a//b.jpg": "ambiguous",
        "resized.jpg": "mismatched",
        "fine.jpg": "present",
    }


def test_audit__a_record_of_another_store_is_unknown_until_adopted(memory_source: MakeSource) -> None:
    store, source = memory_source()
    other = "0123456789abcdef0123456789abcdef"
    make_images("a.jpg", "b.jpg", "c.jpg")
    Image.objects.exclude(file="c.jpg").update(store=other)
    store.put("a.jpg")

    audit = audited(source)

    assert Image.objects.get(file="a.jpg").store == store.identity.fingerprint
    assert {one["key"]: one["reason"] for one in finding_rows(audit)} == {
        "b.jpg": "written_elsewhere",
        "c.jpg": "",
    }

    adopted = audited(source, Scope(adopt=(other,)))

    assert adopted.counts["missing"] == 2
    assert Image.objects.get(file="b.jpg").store == store.identity.fingerprint


def test_audit__no_mark_leaves_every_row_alone(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    before = list(Image.objects.order_by("pk").values())

    audit = audited(source, marks=False)

    assert list(Image.objects.order_by("pk").values()) == before
    assert audit.counts["missing"] == 1


def test_audit__a_record_uploaded_anew_while_it_ran_is_not_marked(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    [image] = make_images("a.jpg")
    audit = open_audit(source, Scope())

    class Uploading(Progress):
        def begin(self, what: str, total: int | None = None) -> None:
            if what == "checking the store once more":
                image.save()

    carry_out(audit, source, Uploading())

    image.refresh_from_db()
    assert audit.counts["missing"] == 1
    assert image.verdict == "unchecked"


def test_audit__two_of_the_same_scope_exclude_each_other(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    first = open_audit(source, Scope())

    with pytest.raises(AlreadyRunning, match=f"Audit {first.pk} of bucket 'memory' is running"):
        open_audit(source, Scope())

    assert open_audit(source, Scope(prefix="x/")).pk


def test_audit__a_dead_one_is_retired_when_its_lease_ran_out(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    dead = open_audit(source, Scope())
    Audit.objects.filter(pk=dead.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    second = open_audit(source, Scope())

    dead.refresh_from_db()
    assert (dead.state, second.state) == ("interrupted", "running")


@pytest.mark.parametrize("stop_after", [1, 2, 5, 9])
def test_audit__resumed_finds_what_an_undisturbed_one_finds(
    memory_source: MakeSource, settings, stop_after: int
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "BATCH_SIZE": 3}
    store, source = memory_source()
    names = [f"{number:02}.jpg" for number in range(20)]
    make_images(*names, *names[5:10])
    for name in names[::2]:
        store.put(name)
    for extra in ("05.jpg.bak", "99.txt", "00"):
        store.put(extra)
    audit = open_audit(source, Scope())
    looked = 0
    honest = store.get

    def stops(key: str) -> Evidence:
        nonlocal looked
        looked += not key.startswith(".imagesync/")
        if looked > stop_after:
            raise KeyboardInterrupt
        return honest(key)

    store.get = stops  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        carry_out(audit, source)
    store.get = honest  # type: ignore[method-assign]
    audit.refresh_from_db()
    assert audit.state == "interrupted"
    assert not Finding.objects.open().exists()

    carry_out(resume_audit(audit, source), source)

    assert audit.trust == "trustworthy"
    assert (audit.counts["records"], audit.counts["present"], audit.counts["missing"]) == (25, 12, 13)
    assert audit.unreferenced == 3
    assert sorted(one["key"] for one in finding_rows(audit)) == sorted([*names[1::2], *names[5:10:2]])


def test_audit__a_deleted_record_closes_its_finding(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "c.jpg")
    store.put("a.jpg")
    audited(source)
    Image.objects.get(file="b.jpg").delete()
    Image.objects.filter(file="c.jpg").update(file="d.jpg")

    audit = audited(source)

    assert [one["key"] for one in finding_rows(audit)] == ["d.jpg"]
    assert Finding.objects.open().count() == 1


def test_audit__joins_in_byte_order_whatever_the_databases_collation(
    memory_source: MakeSource, settings
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "BATCH_SIZE": 4}
    store, source = memory_source()
    names = [
        "a",
        "B",
        "Z",
        "_",
        "-a",
        "a-b",
        "a b",
        "ab",
        "\u00e9",
        "e\u0301",
        "z",
        "\uffff",
        "\U0001f600",
        "A",
        "b",
        "0",
        "~",
    ]
    make_images(*names, *names[:3])
    for name in names[::2]:
        store.put(name)

    audit = audited(source)

    assert audit.trust == "trustworthy"
    assert {one["key"] for one in finding_rows(audit)} == set(names[1::2])
    assert audit.counts["present"] + audit.counts["missing"] == len(names) + 3


def test_audit__every_verdict_is_counted(memory_source: MakeSource) -> None:
    _store, source = memory_source()

    audit = audited(source)

    assert set(audit.counts) == {"records", *Verdict}


def test_audit__does_not_mark_a_file_that_was_replaced_while_it_looked(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = memory_source()
    make_images("a.jpg")
    store.put("a.jpg")
    note = Book.note

    def replaced_before(*args: Any) -> None:
        Image.objects.update(file="other.jpg", verdict="unchecked", store="")
        note(*args)

    monkeypatch.setattr(Book, "note", replaced_before)
    audited(source)

    assert list(Image.objects.values_list("file", "verdict", "store")) == [("other.jpg", "unchecked", "")]
