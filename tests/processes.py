"""Real ``manage.py`` processes on the database and the S3 of a test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from project.embedded_s3 import EmbeddedS3

ROOT = Path(__file__).resolve().parent.parent
_UNDER_WAY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""


def database_url() -> str:
    """The test's own database, as the demo project's settings read it."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite://{settings['NAME']}"
    host, port = settings["HOST"], settings["PORT"]
    user = quote(settings["USER"]) + (f":{quote(settings['PASSWORD'])}" if settings["PASSWORD"] else "")
    if host.startswith("/"):
        return f"postgres://{user}@/{settings['NAME']}?host={quote(host, safe='/')}"
    return f"postgres://{user}@{host}{f':{port}' if port else ''}/{settings['NAME']}"


def environment(s3: EmbeddedS3, bucket: str, region: str = "eu-north-1") -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": database_url(),
        "SECRET_KEY": "only for tests",
        "AWS_STORAGE_BUCKET_NAME": bucket,
        "AWS_S3_REGION_NAME": region,
        "AWS_S3_ENDPOINT_URL": s3.url,
        "AWS_S3_ACCESS_KEY_ID": s3.access_key,
        "AWS_S3_SECRET_ACCESS_KEY": s3.secret_key,
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


def start(s3: EmbeddedS3, bucket: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment(s3, bucket), **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """``kill -9``. What it had sent is done when this returns: the database may be committing it while nobody waits for it."""
    process.kill()
    process.communicate()
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:

        def is_done() -> bool:
            cursor.execute(_UNDER_WAY)
            return bool(cursor.fetchone() == (0,))

        until(is_done)


def until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for what must come; a process that ends first, or a minute, is the end of waiting."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came"
        assert process is None or process.poll() is None, process.communicate() if process else ""
        time.sleep(0.02)


def wait_for_requests(s3: EmbeddedS3, process: subprocess.Popen[str], number: int) -> None:
    """Until the process has sent that many requests, or has ended."""
    s3.requests.clear()
    while len(s3.requests) < number and process.poll() is None:
        time.sleep(0.01)


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Until the process says it on stderr."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if text in line:
            return
        said.append(line)
    raise AssertionError(f"{text!r} was never said, but: {''.join(said)}")
