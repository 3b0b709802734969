"""What the commands share: errors become one sentence and an exit code, data goes to stdout or a file."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    OutputWrapper,
)
from django.db import DatabaseError, OperationalError, ProgrammingError

from imagesync.exceptions import (
    AlreadyRunning,
    CannotLook,
    ImageSyncError,
    InvalidRequest,
    NothingMatches,
    PurgeRefused,
)
from imagesync.management.progress import TerminalProgress

DONE = 0
OUR_SIDE = 1
USAGE = 2
FINDINGS = 3
STORE = 4
INTERRUPTED = 130

EXIT_CODES = """\
exit codes:
  0    done, nothing to report
  1    our side could not: database, settings, output file, nothing matches, no terminal to ask at
  2    wrong usage: unknown option, unparsable or out-of-range value
  3    findings
  4    the store could not be reached, looked at or believed, or a safety rail refused
  130  interrupted, resumable
"""

_CODE_OF = {
    AlreadyRunning: OUR_SIDE,
    NothingMatches: OUR_SIDE,
    InvalidRequest: USAGE,
    PurgeRefused: STORE,
    CannotLook: STORE,
}


class _Formatter(DjangoHelpFormatter):
    """Keeps the line breaks of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "".join(indent + line for line in text.splitlines(keepends=True))


class ImageSyncCommand(BaseCommand):
    """``examples`` is shown below the options, before the exit codes."""

    examples = ""
    requires_system_checks = ["imagesync"]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        epilog = f"examples:\n{self.examples}\n{EXIT_CODES}"
        kwargs.setdefault("formatter_class", _Formatter)
        return super().create_parser(prog_name, subcommand, epilog=epilog, **kwargs)

    def execute(self, *args: Any, **options: Any) -> Any:
        with one_sentence():
            return super().execute(*args, **options)

    def say(self, text: str) -> None:
        """Narration, on stderr: stdout is for data."""
        if self._verbosity > 0:
            self.stderr.write(text, style_func=str)

    _verbosity = 1
    run: Callable[..., None]
    """What the command does; its options come as keywords."""

    def handle(self, *args: Any, verbosity: int = 1, **options: Any) -> None:
        self._verbosity = verbosity
        self.run(**options)

    @contextlib.contextmanager
    def progress(self, interrupted: str = "") -> Iterator[TerminalProgress]:
        """Shown on stderr while it lasts. ``interrupted`` tells whoever ends it what is kept and how to go on."""
        shown = TerminalProgress(self.stderr, verbosity=self._verbosity)
        try:
            yield shown
        except KeyboardInterrupt:
            raise KeyboardInterrupt(interrupted) from None
        finally:
            shown.end()

    def confirm_number(self, number: int, question: str, interrupted: str) -> None:
        """Have the number typed. Raises CommandError (exit 1) without a terminal, or at another answer.

        ``interrupted`` tells whoever ends it there what is kept and how to go on.
        """
        if not sys.stdin.isatty():
            raise CommandError(
                "There is no terminal to ask at, so nothing was done. --no-input goes ahead without asking.",
                returncode=OUR_SIDE,
            )
        self.stderr.write(f"{question} Type {number} to go ahead: ", ending="", style_func=str)
        self.stderr.flush()
        try:
            answer = sys.stdin.readline().strip()
        except KeyboardInterrupt:
            self.stderr.write("", style_func=str)  # what follows is on a line of its own
            raise KeyboardInterrupt(interrupted) from None
        if answer != str(number):
            raise CommandError("Not confirmed, so nothing was done.", returncode=OUR_SIDE)


def by_command() -> str:
    """Who or what started something, for the record: the command, and whose process it is."""
    try:
        who = getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        who = f"user {os.getuid()}"
    return f"command ({who})"[:64]


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what may go wrong into a CommandError with one sentence and the documented exit code."""
    try:
        yield
    except ImageSyncError as error:
        code = next((code for kind, code in _CODE_OF.items() if isinstance(error, kind)), OUR_SIDE)
        raise CommandError(str(error), returncode=code) from error
    except ImproperlyConfigured as error:
        raise CommandError(f"Settings: {error}", returncode=OUR_SIDE) from error
    except (OperationalError, ProgrammingError) as error:
        raise CommandError(_database_sentence(error), returncode=OUR_SIDE) from error
    except DatabaseError as error:
        raise CommandError(f"The database refused: {_first_line(error)}", returncode=OUR_SIDE) from error
    except BrokenPipeError:
        # whoever read our output has enough; Python would complain again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandError("The reader of the output went away.", returncode=OUR_SIDE) from None
    except KeyboardInterrupt as error:
        hint = str(error) or "Nothing was lost."
        raise CommandError(f"Interrupted. {hint}", returncode=INTERRUPTED) from error


def _database_sentence(error: DatabaseError) -> str:
    text = _first_line(error)
    # PostgreSQL has the same words for a database and a role; those are no ProgrammingError, for nobody was let in
    lacks = isinstance(error, ProgrammingError) and re.search(r"\b(relation|column)\b.* does not exist", text)
    if lacks or "no such table" in text or "no such column" in text:
        return f"The database is not migrated ({text}). Run: manage.py migrate"
    return f"The database cannot be used: {text}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Verbatim:
    """Django's OutputWrapper without the line end that it adds to every piece, and without its colour: on stderr that of
    errors."""

    def __init__(self, wrapper: OutputWrapper) -> None:
        self.wrapper = wrapper

    def write(self, text: str) -> int:
        if text:
            self.wrapper.write(text, style_func=str, ending="")
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


@contextlib.contextmanager
def output(path: str, stdout: OutputWrapper, kept: str) -> Iterator[TextIO]:
    """Where the report goes: ``path`` (written whole or not at all) or stdout.

    ``kept`` tells what is not lost when the file cannot be written.
    """
    if not path:
        yield cast(TextIO, Verbatim(stdout))
        return
    try:
        with _whole_file(Path(path)) as file:
            yield file
    except OSError as error:
        raise CommandError(
            f"{path} could not be written: {error.strerror or error}. {kept}", returncode=OUR_SIDE
        ) from error


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    if path.exists() and not path.is_file():  # a device or a pipe: nothing to replace
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(draft, 0o666 & ~umask)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
