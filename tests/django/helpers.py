"""What the Django tests share: records by name, an audit from start to end, a command with its exit code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from imagesync.audit import carry_out, open_audit
from imagesync.models import Audit, Image, Purge
from imagesync.purge.basis import latest_audit
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.purge.restore_rows import Conflict, put_back
from imagesync.records import Scope, Source
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET

STORE = "f" * 16
"""Fingerprint of the store of ``an_audit``."""
LONG_AGO = datetime(2025, 10, 27, 12, 0, 0, 123456, tzinfo=UTC)


def make_images(*names: str, **values: Any) -> list[Image]:
    """Records by name, old enough for every grace period."""
    rows = [Image(file=name, title=name[:255], **{"created_at": LONG_AGO, **values}) for name in names]
    return Image.objects.bulk_create(rows)


def half_of_them(s3: EmbeddedS3, folder: str = "") -> EmbeddedS3:
    """Six records in a folder, and the objects of three."""
    make_images(*(f"{folder}{number}.jpg" for number in range(6)))
    for number in range(0, 6, 2):
        s3.put(BUCKET, f"{folder}{number}.jpg")
    return s3


def the_incident(s3: EmbeddedS3) -> EmbeddedS3:
    """Twelve records, and the objects of six."""
    make_images(*(f"images/{number:02}.jpg" for number in range(12)))
    for number in range(0, 12, 2):
        s3.put(BUCKET, f"images/{number:02}.jpg")
    return s3


def only(source: Source, *labels: str) -> Source:
    """As if the settings named these fields in the store, and no others."""
    return replace(source, targets=tuple(one for one in source.targets if one.label in labels))


def audited(source: Source, scope: Scope | None = None, **options: Any) -> Audit:
    return carry_out(open_audit(source, scope or Scope(), **options), source)


def plan(source: Source, scope: Scope | None = None, **limits: Any) -> Purge:
    """A plan that rests on the newest audit of everything; executed by nobody yet."""
    audit = latest_audit(source)
    assert audit is not None
    return make_plan(source, audit, scope=scope, limits=limits_from_settings(**limits), planned_by="test")


def an_audit(trust: str = "trustworthy", *, ago: timedelta = timedelta(0), **values: Any) -> Audit:
    """The row of an audit of everything that took a minute and a half and ended so long ago."""
    finished = timezone.now() - ago
    return Audit.objects.create(
        **{
            "state": "finished",
            "trust": trust,
            "alias": "default",
            "bucket": BUCKET,
            "fingerprint": STORE,
            "scope_key": "all",
            "started_at": finished - timedelta(seconds=90),
            "finished_at": finished,
            **values,
        }
    )


def verdicts() -> dict[str, str]:
    """Stored name -> verdict of the row."""
    return dict(Image.objects.values_list("file", "verdict"))


def preview(text: str, *, using: str, overrides: Mapping[str, Any] | None = None) -> list[Conflict]:
    """What ``put_back`` would answer, by doing it in a savepoint that is always rolled back."""
    with transaction.atomic(using=using):
        conflicts = put_back(text, using=using, overrides=overrides, signals=False)
        transaction.set_rollback(True, using=using)
    return conflicts


def run(command: str, *arguments: str, **options: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; the error's sentence counts as stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err, **options)
    except CommandError as error:
        return error.returncode, out.getvalue(), err.getvalue() + str(error)
    return 0, out.getvalue(), err.getvalue()


def age_findings(by: timedelta) -> None:
    """As if the audits so far had been that much earlier."""
    from imagesync.models import Finding

    for finding in Finding.objects.all():
        finding.opened_at -= by
        finding.save(update_fields=["opened_at"])


def client_error(code: str) -> ClientError:
    """As boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": "secret token abc"}}, "GetObject")
