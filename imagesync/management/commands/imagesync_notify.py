from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.exceptions import NothingMatches
from imagesync.management.base import OUR_SIDE, ImageSyncCommand
from imagesync.models import Notice
from imagesync.notices import decide, deliver, due_notices, send_test

LATER = (
    "It is tried again, later each time, for three days; imagesync_notify --test tries the channels at once."
)
IN_A_TEST = "Check its settings (docs/notifications.md); email is sent as Django's EMAIL_* settings say."


class Command(ImageSyncCommand):
    help = "Tell people what changed since they were told last, and send again what could not be sent."
    examples = """\
  manage.py imagesync_notify
  manage.py imagesync_notify --test
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--test", action="store_true", help="Send a test message through each channel, and stop."
        )

    def run(self, *, test: bool, **options: Any) -> None:
        if not app_settings().notify.channels:
            raise NothingMatches('Nobody is to be told: set IMAGESYNC["NOTIFY"] (docs/notifications.md).')
        failures = self._test() if test else self._notify()
        if failures:
            raise CommandError(
                f"Not sent: {'; '.join(failures)}. {IN_A_TEST if test else LATER}", returncode=OUR_SIDE
            )

    def _test(self) -> list[str]:
        outcome = send_test()
        for channel, failure in outcome.items():
            self.stdout.write(f"{channel}: {failure or 'sent'}")
        return [f"{channel} ({failure})" for channel, failure in outcome.items() if failure]

    def _notify(self) -> list[str]:
        decide(now=timezone.now())
        due = list(due_notices().values_list("pk", flat=True))
        for notice in due:
            deliver(notice)
        told = list(Notice.objects.filter(pk__in=due).order_by("pk"))
        for one in told:
            self.stdout.write(f"{one.channel}: {one.failure or one.get_state_display()}")
        if not told:
            self.say("Nothing to tell.")
        return [f"{one.channel} ({one.failure})" for one in told if one.failure]
