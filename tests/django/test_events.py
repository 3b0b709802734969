"""Live events: one batch after the other, from a message to what is marked; and as a task."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Schedule

from imagesync import signals, tasks
from imagesync.audit import audit_document, finding_rows, looks
from imagesync.core.queues import QueueSettings
from imagesync.doctor.events import event_checks
from imagesync.models import Audit, Finding, Image
from imagesync.purge.basis import latest_audit
from imagesync.records import Source, find_sources
from imagesync.storage.memory import MemoryStore
from imagesync.storage.queue import SqsQueue
from imagesync.storage.store import ClientOptions
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, MakeSource
from tests.django.beside import Beside, once_before, watch
from tests.django.helpers import audited, make_images, run, verdicts
from tests.django.watching import World, open_findings, work_off
from tests.queues import MemoryQueue, RealQueue, bridged, by_topic, event
from tests.testapp.models import Document

pytestmark = pytest.mark.django_db


def test_removed__marks_the_record_on_evidence_and_keeps_an_audit_of_it(world: World) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    queue.send(event("a.jpg"))

    report = work_off(watch)

    assert verdicts() == {"a.jpg": "missing", "b.jpg": "present"}
    finding = Finding.objects.open().get()
    assert finding.last_evidence["code"] == "NoSuchKey"
    audit = Audit.objects.get(pk=report.audits[0])
    assert finding.opened_by == audit
    assert (audit.state, audit.trust, audit.started_by) == ("finished", "trustworthy", "events")
    assert (audit.full_scope, audit.scope) == (False, {"keys": ["a.jpg"]})
    document = audit_document(audit)
    assert (document["counts"]["records"], document["counts"]["missing"]) == (1, 1)
    assert [row["key"] for row in finding_rows(audit)] == ["a.jpg"]
    assert not queue.waiting


def test_watch__whose_clock_is_ahead_marks_nothing_that_was_stored_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it writes is dated by the database, two hours behind here; the row was written after that."""
    store, _source, queue, watch = world
    monkeypatch.setattr(
        "imagesync.models.leases._database_now", lambda _model: timezone.now() - timedelta(hours=2)
    )
    store.delete("a.jpg")
    queue.send(event("a.jpg"))

    report = work_off(watch)

    finding, audit = Finding.objects.open().get(), Audit.objects.get(pk=report.audits[0])
    for at in (finding.opened_at, audit.started_at, audit.finished_at):
        assert at is not None
        assert timedelta(hours=1) < timezone.now() - at < timedelta(hours=3)
    assert verdicts()["a.jpg"] == "present"


def test_removed__of_an_object_that_is_there_marks_nothing_and_keeps_no_audit(world: World) -> None:
    _store, _source, queue, watch = world
    audits = Audit.objects.count()
    queue.send(event("a.jpg"))

    report = work_off(watch)

    assert (report.looked, report.changes, Audit.objects.count()) == (1, [], audits)
    assert verdicts()["a.jpg"] == "present"
    assert not queue.waiting


@pytest.mark.parametrize("name", ["ObjectCreated:Put", "ObjectRestore:Completed", "ObjectRemoved:Delete"])
def test_any_event__heals_what_is_there_again(world: World, name: str) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    queue.send(event("a.jpg"))
    work_off(watch)
    store.put("a.jpg")
    queue.send(event("a.jpg", name))

    report = work_off(watch)

    assert verdicts()["a.jpg"] == "present"
    assert open_findings() == []
    closed = Finding.objects.get()
    assert closed.closed_by_id == report.audits[0] != closed.opened_by_id


def test_upload__is_marked_present_and_leaves_no_audit(world: World) -> None:
    store, _source, queue, watch = world
    audits = Audit.objects.count()
    make_images("new.jpg")
    store.put("new.jpg")
    queue.send(event("new.jpg", "ObjectCreated:Put"))

    report = work_off(watch)

    assert verdicts()["new.jpg"] == "present"
    assert [one.record.key for one in report.changes] == ["new.jpg"]
    assert (report.audits, Audit.objects.count()) == ([], audits)


@pytest.mark.parametrize(
    "name", ["ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:DeleteMarkerCreated"]
)
def test_delete_marker__makes_recoverable(memory_source: MakeSource, name: str) -> None:
    store, source = memory_source(bucket=BUCKET, versioning="enabled")
    make_images("a.jpg")
    store.put("a.jpg")
    queue = MemoryQueue(event("a.jpg", name))
    store.delete("a.jpg")

    work_off(Watch(queue, [WatchedStore(source)], started_by="events"))

    assert verdicts() == {"a.jpg": "recoverable"}


@pytest.mark.parametrize("name", ["LifecycleExpiration:Delete", "ReducedRedundancyLostObject"])
def test_expired_and_lost__are_looked_at_too(world: World, name: str) -> None:
    store, _source, queue, watch = world
    store.delete("b.jpg")
    queue.send(event("b.jpg", name))

    work_off(watch)

    assert verdicts()["b.jpg"] == "missing"


def test_removed__again_is_marked_although_its_finding_stood_all_the_time(world: World) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    queue.send(event("a.jpg"))
    work_off(watch)
    Image.objects.filter(file="a.jpg").update(verdict="unchecked", verdict_at=None, missing_since=None)
    audits = Audit.objects.count()
    queue.send(event("a.jpg"))

    report = work_off(watch)

    assert verdicts()["a.jpg"] == "missing"
    assert (open_findings(), report.audits, Audit.objects.count()) == ([("a.jpg", "missing")], [], audits)
    assert not queue.waiting


@pytest.mark.parametrize("order", [("created", "removed"), ("removed", "created")])
@pytest.mark.parametrize("is_there", [True, False])
def test_order_and_duplicates__change_nothing(world: World, order: tuple[str, str], is_there: bool) -> None:
    store, _source, queue, watch = world
    if not is_there:
        store.delete("a.jpg")
    bodies = {"created": event("a.jpg", "ObjectCreated:Put"), "removed": event("a.jpg")}
    queue.send(*[bodies[what] for what in order], bodies[order[0]])
    work_off(watch)
    queue.send(bodies[order[1]], bodies[order[0]])  # and once more, in a batch of their own

    again = work_off(watch)

    assert verdicts()["a.jpg"] == ("present" if is_there else "missing")
    assert open_findings() == ([] if is_there else [("a.jpg", "missing")])
    assert (again.audits, again.changes) == ([], [])


KEYS = ["a+b.jpg", "a b.jpg", "a%2Bb.jpg", "käse €.jpg"]


@pytest.mark.parametrize(
    "written",
    [event, lambda key: event(key, quoted=False), bridged, lambda key: by_topic(event(key))],
    ids=["quoted", "as it is", "eventbridge", "topic"],
)
def test_key__in_four_encodings_finds_its_record_and_no_other(
    memory_source: MakeSource, written: Callable[[str], str]
) -> None:
    store, source = memory_source(bucket=BUCKET)
    make_images(*KEYS)
    for key in KEYS:
        store.put(key)
    audited(source)
    queue = MemoryQueue()
    watch = Watch(queue, [WatchedStore(source)], started_by="events")

    for number, key in enumerate(KEYS, start=1):
        store.delete(key)
        queue.send(written(key))
        work_off(watch)

        assert {name for name, verdict in verdicts().items() if verdict == "missing"} == set(KEYS[:number])


def test_other_stores_and_unnamed_keys__are_counted_and_cost_one_query_per_field(world: World) -> None:
    _store, source, queue, watch = world
    queue.send(
        event("x.jpg"),
        event("y.jpg", "ObjectCreated:Put"),
        event("a.jpg", bucket="another"),
        event("a.jpg", "ObjectTagging:Put"),
    )

    with CaptureQueriesContext(
        connection,
    ) as queries:
        report = work_off(watch)

    assert (report.events, report.unnamed, report.elsewhere, report.passed_over) == (3, 2, 1, 1)
    assert len(queries) == len(source.targets)
    assert not queue.waiting


def test_many_messages__are_one_batch_of_a_hundred_at_most(world: World) -> None:
    _store, source, queue, watch = world
    queue.send(*[event(f"x{number}.jpg") for number in range(105)])

    with CaptureQueriesContext(connection) as queries:
        report = work_off(watch)

    assert (report.messages, report.unnamed, len(queries)) == (100, 100, len(source.targets))
    assert len(queue.waiting) == 5


def test_nothing_in_the_queue__asks_neither_the_database_nor_the_store(world: World) -> None:
    store, _source, _queue, watch = world
    before = store.requests

    with CaptureQueriesContext(connection) as queries:
        report = work_off(watch)

    assert (report.messages, len(queries), store.requests) == (0, 0, before)


def test_other_models__have_findings(memory_source: MakeSource) -> None:
    store, source = memory_source(bucket=BUCKET)
    document = Document.objects.create(document="a.pdf")
    store.put("a.pdf")
    audited(source)
    store.delete("a.pdf")

    report = work_off(Watch(MemoryQueue(event("a.pdf")), [WatchedStore(source)], started_by="events"))

    assert open_findings() == [("a.pdf", "missing")]
    assert [one.record.label for one in report.changes] == [f"testapp.Document:{document.pk}"]


@pytest.mark.parametrize("way", ["topic", "topic, raw", "bridge"])
def test_bucket__that_writes_to_the_queue_by_way_of_another_service(s3: EmbeddedS3, way: str) -> None:
    make_images("ä b+c.jpg", "ä b c.jpg")
    for key in ("ä b+c.jpg", "ä b c.jpg"):
        s3.put(BUCKET, key)
    (source,) = find_sources()
    audited(source)
    there = RealQueue(s3, notified=False)
    if way == "bridge":
        there.written_to_by_bridge(s3)
    else:
        there.written_to_by_topic(s3, raw=way == "topic, raw")
    settings = QueueSettings(queue_url=there.url)
    queue = SqsQueue.from_storage(storages["default"], settings, ClientOptions())
    s3.delete(BUCKET, "ä b+c.jpg")

    report = work_off(Watch(queue, [WatchedStore(source)], started_by="events"))

    assert verdicts() == {"ä b+c.jpg": "missing", "ä b c.jpg": "present"}
    assert (len(report.changes), report.set_aside, there.messages()) == (1, 0, 0)


def test_purge__never_rests_on_the_audit_of_an_event(world: World) -> None:
    store, source, queue, watch = world
    whole = latest_audit(source)
    store.delete("a.jpg")
    queue.send(event("a.jpg"))

    report = work_off(watch)

    assert report.audits
    assert latest_audit(source) == whole


def test_signals__tell_of_marks_with_the_audit_where_there_is_one(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    make_images("new.jpg")
    store.put("new.jpg")
    told: list[tuple[str, bool]] = []

    def receiver(sender: Any, changes: Any, audit: Any, **kwargs: Any) -> None:
        told.extend((change.new, audit is not None) for change in changes)

    signals.verdicts_changed.connect(receiver)
    try:
        for body in (event("a.jpg"), event("new.jpg", "ObjectCreated:Put")):
            queue.send(body)
            with django_capture_on_commit_callbacks(execute=True):
                work_off(watch)
    finally:
        signals.verdicts_changed.disconnect(receiver)

    assert told == [("missing", True), ("present", False)]


def test_task__works_off_what_waits_and_tells_figures_alone(s3: EmbeddedS3, settings: Any) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")
    queue = RealQueue(s3)
    settings.IMAGESYNC = {"EVENTS": {"QUEUE_URL": queue.url}}
    s3.delete(BUCKET, "a.jpg")

    figures = tasks.watch_events()

    assert (figures["messages"], figures["changes"], queue.messages()) == (1, 1, 0)
    assert verdicts() == {"a.jpg": "missing"}
    assert all(isinstance(value, int) for value in figures.values())


def test_schedule__watches_beside_the_others() -> None:
    run("imagesync_schedule", "--check", "daily")

    for _time in range(2):
        code, out, _err = run("imagesync_schedule", "--watch", "* * * * *")
        assert code == 0

    assert Schedule.objects.get(name="imagesync.watch_events").func == "imagesync.tasks.watch_events"
    assert "imagesync.check_images" in out
    assert run("imagesync_schedule", "--remove")[1] == "Nothing is scheduled.\n"


def test_setting__that_cannot_be_meant_is_a_system_check(settings: Any) -> None:
    settings.IMAGESYNC = {"EVENTS": {"QUEUE_URL": "images"}}

    (error,) = run_checks(tags=["imagesync"])

    assert error.id == "imagesync.E001"
    assert "QUEUE_URL" in error.msg


@pytest.mark.parametrize(
    ("denied", "queue", "status", "diagnosis"),
    [
        (set(), "", "ok", ""),
        ({"sqs:GetQueueAttributes"}, "", "failed", "queue_denied"),
        (set(), "nowhere", "failed", "no_queue"),
    ],
)
def test_doctor__asks_the_queue_without_receiving(
    s3: EmbeddedS3, settings: Any, denied: set[str], queue: str, status: str, diagnosis: str
) -> None:
    there = RealQueue(s3, notified=False)
    there.send("one")
    settings.IMAGESYNC = {"EVENTS": {"QUEUE_URL": f"{there.url}{queue}", "VISIBILITY_TIMEOUT": "1h"}}
    s3.denied[s3.access_key] = denied

    (check,) = event_checks(find_sources())

    assert (check.status, check.diagnosis) == (status, diagnosis)
    s3.denied.clear()
    assert len(there.client.receive_message(QueueUrl=there.url, WaitTimeSeconds=1)["Messages"]) == 1


def test_doctor__without_a_queue_has_nothing_to_ask() -> None:
    (check,) = event_checks([])

    assert check.status == "not asked"


@pytest.mark.django_db(transaction=True)
def test_watch__writes_it_down_beside_somebody_who_writes_other_rows(
    three_images: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite lets one write at a time: the other one waits, and none is refused."""
    store, source = three_images
    store.delete("a.jpg")
    beside = Beside(lambda: Image.objects.filter(file="c.jpg").update(title="new"))
    once_before(monkeypatch, looks, "news_among", lambda: (beside.start(), beside.join(0.5)))

    watch(source, "a.jpg")

    assert beside.outcome() == 1
    assert verdicts() == {"a.jpg": "missing", "b.jpg": "present", "c.jpg": "present"}
