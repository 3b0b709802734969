"""Schedules: one of each, whoever asks how often; and work that is delivered twice is done once."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import Schedule, Task

from imagesync import tasks
from imagesync.audit.slots import read_slot
from imagesync.management.commands import imagesync_schedule
from imagesync.models import Audit, Purge
from imagesync.schedules import WORKS
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import age_findings, make_images, run
from tests.processes import start

pytestmark = pytest.mark.django_db

CHECK = WORKS[0]


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.option)
def test_schedule__each_calls_a_task_that_exists(work: Any) -> None:
    assert run("imagesync_schedule", f"--{work.option}", "daily")[0] == 0

    schedule = Schedule.objects.get()
    assert callable(getattr(tasks, schedule.func.removeprefix("imagesync.tasks.")))
    assert (schedule.name, schedule.repeats, schedule.hook) == (work.name, -1, None)


def test_schedule__nothing_is_purged_unless_asked_for() -> None:
    run("imagesync_schedule", "--check", "hourly", "--notify", "*/10 * * * *", "--prune", "daily")

    assert set(Schedule.objects.values_list("name", flat=True)) == {
        "imagesync.check_images",
        "imagesync.watch_over",
        "imagesync.prune_history",
    }


def test_schedule__what_is_so_already_keeps_its_next_run() -> None:
    run("imagesync_schedule", "--check", "0 3 * * *")
    Schedule.objects.update(next_run=timezone.now() - timedelta(minutes=1), task="the last one")
    before = Schedule.objects.values().get()

    _code, _out, err = run("imagesync_schedule", "--check", " 0  3 * * * ")

    assert Schedule.objects.values().get() == before
    assert "unchanged" in err


def test_schedule__a_change_is_taken_over_and_timed_anew() -> None:
    run("imagesync_schedule", "--check", "0 3 * * *")
    Schedule.objects.update(next_run=timezone.now() - timedelta(minutes=1), task="the last one")
    pk = Schedule.objects.get().pk

    assert "updated" in run("imagesync_schedule", "--check", "30 5 * * *")[2]

    changed = Schedule.objects.get()
    assert (changed.pk, changed.cron, changed.task) == (pk, "30 5 * * *", "the last one")
    assert changed.next_run > timezone.now()
    assert (changed.next_run.hour, changed.next_run.minute) == (5, 30)


def test_schedule__only_the_first_audit_does_not_wait() -> None:
    run("imagesync_schedule", "--check", "hourly", "--purge", "hourly", "--prune", "daily")

    due = Schedule.objects.filter(next_run__lte=timezone.now())
    assert list(due.values_list("name", flat=True)) == [CHECK.name]


def test_schedule__of_several_by_one_name_the_oldest_is_left() -> None:
    """What two deploys at the same moment leave behind, and what was made by hand."""
    first, *_others = [Schedule.objects.create(name=CHECK.name, func=CHECK.function) for _time in range(3)]

    run("imagesync_schedule", "--check", "hourly")

    assert Schedule.objects.get().pk == first.pk


@pytest.mark.django_db(transaction=True)
def test_schedule__two_deploys_at_the_same_moment_make_one(s3: EmbeddedS3) -> None:
    deploys = [
        start(s3, BUCKET, "imagesync_schedule", "--check", "hourly", "--prune", "daily") for _ in range(3)
    ]

    for deploy in deploys:
        _out, err = deploy.communicate(timeout=120)
        assert deploy.returncode == 0, err

    assert sorted(Schedule.objects.values_list("name", flat=True)) == [CHECK.name, "imagesync.prune_history"]


@pytest.mark.parametrize("argument", ["--check=banana", "--purge=99 * * * *", "--prune=* * * *", "--notify="])
def test_schedule__bad_input_changes_nothing(argument: str) -> None:
    code, _out, err = run("imagesync_schedule", "--watch", "daily", argument)

    assert code == 2
    assert "five fields" in err
    assert not Schedule.objects.exists()


def test_schedule__remove_and_a_time_exclude_each_other() -> None:
    run("imagesync_schedule", "--check", "daily")

    code, _out, err = run("imagesync_schedule", "--remove", "--prune", "daily")

    assert (code, "--prune" in err) == (2, True)
    assert Schedule.objects.count() == 1
    assert run("imagesync_schedule", "--remove")[:2] == (0, "Nothing is scheduled.\n")


def test_schedule__without_django_q_says_what_cron_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagesync_schedule.apps, "is_installed", lambda name: name != "django_q")

    code, _out, err = run("imagesync_schedule", "--check", "daily")

    assert code == 1
    assert "check_s3_images" in err


def test_check_images__a_slot_is_audited_once_however_late_it_is_delivered_again(s3: EmbeddedS3) -> None:
    make_images("a.jpg")
    slot = timezone.now().isoformat()

    [first] = tasks.check_images(slot=slot)
    [second] = tasks.check_images(slot=slot)
    [by_hand] = tasks.check_images()
    [earlier] = tasks.check_images(slot=(timezone.now() - timedelta(hours=3)).isoformat())
    [next_one] = tasks.check_images(slot=timezone.now().isoformat())

    assert "audit" in first
    assert f"Audit {first['audit']} " in second["skipped"]
    assert "audit" in by_hand
    assert "skipped" in earlier
    assert "audit" in next_one
    assert Audit.objects.count() == 3


def test_check_images__a_part_of_the_records_or_an_unfinished_audit_is_not_the_slots(s3: EmbeddedS3) -> None:
    make_images("a.jpg")
    slot = timezone.now().isoformat()
    run("check_s3_images", "--prefix", "a")
    Audit.objects.update(full_scope=True, state="interrupted")

    [answer] = tasks.check_images(slot=slot)

    assert "audit" in answer


def test_slot__of_a_site_without_time_zones_is_read_too() -> None:
    assert read_slot("") is None
    aware = read_slot("2026-11-26T12:00:00")
    assert aware is not None
    assert timezone.is_aware(aware)


@pytest.mark.django_db(transaction=True)
def test_qcluster__two_schedules_at_the_same_minute_do_the_work_once(s3: EmbeddedS3) -> None:
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")
    run("imagesync_schedule", "--check", "hourly")
    twin = Schedule.objects.get()
    twin.pk = None
    twin.name = "somebody's own"
    twin.save()
    hasty = {"DJANGO_SETTINGS_MODULE": "tests.settings_of_hasty_cluster"}
    cluster = start(s3, BUCKET, "qcluster", **hasty)  # of two workers
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and Task.objects.count() < 2:
            assert cluster.poll() is None, cluster.communicate()[1]
            time.sleep(0.2)
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.communicate(timeout=30)

    answers = [task.result[0] for task in Task.objects.all()]
    assert sorted("skipped" in answer for answer in answers) == [False, True], answers
    assert Audit.objects.count() == 1


def test_purge_orphans__with_nothing_to_do_asks_nobody_and_writes_nothing(
    s3: EmbeddedS3, django_assert_max_num_queries: Any
) -> None:
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")
    tasks.check_images()  # b.jpg is missing, and was said to be by one audit only
    s3.requests.clear()

    with django_assert_max_num_queries(3):
        [answer] = tasks.purge_orphans()

    assert answer["counts"] == {"planned": 0, "deleted": 0, "cleared": 0, "kept": 0}
    assert not s3.requests
    assert not Purge.objects.exists()


def test_purge_orphans__delivered_twice_purges_once(s3: EmbeddedS3) -> None:
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")
    tasks.check_images()
    age_findings(timedelta(hours=25))

    [first], [second] = tasks.purge_orphans(), tasks.purge_orphans()

    assert (first["counts"]["deleted"], second["counts"]["planned"]) == (1, 0)
    assert Purge.objects.count() == 1
