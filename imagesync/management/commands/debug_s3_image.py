from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError

from imagesync.core.conclusion import Outcome, worst
from imagesync.doctor.image import ImageReport, debug_key, debug_record
from imagesync.doctor.image_document import image_document
from imagesync.exceptions import InvalidRequest
from imagesync.management.arguments import add_storage
from imagesync.management.base import FINDINGS, STORE, ImageSyncCommand, output
from imagesync.records import checked_key, find_sources, parse_scope
from imagesync.reports import IMAGE_FORMATS, write_images

EXIT_CODE = {Outcome.ATTENTION: FINDINGS, Outcome.NOT_BELIEVED: STORE}
SENTENCE = {
    Outcome.ATTENTION: "This image needs attention; the report says what to do.",
    Outcome.NOT_BELIEVED: "The store, or this key in it, could not be looked at; the report says why.",
}


class Command(ImageSyncCommand):
    help = "Tell everything about one image: what S3 says, what a browser gets, which records name it, and what to do."
    examples = """\
  manage.py debug_s3_image media/images/photo.jpg
  manage.py debug_s3_image --id imagesync.Image:42
  manage.py debug_s3_image --format json -- -a-key-that-starts-with-a-dash.jpg
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "key",
            metavar="KEY",
            nargs="?",
            default=None,
            help="The full key, the storage's location included.",
        )
        parser.add_argument(
            "--id",
            metavar="app.Model:pk",
            default=None,
            help="The record that names it, instead of KEY; a bare pk means imagesync.Image.",
        )
        add_storage(parser)
        parser.add_argument("--format", choices=IMAGE_FORMATS, default="text", help="Default: text.")

    def run(self, *, key: str | None, id: str | None, storage: str, format: str, **options: Any) -> None:
        if (key is None) == (id is None):
            raise InvalidRequest("Name one image: its full KEY, or its record with --id (not both).")
        reports = _by_key(key, storage) if key is not None else _by_id(id or "", storage)
        with output("", self.stdout, "") as out:
            write_images(out, format, [image_document(report) for report in reports])
        outcome = worst([report.conclusion for report in reports])
        if outcome is not Outcome.HEALTHY:
            raise CommandError(SENTENCE[outcome], returncode=EXIT_CODE[outcome])


def _by_key(key: str, storage: str) -> list[ImageReport]:
    checked_key(key, "KEY")
    return debug_key(key, find_sources(alias=storage))


def _by_id(id: str, storage: str) -> list[ImageReport]:
    scope = parse_scope(ids=[id])
    return debug_record(scope, find_sources(alias=storage))
