"""Telling people: what is news, and what is said of it, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from imagesync import tasks
from imagesync.audit import open_audit
from imagesync.core.verdicts import Evidence
from imagesync.models import Audit, ToldStore
from imagesync.notices import decide
from imagesync.records import Scope
from tests.conftest import MakeSource
from tests.django.helpers import audited
from tests.django.noticing import OWN, heard, kinds, notify, tell

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_queue")]
COMMITS = pytest.mark.django_db(transaction=True)


def test_breakage__is_told_with_counts_cause_places_and_the_link(three_of_six: Any) -> None:
    _store, source = three_of_six
    audit = audited(source)

    with notify(OWN, BASE_URL="https://www.example.com"):
        tell()

    [message] = heard
    assert message.subject == "Images in test-bucket: 3 more broken"
    assert message.document["link"] == f"https://www.example.com/admin/imagesync/audit/{audit.pk}/change/"
    assert message.text.splitlines() == [
        "s3://test-bucket/ (us-east-1)",
        "",
        "3 more broken.",
        "  missing             3   (+3 since it was told last)",
        "",
        "Likely cause",
        "  one_folder: 100 % of what is missing lies in one folder, 'img/'.",
        "    -> Look for what deletes there: a lifecycle rule with this prefix, a clean-up job, a folder that was moved.",
        "  one_day: 100 % of what is missing was uploaded on 2025-10-27.",
        "    -> Look at what was deployed, imported or restored that day.",
        "",
        "Where most of what is missing lies",
        "  100 %  img/",
        "",
        f"Audit {audit.pk} of {audit.finished_at:%Y-%m-%d %H:%M} UTC: trustworthy.",
        f"https://www.example.com/admin/imagesync/audit/{audit.pk}/change/",
        "Nothing was deleted: an audit only looks. manage.py check_s3_images lists the records.",
    ]


def test_without_a_base_url__the_path_is_told(three_of_six: Any) -> None:
    _store, source = three_of_six
    audit = audited(source)

    with notify(OWN):
        tell()

    assert heard[0].document["link"] == f"/admin/imagesync/audit/{audit.pk}/change/"


def test_the_same_again__says_nothing_and_a_recovery_is_told_when_it_lasts(three_of_six: Any) -> None:
    store, source = three_of_six
    with notify(OWN):
        audited(source)
        tell()
        for _time in range(2):
            audited(source)
            assert tell() == []
        for name in "xyz":
            store.put(f"img/{name}.jpg")
        audited(source)
        tell()
        assert kinds() == ["breakage"]
        audited(source)
        tell()
        audited(source)
        tell()

    assert kinds() == ["breakage", "recovery"]
    assert heard[1].subject == "Images in test-bucket: fewer images are broken"
    assert "missing             0   (-3 since it was told last)" in heard[1].text


def test_flapping__is_told_once(three_of_six: Any) -> None:
    store, source = three_of_six
    with notify(OWN):
        for number in range(6):
            store.put("img/x.jpg") if number % 2 else store.delete("img/x.jpg")
            audited(source)
            tell()

    assert kinds() == ["breakage"]


def test_below_the_threshold__nothing_is_told(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source)

    with notify(OWN, THRESHOLD=4):
        tell()
    assert heard == []
    with notify(OWN, THRESHOLD=3):
        tell()
    assert kinds() == ["breakage"]


def test_untrustworthy__is_told_once_until_it_changes_and_no_count_with_it(three_of_six: Any) -> None:
    store, source = three_of_six
    with notify(OWN):
        audited(source)
        tell()
        store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=404, code="404"))
        store.answer(
            "ListObjectsV2", None, Evidence(operation="ListObjectsV2", status=404, code="NoSuchBucket")
        )
        for _time in range(3):
            assert audited(source).trust == "untrustworthy"
            tell()

    assert kinds() == ["breakage", "untrustworthy"]
    assert "no_bucket: There is no bucket" in heard[1].text
    assert "missing" not in heard[1].text.replace("check_s3_images lists", "")


def test_failed_and_overdue__are_told_by_the_sweep_alone(three_of_six: Any) -> None:
    _store, source = three_of_six
    audit = audited(source)
    now = timezone.now()
    with notify(OWN, OVERDUE_AFTER="26h"):
        tell(now=now)
        heard.clear()
        tell(now=now + timedelta(hours=25))
        assert heard == []
        tell(now=now + timedelta(hours=27))
        assert kinds() == ["overdue"]
        assert heard[0].document["audit"] == audit.pk
        stopped = Audit.objects.create(
            **source.store.identity.to_dict(),
            scope=Scope().to_dict(),
            scope_key=Scope().hash,
            state="interrupted",
            started_at=now,
        )
        tell(now=now + timedelta(hours=1))
        tell(now=now + timedelta(hours=2))
        tell(now=now + timedelta(hours=3))

    assert kinds() == ["overdue", "failed"]
    assert heard[1].document["audit"] == stopped.pk
    assert "An audit stopped before its end" in heard[1].text


def test_an_audit_that_is_under_way__is_neither_failed_nor_overdue(three_of_six: Any) -> None:
    _store, source = three_of_six
    open_audit(source, Scope())
    Audit.objects.update(started_at=timezone.now() - timedelta(days=3))

    with notify(OWN):
        assert tell() == []


def test_a_store_that_its_storage_names_no_more__is_history(
    three_of_six: Any, memory_source: MakeSource
) -> None:
    _store, source = three_of_six
    audited(source)
    moved, there = memory_source(bucket="new-bucket", alias="default")
    for name in ("a.jpg", "b.jpg", "c.jpg", "img/x.jpg", "img/y.jpg", "img/z.jpg"):
        moved.put(name)
    audited(there)

    with notify(OWN):
        tell(now=timezone.now() + timedelta(days=9))

    assert [(one.document["store"]["bucket"], kinds()) for one in heard] == [("new-bucket", ["overdue"])]


def test_freshness__slices_are_told_of_and_nothing_is_counted_twice(
    three_of_six: Any, django_assert_num_queries: Any
) -> None:
    _store, source = three_of_six
    left, right = Scope(end_key="img/y.jpg"), Scope(first_key="img/y.jpg")
    with notify(OWN, FRESHNESS="7d"):
        audited(source, left)
        tell()
        audited(source, right)
        tell()
        with django_assert_num_queries(3):
            tasks.watch_over()
        audited(source, left)
        tell()
        tell(now=timezone.now() + timedelta(days=6))
        assert kinds() == ["breakage", "breakage"]
        tell(now=timezone.now() + timedelta(days=8))

    assert [one.document["news"][0]["now"] for one in heard[:2]] == [{"missing": 1}, {"missing": 3}]
    assert heard[1].document["worst_prefixes"] == [{"prefix": "img/", "percent": 100}]
    assert kinds()[2:] == ["overdue"]


def test_a_look_at_a_part__as_of_an_event_is_told_by_the_next_sweep(
    three_of_six: Any, django_assert_num_queries: Any
) -> None:
    store, source = three_of_six
    with notify(OWN):
        audited(source)
        tell()
        store.delete("a.jpg")
        look = audited(source, Scope(keys=("a.jpg",)))
        tell()
        with django_assert_num_queries(3):
            tasks.watch_over()
        store.put("a.jpg")
        audited(source, Scope(keys=("a.jpg",)))
        audited(source, Scope(keys=("b.jpg",)))
        tell()
        assert kinds() == ["breakage", "breakage"]
        audited(source)
        tell()

    assert kinds() == ["breakage", "breakage", "recovery"]
    assert [one.document["news"][0]["now"] for one in heard] == [
        {"missing": 3},
        {"missing": 4},
        {"missing": 3},
    ]
    assert heard[1].document["audit"] == look.pk
    assert heard[1].document["worst_prefixes"] == [{"prefix": "/", "percent": 100}]


def test_without_freshness__an_audit_of_a_stretch_is_one_of_a_part(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source, Scope(first_key="img/"))

    with notify(OWN):
        assert tell() == []


def test_nothing_to_do__costs_three_queries(three_of_six: Any, django_assert_num_queries: Any) -> None:
    _store, source = three_of_six
    audited(source)
    with notify(OWN):
        tasks.watch_over()

        with django_assert_num_queries(3):
            assert tasks.watch_over() == {"decided": 0, "sent": 0}


def test_nobody_to_tell__nothing_is_decided(three_of_six: Any, django_assert_num_queries: Any) -> None:
    _store, source = three_of_six
    audited(source)

    assert decide() == []
    assert not ToldStore.objects.exists()
