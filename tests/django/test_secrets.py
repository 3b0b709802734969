"""Secrets, signatures, tokens and signed URLs appear in no output, log or table, at any verbosity."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.files.storage import default_storage
from django.db import connection
from django.test import override_settings

from imagesync.models import Image, Job
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import make_images, run
from tests.queues import RealQueue

TOKEN = "IQoJb3JpZ2luX2VjEFakeSessionToken"
SECRETS = [
    EmbeddedS3.secret_key,
    TOKEN,
    "X-Amz-Signature",
    "X-Amz-Credential",
    "AWSAccessKeyId=",
    "Signature=",
]

RUNS: dict[str, list[list[str]]] = {
    "check_s3_images": [["--format", format] for format in ("text", "json", "ndjson", "csv", "markdown")],
    "purge_orphans": [
        ["--dry-run", "--format", "text"],
        ["--dry-run", "--format", "json"],
        ["--dry-run", "--format", "csv"],
        ["--no-input", "--max-ratio", "1"],
    ],
    "imagesync_doctor": [["--format", "text"], ["--format", "json"]],
    "restore_purged": [["--dry-run", "--format", "json"], ["--no-input"]],
    "debug_s3_image": [["there.jpg"], ["gone.jpg"], ["there.jpg", "--format", "json"]],
    "imagesync_schedule": [["--check", "daily"], ["--list"]],
    "imagesync_job": [["1"]],
    "imagesync_watch": [["--once"]],
    "imagesync_prune": [["--dry-run", "--format", "json"], ["--no-input"]],
    "imagesync_notify": [["--test"], []],
}

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_command_is_looked_at() -> None:
    folder = Path(__file__).resolve().parent.parent.parent / "imagesync/management/commands"

    assert {one.stem for one in folder.glob("*.py")} - {"__init__"} == set(RUNS)


@pytest.fixture(params=["well", "refused", "wrong region", "unreachable"])
def site(request: Any, s3: EmbeddedS3) -> Any:
    """A site with temporary credentials, on a good day and on bad ones."""
    s3.put(BUCKET, "there.jpg")
    make_images("there.jpg", "gone.jpg", "gone too.jpg")
    Job.objects.create(
        pk=1,
        kind=Job.Kind.CHECK,
        content_type=ContentType.objects.get_for_model(Image),
        fields=["imagesync.Image.file"],
        outcome={"whole": True},
    )
    options = {
        "well": {},
        "refused": {"access_key": "AKIAUNKNOWN"},
        "wrong region": {"region_name": "us-east-1"},
        "unreachable": {"endpoint_url": "http://user:pa55word@127.0.0.1:9"},
    }[request.param]
    notify = {
        "CHANNELS": ["email", "webhook"],
        "WEBHOOK_SECRET_URL": "http://127.0.0.1:9/hook-secret",
    }
    with override_settings(
        STORAGES=storages_at(s3.url, **{"security_token": TOKEN, **options}),
        IMAGESYNC={
            **project_settings.IMAGESYNC,
            "NOTIFY": notify,
            "EVENTS": {"QUEUE_URL": RealQueue(s3).url},
        },
        ADMINS=["operator@example.com"],
    ):
        forget_default_storage()
        yield s3
    forget_default_storage()


def test_no_secret_in_any_output_log_or_table(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert TOKEN in default_storage.url("there.jpg"), "there would be something to leak"
    with caplog.at_level(logging.DEBUG, logger="imagesync"):
        told = [
            "".join(map(str, run(command, *arguments, verbosity=3)))
            for command, runs in RUNS.items()
            for arguments in runs
        ]
    told += [caplog.text, *_tables(), *(f"{sent.subject} {sent.body}" for sent in mail.outbox)]

    assert mail.outbox, "a test message at least"
    for secret in [*SECRETS, "pa55word", "hook-secret"]:
        assert not [text for text in told if secret in text], secret


def _tables() -> list[str]:
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            texts.append(str(cursor.fetchall()))
    return texts
