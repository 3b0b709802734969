"""Those whom imagesync is measured against: programs that know nothing of it, on the same bucket and the same database.

    python -m benchmarks.peers SIDE MISSING

writes the keys that it finds missing to the file MISSING, one per line, and prints a JSON object with its ``seconds``.
Their clock starts behind the imports: nobody's start-up is counted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import psycopg
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.server import BUCKET

HEADS = 5_000
"""One HEAD per record is extrapolated from so many."""
ROWS = 2_000
NAMES = "SELECT file FROM imagesync_image"
DATABASE_URL = os.environ.get("DATABASE_URL", "")
ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")
_TOKEN = re.compile(rb"<NextContinuationToken>([^<]*)<")

Told = dict[str, Any]


def client(threads: int = 1) -> Any:
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=max(threads, 10))
    return boto3.client("s3", config=config)


def names() -> list[str]:
    with psycopg.connect(DATABASE_URL) as connection:
        return [name for (name,) in connection.execute(NAMES)]


# --- with boto3 -------------------------------------------------------------------------------------------


def head_per_record(missing: Path, *, threads: int) -> Told:
    """The incident's script: one HEAD per record, and what is not found is gone."""
    s3 = client(threads)
    began = time.perf_counter()
    records = names()
    read = time.perf_counter() - began

    asked = records[:: max(len(records) // HEADS, 1)][:HEADS]

    def is_gone(name: str) -> bool:
        try:
            s3.head_object(Bucket=BUCKET, Key=name)
        except ClientError as error:
            return error.response["Error"]["Code"] == "404"
        return False

    began = time.perf_counter()
    if threads == 1:
        gone = [name for name in asked if is_gone(name)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            gone = [name for name, found in zip(asked, pool.map(is_gone, asked), strict=True) if found]
    asking = time.perf_counter() - began
    write(missing, gone)
    return {"seconds": read + asking * len(records) / len(asked), "asked": asked}


def paginator_and_set(missing: Path) -> Told:
    s3 = client()
    began = time.perf_counter()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = {one["Key"] for page in pages for one in page.get("Contents", ())}
    write(missing, [name for name in names() if name not in keys])
    return {"seconds": time.perf_counter() - began}


# --- in a shell -------------------------------------------------------------------------------------------


def s5cmd(missing: Path) -> Told:
    # ls prints s3://BUCKET/KEY, which the 13th character follows
    listing = f"s5cmd --endpoint-url {ENDPOINT} ls --show-fullpath 's3://{BUCKET}/*' | cut -c {len(f's3://{BUCKET}/') + 1}-"
    return _sort_and_comm(listing, missing)


def rclone(missing: Path) -> Told:
    return _sort_and_comm(f"rclone lsf --recursive --files-only --fast-list :s3:{BUCKET}", missing)


def _sort_and_comm(listing: str, missing: Path) -> Told:
    """Export, both sorts and the listing run side by side, as far as the machine lets them."""
    export = f'psql -X -q -c "COPY ({NAMES}) TO STDOUT" "$DATABASE_URL"'
    if shutil.which("psql") is None:
        export = f"{sys.executable} -m benchmarks.peers export -"
    script = f"comm -23 <({export} | sort) <({listing} | sort) > {missing}"
    began = time.perf_counter()
    subprocess.run(["bash", "-c", script], check=True, env={**os.environ, "LC_ALL": "C"})
    return {"seconds": time.perf_counter() - began}


def export() -> None:
    """For machines without psql."""
    with (
        psycopg.connect(DATABASE_URL) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({NAMES}) TO STDOUT") as blocks,
    ):
        for block in blocks:
            sys.stdout.buffer.write(block)


# --- the floor --------------------------------------------------------------------------------------------


def floor(missing: Path) -> Told:
    """Fetch every page and read every row, and throw them away: what any program in Python has to do.

    The pages by urllib3, unsigned, one after another, for each page names the next; the rows by psycopg, in batches
    of the same columns as ours, in key order. First one thing and then the other.
    """
    write(missing, [])
    began = time.perf_counter()
    pages = fetch_pages()
    fetched = time.perf_counter() - began
    rows = read_rows()
    return {"seconds": time.perf_counter() - began, "fetching": fetched, "pages": pages, "rows": rows}


def fetch_pages() -> int:
    url = f"{ENDPOINT}/{BUCKET}?encoding-type=url&list-type=2&max-keys=1000&prefix="
    token = ""
    http = urllib3.PoolManager()
    for number in count(1):
        body = http.request("GET", f"{url}&continuation-token={token}" if token else url).data
        found = _TOKEN.search(body)
        if found is None:
            return number
        token = quote(found[1].decode(), safe="")
    raise AssertionError


def read_rows() -> int:
    query = (
        "SELECT id, file, NULL::text, NULL::text, size_bytes, NULLIF(etag, '') FROM imagesync_image "
        'WHERE file COLLATE "C" > %s ORDER BY file COLLATE "C", id LIMIT %s'
    )
    number, last = 0, ""
    with psycopg.connect(DATABASE_URL) as connection:
        while rows := connection.execute(query, [last, ROWS]).fetchall():
            number, last = number + len(rows), rows[-1][1]
    return number


def write(missing: Path, keys: list[str]) -> None:
    missing.write_text("".join(f"{key}\n" for key in keys))


SIDES: dict[str, Callable[[Path], Told]] = {
    "head-1": lambda missing: head_per_record(missing, threads=1),
    "head-32": lambda missing: head_per_record(missing, threads=32),
    "paginator": paginator_and_set,
    "s5cmd": s5cmd,
    "rclone": rclone,
    "floor": floor,
}


def main(side: str, missing: str) -> None:
    if side == "export":
        export()
    else:
        sys.stdout.write(json.dumps(SIDES[side](Path(missing))))


if __name__ == "__main__":
    main(*sys.argv[1:])
