"""Where everybody works: a world's bucket on the static server, and its records in a database of PostgreSQL."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.measured import ROOT, run
from benchmarks.server import BUCKET, REGION, write_bucket
from benchmarks.world import World, fill
from tests.databases import started_postgres

VAR = ROOT / "var"
"""Not the system's folder for temporary files: a bucket of ten million keys has gigabytes, and may not live in memory."""
SECONDS_TO_MIGRATE = 120
SECONDS_TO_START = 60
SECONDS_TO_END = 10
KEY_ID, SECRET = "AKIABENCH", "worth-nothing"


class Place:
    """One database and one port: to imagesync every world of a run is the same store."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.folder = folder
        self.port = free_port()
        self.world = World(records=0, objects=0, missing=0)
        self.gone: set[str] = set()
        """The keys that every side must find missing."""

    def startup(self) -> float:
        """How long Django takes to start, now."""
        help_ = [sys.executable, "manage.py", "check_s3_images", "--help"]
        return run(help_, self.environment, deadline=SECONDS_TO_START).seconds

    @property
    def environment(self) -> dict[str, str]:
        """For us and for the peers alike."""
        endpoint = f"http://127.0.0.1:{self.port}"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "RCLONE_", "S3_", "DJANGO_"))
        }
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
            "LC_ALL": "C",
            "PYTHONUTF8": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "DATABASE_URL": self.database_url,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_S3_ACCESS_KEY_ID": KEY_ID,
            "AWS_S3_SECRET_ACCESS_KEY": SECRET,
            "AWS_S3_REGION_NAME": REGION,
            "AWS_S3_ENDPOINT_URL": endpoint,
            "AWS_S3_ADDRESSING_STYLE": "path",
            "AWS_S3_SIGNATURE_VERSION": "s3v4",
            "S3_ENDPOINT_URL": endpoint,
            "RCLONE_CONFIG": "",
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_LIST_VERSION": "2",
            "RCLONE_S3_ENV_AUTH": "true",
            "RCLONE_S3_ENDPOINT": endpoint,
        }

    def lay(self, world: World, *, seen_in: str = "") -> None:
        """Replace the bucket and the records by the world's, which are marked present where ``seen_in`` is a store's
        fingerprint."""
        write_bucket(self.folder, world.keys())
        fill(self.database_url, world, seen_in=seen_in)
        self.world, self.gone = world, set(world.gone())

    def fingerprint(self) -> str:
        """Of the store, as the last audit noted it."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT fingerprint FROM imagesync_audit ORDER BY id DESC LIMIT 1"
            ).fetchone()
        assert row is not None
        return str(row[0])

    def tidy(self) -> None:
        """What a database does by itself after many writes, done before anything is timed."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def serving(self, *, latency_ms: float = 0) -> AbstractContextManager[Server]:
        return serving(self.folder, port=self.port, latency_ms=latency_ms)


@dataclass(frozen=True)
class Server:
    port: int

    def requests(self) -> Counter[str]:
        """Answered so far, by kind."""
        proxyless = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with proxyless.open(f"http://127.0.0.1:{self.port}/-/requests", timeout=SECONDS_TO_START) as answer:
            return Counter(json.load(answer))


@contextmanager
def serving(folder: Path, *, port: int, latency_ms: float = 0) -> Iterator[Server]:
    """The static server on a bucket's folder, as a process of its own."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    with subprocess.Popen(
        [*command, "--port", str(port), "--latency-ms", str(latency_ms)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            if not told:
                raise RuntimeError("The static server did not start.")
            yield Server(int(told))
        finally:
            process.stdin.close()
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def place() -> Iterator[Place]:
    """A place with an empty, migrated database of its own, which is dropped at the end."""
    server = os.environ.get("TEST_DATABASE_URL") or started_postgres()
    name = f"imagesync_bench_{os.getpid()}"
    VAR.mkdir(exist_ok=True)
    with (
        psycopg.connect(server, autocommit=True) as connection,
        tempfile.TemporaryDirectory(prefix="bench-", dir=VAR) as folder,
    ):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            found = Place(urlsplit(server)._replace(path=f"/{name}").geturl(), Path(folder))
            run(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                found.environment,
                deadline=SECONDS_TO_MIGRATE,
            )
            yield found
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
