from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError

from imagesync.exceptions import NothingMatches
from imagesync.management.arguments import add_id
from imagesync.management.base import OUR_SIDE, ImageSyncCommand, by_command, output
from imagesync.models import Purge
from imagesync.purge.document import restore_document
from imagesync.purge.restore import execute_restore, latest_restorable, preview_restore, restorable
from imagesync.records import parse_scope
from imagesync.reports import write_restore


class Command(ImageSyncCommand):
    help = "Put purged records back, with their primary keys, relations and everything that went with them."
    examples = """\
  manage.py restore_purged --dry-run
  manage.py restore_purged
  manage.py restore_purged 3 --id imagesync.Image:42
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "purge",
            metavar="PURGE",
            type=int,
            nargs="?",
            default=None,
            help="Which purge (default: the last one).",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would come back, and conflicts."
        )
        add_id(parser)
        parser.add_argument("--no-input", "--noinput", action="store_true", help="Do not ask.")
        parser.add_argument("--format", choices=("text", "json"), default="text", help="Default: text.")

    def run(self, *, purge: int | None, dry_run: bool, no_input: bool, format: str, **options: Any) -> None:
        chosen = latest_restorable() if purge is None else Purge.objects.filter(pk=purge).first()
        if chosen is None and purge is not None:
            raise NothingMatches(f"There is no purge {purge}.")
        tombstones = restorable(chosen, parse_scope(ids=options["id"]).ids)
        if chosen is None or not tombstones:
            raise NothingMatches(f"Purge {purge} has nothing left to restore.")
        if dry_run:
            outcome = preview_restore(chosen, tombstones)
        else:
            if not no_input:
                self.confirm_number(
                    len(tombstones),
                    f"{len(tombstones):,} records of purge {chosen.pk} would come back.",
                    f"Nothing was restored; restore_purged {chosen.pk} asks again.",
                )
            outcome = execute_restore(chosen, tombstones, restored_by=by_command())
        with output("", self.stdout, "") as out:
            write_restore(out, format, restore_document(outcome, dry_run=dry_run))
        if outcome.conflicts:
            raise CommandError(
                f"{len(outcome.conflicts):,} records are in conflict and were left alone; nothing was overwritten.",
                returncode=OUR_SIDE,
            )
