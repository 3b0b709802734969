"""What goes wrong outside of a command's own work ends in one true sentence, with its exit code."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError
from django.db import connection

from imagesync.management.base import OUR_SIDE, one_sentence

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nowhere", "SELECT nonesuch FROM imagesync_audit"])
def test_database__that_is_not_migrated_names_the_command(statement: str) -> None:
    with (
        pytest.raises(CommandError, match=r"not migrated .*Run: manage.py migrate") as caught,
        one_sentence(),
    ):
        connection.cursor().execute(statement)

    assert caught.value.returncode == OUR_SIDE


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite makes what it does not find")
@pytest.mark.parametrize("name", ["NAME", "USER"])
def test_database__that_does_not_exist_is_no_matter_of_migrations(name: str) -> None:
    stranger = connection.copy()
    stranger.settings_dict = {**connection.settings_dict, name: "nobody_made_this"}

    with (
        pytest.raises(CommandError, match=r"database cannot be used.*nobody_made_this") as caught,
        one_sentence(),
    ):
        stranger.ensure_connection()

    assert caught.value.returncode == OUR_SIDE
    assert "migrate" not in str(caught.value)
