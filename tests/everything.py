"""`make test`: every lane, what each took, and in one line which was left out and why.

Lanes that share nothing run side by side; what a lane prints comes when it has ended. Those that need Debian's packages
have servers to wait for more often than work to do: they run beside the others, one after the other, as soon as these
are installed.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.chromium import CHROMIUM
from tests.live.ceph import CEPH
from tests.live.servers import DebianPackages, may_install
from tests.live.swift import SWIFT

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:playwright", "--durations=10"]
IN_CI = os.environ.get("CI") == "true"
SIDE_BY_SIDE = 4
"""Lanes: on two cores, for many of them wait for servers, leases and clocks."""
FOR_ALL = {
    "PYTHONWARNINGS": "ignore",
    # the many processes that tests start and kill had compiled everything anew each, where this is set
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True)
class Lane:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    packages: DebianPackages | None = None
    """Without them it is left out."""


DEMO = Lane("demo", [sys.executable, "-m", "project.demo"])
REST = Lane(
    "core, storage, project, docs",
    [*PYTEST, "tests/core", "tests/storage", "tests/project", "tests/docs"],
)
CLUSTERS = Lane(
    "clusters (killed workers, brokers, clocks)",
    [*PYTEST, "tests/cluster", "-rs"],
    {"TEST_DATABASE": "postgres", "TEST_DATABASE_URL": ""},  # a server of its own, which it restarts
)
FAULTS = Lane("faults (every answer, and the promise)", [*PYTEST, "tests/faults"])


@dataclass(frozen=True)
class Ended:
    lane: Lane
    code: int
    seconds: float
    output: str


def static_lanes() -> list[Lane]:
    return [
        Lane("format", [str(BIN / "ruff"), "format", "--check", "."]),
        Lane("lint", [str(BIN / "ruff"), "check", "."]),
        Lane("types", [str(BIN / "mypy")]),
        Lane("imports", [str(BIN / "lint-imports"), "--no-cache"]),
        Lane("migrations", [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]),
    ]


# several processes at once, and killed ones: shown where it matters most, on PostgreSQL
PROCESSES = (
    "killed",
    "resume",
    "interrupted",
    "watch_processes",
    "freshness_processes",
    "notices_killed",
    "side_by_side*",
)


# what many rows, slices, workers or tasks come to: costly, and no statement of theirs is SQLite's alone
LEFT_TO_POSTGRES = (
    "admin_changelist",
    "admin_selection",
    "admin_selection_confirmed",
    "admin_selection_large",
    "audit_trust",
    "distributed",
    "earlier_looks",
    "failed_reads_audited",
    "freshness",
    "freshness_purges",
    "gone_fields",
    "identity",
    "jobs",
    "presorted",
    "retention",
    "sample",
    "schedules",
    "signals",
    "tasks",
)


def sqlite_lanes() -> list[Lane]:
    """Two halves: as one it was the last to end, with a core idle beside it."""
    ones = [*PYTEST, "tests/django", *_without((*PROCESSES, *LEFT_TO_POSTGRES))]
    return [
        Lane("SQLite, a to d", [*ones, *_without(("[e-z]*",))]),
        Lane("SQLite, e to z", [*ones, *_without(("[a-d]*",))]),
    ]


# what these show has nothing of one database in it
LEFT_TO_SQLITE = (
    "admin",
    "admin_actions",
    "admin_audit_page",
    "admin_audits",
    "admin_image_page",
    "admin_mixin",
    "admin_permissions",
    "admin_purges",
    "audit_fields",
    "cluster",
    "commands",
    "debug*",
    "doctor*",
    "enqueue",
    "events*",
    "freshness_dashboard",
    "freshness_failures",
    "freshness_urgent",
    "health",
    "hostile_keys",
    "logs",
    "memory",
    "metrics",
    "notices",
    "notices_s*",
    "own_mapping",
    "placeholders",
    "purge_told",
    "readme",
    "restore_databases",
    "scan_*",
    "secrets",
    "sentry",
    "settings",
    "several_stores",
    "two_aliases",
    "unfold",
    "unsorted",
    "uploads*",
    "walk",
    "watch_loop",
)


def postgres_lanes() -> list[Lane]:
    url = os.environ.get("TEST_DATABASE_URL") or (_local_server() if IN_CI else "")
    environment = {"TEST_DATABASE": "postgres", **({"TEST_DATABASE_URL": url} if url else {})}
    where = "a running server, a language's collation" if url else "a server of its own"
    report = "-rP" if IN_CI else "-ra"
    ones = [*PYTEST, "tests/django", *_without((*LEFT_TO_SQLITE, *PROCESSES)), report]
    processes = [str(file) for name in PROCESSES for file in sorted(ROOT.glob(_file(name)))]
    return [
        Lane(f"PostgreSQL ({where})", ones, environment),
        Lane("PostgreSQL, processes", [*PYTEST, *processes, "tests/benchmarks", report], environment),
    ]


def _file(name: str) -> str:
    return f"tests/django/test_{name}.py"


def _without(names: tuple[str, ...]) -> list[str]:
    return [f"--ignore-glob={_file(name)}" for name in names]


def _local_server() -> str:
    """The server that CI runs; elsewhere nobody's server is touched unasked."""
    import psycopg

    user = getpass.getuser()
    url = f"postgres://{user}@/postgres?host=/var/run/postgresql"
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return ""
    return url


def live_lanes() -> list[Lane]:
    """In the order in which what they need is installed."""
    python = [sys.executable, "-m"]
    uploads = ["tests/live/test_uploads.py", "tests/live/test_servers.py"]
    return [
        Lane("live (Ceph RGW)", [*python, "tests.live.story"], packages=CEPH),
        Lane("live (Ceph damage)", [*python, "tests.live.damage"], packages=CEPH),
        Lane("live uploads (Ceph RGW)", [*PYTEST, *uploads], packages=CEPH),
        Lane("browser (Chromium)", [*python, "pytest", "-q", "tests/browser"], packages=CHROMIUM),
        Lane("live (Swift, rclone)", [*python, "tests.live.regions"], packages=SWIFT),
    ]


def run(lane: Lane) -> Ended:
    began = time.monotonic()
    ended = subprocess.run(
        lane.command,
        cwd=ROOT,
        env={**os.environ, **FOR_ALL, **lane.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    result = Ended(lane, ended.returncode, time.monotonic() - began, ended.stdout)
    print(
        f"\n=== {lane.name}: {'ok' if result.code == 0 else f'FAILED ({result.code})'}, {result.seconds:.0f} s"
    )
    print(result.output.rstrip(), flush=True)
    return result


def run_or_tell(lane: Lane, installed: Mapping[str, Future[bool]]) -> Ended | str:
    """Run it, or say why it was left out: its packages are not there and could not be installed."""
    if lane.packages is None or installed[lane.packages.name].result():
        return run(lane)
    return f"{lane.name} left out: {lane.packages.available()[1]}"


def main() -> int:
    # the longest first
    lanes = [*static_lanes(), *postgres_lanes(), *sqlite_lanes(), FAULTS, REST, CLUSTERS, DEMO, *live_lanes()]
    print("running; each lane is printed when it ends ...", flush=True)
    with (
        ThreadPoolExecutor(SIDE_BY_SIDE) as pool,
        ThreadPoolExecutor(1) as beside,
        ThreadPoolExecutor(1) as installer,
    ):
        installed = {one.name: installer.submit(one.install) for one in (CEPH, CHROMIUM, SWIFT)}
        running = [(beside if lane.packages else pool).submit(run_or_tell, lane, installed) for lane in lanes]
        results = [one.result() for one in running]

    ended = [result for result in results if isinstance(result, Ended)]
    left_out = [result for result in results if isinstance(result, str)]
    print("\n=== summary")
    for result in ended:
        print(f"{'ok    ' if result.code == 0 else 'FAILED'} {result.seconds:6.0f} s  {result.lane.name}")
    for reason in left_out:
        print(reason)
    failed = [result for result in ended if result.code]
    print(f"{len(ended) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or (left_out and IN_CI and may_install()) else 0


if __name__ == "__main__":
    sys.exit(main())
