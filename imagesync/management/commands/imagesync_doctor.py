from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError

from imagesync.conf import app_settings
from imagesync.doctor.document import examination_document
from imagesync.doctor.examination import Examination, examine
from imagesync.management.base import FINDINGS, STORE, ImageSyncCommand, output
from imagesync.records import find_sources
from imagesync.reports import EXAMINATION_FORMATS, write_examination


class Command(ImageSyncCommand):
    help = "Ask the store a few questions and look at the settings: what is wrong, and the line to change."
    examples = """\
  manage.py imagesync_doctor
  manage.py imagesync_doctor --storage default --format json
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--storage", metavar="ALIAS", default="", help="Only this storage of STORAGES.")
        parser.add_argument("--format", choices=EXAMINATION_FORMATS, default="text", help="Default: text.")

    def run(self, *, storage: str, format: str, **options: Any) -> None:
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
