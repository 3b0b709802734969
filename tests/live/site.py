"""The demo project on a real server: its commands as processes of their own, its records; and how a story
says that something is not as it must be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.live.janitor import ROOT
from tests.live.servers import Server, ServerFailed

UPLOADS_AT_ONCE = 12
COMMAND_SECONDS = 120
# No proxy, profile or configuration of whoever runs this may come between the project and its store.
ALONE = {
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

PRINT_URL = """
import sys, django
django.setup()
from django.core.files.storage import default_storage
print(default_storage.url(sys.stdin.read()))
"""


class Difference(Exception):
    """Something is not as it must be."""


def expect(found: Any, expected: Any, what: str) -> None:
    if found == expected:
        return
    if isinstance(found, set):
        raise Difference(
            f"{what}: {len(found)} found, {len(expected)} expected; "
            f"too many: {_some(found - expected)}; lacking: {_some(expected - found)}"
        )
    raise Difference(f"{what}: {_short(found)} found, {_short(expected)} expected")


def _some(values: Iterable[Any]) -> str:
    return ", ".join(_short(value) for value in sorted(values)[:5]) or "none"


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 600 else f"{text[:600]}... ({len(text)} characters)"


def variables(server: Server, bucket: str, region: str = "us-east-1") -> dict[str, str]:
    """How the demo project's settings are told of a bucket (docs/settings.md)."""
    return {
        "AWS_STORAGE_BUCKET_NAME": bucket,
        "AWS_S3_REGION_NAME": region,
        "AWS_S3_ENDPOINT_URL": server.url,
        "AWS_S3_ACCESS_KEY_ID": server.access_key,
        "AWS_S3_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_S3_ADDRESSING_STYLE": "path",
    }


def s3_client(server: Server, region: str = "us-east-1", **more: str) -> Any:
    """A client of the story's own, which knows nothing of the project."""
    return boto3.client(
        "s3",
        **{
            "endpoint_url": server.url,
            "region_name": region,
            "aws_access_key_id": server.access_key,
            "aws_secret_access_key": server.secret_key,
            **more,
        },
        config=Config(
            s3={"addressing_style": "path"},
            max_pool_connections=UPLOADS_AT_ONCE,
            connect_timeout=5,
            read_timeout=30,
            retries={"total_max_attempts": 3},
        ),
    )


@dataclass(frozen=True)
class Site:
    """The project with these settings; each command is a process that knows of the store only what they say."""

    database_url: str
    store: Mapping[str, str]
    """The variables of ``variables``."""
    began_at: float = field(default_factory=time.monotonic)

    def with_store(self, **store: str) -> Self:
        """The same site and database, configured otherwise."""
        return replace(self, store={**self.store, **store})

    def tell(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began_at:5.1f} s] {text}", flush=True)

    def manage(
        self, *arguments: str, exit_code: int | tuple[int, ...] = 0
    ) -> subprocess.CompletedProcess[str]:
        began_at = time.monotonic()
        ended = self.python("manage.py", *arguments, exit_code=exit_code)
        self.tell(
            f"manage.py {' '.join(arguments)} -> exit {ended.returncode}, {time.monotonic() - began_at:.1f} s"
        )
        return ended

    def report(self, *arguments: str, exit_code: int | tuple[int, ...] = 0) -> dict[str, Any]:
        """A command's JSON document."""
        document: dict[str, Any] = json.loads(
            self.manage(*arguments, "--format", "json", exit_code=exit_code).stdout
        )
        return document

    def url_of(self, name: str) -> str:
        """What the site hands to browsers. A bearer token: never shown."""
        return self.python("-c", PRINT_URL, stdin=name).stdout.strip()

    def insert(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Image records, two days old, with these values."""
        self.python("-m", "tests.live.site", "--insert", stdin=json.dumps(list(records)))

    def python(
        self, *arguments: str, exit_code: int | tuple[int, ...] = 0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Raises Difference when it ends otherwise."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": self.database_url,
            **ALONE,
            **self.store,
        }
        what = "the question for a URL" if PRINT_URL in arguments else " ".join(arguments)
        try:
            ended = subprocess.run(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Difference(f"{what} did not end within {COMMAND_SECONDS} s") from error
        if ended.returncode not in (exit_code if isinstance(exit_code, tuple) else (exit_code,)):
            raise Difference(
                f"{what} ended with {ended.returncode}, not {exit_code}:\n"
                f"{ended.stdout[-800:]}\n{ended.stderr[-2000:]}"
            )
        return ended


def told(needs: Iterable[tuple[bool, str]], story: Callable[[], None]) -> int:
    """Tell a whole story; the exit code. ``needs``: whether each server is there, and if not why."""
    for ok, why in needs:
        if not ok:
            print(f"live lane left out: {why}")
            return 1
    try:
        story()
    except Difference as difference:
        print(f"DIFFERENT: {difference}", flush=True)
        return 1
    except (ServerFailed, BotoCoreError, ClientError, psycopg.Error) as error:
        print(f"could not be told to the end: {type(error).__name__}: {error}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been stopped", flush=True)
        return 130
    print("everything is as it must be", flush=True)
    return 0


def insert_records() -> None:
    """Insert the records that standard input describes. A process of its own: it needs Django's settings."""
    import django

    django.setup()
    from datetime import timedelta

    from django.contrib.auth.models import User
    from django.utils import timezone

    from imagesync.models import Image

    owners = [*(User.objects.create_user(f"owner {number}") for number in range(3)), None]
    two_days_ago = timezone.now() - timedelta(days=2)
    Image.objects.bulk_create(
        (
            Image(
                title=f"image {number}: {record['file']}"[:255],
                owner=owners[number % len(owners)],
                created_at=two_days_ago + timedelta(microseconds=number),
                # some records remember what was stored, as after an upload; some know only the name
                **(record if number % 2 else {"file": record["file"]}),
            )
            for number, record in enumerate(json.load(sys.stdin))
        ),
        batch_size=1000,
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--insert"]:
        sys.exit("python -m tests.live.site --insert < records.json")
    insert_records()
