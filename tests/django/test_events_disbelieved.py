"""Events whose looks cannot be believed: of an unfit store, an emptied bucket, another store's record, one that goes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from imagesync.audit import looks
from imagesync.core.verdicts import Evidence
from imagesync.exceptions import CannotLook
from imagesync.models import Audit, Finding, Image
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from tests.conftest import BUCKET, MakeSource
from tests.django.helpers import audited, make_images, verdicts
from tests.django.watching import World, open_findings, work_off
from tests.queues import MemoryQueue, event

pytestmark = pytest.mark.django_db


def test_unfit_store__marks_nothing_keeps_the_messages_and_takes_no_more(world: World) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    store.fail("ListObjectsV2", 403, "AccessDenied")
    queue.send(event("a.jpg"))

    with pytest.raises(CannotLook, match="s3:ListBucket"):
        work_off(watch)
    with pytest.raises(CannotLook):
        work_off(watch)

    (message,) = queue.waiting.values()
    assert message.times == 1  # while the store is unfit, nothing is received
    assert verdicts()["a.jpg"] == "present"
    store.answer("ListObjectsV2", None, None)
    work_off(watch)
    assert verdicts()["a.jpg"] == "missing"
    assert not queue.waiting


def test_store_that_becomes_unfit_under_a_look__is_not_believed(world: World) -> None:
    store, _source, queue, watch = world
    queue.send(event("b.jpg"))
    work_off(watch)  # fit, and remembered
    store.delete("a.jpg")
    store.fail("HeadBucket", 404, "404")
    queue.send(event("a.jpg"))

    with pytest.raises(CannotLook, match="no bucket"):
        work_off(watch)

    assert verdicts()["a.jpg"] == "present"
    assert open_findings() == []
    assert queue.waiting


def test_fitness__is_remembered_but_what_looks_absent_has_the_store_checked_again(world: World) -> None:
    store, _source, queue, watch = world
    queue.send(event("a.jpg"))
    work_off(watch)
    before = store.requests
    queue.send(event("b.jpg"))
    work_off(watch)
    assert store.requests - before == {"GET": 1}

    store.delete("a.jpg")
    before = store.requests
    queue.send(event("a.jpg"))
    work_off(watch)
    assert (store.requests - before)["HEAD_BUCKET"] == 2, "what changed is looked at once more"


def test_emptied_bucket__is_marked_but_the_audit_says_collapse(memory_source: MakeSource) -> None:
    store, source = memory_source(bucket=BUCKET)
    make_images("a.jpg")
    store.put("a.jpg")
    audited(source)
    store.delete("a.jpg")

    report = work_off(Watch(MemoryQueue(event("a.jpg")), [WatchedStore(source)], started_by="events"))

    audit = Audit.objects.get(pk=report.audits[0])
    assert audit.trust == "degraded"
    assert [reason["id"] for reason in audit.reasons] == ["collapse"]


def test_record_of_another_store__is_never_called_missing(world: World) -> None:
    store, _source, queue, watch = world
    Image.objects.filter(file="a.jpg").update(store="f" * 32)
    store.delete("a.jpg")
    queue.send(event("a.jpg"))

    work_off(watch)

    assert verdicts()["a.jpg"] == "present"
    assert list(Finding.objects.open().values_list("verdict", "reason")) == [("unknown", "written_elsewhere")]


def test_look_that_fails_for_a_while__is_tried_again_and_then_written_down(world: World) -> None:
    store, _source, queue, watch = world
    store.answer("GetObject", "a.jpg", Evidence(operation="GetObject", status=503, code="SlowDown"))
    queue.send(event("a.jpg"), event("b.jpg"))

    first = work_off(watch)
    assert (first.left, len(queue.waiting), open_findings()) == (1, 1, [])
    for _try in range(3):
        work_off(watch)
    assert open_findings() == []
    work_off(watch)

    assert open_findings() == [("a.jpg", "unknown")]
    assert verdicts()["a.jpg"] == "present"
    assert not queue.waiting


def test_record_that_is_purged_meanwhile__leaves_no_finding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    store.delete("b.jpg")
    queue.send(event("a.jpg"), event("b.jpg"))
    looked = looks.confirmed

    def confirmed(*arguments: Any, **named: Any) -> Any:
        judgements = looked(*arguments, **named)
        Image.objects.filter(file="a.jpg").delete()
        Image.objects.filter(file="b.jpg").update(file="other.jpg")
        return judgements

    monkeypatch.setattr(looks, "confirmed", confirmed)
    work_off(watch)

    assert open_findings() == []
    assert verdicts() == {"other.jpg": "present"}
    assert not queue.waiting
