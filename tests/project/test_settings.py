from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from project.database_url import parse_database_url
from tests.django.helpers import make_images
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("url", "name", "host", "port"),
    [
        ("sqlite:////somewhere/db.sqlite3", "/somewhere/db.sqlite3", None, None),
        ("sqlite:///usr/lib/db.sqlite3", "/usr/lib/db.sqlite3", None, None),
        ("sqlite:///db.sqlite3", str(ROOT / "db.sqlite3"), None, None),
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


@override_settings(ROOT_URLCONF="project.urls")
def test_gallery__shows_a_placeholder_that_says_why_and_asks_s3_nothing(db: None, settings) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "templates"]}]
    make_images("there.jpg", verdict="present")
    make_images("gone.jpg", verdict="missing")
    make_images("<script>.jpg", verdict="unknown")

    response = Client().get("/")  # the suite's default storage refuses every connection

    page = response.content.decode()
    assert page.count("<img ") == 1
    assert "The file is gone from the store." in page
    assert "<script>" not in page
    assert "script-src" not in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]
