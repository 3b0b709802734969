"""One server, one browser, one database for the whole lane; each test begins with the incident's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings
from playwright.sync_api import ConsoleMessage, Page, expect

from project.database_url import sqlite_url
from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, fill_bucket, fill_database
from tests.browser.chromium import CHROMIUM, launch_arguments
from tests.browser.site import Site
from tests.conftest import forget_default_storage, storages_at

PEOPLE = ("anna", "ben")
PASSWORD = "only for tests"
PATIENCE_MS = 30_000
"""What only a busy machine needs; nothing waits longer than it must."""
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    available, why = CHROMIUM.available()
    if available and connection.vendor != "sqlite":
        available, why = False, "these are the same on every database, and run on SQLite"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not available:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, **launch_arguments()}


@pytest.fixture(scope="session")
def base_url() -> str:
    """In place of a plugin's, which pytest warns of. Each window is given the site's own address."""
    return ""


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[str]:
    """The URL of a database in which the tests read and write beside the server.

    It is emptied between tests by ``emptied`` and not by Django's own flush: that makes new content types, whose
    numbers a running server would not know.
    """
    file = tmp_path_factory.mktemp("browser") / "db.sqlite3"
    configured = connection.settings_dict["NAME"]
    with pytest.MonkeyPatch.context() as patched, django_db_blocker.unblock():
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's loop runs in this thread
        connection.close()
        connection.settings_dict["NAME"] = str(file)
        call_command("migrate", verbosity=0)
        make_people()
        yield sqlite_url(file)
        connection.close()
        connection.settings_dict["NAME"] = configured


@pytest.fixture(scope="package")
def site(database: str, embedded_server: EmbeddedS3) -> Iterator[Site]:
    storages = storages_at(embedded_server.url, bucket_name=BUCKET)
    with Site(embedded_server, database) as started, override_settings(STORAGES=storages):
        forget_default_storage()
        yield started
    forget_default_storage()


@pytest.fixture
def s3(site: Site) -> EmbeddedS3:
    """The bucket of the incident with six objects, and its twelve records."""
    emptied(site)
    fill_bucket(site.s3)
    fill_database()
    return site.s3


@pytest.fixture
def visit(site: Site, s3: EmbeddedS3, new_context: Any) -> Iterator[Callable[..., Page]]:
    """A page in a browser window of its own, of somebody who is logged in. Nothing may go wrong in its console."""
    said: list[str] = []
    store = s3.url

    def listen(message: ConsoleMessage) -> None:
        address = message.location["url"]
        not_ours = address.endswith("/favicon.ico") or address.startswith(store)
        if "Failed to load resource" in message.text and not_ours:
            return  # the site has no icon, and of the store some tests make a store that does not answer
        if message.type in ("error", "warning"):
            said.append(f"{message.text} ({address})")

    def open_page(user: str = "anna", **options: Any) -> Page:
        context = new_context(base_url=site.url, **options)
        if user:
            context.add_cookies([{"name": "sessionid", "value": session_of(user), "url": site.url}])
        page: Page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    yield open_page
    assert said == []


def emptied(site: Site) -> EmbeddedS3:
    """No bucket, no records and no history, but the people."""
    with transaction.atomic():
        for label in ("imagesync", "django_q", "admin", "sessions"):
            for model in apps.get_app_config(label).get_models():
                model._base_manager.all()._raw_delete(connection.alias)
    site.s3.reset()
    return site.s3


def make_people() -> None:
    for name in PEOPLE:
        User.objects.create_superuser(name, password=PASSWORD)


def session_of(name: str) -> str:
    """The key of a new session, as the log-in makes it."""
    user = User.objects.get(username=name)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    key: str = session.session_key
    return key
