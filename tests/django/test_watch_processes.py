"""``imagesync_watch`` as it runs: real processes, a bucket that writes to a queue, and what may go wrong in between."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from imagesync.audit import looks
from imagesync.models import Audit, Finding, Image, SetAsideMessage, Tombstone
from imagesync.records import Scope, find_targets
from imagesync.records.stream import explicit_records
from imagesync.storage.memory import MemoryStore
from project import embedded_s3
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.beside import somebody_waits_for_a_row
from tests.django.helpers import make_images, run, verdicts
from tests.processes import kill, start, until, wait_for
from tests.queues import RealQueue, event

pytestmark = pytest.mark.django_db(transaction=True)

Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def queue(s3: EmbeddedS3) -> RealQueue:
    """Two images that are there and known to be; what happens to their objects arrives in the queue."""
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")
    s3.put(BUCKET, "b.jpg")
    assert run("check_s3_images")[0] == 0
    return RealQueue(s3)


@pytest.fixture
def here(queue: RealQueue, settings: Any) -> None:
    """The queue is this process's."""
    settings.IMAGESYNC = {"EVENTS": {"QUEUE_URL": queue.url}}


@pytest.fixture
def watching(s3: EmbeddedS3, queue: RealQueue) -> Iterator[Started]:
    started: list[subprocess.Popen[str]] = []

    def start_watching(*arguments: str, hidden: str = "1m") -> subprocess.Popen[str]:
        events = {"QUEUE_URL": queue.url, "VISIBILITY_TIMEOUT": hidden}
        more = {"IMAGESYNC_EVENTS": json.dumps(events), "DJANGO_SETTINGS_MODULE": "tests.settings_of_a_queue"}
        process = start(s3, BUCKET, "imagesync_watch", *arguments, **more)
        started.append(process)
        if not arguments:
            wait_for(process, "watching")
        return process

    yield start_watching
    for process in started:
        kill(process)


@contextmanager
def held_back(what: str) -> Iterator[Callable[[], bool]]:
    """Who asks for this key, or for this of SQS, has to wait; called, it tells whether somebody does."""
    asked, free = threading.Event(), threading.Event()
    queue_action = embedded_s3.queue_action

    def slow(request: Any) -> str:
        action = queue_action(request)
        if what in (action, request.key) and request.method in ("GET", "POST"):
            asked.set()
            free.wait(60)
        return action

    embedded_s3.queue_action = slow
    try:
        yield asked.is_set
    finally:
        embedded_s3.queue_action = queue_action
        free.set()


def test_watch__follows_what_happens_in_the_bucket_until_it_is_told_to_stop(
    s3: EmbeddedS3, queue: RealQueue, watching: Started
) -> None:
    process = watching()

    s3.delete(BUCKET, "a.jpg")
    until(lambda: verdicts()["a.jpg"] == "missing", process)
    s3.put(BUCKET, "a.jpg")
    until(lambda: verdicts()["a.jpg"] == "present", process)
    queue.send("what is this?")
    until(SetAsideMessage.objects.exists, process)
    until(lambda: queue.messages() == 0, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["missing", "present"]
    assert "1 messages set aside" in err
    assert not Finding.objects.open().exists()


def test_watch__ends_at_ctrl_c_with_130(queue: RealQueue, watching: Started) -> None:
    process = watching()

    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "waits in the queue" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("held", "left"), [("a.jpg", "present"), ("sqs:DeleteMessage", "missing")])
def test_watch__killed_in_the_middle_of_a_batch_is_handed_it_again(
    s3: EmbeddedS3, queue: RealQueue, watching: Started, held: str, left: str
) -> None:
    """While it looks, and when all is written down but the message is not deleted."""
    s3.delete(BUCKET, "a.jpg")
    audits = Audit.objects.count()
    with held_back(held) as asked:
        process = watching(hidden="1s")
        until(asked, process)
        kill(process)
        assert (verdicts()["a.jpg"], queue.messages()) == (left, 1)
    if held != "a.jpg":
        queue.send(event("a.jpg"))  # the held request arrives all the same, as one on its way to S3 would

    second = watching(hidden="1s")
    until(lambda: queue.messages() == 0, second)

    assert verdicts()["a.jpg"] == "missing"
    assert Audit.objects.count() == audits + 1
    assert Finding.objects.open().count() == Finding.objects.count() == 1


def test_watch__two_at_once_with_the_same_event_three_times_find_it_once(
    s3: EmbeddedS3, queue: RealQueue, watching: Started
) -> None:
    s3.delete(BUCKET, "a.jpg")
    s3.delete(BUCKET, "b.jpg")
    queue.send(*[event("a.jpg"), event("b.jpg")] * 15)

    both = [watching("--drain"), watching("--drain")]
    for process in both:
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err

    assert verdicts() == {"a.jpg": "missing", "b.jpg": "missing"}
    assert Finding.objects.open().count() == Finding.objects.count() == 2
    assert queue.messages() == 0


def test_watch__store_that_is_not_fit_leaves_the_messages_and_exits_4(
    s3: EmbeddedS3, queue: RealQueue, here: None
) -> None:
    s3.delete(BUCKET, "a.jpg")
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    code, _out, err = run("imagesync_watch", "--drain")

    assert code == 4
    assert "s3:ListBucket" in err
    assert (verdicts()["a.jpg"], queue.messages()) == ("present", 1)
    assert not Finding.objects.exists()


def test_watch__refused_by_the_queue_exits_4_with_the_line_to_add(s3: EmbeddedS3, here: None) -> None:
    s3.denied[s3.access_key] = {"sqs:ReceiveMessage"}

    code, _out, err = run("imagesync_watch")

    assert code == 4
    assert '"Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]' in err


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections that could be cut")
def test_watch__database_connections_cut_in_the_middle_of_a_batch(
    s3: EmbeddedS3, queue: RealQueue, watching: Started
) -> None:
    s3.delete(BUCKET, "a.jpg")
    with held_back("a.jpg") as asked:
        process = watching(hidden="1s")
        until(asked, process)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    wait_for(process, "Trying again")

    until(lambda: verdicts()["a.jpg"] == "missing", process)
    until(lambda: queue.messages() == 0, process)
    assert Finding.objects.open().count() == 1


def test_watch__without_a_queue_says_how_to_name_one(s3: EmbeddedS3) -> None:
    code, _out, err = run("imagesync_watch", "--once")

    assert code == 1
    assert "QUEUE_URL" in err


def test_watch__for_a_time_ends_by_itself_and_tells_it_as_json(
    s3: EmbeddedS3, queue: RealQueue, here: None
) -> None:
    s3.delete(BUCKET, "a.jpg")

    code, out, err = run("imagesync_watch", "--for", "2s", "--format", "ndjson")

    assert code == 0, err
    (batch,) = map(json.loads, out.splitlines())
    assert (batch["schema"], batch["messages"]) == ("imagesync.events/1", 1)
    assert [(one["key"], one["verdict"]) for one in batch["changes"]] == [("a.jpg", "missing")]
    assert "1 messages" in err


@pytest.mark.parametrize("given", ["0s", "soon"])
def test_watch__for_no_time_is_wrong_usage(s3: EmbeddedS3, given: str) -> None:
    assert run("imagesync_watch", "--for", given)[0] == 2


def test_watch__beside_a_purge_of_the_same_records(
    s3: EmbeddedS3, queue: RealQueue, watching: Started
) -> None:
    """Events of records that are being deleted, and one that says of a present object that it was removed."""
    names = [f"gone/{number:03}.jpg" for number in range(60)]
    make_images(*names)
    assert run("check_s3_images", "--fail-on", "none")[0] == 0
    queue.send(*[event(name) for name in [*names, "a.jpg"]])

    watch, purge = watching("--drain"), start(s3, BUCKET, "purge_orphans", "--no-input", "--max-ratio", "1")
    told = [process.communicate(timeout=60) for process in (watch, purge)]

    assert (watch.returncode, purge.returncode) == (0, 0), "\n".join(chain.from_iterable(told))
    assert verdicts() == {"a.jpg": "present", "b.jpg": "present"}
    assert set(Tombstone.objects.values_list("key", flat=True)) == set(names)
    assert queue.messages() == 0
    assert run("restore_purged", "--no-input")[0] == 0
    assert Image.objects.count() == 62


def test_watch__keeps_a_purge_waiting_until_what_it_saw_of_the_records_is_written_down(
    s3: EmbeddedS3, queue: RealQueue, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images("gone.jpg", "new.jpg")
    assert run("check_s3_images", "--fail-on", "none")[0] == 0
    purges: list[subprocess.Popen[str]] = []
    news_among = looks.news_among

    def in_between(*given: Any) -> Any:
        news = news_among(*given)
        if not purges:
            purges.append(start(s3, BUCKET, "purge_orphans", "--no-input", "--max-ratio", "1"))
            until(lambda: purges[0].poll() is not None or somebody_waits_for_a_row())
        return news

    monkeypatch.setattr(looks, "news_among", in_between)
    queue.send(event("gone.jpg"), event("new.jpg"))

    code, _out, err = run("imagesync_watch", "--drain")
    out, purge_err = purges[0].communicate(timeout=60)

    assert (code, purges[0].returncode) == (0, 0), err + purge_err
    assert "2 deleted" in purge_err or "2 deleted" in out
    assert not Finding.objects.open().exists()
    assert queue.messages() == 0


def test_records__of_an_events_key_are_found_by_the_index_in_byte_order(transactional_db: None) -> None:
    make_images("a.jpg")
    image = next(one for one in find_targets() if one.label == "imagesync.Image.file")
    with CaptureQueriesContext(connection) as queries:
        assert list(explicit_records(image, MemoryStore(), Scope(keys=("a.jpg",))))
    asked = queries[0]["sql"]

    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # of one row it would be read, index or not
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{asked}")
        plan = str(cursor.fetchall())

    assert "imagesync_image_key_made" in plan, plan
