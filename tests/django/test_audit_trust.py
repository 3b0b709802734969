"""What an audit does not believe: failed looks, an unfit store, canaries that are gone, a listing that breaks."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier

import pytest

from imagesync.audit import carry_out, finding_rows, open_audit, resume_audit
from imagesync.audit.book import Book
from imagesync.audit.comparing import Comparing
from imagesync.core.verdicts import Evidence
from imagesync.models import Audit, Finding, Image
from imagesync.records import Scope
from tests.conftest import MakeSource
from tests.django.beside import once_after
from tests.django.helpers import audited, make_images, verdicts

pytestmark = pytest.mark.django_db

SECONDS = 60


def interrupt() -> None:
    raise KeyboardInterrupt


def test_audit__what_was_stored_anew_is_not_marked_by_a_store_that_turns_unfit(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = memory_source()
    make_images("a.jpg")
    audited(source)
    Image.objects.update(verdict="unchecked", verdict_at=None, missing_since=None)
    settle = Book.settle
    monkeypatch.setattr(Book, "settle", lambda book, *, believed, now: settle(book, believed=False, now=now))

    audited(source)

    assert verdicts()["a.jpg"] != "missing"


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (403, "AccessDenied", "denied"),
        (503, "SlowDown", "unknown"),
        (404, "NoSuchBucket", "unknown"),
        (404, "", "unknown"),
        (None, "ReadTimeoutError", "unknown"),
    ],
)
def test_audit__a_failed_look_never_overwrites_what_is_known(
    memory_source: MakeSource, status: int | None, code: str, verdict: str
) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "c.jpg")
    store.put("a.jpg")
    audited(source)
    assert verdicts()["b.jpg"] == "missing"
    store.fail("GetObject", status, code, key="b.jpg")

    second = audited(source)

    assert second.trust == "degraded"
    assert second.counts[verdict] == 1
    assert verdicts()["b.jpg"] == "missing"
    assert {one["key"]: one["verdict"] for one in finding_rows(second)} == {
        "b.jpg": verdict,
        "c.jpg": "missing",
    }

    store.answer("GetObject", "b.jpg", None)
    third = audited(source)
    assert {one["key"]: one["verdict"] for one in finding_rows(third)} == {
        "b.jpg": "missing",
        "c.jpg": "missing",
    }


def test_audit__an_unfit_store_scans_nothing(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg")
    store.answer(
        "HeadBucket",
        None,
        Evidence(operation="HeadBucket", status=200, headers={"x-amz-bucket-region": "eu-north-1"}),
    )

    audit = audited(source)

    assert audit.trust == "untrustworthy"
    assert audit.reasons[0]["id"] == "wrong_region"
    assert "eu-north-1" in audit.reasons[0]["hint"]
    assert set(audit.counts.values()) == {0}
    assert verdicts() == {"a.jpg": "unchecked"}
    assert not Finding.objects.exists()


def test_audit__one_that_scanned_nothing_reports_nothing_of_earlier_ones(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg")
    [finding] = finding_rows(audited(source))
    assert finding["verdict"] == "missing"
    store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=404, code="404"))

    unfit = audited(source)

    assert (unfit.trust, unfit.counts["missing"]) == ("untrustworthy", 0)
    assert list(finding_rows(unfit)) == []
    assert verdicts() == {"a.jpg": "missing"}


def test_audit__a_store_unfit_afterwards_turns_missing_into_unknown(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    audit = open_audit(source, Scope())
    answers = iter([Evidence(operation="HeadBucket", status=200)])
    store.head_bucket = lambda: next(answers, Evidence(operation="HeadBucket", status=404, code="404"))  # type: ignore[method-assign]

    carry_out(audit, source)

    assert audit.trust == "untrustworthy"
    assert (audit.counts["missing"], audit.counts["unknown"]) == (0, 1)
    assert verdicts()["b.jpg"] == "unknown"
    assert [(one["verdict"], one["reason"]) for one in finding_rows(audit)] == [
        ("unknown", "store_unfit_afterwards")
    ]


def test_audit__all_canaries_gone_is_a_collapse(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    store.put("b.jpg")
    audited(source)
    store.delete("a.jpg")
    store.delete("b.jpg")

    audit = audited(source)

    assert audit.trust == "degraded"
    assert audit.reasons[0]["id"] == "collapse"
    assert audit.counts["missing"] == 2


def test_audit__that_began_on_an_empty_store_and_is_resumed_on_the_right_one_is_not_believed(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagesync.audit.claim.LEAST_RECORDS", 4)
    store, source = memory_source()
    names = [f"{number:02}.jpg" for number in range(40)]
    make_images(*names)
    for name in names:
        store.put(name)
    audited(source)
    for name in names:
        store.delete(name)
    audit = open_audit(source, Scope())
    with monkeypatch.context() as patched:
        once_after(patched, Comparing, "_write_down", interrupt)
        with pytest.raises(KeyboardInterrupt):
            carry_out(audit, source)
    assert Finding.objects.filter(verdict="missing").exists()
    for name in names:
        store.put(name)

    again = carry_out(resume_audit(Audit.objects.get(pk=audit.pk), source), source)

    assert (again.trust, [reason["id"] for reason in again.reasons]) == ("untrustworthy", ["collapse"])
    assert "not any more" in again.reasons[0]["fact"]
    assert (again.counts["missing"], list(finding_rows(again))) == (0, [])
    assert set(verdicts().values()) == {"present"}
    assert audited(source).trust == "trustworthy"


def test_audit__that_began_on_an_empty_store_and_is_resumed_there_is_the_collapse_that_it_was(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    audited(source)
    store.delete("a.jpg")
    audit = open_audit(source, Scope())
    with monkeypatch.context() as patched:
        once_after(patched, Comparing, "_write_down", interrupt)
        with pytest.raises(KeyboardInterrupt):
            carry_out(audit, source)

    again = carry_out(resume_audit(Audit.objects.get(pk=audit.pk), source), source)

    assert (again.trust, [reason["id"] for reason in again.reasons]) == ("degraded", ["collapse"])
    assert again.counts["missing"] == 2


def test_audit__all_canaries_are_waited_for_once(memory_source: MakeSource) -> None:
    store, source = memory_source()
    names = [f"{number:02}.jpg" for number in range(20)]
    make_images(*names)
    for name in names:
        store.put(name)
    audited(source)
    under_way, honest = Barrier(20), store.head

    def waiting_for_all(key: str) -> Evidence:
        under_way.wait(SECONDS)
        return honest(key)

    store.head = waiting_for_all  # type: ignore[method-assign]

    audit = audited(replace(source, workers=16))

    assert audit.trust == "trustworthy"
    assert audit.requests["HEAD"] == 20


def test_audit__a_canary_that_cannot_be_looked_at_ends_it(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg", "b.jpg")
    store.put("a.jpg")
    store.put("b.jpg")
    audited(source)
    store.fail("HeadObject", 403, "403", key="b.jpg")
    store.fail("GetObject", 403, "AccessDenied", key="b.jpg")

    audit = audited(source)

    assert audit.trust == "untrustworthy"
    assert audit.reasons[0]["id"] == "canary_failed"
    assert audit.counts["records"] == 0


def test_audit__a_listing_that_breaks_proves_nothing_behind_it(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images(*(f"{number:04}.jpg" for number in range(1500)), "9999.jpg")
    for number in range(1500):
        store.put(f"{number:04}.jpg")
    whole = store.list_page

    def broken(**asked):
        answer = whole(**asked)
        if asked.get("token"):
            answer.page["Name"] = "another"
        return answer

    store.list_page = broken  # type: ignore[method-assign]

    audit = audited(source)

    assert audit.trust == "untrustworthy"
    assert audit.reasons[0]["id"] == "listing_broken"
    assert (audit.counts["present"], audit.counts["unknown"], audit.counts["missing"]) == (1000, 501, 0)
