"""django-q2: a real cluster on a real database; what a second delivery does; the schedule command."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import Schedule, Task

from imagesync import tasks
from imagesync.audit import open_audit
from imagesync.models import Audit, Image
from imagesync.records import Scope, find_sources
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import age_findings, run
from tests.hook import Hook
from tests.processes import start

pytestmark = pytest.mark.django_db(transaction=True)


def test_qcluster__runs_a_scheduled_audit_to_its_end_and_tells_people(
    half: EmbeddedS3, tmp_path: Path
) -> None:
    hook = Hook()
    assert run("imagesync_schedule", "--check", "hourly")[0] == 0
    notify = {"NOTIFY_QUEUE": "1", "NOTIFY_WEBHOOK": hook.url, "NOTIFY_MAILS": str(tmp_path)}
    cluster = start(half, BUCKET, "qcluster", DJANGO_SETTINGS_MODULE="tests.settings_that_notify", **notify)
    try:
        deadline = time.monotonic() + 60
        told = Task.objects.filter(func=tasks_path("tell"))
        while time.monotonic() < deadline and told.count() < 2:
            assert cluster.poll() is None, cluster.communicate()[1]
            time.sleep(0.3)
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.communicate(timeout=30)
        hook.close()

    task = Task.objects.get(func=tasks_path("check_images"))
    assert task.success, task.result
    audit = Audit.objects.get()
    assert (audit.state, audit.trust, audit.started_by) == ("finished", "trustworthy", "schedule")
    assert task.result[0]["audit"] == audit.pk
    assert task.result[0]["counts"]["missing"] == 3
    assert Image.objects.filter(verdict="missing").count() == 3
    assert Schedule.objects.get().next_run > timezone.now()
    assert [post["body"]["text"].splitlines()[0] for post in hook.posts] == [
        f"Images in {BUCKET}: 3 more broken"
    ]
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(told.values_list("success", "result")) == [(True, "sent"), (True, "sent")]


def tasks_path(name: str) -> str:
    return f"imagesync.tasks.{name}"


def test_check_images__a_second_delivery_does_nothing_and_says_so(half: EmbeddedS3) -> None:
    [source, *_others] = find_sources()
    running = open_audit(source, Scope())

    [answer] = tasks.check_images()

    assert f"Audit {running.pk}" in answer["skipped"]
    assert Audit.objects.count() == 1
    assert set(Image.objects.values_list("verdict", flat=True)) == {"unchecked"}


def test_check_images__takes_over_from_one_that_died(half: EmbeddedS3) -> None:
    [source, *_others] = find_sources()
    dead = open_audit(source, Scope())
    Audit.objects.filter(pk=dead.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    [answer] = tasks.check_images()

    assert answer["audit"] == dead.pk
    dead.refresh_from_db()
    assert (dead.state, dead.counts["missing"]) == ("finished", 3)


def test_purge_orphans__never_starts_an_audit(half: EmbeddedS3) -> None:
    [answer] = tasks.purge_orphans()

    assert answer["refused"]["id"] == "no_audit"
    assert not Audit.objects.exists()


def test_purge_orphans__waits_until_findings_have_ripened(half: EmbeddedS3) -> None:
    tasks.check_images()
    assert tasks.purge_orphans()[0]["counts"]["deleted"] == 0

    age_findings(timedelta(hours=25))
    [answer] = tasks.purge_orphans()

    assert answer["counts"]["deleted"] == 3
    assert Image.objects.count() == 3


def test_check_images__says_nothing_of_keys_or_secrets(half: EmbeddedS3) -> None:
    answer = str(tasks.check_images())

    assert ".jpg" not in answer
    assert half.secret_key not in answer


def test_schedule__is_idempotent(db: None) -> None:
    for _time in range(2):
        code, out, _err = run("imagesync_schedule", "--check", "daily", "--purge", "30 4 * * 0")
        assert code == 0
    first_run = Schedule.objects.get(name="imagesync.check_images").next_run

    run("imagesync_schedule", "--check", "daily")

    assert Schedule.objects.count() == 2
    assert Schedule.objects.get(name="imagesync.check_images").next_run == first_run
    assert "30 4 * * 0" in out
    assert run("imagesync_schedule", "--check", "0 3 * * *")[0] == 0
    assert Schedule.objects.get(name="imagesync.check_images").cron == "0 3 * * *"
    code, out, _err = run("imagesync_schedule", "--remove")
    assert (code, out) == (0, "Nothing is scheduled.\n")


@pytest.mark.parametrize("when", ["banana", "99 * * * *", "* * * *", ""])
def test_schedule__bad_input_changes_nothing(db: None, when: str) -> None:
    code, _out, err = run("imagesync_schedule", f"--check={when}")

    assert code == 2
    assert "five fields" in err
    assert not Schedule.objects.exists()


def test_schedule__needs_to_be_told_when(db: None) -> None:
    assert run("imagesync_schedule")[0] == 2
