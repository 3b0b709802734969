from __future__ import annotations

import argparse
from typing import Any

from imagesync.management.base import ImageSyncCommand, by_command, output
from imagesync.reports import PRUNE_FORMATS, write_prune
from imagesync.retention import Prune, execute_prune, plan_prune, prune_document


class Command(ImageSyncCommand):
    help = "Remove history that is older than IMAGESYNC['RETENTION'] and that nothing rests on any more."
    examples = """\
  manage.py imagesync_prune --dry-run
  manage.py imagesync_prune
  manage.py imagesync_prune --no-input --format json
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show what would go and stop.")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="Do not ask.")
        parser.add_argument("--format", choices=PRUNE_FORMATS, default="text", help="Default: text.")

    def run(self, *, dry_run: bool, no_input: bool, format: str, **options: Any) -> None:
        prune = plan_prune()
        if not (dry_run or no_input) and prune.number:
            self._write(self.stderr, "text", prune, dry_run=False)
            self.confirm_number(
                prune.number,
                f"{prune.number:,} rows of history would be removed for good.",
                "Nothing was removed; imagesync_prune asks again.",
            )
        if not dry_run:
            self._execute(prune)
        self._write(self.stdout, format, prune, dry_run=dry_run)

    def _write(self, where: Any, format: str, prune: Prune, *, dry_run: bool) -> None:
        with output("", where, "") as out:
            write_prune(out, format, prune_document(prune, dry_run=dry_run))

    def _execute(self, prune: Prune) -> None:
        kept = "What was removed is removed whole; imagesync_prune again takes the rest."
        with self.progress(kept) as progress:
            execute_prune(prune, progress, by=by_command())
