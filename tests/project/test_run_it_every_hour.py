"""docs/schedule.md, followed literally: a new project, real processes, an S3 on a socket, mail in a folder."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from packaging.requirements import Requirement

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.project.steps import Step, blocks_of, steps_of

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/schedule.md").read_text()
PATIENCE = 120

# what the page says that its reader has: a storage on S3, and a way to send mail (here, into a folder)
THE_READERS_OWN = """
STORAGES = {{
    "default": {{
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {{
            "bucket_name": "{bucket}", "region_name": "eu-north-1", "endpoint_url": "{url}", "addressing_style": "path",
            "access_key": "{access_key}", "secret_key": "{secret_key}", "signature_version": "s3v4",
            "file_overwrite": False,
        }},
    }},
    "staticfiles": {{"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
}}
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = "{mails}"
ADMINS = [("Somebody", "somebody@example.com")]
INSTALLED_APPS += ["tests.hasty.HastyConfig"]
"""


class Reader:
    """Somebody in front of an empty folder, who does what a page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mails = folder / "mails"
        self.settings = folder / "gallery" / "settings.py"

    def types(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._words(words), cwd=self.folder, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip

    def leaves_running(self, words: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._words(words), cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def writes(self, settings: str) -> None:
        with self.settings.open("a") as file:
            file.write(f"\n{settings}\n")

    def asks(self, code: str) -> str:
        done = self.types(["python", "manage.py", "shell", "--no-imports", "--verbosity", "0", "-c", code])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def read_mails(self) -> str:
        return (
            "\n".join(one.read_text() for one in sorted(self.mails.glob("*"))) if self.mails.is_dir() else ""
        )

    def _words(self, words: list[str]) -> list[str]:
        return [sys.executable, *words[1:]] if words[0] == "python" else words

    def _environment(self) -> dict[str, str]:
        own = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ
        }
        return {**own, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


@pytest.fixture
def reader(tmp_path: Path, embedded_server: EmbeddedS3) -> Iterator[Reader]:
    embedded_server.reset()
    embedded_server.create_bucket(BUCKET, "eu-north-1")
    somebody = Reader(tmp_path)
    done = somebody.types(["python", "-m", "django", "startproject", "gallery", "."])
    assert done.returncode == 0, done.stderr
    somebody.writes(
        THE_READERS_OWN.format(
            bucket=BUCKET, url=embedded_server.url, access_key=EmbeddedS3.access_key,
            secret_key=EmbeddedS3.secret_key, mails=somebody.mails,
        )
    )  # fmt: skip
    yield somebody
    embedded_server.reset()


def wait_until(so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert process.poll() is None, f"it ended by itself: {process.returncode}"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def is_installed(requirement: str) -> bool:
    """What ``pip install`` would find to be there already: this project, with what its extra asks for."""
    wanted = Requirement(requirement)
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    return wanted.name == "django-imagesync" and wanted.extras <= set(extras)


def test_page__followed_step_by_step_audits_by_itself_and_tells(
    reader: Reader, embedded_server: EmbeddedS3
) -> None:
    install, settings, look, schedule, run = steps_of(PAGE)

    [[_pip, _install, requirement]] = install.commands
    assert is_installed(requirement)
    for block in settings.settings:
        reader.writes(block)
    follow(reader, look)
    assert "Subject" in reader.read_mails()  # the test message
    reader.asks(
        "from imagesync.models import Image;"
        "Image.objects.bulk_create(Image(file=f'{n}.jpg', title=str(n)) for n in range(4))"
    )
    for number in range(3):
        embedded_server.put(BUCKET, f"{number}.jpg")
    for _deploy in range(2):
        follow(reader, schedule)

    [command] = run.commands
    cluster = reader.leaves_running(command)
    try:
        wait_until(lambda: reader.read_mails().count("Message-ID") > 1, cluster)
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.wait(PATIENCE)

    told = reader.asks(
        "from imagesync.models import Audit; from django_q.models import Schedule;"
        "audit = Audit.objects.filter(started_by='schedule').get();"
        "print(audit.trust, audit.counts['missing'], audit.counts['present'], Schedule.objects.count())"
    )
    assert told == "trustworthy 1 3 3"
    [_test, told] = reader.read_mails().split("Message-ID")[1:]
    assert "1 more broken" in told
    warned = reader.types(["python", "manage.py", "check"])
    assert "imagesync." not in warned.stdout + warned.stderr


def follow(reader: Reader, step: Step) -> None:
    for command in step.commands:
        done = reader.types(command)
        assert done.returncode == 0, f"{step.title}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"


def test_page__has_five_steps() -> None:
    steps = steps_of(PAGE)

    assert PAGE.startswith("# Run it every hour\n")
    assert len(steps) == 5
    assert all(step.settings or step.commands for step in steps)


def recipes() -> list[str]:
    return re.findall(r"manage\.py (\S+ .*?|\S+)(?: \|\| true)?$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("line", recipes())
def test_recipe__names_commands_and_options_that_exist(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    if name in ("migrate", "qcluster"):
        return
    parser = load_command_class("imagesync", name).create_parser("manage.py", name)

    known: Any = parser.parse_args(arguments)

    assert known.verbosity in (0, 1)


def test_units__are_what_systemd_reads() -> None:
    units = [block for block in blocks_of(PAGE) if block.startswith("[")]

    assert len(units) == 3
    for unit in units:
        parser = configparser.ConfigParser()
        parser.read_string(unit)
        assert set(parser.sections()) <= {"Unit", "Service", "Timer", "Install"}
