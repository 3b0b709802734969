"""The findings of an audit of many single records, as a large sample is one."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from imagesync.models import Audit, Finding, Image
from imagesync.records import Scope
from imagesync.records.findings import findings_of

pytestmark = pytest.mark.django_db


def test_findings__of_thousands_of_single_records_are_theirs_alone() -> None:
    ids = tuple(("imagesync.Image", str(number)) for number in range(0, 4000, 2))
    audit = Audit.objects.create(
        bucket="b",
        fingerprint="f",
        scope_key="k",
        state="finished",
        trust="trustworthy",
        counts={"records": len(ids)},
        scope=Scope(sample=len(ids), ids=ids).to_dict(),
    )
    image_type = ContentType.objects.get_for_model(Image)
    for number in (7, 8):
        Finding.objects.create(
            fingerprint="f",
            content_type=image_type,
            object_pk=str(number),
            field="file",
            key=f"{number}.jpg",
            verdict="missing",
            opened_by=audit,
            opened_at=timezone.now(),
            settled=True,
        )

    assert [finding.object_pk for finding in findings_of(audit)] == ["8"]
