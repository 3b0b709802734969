"""Options that several commands have, each said once, and what may be written in them."""

from __future__ import annotations

import argparse

from imagesync.conf import app_settings
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import InvalidRequest


def add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage", metavar="ALIAS", default="", help="Only the store that this storage of STORAGES names."
    )


def add_field(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--field",
        metavar="app.Model.field",
        action="append",
        default=[],
        help="Only this file field (repeat).",
    )


def add_prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefix", default="", help="Only keys that start with this (the full key).")


def add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--id",
        metavar="app.Model:pk",
        action="append",
        default=[],
        help="Only this record; a bare pk means imagesync.Image (repeat).",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="FILE", default="", help="Write the report there instead of stdout."
    )


def parse_fail_on(text: str) -> frozenset[Verdict]:
    """The verdicts of ``--fail-on``. Raises InvalidRequest."""
    if text.strip() == "none":
        return frozenset()
    try:
        return frozenset(Verdict(word.strip()) for word in text.split(","))
    except ValueError as error:
        words = ", ".join(Verdict)
        raise InvalidRequest(
            f'--fail-on {text!r}: write "none" or verdicts with commas between: {words}.'
        ) from error


def parse_sample(number: int | None) -> int:
    """The number of ``--sample``; 0 for all. Raises InvalidRequest."""
    if number is not None and number < 1:
        raise InvalidRequest(f"--sample {number}: write a number from 1 on.")
    return number or 0


def parse_workers(number: int | None) -> int:
    """The number of ``--workers``, the settings' by default. Raises InvalidRequest."""
    if number is None:
        return app_settings().workers
    if not 1 <= number <= 256:
        raise InvalidRequest(f"--workers {number}: write a number from 1 to 256.")
    return number
