from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from imagesync.exceptions import InvalidRequest
from imagesync.management.base import OUR_SIDE, ImageSyncCommand

NAMES = {
    "check": "imagesync.check_images",
    "purge": "imagesync.purge_orphans",
    "watch": "imagesync.watch_events",
}
FUNCTIONS = {
    "check": "imagesync.tasks.check_images",
    "purge": "imagesync.tasks.purge_orphans",
    "watch": "imagesync.tasks.watch_events",
}

WITHOUT_Q2 = """\
django-q2 is not installed in this project. Either install it:
    pip install "django-imagesync[q2]"   and add "django_q" to INSTALLED_APPS, then manage.py migrate
or let cron do it:
    0 3 * * *  cd /path/to/project && python manage.py check_s3_images --format json --output /var/log/images.json"""


class Command(ImageSyncCommand):
    help = "Create or update the django-q2 schedules of the audit and the purge. Safe to run at each deploy."
    examples = """\
  manage.py imagesync_schedule --check daily
  manage.py imagesync_schedule --check "0 */6 * * *" --purge "30 4 * * 0"
  manage.py imagesync_schedule --watch "* * * * *"
  manage.py imagesync_schedule --list
  manage.py imagesync_schedule --remove
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        when = "CRON|daily|hourly"
        parser.add_argument("--check", metavar=when, default=None, help="When to audit.")
        parser.add_argument(
            "--purge",
            metavar=when,
            default=None,
            help="When to purge, unattended: two audits that far apart (RIPEN) must both say missing.",
        )
        parser.add_argument(
            "--watch",
            metavar=when,
            default=None,
            help="When to work off S3's events that wait in the queue, where no imagesync_watch runs.",
        )
        parser.add_argument("--list", action="store_true", help="Show the schedules and stop.")
        parser.add_argument("--remove", action="store_true", help="Remove these schedules.")

    def run(
        self,
        *,
        check: str | None,
        purge: str | None,
        watch: str | None,
        list: bool,
        remove: bool,
        **options: Any,
    ) -> None:
        if not apps.is_installed("django_q"):
            raise CommandError(WITHOUT_Q2, returncode=OUR_SIDE)
        asked = {"check": check, "purge": purge, "watch": watch}
        wanted = {kind: when for kind, when in asked.items() if when is not None}
        if not (wanted or list or remove):
            raise InvalidRequest(
                "Say when: --check daily, --check hourly or --check CRON; or --list, --remove."
            )
        if remove and wanted:
            raise InvalidRequest("--remove and --check, --purge or --watch exclude each other.")
        timing = {kind: _timing(kind, when) for kind, when in wanted.items()}
        if remove:
            self._remove()
        for kind, values in timing.items():
            self._set(kind, values)
        self._list()

    def _set(self, kind: str, values: dict[str, Any]) -> None:
        from django_q.models import Schedule

        schedule = Schedule.objects.filter(name=NAMES[kind]).order_by("pk").first()
        Schedule.objects.filter(name=NAMES[kind]).exclude(pk=schedule.pk if schedule else None).delete()
        if schedule is None:
            Schedule.objects.create(name=NAMES[kind], func=FUNCTIONS[kind], repeats=-1, **values)
            self.say(f"{NAMES[kind]}: created")
            return
        wanted = {"func": FUNCTIONS[kind], "repeats": -1, **values}
        changed = {name: value for name, value in wanted.items() if getattr(schedule, name) != value}
        if not changed:  # its next run stays where it is
            self.say(f"{NAMES[kind]}: unchanged")
            return
        for name, value in changed.items():
            setattr(schedule, name, value)
        if "cron" in changed or "schedule_type" in changed:
            schedule.next_run = schedule.calculate_next_run()
        schedule.save()
        self.say(f"{NAMES[kind]}: updated")

    def _remove(self) -> None:
        from django_q.models import Schedule

        removed, _per_model = Schedule.objects.filter(name__in=NAMES.values()).delete()
        self.say(f"{removed} schedules removed")

    def _list(self) -> None:
        from django_q.models import Schedule

        schedules = Schedule.objects.filter(name__in=NAMES.values()).order_by("name")
        for schedule in schedules:
            when = schedule.cron or schedule.get_schedule_type_display().lower()
            next_run = f"{schedule.next_run:%Y-%m-%d %H:%M} UTC" if schedule.next_run else "never"
            self.stdout.write(f"{schedule.name:<24}{when:<20}next {next_run}")
        if not schedules:
            self.stdout.write("Nothing is scheduled.")


def _timing(kind: str, when: str) -> dict[str, Any]:
    """The columns of django-q2's Schedule. Raises InvalidRequest."""
    from django_q.models import Schedule

    if when in ("daily", "hourly"):
        return {"schedule_type": Schedule.DAILY if when == "daily" else Schedule.HOURLY, "cron": None}
    if find_spec("croniter") is None:
        raise CommandError(
            f'--{kind} "{when}": cron expressions need croniter: pip install "django-imagesync[q2]". '
            "daily and hourly need nothing.",
            returncode=OUR_SIDE,
        )
    from croniter import croniter

    if len(when.split()) != 5 or not croniter.is_valid(when):
        raise InvalidRequest(
            f'--{kind} {when!r}: write "daily", "hourly" or a cron expression of five fields.'
        )
    return {"schedule_type": Schedule.CRON, "cron": when}
