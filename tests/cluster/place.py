"""A small world behind a slow S3, and real clusters on the test's database."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from benchmarks.server import BUCKET, REGION
from imagesync.audit import finding_rows, open_audit, spread, sweep
from imagesync.models import Audit, AuditRange, Finding, Image
from imagesync.records import Scope, find_sources
from tests.django.helpers import make_images
from tests.processes import ROOT, database_url
from tests.settings import Q_CLUSTER, STORAGES

RECORDS, EVERY = 360, 3
"""Each third one has no object."""
LEAST_RECORDS = 18
LATENCY_MS = 25
LEASE = 3.0
PATIENCE = 90.0
"""Seconds after which something that should happen has not; nothing is timed by it."""
SMALL: dict[str, Any] = {
    "LEASE": f"{LEASE:.0f}s",
    "AUDIT_TASK_TIME": "4s",
    "BATCH_SIZE": 5,
    "WORKERS": 1,
    "AUDIT_TASKS": 4,
}
TOO_OFTEN = {
    "name": Q_CLUSTER["name"],
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 60,
    "retry": 1,  # shorter than a slice: what still runs is delivered again
    "ack_failures": True,
    "catch_up": False,
    "poll": 0.1,
    "guard_cycle": 0.2,
}
KEY_ID, SECRET = "AKIDTEST", "test-secret"

Found = list[tuple[str, str]]
"""Key and verdict of each finding, in key order."""


def storages(port: int) -> dict[str, Any]:
    options = {
        **STORAGES["default"]["OPTIONS"],
        "endpoint_url": f"http://127.0.0.1:{port}",
        "bucket_name": BUCKET,
    }
    return {**STORAGES, "default": {"BACKEND": STORAGES["default"]["BACKEND"], "OPTIONS": options}}


def names() -> list[str]:
    """Of the records: some have a name that maps to no exact key."""
    return [f"{number:04}.jpg" for number in range(RECORDS)] + ["a//b.jpg", "c//d.jpg"]


def objects() -> list[str]:
    return [f"{number:04}.jpg" for number in range(RECORDS) if number % EVERY]


def fresh_world() -> None:
    """The records as nobody has looked at them, and no audit."""
    Finding.objects.all().delete()
    Audit.objects.all().delete()
    Image.objects.all().delete()
    make_images(*names())


def found_by(audit: Audit) -> Found:
    return [(row["key"], row["verdict"]) for row in finding_rows(audit)]


@dataclass
class Machine:
    """A ``qcluster`` in a process group of its own, as on a machine that can be switched off."""

    port: int
    broker: dict[str, Any] = field(default_factory=lambda: {"orm": "default"})
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> Machine:
        self._run("qcluster", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command of the same project, beside the cluster."""
        return self._run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def switch_off(self) -> None:
        """``kill -9`` of everything at once."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.processes.clear()

    def _run(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **streams,
        )
        self.processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TEST_"))}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": "tests.cluster.settings",
            "DATABASE_URL": database_url(),
            "SECRET_KEY": "only for tests",
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_S3_REGION_NAME": REGION,
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_S3_ACCESS_KEY_ID": KEY_ID,
            "AWS_S3_SECRET_ACCESS_KEY": SECRET,
            "PYTHONWARNINGS": "ignore",
            "TEST_LEAST_RECORDS": str(LEAST_RECORDS),
            "TEST_IMAGESYNC": json.dumps(SMALL),
            "TEST_Q_CLUSTER": json.dumps({**TOO_OFTEN, **self.broker}),
            **self.environment,
        }


def hand_over() -> Audit:
    """An audit of everything, opened here and left to whatever clusters there are."""
    [source] = find_sources(fields=["imagesync.Image.file"])  # the clusters know no other
    audit = open_audit(source, Scope())
    assert audit.ranges.count() > 10
    assert spread(audit, source)
    return audit


def until(happens: Callable[[], Any], what: str, *, meanwhile: Callable[[], Any] = lambda: None) -> Any:
    """What ``happens`` gives, once it gives anything."""
    ends_at = time.monotonic() + PATIENCE
    while time.monotonic() < ends_at:
        if (it := happens()) is not None:
            return it
        meanwhile()
        time.sleep(0.02)
    raise AssertionError(f"in {PATIENCE:.0f} seconds, never: {what}")


def worker_in_a_range(audit: Audit) -> int | None:
    """The process that is in the middle of a range, by its lease."""
    under_way = AuditRange.objects.filter(audit=audit, state="pending", cursor__isnull=False)
    owner = under_way.exclude(lease_owner="").values_list("lease_owner", flat=True).first()
    return None if owner is None else _pid(owner)


def worker_that_closes(audit: Audit) -> int | None:
    closing = Audit.objects.filter(pk=audit.pk, state="running", stage="closing").exclude(lease_owner="")
    owner = closing.values_list("lease_owner", flat=True).first()
    return None if owner is None else _pid(owner)


def ended(audit: Audit) -> Audit | None:
    audit.refresh_from_db()
    return audit if audit.state != "running" else None


def at_the_end(audit: Audit) -> Audit:
    """Wait for it as the command does: what nobody works on is enqueued anew."""
    return until(lambda: ended(audit), "the audit ended", meanwhile=sweep)  # type: ignore[no-any-return]


def locks() -> int:
    """Leases that reach further than one lease from now, or that outlived their audit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM imagesync_auditrange WHERE lease_until > now() + %s * interval '1 second') + "
            "(SELECT count(*) FROM imagesync_audit WHERE lease_until > now() + %s * interval '1 second') + "
            "(SELECT count(*) FROM imagesync_auditrange r JOIN imagesync_audit a ON a.id = r.audit_id "
            "WHERE r.lease_owner <> '' AND a.state <> 'running')",
            [LEASE, LEASE],
        )
        return int(cursor.fetchone()[0])


@contextlib.contextmanager
def machines(*them: Machine) -> Iterator[None]:
    try:
        for one in them:
            one.start()
        yield
    finally:
        for one in them:
            one.switch_off()


def _pid(owner: str) -> int:
    return int(owner.split(":")[1])
