"""Messages that are no event of S3: kept and logged without what they hold, shown with nothing that runs."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from imagesync.core.events import Unreadable
from imagesync.models import SetAsideMessage
from imagesync.watching import Watch
from imagesync.watching.set_aside import MOST_KEPT
from imagesync.watching.store import WatchedStore
from tests.django.helpers import verdicts
from tests.django.watching import World, work_off
from tests.queues import MemoryQueue, event

pytestmark = pytest.mark.django_db


def test_unreadable_message__is_kept_before_it_is_deleted(world: World) -> None:
    store, _source, queue, watch = world
    store.delete("a.jpg")
    queue.send("what is this \x00 \ud800?", event("a.jpg"))

    report = work_off(watch)

    kept = SetAsideMessage.objects.get()
    assert (kept.queue, kept.reason) == ("memory", Unreadable.NOT_JSON)
    assert bytes(kept.body).decode("utf-8", "surrogatepass") == "what is this \x00 \ud800?"
    assert (report.set_aside, report.left, queue.waiting) == (1, 0, {})
    assert verdicts()["a.jpg"] == "missing"


def test_unreadable_message__is_logged_without_what_it_holds(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    _store, _source, queue, watch = world
    queue.send("a secret")

    work_off(watch)

    (line,) = (one for one in caplog.records if one.name == "imagesync.events")
    assert (line.event, line.queue, line.reason) == ("message_unreadable", "memory", "not_json")  # type: ignore[attr-defined]
    assert "secret" not in str(vars(line))


def test_unreadable_message__is_left_to_a_queue_that_sets_aside_itself(world: World) -> None:
    _store, source, _queue, _watch = world
    queue = MemoryQueue("?", redrive=True)

    report = work_off(Watch(queue, [WatchedStore(source)], started_by="events"))

    assert (report.set_aside, report.left, len(queue.waiting)) == (0, 1, 1)
    assert not SetAsideMessage.objects.exists()


def test_unreadable_messages__stay_in_the_queue_when_many_are_kept(world: World) -> None:
    _store, _source, queue, watch = world
    SetAsideMessage.objects.bulk_create(
        SetAsideMessage(queue="memory", message_id=str(number), reason="not_json", body=b"?")
        for number in range(MOST_KEPT - 1)
    )
    queue.send("?", "??")

    report = work_off(watch)

    assert (report.set_aside, report.left) == (1, 1)
    assert len(queue.waiting) == 1
    assert SetAsideMessage.objects.count() == MOST_KEPT


def test_subscription__is_kept_without_its_token(world: World) -> None:
    _store, _source, queue, watch = world
    queue.send(
        '{"Type": "SubscriptionConfirmation", "TopicArn": "t", "Token": "secret", "SubscribeURL": "secret"}'
    )

    work_off(watch)

    assert SetAsideMessage.objects.get().text == '{"Type": "SubscriptionConfirmation", "TopicArn": "t"}'


def test_unreadable_message__is_shown_in_the_admin_with_nothing_that_runs(admin_client: Client) -> None:
    kept = SetAsideMessage.objects.create(
        queue="images", message_id="1", reason="not_json", body=b"<script>\x1b[2J\xff"
    )

    listed = admin_client.get(reverse("admin:imagesync_setasidemessage_changelist"))
    shown = admin_client.get(
        reverse("admin:imagesync_setasidemessage_change", args=[kept.pk])
    ).content.decode()

    assert listed.status_code == 200
    assert "&lt;script&gt;\\x1b[2J\\\\xff" in shown
    assert "<script>\x1b" not in shown
    assert "deletelink" in shown
