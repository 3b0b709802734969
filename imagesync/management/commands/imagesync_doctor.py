from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError

from imagesync.conf import app_settings
from imagesync.doctor.document import examination_document
from imagesync.doctor.examination import Examination, examine
from imagesync.management.arguments import add_storage
from imagesync.management.base import FINDINGS, STORE, ImageSyncCommand, output
from imagesync.records import Source, find_sources
from imagesync.reports import EXAMINATION_FORMATS, write_examination, write_self_tests
from imagesync.selftest.document import self_test_document
from imagesync.selftest.run import self_test
from imagesync.selftest.table import TABLE


class Command(ImageSyncCommand):
    help = "Ask the store a few questions and look at the settings: what is wrong, and the line to change."
    examples = """\
  manage.py imagesync_doctor
  manage.py imagesync_doctor --storage default --format json
  manage.py imagesync_doctor --self-test
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_storage(parser)
        parser.add_argument(
            "--self-test",
            action="store_true",
            help="Play every answer of S3 that imagesync knows to a client with this project's settings, and show how "
            "each is judged. Asks S3 nothing.",
        )
        parser.add_argument("--format", choices=EXAMINATION_FORMATS, default="text", help="Default: text.")

    def run(self, *, storage: str, format: str, self_test: bool, **options: Any) -> None:
        if self_test:
            self._test(storage, format)
        else:
            self._examine(storage, format)

    def _examine(self, alias: str, format: str) -> None:
        examination = examine(
            find_sources(alias=alias),
            timeout=app_settings().read_timeout,
            on_store=lambda store: self.say(f"Asking s3://{store.bucket}/{store.prefix} at {store.endpoint}"),
        )
        with output("", self.stdout, "") as out:
            write_examination(out, format, examination_document(examination))
        _exit(examination)

    def _test(self, alias: str, format: str) -> None:
        documents = [self._tested(source) for source in find_sources(alias=alias)]
        with output("", self.stdout, "") as out:
            write_self_tests(out, format, documents)
        wrong = sum(one["counts"]["unsafe"] + one["counts"]["differing"] for one in documents)
        if wrong:
            raise CommandError(
                f"{wrong} answers are not judged as documented, with these versions of boto3 and botocore and this storage's "
                "settings (signature version 2 names no region, so one differs). Do not purge before you know why; "
                "report it with the output above.",
                returncode=FINDINGS,
            )

    def _tested(self, source: Source) -> dict[str, Any]:
        alias, storage = source.store.identity.alias, source.targets[0].field.storage
        with self.progress() as progress:
            progress.begin(f"playing {len(TABLE)} answers to the client of storage {alias}", len(TABLE))
            return self_test_document(alias, self_test(storage, on_row=progress.advance))


def _exit(examination: Examination) -> None:
    """A store that answered nothing outranks what failed elsewhere."""
    if not examination.could_ask:
        silent = [one.store.alias for one in examination.storages if not one.answered]
        raise CommandError(
            f"Nothing could be asked of storage {', '.join(silent)}: it gave no answer.", returncode=STORE
        )
    if examination.has_failed:
        raise CommandError(
            "Something must be changed; the lines marked failed say what.", returncode=FINDINGS
        )
