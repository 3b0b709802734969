"""The documentation is part of the product: what exists has its page, and what a page names exists."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.dispatch import Signal

from imagesync import signals
from imagesync.conf import SETTING_NAMES
from imagesync.core.diagnosis import _FAILURES, DIAGNOSES
from imagesync.core.events import Unreadable
from imagesync.core.examination import QUESTIONS
from imagesync.core.news import Kind
from imagesync.core.notifying import NotifySettings
from imagesync.core.rails import RAILS
from imagesync.core.upload_problems import UploadProblem
from imagesync.core.verdicts import Reason, Verdict
from imagesync.logs import EVENTS
from imagesync.management.base import EXIT_CODES
from imagesync.metrics.figures import described
from imagesync.models import Image
from imagesync.selftest.table import TABLE
from imagesync.signals import SIGNALS
from imagesync.templatetags.imagesync import register
from tests.docs.generated import with_table

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = [
    "check_s3_images",
    "purge_orphans",
    "restore_purged",
    "debug_s3_image",
    "imagesync_doctor",
    "imagesync_schedule",
    "imagesync_watch",
    "imagesync_job",
    "imagesync_notify",
    "imagesync_prune",
]
DJANGO_OPTIONS = {
    "--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color", "--skip-checks",
}  # fmt: skip


def page(name: str) -> str:
    return (ROOT / name).read_text()


def test_commands__are_all_listed_here() -> None:
    found = {one.stem for one in (ROOT / "imagesync/management/commands").glob("*.py")} - {"__init__"}

    assert found == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command__has_help_examples_exit_codes_and_every_option_documented(name: str) -> None:
    command = load_command_class("imagesync", name)
    parser = command.create_parser("manage.py", name)
    section = page("docs/commands.md").split(f"## {name}\n")[1].split("\n## ")[0]

    assert command.help.endswith(".")
    assert parser.epilog is not None
    assert parser.epilog.count(f"manage.py {name}") >= 2
    assert EXIT_CODES in parser.epilog
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--") and option not in DJANGO_OPTIONS and option != "--noinput":
                assert action.help, option
                assert option in section, option
    assert f"`{name}`" in page("README.md")
    assert "%" not in parser.format_help().replace("10%", "")


def test_commands_page__names_no_option_that_does_not_exist() -> None:
    known = {
        option
        for name in COMMANDS
        for action in load_command_class("imagesync", name).create_parser("manage.py", name)._actions
        for option in action.option_strings
    }

    assert set(re.findall(r"`(--[a-z-]+)", page("docs/commands.md"))) <= known


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_setting__is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("docs/settings.md")


@pytest.mark.parametrize("name", [one.name.upper() for one in fields(NotifySettings)])
def test_setting_of_notify__is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("docs/notifications.md")


@pytest.mark.parametrize("kind", Kind)
def test_news__are_documented(kind: str) -> None:
    assert f"| `{kind}` |" in page("docs/notifications.md")


@pytest.mark.parametrize("word", [*Verdict, *Reason])
def test_verdict_and_reason__are_documented(word: str) -> None:
    assert f"| `{word}` |" in page("docs/how-it-decides.md")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_placeholders_page__says_what_is_shown_for_each_verdict(verdict: Verdict) -> None:
    shown = "placeholder" if Image(file="a.jpg", verdict=verdict.value).placeholder_text else "picture"

    assert f"\n| `{verdict}` | {shown} |" in page("docs/placeholders.md")


@pytest.mark.parametrize("tag", sorted(register.tags))
def test_template_tag__is_documented(tag: str) -> None:
    assert f"| `{{% {tag} image %}}` |" in page("docs/placeholders.md")


@pytest.mark.parametrize("id", DIAGNOSES)
def test_diagnosis__has_its_section(id: str) -> None:
    assert f"\n## {id}\n" in page("docs/diagnoses.md")


@pytest.mark.parametrize("id", QUESTIONS)
def test_question__is_documented(id: str) -> None:
    assert f"| `{id}` |" in page("docs/commands.md")


def test_diagnosis__every_failure_has_a_registered_id() -> None:
    assert {id for id, _fact, _hint in _FAILURES.values()} <= set(DIAGNOSES)


@pytest.mark.parametrize("name", [gauge.name for gauge in described()])
def test_metric__is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("docs/monitoring.md")


@pytest.mark.parametrize("reason", UploadProblem)
def test_upload_problem__is_documented(reason: str) -> None:
    assert f"| `{reason}` |" in page("docs/uploads.md")


@pytest.mark.parametrize("reason", Unreadable)
def test_unreadable_message__its_reason_is_documented(reason: str) -> None:
    assert f"| `{reason}` |" in page("docs/events.md")


@pytest.mark.parametrize("id", RAILS)
def test_rail__has_its_section(id: str) -> None:
    assert f"\n## {id}\n" in page("docs/safety-rails.md")


@pytest.mark.parametrize("name", SIGNALS)
def test_signal__is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("docs/signals.md")


@pytest.mark.parametrize("event", EVENTS)
def test_event__is_documented(event: str) -> None:
    assert f"| `{event}` |" in page("docs/logging.md")


def test_signals__are_all_listed() -> None:
    assert {name for name, one in vars(signals).items() if isinstance(one, Signal)} == set(SIGNALS)


@pytest.mark.parametrize("id", sorted(set(re.findall(r"imagesync\.[EW]\d{3}", page("imagesync/checks.py")))))
def test_check__is_documented(id: str) -> None:
    assert f"| `{id}` |" in page("docs/settings.md")


@pytest.mark.parametrize(
    "name", ["README.md", *(str(one.relative_to(ROOT)) for one in (ROOT / "docs").glob("*.md"))]
)
def test_links__lead_somewhere(name: str) -> None:
    text = page(name)

    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / name).parent / target).exists(), target


def test_index__lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", page("docs/README.md")))

    assert {one.name for one in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_layout__says_where_every_module_belongs() -> None:
    named = set(re.findall(r"`([a-z_]+)`", page("docs/layout.md")))

    assert {one.name for one in pkgutil.iter_modules([str(ROOT / "imagesync")])} <= named


def test_readme__its_make_targets_exist() -> None:
    makefile = page("Makefile")

    for target in re.findall(r"^    make ([a-z]+)", page("README.md"), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_readme__exit_codes_are_those_of_the_help() -> None:
    readme = page("README.md")

    for code in re.findall(r"^  (\d+) ", EXIT_CODES, flags=re.MULTILINE):
        assert f"| {code} |" in readme


def test_how_it_decides__has_the_table_that_the_code_has() -> None:
    text = page("docs/how-it-decides.md")

    assert with_table(text) == text, "run: make docs"
    assert text.count("\n| ") > len(TABLE)


def test_pictures__that_pages_show_are_there_and_no_other_is_kept() -> None:
    folder = ROOT / "docs" / "screenshots"
    shown = set()
    for name in ("README.md", "docs/admin.md", "docs/screenshots/README.md"):
        for address in re.findall(r'(?:src|srcset)="([^"]+\.png)"', page(name)):
            assert ((ROOT / name).parent / address).is_file(), f"{name} shows {address}"
            shown.add(Path(address).name)

    assert {one.name for one in folder.glob("*.png")} == shown
    assert sum(one.stat().st_size for one in folder.glob("*.png")) < 6_000_000
