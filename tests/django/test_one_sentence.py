"""What goes wrong outside of a command's own work ends in one true sentence, with its exit code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management.base import CommandError, OutputWrapper
from django.db import connection

from imagesync.management.base import OUR_SIDE, one_sentence, output
from imagesync.models import Audit, Image, Purge
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import half_of_them, make_images, run
from tests.processes import start

pytestmark = pytest.mark.django_db(transaction=True)


class Leaving(io.StringIO):
    """A terminal at which somebody types Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        raise KeyboardInterrupt


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


def test_purge__interrupted_at_the_question_says_what_is_kept_and_how_to_go_on(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_of_them(s3)
    monkeypatch.setattr("sys.stdin", Leaving())

    code, out, err = run("purge_orphans")

    assert (code, out) == (130, "")
    assert "Interrupted. Nothing was deleted." in err
    assert f"kept as purge {Purge.objects.get().pk}" in err
    assert "purge_orphans makes a new one" in err
    assert Image.objects.count() == 6


def test_restore__interrupted_at_the_question_says_how_to_go_on(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_of_them(s3)
    run("purge_orphans", "--no-input")
    monkeypatch.setattr("sys.stdin", Leaving())

    code, _out, err = run("restore_purged")

    assert code == 130
    assert f"restore_purged {Purge.objects.get().pk} asks again" in err
    assert Image.objects.count() == 3


def test_verbatim__a_plan_on_stderr_is_no_error() -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    stderr = OutputWrapper(terminal)
    stderr.style_func = lambda text: f"RED{text}"

    with output("", stderr, "") as shown:
        shown.write("Purge 1: ")
        shown.writelines(["plan\n"])

    assert terminal.getvalue() == "Purge 1: plan\n"


@pytest.fixture
def many(s3: EmbeddedS3) -> Audit:
    """An audit whose report no pipe takes at once."""
    make_images(*(f"gone/{number:03}.jpg" for number in range(300)))
    run("check_s3_images")
    return Audit.objects.get()


@pytest.mark.parametrize("format", ["json", "csv"])
def test_report__whose_reader_goes_away(s3: EmbeddedS3, many: Audit, format: str) -> None:
    process = start(s3, BUCKET, "check_s3_images", "--resume", str(many.pk), "--format", format)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()

    err = process.stderr.read()

    assert process.wait(timeout=60) == OUR_SIDE
    assert err.strip() == "CommandError: The reader of the output went away."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_report__on_a_full_disk(s3: EmbeddedS3, many: Audit) -> None:
    to = ("--format", "json", "--output", "/dev/full")
    process = start(s3, BUCKET, "check_s3_images", "--resume", str(many.pk), *to)

    _out, err = process.communicate(timeout=60)

    assert process.returncode == OUR_SIDE
    assert err.strip().endswith(f"--resume {many.pk} reports it again.")
    assert err.count("\n") == 1
