from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from imagesync.core.values import parse_duration
from imagesync.exceptions import InvalidRequest
from imagesync.management.base import ImageSyncCommand
from imagesync.records import find_sources
from imagesync.reports.events import EVENT_FORMATS, batch_lines, watch_sentence
from imagesync.watching import BatchReport, Ending, Stop, open_watch, watch


class Command(ImageSyncCommand):
    help = (
        "Watch S3's events in an SQS queue: what was deleted is looked at, and marked, within seconds; what came back "
        "too."
    )
    examples = """\
  manage.py imagesync_watch
  manage.py imagesync_watch --drain
  manage.py imagesync_watch --for 55s --format ndjson
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        until = parser.add_mutually_exclusive_group()
        until.add_argument(
            "--once", action="store_true", help="One batch: what waits, up to a hundred messages."
        )
        until.add_argument("--drain", action="store_true", help="Until the queue is empty.")
        parser.add_argument(
            "--for",
            dest="duration",
            metavar="DURATION",
            default=None,
            help="So long at most, such as 55s or 10m; the batch under way is finished.",
        )
        parser.add_argument("--format", choices=EVENT_FORMATS, default="text", help="Default: text.")

    def run(self, *, once: bool, drain: bool, duration: str | None, format: str, **options: Any) -> None:
        ending = Ending(batches=1 if once else None, when_empty=drain, seconds=_seconds(duration))
        # all stores, always: an event of one that was left out would be deleted unseen
        watched = open_watch(find_sources())

        def tell(report: BatchReport) -> None:
            for line in batch_lines(report.to_dict(), format):
                self.stdout.write(line)

        with _stopped_by_signals() as (stop, interrupted):
            if not ending.is_soon:
                self.say("watching; Ctrl-C or SIGTERM ends it")
            totals = watch(watched, ending, stop=stop, tell=tell, complain=self.say)
        self.say(watch_sentence(totals.figures))
        if interrupted:
            raise KeyboardInterrupt("What was under way is finished; the rest waits in the queue.")


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[tuple[Stop, list[int]]]:
    """SIGTERM and the first Ctrl-C ask for the end; a second Ctrl-C breaks off, and its messages come again."""
    stop = Stop()
    interrupted: list[int] = []

    def asked(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            interrupted.append(number)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.ask()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _seconds(duration: str | None) -> float | None:
    if duration is None:
        return None
    try:
        seconds = parse_duration(duration).total_seconds()
    except ValueError as error:
        raise InvalidRequest(f"--for: {error}.") from error
    if not seconds:
        raise InvalidRequest("--for 0s: write a time of at least 1s.")
    return seconds
