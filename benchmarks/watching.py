"""How long it takes from an event's arrival in the queue until the record says so, with ``imagesync_watch`` running.

    python -m benchmarks.watching [--records N] [--times N] [--latency-ms MS]

The bucket, its queue and their answers are the embedded S3's, in this process; the watch is a process of its own on a
database of its own (``TEST_DATABASE_URL``, or a PostgreSQL of its own). An object is deleted and put again, ``--times``
times; the first time includes a check of the store. The clock starts when the server has put the message into the queue,
and stops when the row has changed. Then 500 events wait in the queue, and a process works them off.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.measured import ROOT
from benchmarks.place import place
from benchmarks.world import World, fill
from project import embedded_s3
from project.embedded_s3 import EmbeddedS3

BUCKET, REGION = "watched", "eu-north-1"
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
BACKLOG = 500
PATIENCE_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument(
        "--latency-ms", type=float, default=80.0, help="Before each of S3's and SQS's answers."
    )
    given = parser.parse_args(arguments)
    world = World(records=given.records, objects=given.records, missing=0)
    keys = [key for key, _number in zip(world.names(), range(BACKLOG), strict=False)]
    with place() as here, EmbeddedS3() as s3, psycopg.connect(here.database_url, autocommit=True) as database:
        fill(here.database_url, world)
        s3.create_bucket(BUCKET, REGION)
        for key in keys:
            s3.put(BUCKET, key)
        url = queue_of(s3)
        environment = {**here.environment, **environment_of(s3, url)}
        with slowed(given.latency_ms), watching(environment):
            follow = Follower(s3, database, keys[0])
            first = follow.changes(1)["removed"]
            taken = follow.changes(given.times)
        for key in keys:
            s3.delete(BUCKET, key)
        with slowed(given.latency_ms):
            backlog = worked_off(environment)
    print(f"{given.records:,} records, {given.latency_ms:g} ms latency, {given.times} times")
    for what, seconds in {"removed, first of all": first, **taken}.items():
        print(
            f"{what:<22} median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s from the queue to the record"
        )
    print(
        f"{BACKLOG} events that waited: {backlog.wall:.1f} s, {backlog.own:.1f} s of them the watch's own computing; the rest "
        "is the embedded S3's"
    )
    return 0


class Follower:
    """Has something happen to one object, and waits until its record knows."""

    def __init__(self, s3: EmbeddedS3, database: Any, key: str) -> None:
        self._s3 = s3
        self._database = database
        self._key = key

    def changes(self, times: int) -> dict[str, list[float]]:
        steps: dict[str, tuple[Callable[[str, str], None], str]] = {
            "removed": (self._s3.delete, "missing"),
            "created": (self._s3.put, "present"),
        }
        taken: dict[str, list[float]] = {what: [] for what in steps}
        for _time in range(times):
            for what, (happens, verdict) in steps.items():
                happens(BUCKET, self._key)  # returns when the message is in the queue
                began = time.perf_counter()
                self._wait_for(verdict)
                taken[what].append(time.perf_counter() - began)
        return taken

    def _wait_for(self, verdict: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            row = self._database.execute(
                "SELECT verdict FROM imagesync_image WHERE file = %s", [self._key]
            ).fetchone()
            if row == (verdict,):
                return
            time.sleep(0.005)
        raise SystemExit(f"The record was not {verdict} within {PATIENCE_S:g} s.")


def queue_of(s3: EmbeddedS3) -> str:
    """A queue that the bucket writes to."""
    client = s3.queue_client(REGION)
    url: str = client.create_queue(QueueName="images")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.client(REGION).put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": EVENTS}]},
    )
    return url


def environment_of(s3: EmbeddedS3, url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "tests.settings_of_a_queue",
        "IMAGESYNC_EVENTS": json.dumps({"QUEUE_URL": url}),
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "AWS_S3_REGION_NAME": REGION,
        "AWS_S3_ENDPOINT_URL": s3.url,
        "AWS_S3_ACCESS_KEY_ID": s3.access_key,
        "AWS_S3_SECRET_ACCESS_KEY": s3.secret_key,
    }


@dataclass(frozen=True)
class Seconds:
    wall: float
    own: float
    """Of computing, in the process itself."""


def worked_off(environment: dict[str, str]) -> Seconds:
    """What a process takes for what waits in the queue; its start is left out."""
    started, all_of_it = _run(environment, "--help"), _run(environment, "--drain", "--verbosity", "0")
    return Seconds(all_of_it.wall - started.wall, all_of_it.own - started.own)


@contextmanager
def watching(environment: dict[str, str]) -> Iterator[None]:
    """From when it says that it watches."""
    with subprocess.Popen(
        [sys.executable, "manage.py", "imagesync_watch"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        if "watching" not in process.stderr.readline():
            raise SystemExit("The watch did not begin.")
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def slowed(latency_ms: float) -> Iterator[None]:
    """Every answer comes so much later."""
    read = embedded_s3._read

    def later(environ: Any) -> Any:
        time.sleep(latency_ms / 1000)
        return read(environ)

    embedded_s3._read = later
    try:
        yield
    finally:
        embedded_s3._read = read


def _run(environment: dict[str, str], *arguments: str) -> Seconds:
    began, computed = time.perf_counter(), _computed()
    subprocess.run(
        [sys.executable, "manage.py", "imagesync_watch", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Seconds(time.perf_counter() - began, _computed() - computed)


def _computed() -> float:
    """By processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
