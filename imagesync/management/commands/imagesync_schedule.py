from __future__ import annotations

import argparse
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from imagesync.exceptions import InvalidRequest
from imagesync.management.base import OUR_SIDE, ImageSyncCommand
from imagesync.schedules import WORKS, ensure, parse_timing, remove, scheduled

WITHOUT_Q2 = """\
django-q2 is not installed in this project. Either install it:
    pip install "django-imagesync[q2]"   and add "django_q" to INSTALLED_APPS, then manage.py migrate
or let cron do it:
    0 3 * * *  cd /path/to/project && python manage.py check_s3_images --format json --output /var/log/images.json
docs/schedule.md has the other lines of cron, and how to use another queue."""


class Command(ImageSyncCommand):
    help = "Create or update the django-q2 schedules of what is named. Safe to run at each deploy."
    examples = """\
  manage.py imagesync_schedule --check hourly --notify "*/10 * * * *" --prune daily
  manage.py imagesync_schedule --check "0 */6 * * *" --purge "30 4 * * 0"
  manage.py imagesync_schedule --watch "* * * * *"
  manage.py imagesync_schedule --list
  manage.py imagesync_schedule --remove
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        for work in WORKS:
            parser.add_argument(f"--{work.option}", metavar="CRON|daily|hourly", default=None, help=work.told)
        parser.add_argument("--list", action="store_true", help="Show the schedules and stop.")
        parser.add_argument("--remove", action="store_true", help="Remove these schedules, all of them.")

    def run(self, *, list: bool, remove: bool, **options: Any) -> None:
        if not apps.is_installed("django_q"):
            raise CommandError(WITHOUT_Q2, returncode=OUR_SIDE)
        asked = [(work, options[work.option]) for work in WORKS if options[work.option] is not None]
        if not (asked or list or remove):
            options_of_works = ", ".join(f"--{work.option}" for work in WORKS)
            raise InvalidRequest(
                f"Say what and when, such as --check daily (what: {options_of_works}; when: daily, hourly or a cron "
                "expression); or --list, --remove."
            )
        if remove and asked:
            raise InvalidRequest(f"--remove and --{asked[0][0].option} exclude each other.")
        wanted = [(work, parse_timing(work.option, when)) for work, when in asked]
        if remove:
            self._remove()
        for work, timing in wanted:
            self.say(f"{work.name}: {ensure(work, timing)}")
        self._list()

    def _remove(self) -> None:
        self.say(f"{remove()} schedules removed")

    def _list(self) -> None:
        schedules = scheduled()
        for schedule in schedules:
            when = schedule.cron or schedule.get_schedule_type_display().lower()
            next_run = f"{schedule.next_run:%Y-%m-%d %H:%M} UTC" if schedule.next_run else "never"
            self.stdout.write(f"{schedule.name:<24}{when:<20}next {next_run}")
        if not schedules:
            self.stdout.write("Nothing is scheduled.")
