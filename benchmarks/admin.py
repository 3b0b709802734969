"""What a page of the admin costs on a table of two million images: server time, time in the database, queries.

``python -m benchmarks.admin postgres://USER@/postgres?host=/SOCKET/FOLDER`` makes a database of its own on that
server, fills it, asks for each page as a superuser and drops the database again. No S3 is there to be asked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg

STORE, OTHER_STORE = "5a" * 16, "0b" * 16
LIMIT_MS = 100
LIST = "/admin/imagesync/image/"

# Ids follow the time of creation, as a site's do, and so do the dates in keys. What is missing: one week (a bad
# deploy), and a few everywhere. All of a week's rows went missing in the same instant, that of an audit.
FILL = """
INSERT INTO imagesync_image
    (file, title, owner_id, created_at, updated_at, store, verdict, verdict_at, missing_since, size_bytes, etag, width, height)
SELECT
    CASE WHEN n %% 100 = 7 THEN 'legacy/' || md5(n::text) || '.jpg'
         ELSE 'images/' || to_char(at, 'YYYY/MM/DD') || '/photo-' || lpad(n::text, 8, '0') || '.jpg' END,
    'Photo ' || n, 1 + n %% 1000, at, at,
    CASE WHEN n < 5000 THEN %(other)s WHEN n > %(records)s - 5000 THEN '' ELSE %(store)s END,
    verdict, at, CASE WHEN verdict = 'missing' THEN
        CASE WHEN n %% 250 = 11 THEN now() - (n %% 90) * interval '1 day' ELSE now() - interval '2 days' END END,
    10000 + n %% 1000000, '9bb58f26192e4ba00f01e2e7b136bbd8', 1600, 1200
FROM (
    SELECT n, now() - (%(records)s - n) * interval '8 years' / %(records)s AS at,
        CASE WHEN n > %(records)s - 5000 THEN 'unchecked' WHEN n %% 250 = 11 THEN 'missing'
             WHEN n BETWEEN %(records)s * 0.9 AND %(records)s * 0.906 THEN 'missing'
             WHEN n %% 100 = 7 THEN 'denied' WHEN n %% 4000 = 13 THEN 'recoverable' WHEN n %% 1000 = 17 THEN 'archived'
             WHEN n %% 7000 = 19 THEN 'mismatched' WHEN n %% 2000 = 23 THEN 'unknown'
             WHEN n %% 40000 = 29 THEN 'ambiguous' ELSE 'present' END AS verdict
    FROM generate_series(1, %(records)s) AS n
) AS made
"""
FINDINGS = """
INSERT INTO imagesync_finding (fingerprint, content_type_id, object_pk, field, key, verdict, reason, first_evidence,
    last_evidence, opened_at, settled)
SELECT %(store)s, %(content_type)s, id::text, 'file', file, verdict, '', %(evidence)s::jsonb, %(evidence)s::jsonb,
    coalesce(missing_since, created_at), true
FROM imagesync_image WHERE verdict NOT IN ('present', 'unchecked')
"""
EVIDENCE = '{"operation": "GetObject", "status": 404, "code": "NoSuchKey", "request_id": "BENCH"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url", help="Of a PostgreSQL server, with a database to connect to.")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--repeat", type=int, default=7, help="How often each page is asked for.")
    parser.add_argument(
        "--explain", action="store_true", help="The plans of the pages that are over the limit."
    )
    parser.add_argument(
        "--keep", metavar="NAME", default="", help="Use this database, fill it if it is not there, keep it."
    )
    options = parser.parse_args()
    name = options.keep or f"imagesync_admin_bench_{os.getpid()}"
    with psycopg.connect(options.url, autocommit=True) as server:
        there = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not there:
            server.execute(f'CREATE DATABASE "{name}"')
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(options.url)._replace(path=f"/{name}"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    try:
        import django

        django.setup()
        if not there:
            _fill(options.records)
        return _measure(options.repeat, explain=options.explain)
    finally:
        from django.db import connections

        connections.close_all()
        if not options.keep:
            with psycopg.connect(options.url, autocommit=True) as server:
                server.execute(f'DROP DATABASE IF EXISTS "{name}"')


def _fill(records: int) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from imagesync.models import Audit, Image
    from imagesync.records.targets import content_type_of

    call_command("migrate", verbosity=0)
    User.objects.bulk_create(User(username=f"user{number}") for number in range(1, 1001))
    Audit.objects.bulk_create(
        Audit(bucket="photos", fingerprint=STORE, state="finished", finished_at=timezone.now())
        for _ in range(500)
    )
    values = {"records": records, "store": STORE, "other": OTHER_STORE, "evidence": EVIDENCE}
    values["content_type"] = content_type_of(Image).pk
    begin = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(FILL, values)
        cursor.execute(FINDINGS, values)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "SELECT indexrelname, pg_size_pretty(pg_relation_size(indexrelid)) FROM pg_stat_user_indexes "
            "WHERE relname = 'imagesync_image' ORDER BY 1"
        )
        sizes = cursor.fetchall()
        cursor.execute("SELECT pg_size_pretty(pg_relation_size('imagesync_image'))")
        (table,) = cursor.fetchone()
    _say(
        f"{records:,} images, {table}, filled in {time.monotonic() - begin:.0f} s; indexes: "
        + ", ".join(f"{name} {size}" for name, size in sizes)
    )


def _pages(key: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Names of pages and what they ask for; ``key`` is that of a record in the middle."""
    day = key.rpartition("/")[0] + "/"
    yield "the list", {}
    yield "sorted by key", {"o": "3"}
    yield "sorted by creation, oldest first", {"o": "8"}
    for verdict in ("present", "missing", "denied", "recoverable", "ambiguous", "unchecked"):
        yield f"verdict {verdict}", {"verdict__exact": verdict}
    yield "missing, latest first", {"verdict__exact": "missing", "o": "-5"}
    for span in ("1d", "7d", "older"):
        yield f"missing since {span}", {"missing": span}
    for span in ("1d", "30d", "365d", "older"):
        yield f"created {span}", {"created": span}
    yield "the store of nearly all", {"seen_in": STORE}
    yield "a store of few", {"seen_in": OTHER_STORE}
    yield "no store yet", {"seen_in": "none"}
    yield "a folder of nearly all", {"folder": "images/"}
    yield "a folder of one day", {"folder": day}
    yield "search: exact key", {"q": f'"{key}"'}
    yield "search: begins with, nearly all", {"q": "images/20"}
    yield "search: begins with, few", {"q": key[:-6]}
    yield "search: nothing", {"q": "nothing/like/this"}
    yield "search: record", {"q": "#1234567"}
    yield "missing in a folder of nearly all", {"verdict__exact": "missing", "folder": "images/"}
    yield "recoverable in a folder of nearly all", {"verdict__exact": "recoverable", "folder": "images/"}
    yield "denied in a folder where nothing is", {"verdict__exact": "denied", "folder": "images/"}
    yield "missing, created long ago", {"verdict__exact": "missing", "created": "older"}
    yield "missing, created today", {"verdict__exact": "missing", "created": "1d"}
    yield "present, of a store of few", {"verdict__exact": "present", "seen_in": OTHER_STORE}
    yield "a store of few, created today", {"seen_in": OTHER_STORE, "created": "1d"}
    yield "a folder of an old year, created this year", {"folder": "images/2019/", "created": "365d"}
    yield "search in the store of few", {"q": "images/20", "seen_in": OTHER_STORE}


def _measure(repeat: int, *, explain: bool) -> int:
    from django.contrib.auth.models import User
    from django.test import Client

    admin, _created = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(admin)
    client.get(LIST)
    over = 0
    _say(f"milliseconds{'median':>43}{'best':>9}{'server':>9}{'database':>9}{'queries':>9}{'rows':>5}  count")
    for name, address in _addresses(client):
        response = None
        took, busy, in_database, queries = [], [], [], []
        for _ in range(repeat + 1):
            with _watched() as statements:
                begin, begin_busy = time.perf_counter(), time.process_time()
                response = client.get(address)
                busy.append(1000 * (time.process_time() - begin_busy))
                took.append(1000 * (time.perf_counter() - begin))
            if response.status_code != 200:
                raise SystemExit(f"{address}: HTTP {response.status_code}")
            in_database.append(sum(one[2] for one in statements))
            queries.append(len(statements))
        changelist = _changelist(client, address)
        # what others do to the machine meanwhile is no part of it
        server = min(busy[1:]) + min(in_database[1:])
        over += server >= LIMIT_MS
        mark = " <- OVER" if server >= LIMIT_MS else ""
        times = [statistics.median(took[1:]), min(took[1:]), server, min(in_database[1:])]
        told = "".join(f"{one:>9.1f}" for one in times)
        counted = f"{len(changelist.result_list):>5}  {changelist.counted}" if changelist else ""
        _say(f"{name:<46}{told}{queries[-1]:>9}{counted}{mark}")
        if mark and explain:
            _explain(statements)
    _say(f"{over} pages took {LIMIT_MS} ms of server time (Python's and the database's) or more")
    return 1 if over else 0


def _addresses(client: Any) -> Iterator[tuple[str, str]]:
    from imagesync.models import Image

    middle = Image.objects.filter(pk__gt=1_000_000, file__startswith="images/").order_by("pk")[0]
    for name, asked in _pages(str(middle.file)):
        yield name, f"{LIST}?{urlencode(asked)}"
    for name, asked in (
        ("the list", {}),
        ("sorted by key", {"o": "3"}),
        ("verdict missing", {"verdict__exact": "missing"}),
    ):
        yield f"{name}, a deep page", f"{LIST}?{urlencode({**asked, 'after': _deep(client, asked)})}"
    for verdict in ("present", "missing"):
        pk = Image.objects.filter(verdict=verdict).order_by("-pk").values_list("pk", flat=True)[0]
        yield f"image page, {verdict}", f"{LIST}{pk}/change/"


def _changelist(client: Any, address: str) -> Any:
    """What a list's page was made of: only looked at, since looking takes time itself."""
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    try:
        return client.get(address).context.get("cl")
    finally:
        teardown_test_environment()


def _deep(client: Any, asked: dict[str, str]) -> str:
    """A place in the middle of a list."""
    changelist = _changelist(client, f"{LIST}?{urlencode(asked)}")
    rows = changelist.queryset
    middle = {"pk": 1_000_000, "byte_file": "images/2022/"}[changelist.order.field]
    sign = "lt" if changelist.order.descending else "gt"
    place: str = changelist.order.place_of(rows.filter(**{f"{changelist.order.field}__{sign}": middle})[0])
    return place


@contextmanager
def _watched() -> Iterator[list[tuple[str, Any, float]]]:
    from django.db import connection

    statements: list[tuple[str, Any, float]] = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        begin = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            statements.append((sql, params, 1000 * (time.perf_counter() - begin)))

    with connection.execute_wrapper(watch):
        yield statements


def _explain(statements: list[tuple[str, Any, float]]) -> None:
    from django.db import connection

    sql, params, took = max(statements, key=lambda one: one[2])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
        _say(f"    {took:.1f} ms: {sql[-400:]}")
        for (line,) in cursor.fetchall():
            _say(f"      {line}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
