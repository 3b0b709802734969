"""What the README shows of the program is what the program prints, in the same situation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import override_settings

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import run, the_incident

pytestmark = pytest.mark.django_db(transaction=True)

README = Path(__file__).resolve().parent.parent.parent / "README.md"


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    """The incident: twelve records, six objects."""
    return the_incident(s3)


def shown(command: str) -> list[str]:
    """The lines that the README has below a command."""
    block = README.read_text().split(f"$ {command}\n")[1]
    return re.split(r"^(?:```|\$ )", block, maxsplit=1, flags=re.MULTILINE)[0].splitlines()


def told(text: str, lines: int) -> list[str]:
    """The first lines of a report, with the README's bucket and without the audit's number."""
    of_the_incident = text.replace(BUCKET, "realtor-image-generator")
    return [_unnumbered(line) for line in of_the_incident.splitlines()[:lines]]


def _unnumbered(line: str) -> str:
    return re.sub(r"^Audit \d+", "Audit", line)


def test_readme__shows_an_audits_report_as_it_is(half: EmbeddedS3) -> None:
    _code, out, _err = run("check_s3_images")

    report = [_unnumbered(line) for line in shown("python manage.py check_s3_images")]
    assert report[:4] == told(out, 4)


def test_readme__shows_a_wrong_region_as_it_is(half: EmbeddedS3) -> None:
    with override_settings(STORAGES=storages_at(half.url, region_name="us-east-1")):
        forget_default_storage()
        _code, out, _err = run("check_s3_images")

    report = shown("AWS_S3_REGION_NAME=us-east-1 python manage.py check_s3_images")
    assert [_unnumbered(line) for line in report] == told(out, len(report))
    assert len(report) == 4
