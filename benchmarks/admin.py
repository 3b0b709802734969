"""`make bench-admin`: what each page of the admin costs on two million images, and how often it asks the database.

    python -m benchmarks.admin [--records N] [--keep NAME] [--explain]

A database of its own on the server that ``TEST_DATABASE_URL`` names, or on a PostgreSQL of its own, is filled, every
page asked for as a superuser, and the database dropped again. No S3 is there to be asked. The figures go to
benchmarks/README.md. Ends with 1 when a page takes 100 ms of server time or more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks import report
from benchmarks.admin_pages import LIST, changelist, pages
from benchmarks.admin_world import fill
from tests.databases import started_postgres

LIMIT_MS = 100
RECORDS, REPEAT = 2_000_000, 5
PLAN = "admin"

Statements = list[tuple[str, Any, float]]


@dataclass(frozen=True, slots=True)
class Page:
    name: str
    server_ms: float
    """Python's and the database's time, the least of all repetitions: what others do to the machine is no part of it."""
    database_ms: float
    wall_ms: float
    """The median."""
    queries: int
    rows: str
    """Of a list: how many are on the page, and of how many it says that there are."""

    @property
    def is_over(self) -> bool:
        return self.server_ms >= LIMIT_MS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--repeat", type=int, default=REPEAT, help="How often each page is asked for.")
    parser.add_argument(
        "--explain", action="store_true", help="The plans of the pages that are over the limit."
    )
    parser.add_argument(
        "--keep", metavar="NAME", default="", help="Use this database, fill it if it is not there, keep it."
    )
    options = parser.parse_args(arguments)
    with database(options.keep) as (url, is_new):
        os.environ["DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
        import django

        django.setup()
        if is_new:
            _migrate_and_fill(options.records)
        found = list(measured(options.repeat, explain=options.explain))
        where = f"{report.machine(url)} {_what_is_there()} {confirmation(options.repeat)}"
        made = text(found, where)
        is_full = _images() >= RECORDS
    over = sum(page.is_over for page in found)
    say(
        f"\n{over} of {len(found)} pages took {LIMIT_MS} ms of server time (Python's and the database's) or more"
    )
    if is_full:
        report.README.write_text(report.with_tables(report.README.read_text(), PLAN, made))
    return 1 if over else 0


@contextmanager
def database(keep: str) -> Iterator[tuple[str, bool]]:
    """The URL of a database, and whether it is new; dropped at the end unless it has a name to keep."""
    server = os.environ.get("TEST_DATABASE_URL") or started_postgres()
    name = keep or f"imagesync_admin_bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        is_new = not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if is_new:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl(), is_new
        finally:
            if not keep:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _migrate_and_fill(records: int) -> None:
    from django.core.management import call_command

    begin = time.monotonic()
    call_command("migrate", verbosity=0)
    say(f"{fill(records)}, filled in {time.monotonic() - begin:.0f} s")


def _images() -> int:
    from imagesync.models import Image

    return Image.objects.count()


def _what_is_there() -> str:
    from imagesync.models import Audit, Finding, Image, Purge, Tombstone

    counted = (
        (Image, "images"),
        (Finding, "open findings"),
        (Tombstone, "tombstones"),
        (Audit, "audits"),
        (Purge, "purges"),
    )
    told = ", ".join(f"{model._default_manager.count():,} {what}" for model, what in counted)
    planned = Purge.objects.latest().counts["planned"]
    return f"{told}, and a plan of {planned:,} records."


def measured(repeat: int, *, explain: bool = False) -> Iterator[Page]:
    """Every page, asked for once to warm up and then ``repeat`` times."""
    client = _client()
    say(f"milliseconds{'server':>52}{'database':>10}{'wall':>9}{'queries':>9}  rows")
    for name, address in pages(client):
        took, statements = [], []
        for _ in range(repeat + 1):
            one, statements = _asked(client, address)
            took.append((*one, len(statements)))
        busy, asked, wall, queries = zip(*took[1:], strict=True)
        listed = changelist(client, address)
        rows = f"{len(listed.result_list)} of {_told_count(listed)}" if listed else ""
        page = Page(
            name, min(busy) + min(asked), min(asked), sorted(wall)[len(wall) // 2], max(queries), rows
        )
        mark = " <- OVER" if page.is_over else ""
        say(
            f"{name:<54}{page.server_ms:>10.1f}{page.database_ms:>10.1f}{page.wall_ms:>9.1f}{page.queries:>9}  {rows}{mark}"
        )
        if mark and explain:
            _explain(statements)
        yield page


def confirmation(repeat: int) -> str:
    """What no page can do without counting: the confirmation of everything that a list finds, sent by POST."""
    client = _client()
    form = {"action": "recheck", "_selected_action": ["1"], "index": 0, "select_across": "1"}
    took = []
    for _ in range(repeat):
        begin = time.perf_counter()
        response = client.post(LIST, form)
        took.append(1000 * (time.perf_counter() - begin))
        if response.status_code != 200:
            raise SystemExit(f"the confirmation: HTTP {response.status_code}")
    told = f"To confirm a selection of all images, which are counted for it, takes {min(took):,.0f} ms."
    say(told)
    return told


def _client() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _made = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def _asked(client: Any, address: str) -> tuple[tuple[float, float, float], Statements]:
    """Milliseconds of this process, in the database, and on the wall; and what was asked."""
    with _watched() as statements:
        begin, begin_busy = time.perf_counter(), time.process_time()
        response = client.get(address)
        busy = 1000 * (time.process_time() - begin_busy)
        wall = 1000 * (time.perf_counter() - begin)
    if response.status_code != 200:
        raise SystemExit(f"{address}: HTTP {response.status_code}")
    return (busy, sum(one[2] for one in statements), wall), statements


@contextmanager
def _watched() -> Iterator[Statements]:
    from django.db import connection

    statements: Statements = []

    def watch(execute: Callable[..., Any], statement: str, params: Any, many: bool, context: Any) -> Any:
        begin = time.perf_counter()
        try:
            return execute(statement, params, many, context)
        finally:
            statements.append((statement, params, 1000 * (time.perf_counter() - begin)))

    with connection.execute_wrapper(watch):
        yield statements


def _told_count(listed: Any) -> str:
    return str(getattr(listed, "counted", "") or f"{listed.result_count:,}")


def _explain(statements: Statements) -> None:
    from django.db import connection

    statement, params, took = max(statements, key=lambda one: one[2])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", params)
        say(f"    {took:.1f} ms: {statement[-400:]}")
        for (line,) in cursor.fetchall():
            say(f"      {line}")


def text(found: Sequence[Page], where: str) -> str:
    """The table, as the README has it."""
    over = sum(page.is_over for page in found)
    told = f"{over} of them take" if over else "None of them takes"
    lines = [
        where,
        f"{len(found)} pages. {told} {LIMIT_MS} ms of server time or more.",
        "\n".join(
            [
                "| page | server | of it database | wall, median | queries | rows |",
                "| --- | --- | --- | --- | --- | --- |",
                *(
                    f"| {page.name}{' **over**' if page.is_over else ''} | {page.server_ms:.0f} ms | "
                    f"{page.database_ms:.0f} ms | {page.wall_ms:.0f} ms | {page.queries} | {page.rows} |"
                    for page in found
                ),
            ]
        ),
    ]
    return "\n\n".join(lines)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
