from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError

from imagesync.exceptions import NothingMatches
from imagesync.jobs import work_off
from imagesync.management.base import OUR_SIDE, ImageSyncCommand
from imagesync.models import Job

HIDDEN = ("logged",)


class Command(ImageSyncCommand):
    help = "Carry out what somebody asked for in the admin, where no django-q2 cluster does it."
    examples = """\
  manage.py imagesync_job 12
  manage.py imagesync_job 12 --verbosity 0
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "job", metavar="JOB", type=int, help="The job's number, as its page in the admin tells it."
        )

    def run(self, *, job: int, **options: Any) -> None:
        asked = Job.objects.filter(pk=job).first()
        if asked is None:
            raise NothingMatches(f"There is no job {job}. The admin's list of jobs has their numbers.")
        with self.progress(f"Nothing was lost; go on with: imagesync_job {job}") as progress:
            work_off(asked, progress)
        if asked.failure:
            raise CommandError(asked.failure, returncode=OUR_SIDE)
        told = "".join(f" {name}: {value}." for name, value in asked.outcome.items() if name not in HIDDEN)
        self.stdout.write(f"Job {job} ({asked.get_kind_display()}) is done.{told}")
