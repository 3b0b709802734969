from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.database_url import parse_database_url, sqlite_url
from project.embedded_s3 import PORT, EmbeddedS3
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("url", "name", "host", "port"),
    [
        ("sqlite:////somewhere/db.sqlite3", "/somewhere/db.sqlite3", None, None),
        ("sqlite:///usr/lib/db.sqlite3", "/usr/lib/db.sqlite3", None, None),
        ("sqlite:///db.sqlite3", str(ROOT / "db.sqlite3"), None, None),
        (
            sqlite_url(Path("/some where/100%20#1?/db.sqlite3")),
            "/some where/100%20#1?/db.sqlite3",
            None,
            None,
        ),
        ("sqlite:///nowhere/at/all.sqlite3", str(ROOT / "nowhere/at/all.sqlite3"), None, None),
        ("postgres://me@db.example/site", "site", "db.example", ""),
        ("postgres://me:p%40ss@db.example:6543/site", "site", "db.example", "6543"),
        ("postgres://me@/site?host=/run/sockets", "site", "/run/sockets", ""),
    ],
)
def test_database_url__the_documented_forms(url: str, name: str, host: str | None, port: str | None) -> None:
    parsed = parse_database_url(url)

    assert (parsed["NAME"], parsed.get("HOST"), parsed.get("PORT")) == (name, host, port)
    assert parsed.get("PASSWORD", "") in ("", "p@ss")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://me:secret@db/site",
        "postgres://me:secret@db",
        "sqlite://",
        "postgres://me:secret@db:port/site",
        "postgres://me:secret@[db/site",
        "postgres://me:secret@db/site?sslmode=require",
        "sqlite:///db.sqlite3?mode=ro",
    ],
)
def test_database_url__anything_else_is_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        parse_database_url(url)

    assert "Its forms" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_settings__need_no_variable() -> None:
    code = "import django; django.setup(); from django.core.management import call_command; call_command('check')"
    environment = {"DJANGO_SETTINGS_MODULE": "project.settings", "PATH": ""}

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def read_settings(**variables: str) -> dict[str, Any]:
    """The demo project's storage options as a fresh process with these variables sees them."""
    code = "import json; from project import settings; print(json.dumps(settings.STORAGES['default']['OPTIONS']))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", "DATABASE_URL": "sqlite:///unused.sqlite3", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout)


def test_settings__name_the_embedded_s3_when_nothing_else_is_named() -> None:
    options = read_settings(AWS_S3_ENDPOINT_URL="", AWS_S3_REGION_NAME="us-east-1")

    assert options["endpoint_url"] == f"http://127.0.0.1:{PORT}"
    assert (options["access_key"], options["secret_key"]) == (EmbeddedS3.access_key, EmbeddedS3.secret_key)
    assert (options["bucket_name"], options["region_name"]) == ("realtor-image-generator", "us-east-1")
    assert options["addressing_style"] == "path"


def test_settings__with_a_key_and_no_endpoint_mean_aws() -> None:
    options = read_settings(AWS_S3_ACCESS_KEY_ID="AKIAMINE", AWS_S3_SECRET_ACCESS_KEY="mine")

    assert options["endpoint_url"] is None
    assert (options["access_key"], options["secret_key"]) == ("AKIAMINE", "mine")
    assert (options["addressing_style"], options["signature_version"]) == ("virtual", "s3v4")


def test_manage__a_wrong_variable_is_one_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check_s3_images"],
        cwd=ROOT,
        env={"PATH": "", "DATABASE_URL": "mysql://me:secret@db/site"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Settings: DATABASE_URL has the scheme 'mysql'")
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr
