"""A site with ``USE_TZ = False``: its datetimes are naive, and the whole story goes on as on any other."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from imagesync.models import Image, Purge, Tombstone
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images, run
from tests.testapp.models import TwoFiles

LONG_AGO = datetime.combine(date(2024, 5, 17), time(12))

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False


@pytest.fixture
def images(s3: EmbeddedS3) -> None:
    """Half of twelve are there, as in the incident; all were made long ago."""
    make_images(*(f"{number:02}.jpg" for number in range(12)), created_at=LONG_AGO)
    for number in range(6):
        s3.put(BUCKET, f"{number:02}.jpg")


@pytest.mark.usefixtures("images")
def test_story__audits_purges_and_restores() -> None:
    code, out, err = run("check_s3_images", "--format", "json")
    assert (code, json.loads(out)["counts"]["missing"]) == (3, 6), err

    code, out, err = run("purge_orphans", "--dry-run")
    assert (code, "6 records" in out) == (0, True), err
    code, out, err = run("purge_orphans", "--no-input")
    assert (code, Image.objects.count()) == (0, 6), err
    purge = Purge.objects.filter(state="done").get()
    assert Tombstone.objects.filter(purge=purge).count() == 6

    code, out, err = run("restore_purged", str(purge.pk), "--no-input")
    assert (code, Image.objects.count()) == (0, 12), err
    assert run("check_s3_images", "--resume", str(purge.audit_id))[0] == 3


@pytest.mark.usefixtures("images")
def test_story__of_slices(settings: Any) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FRESHNESS": timedelta(days=1)}

    code, out, err = run("check_s3_images", "--stale", "--format", "json")
    assert code == 3, err
    assert run("check_s3_images", "--stale")[0] in (0, 3)
    code, out, err = run("purge_orphans", "--dry-run")
    assert (code, "6 records" in out) == (0, True), err


@pytest.mark.usefixtures("images")
def test_admin__shows_every_page(admin_client: Client) -> None:
    run("check_s3_images")
    run("purge_orphans", "--no-input")

    for model in ("image", "audit", "finding", "purge", "tombstone", "failedread"):
        url = reverse(f"admin:imagesync_{model}_changelist")
        assert admin_client.get(url).status_code == 200, url
    for one in (Image.objects.first(), Purge.objects.first()):
        assert one is not None
        url = reverse(f"admin:imagesync_{one._meta.model_name}_change", args=[one.pk])
        assert admin_client.get(url, follow=True).status_code == 200, url


def test_purge__of_records_whose_age_is_a_date(s3: EmbeddedS3, settings: Any) -> None:
    field = {"policy": "delete", "age_field": "uploaded_at"}
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {"testapp.TwoFiles.file": field}}
    make_images("there.jpg", "there too.jpg", created_at=LONG_AGO)
    s3.put(BUCKET, "there.jpg")
    s3.put(BUCKET, "there too.jpg")
    TwoFiles.objects.create(file="gone.jpg", uploaded_at=LONG_AGO)

    assert run("check_s3_images")[0] == 3
    code, _out, err = run("purge_orphans", "--no-input", "--max-ratio", "1")
    assert (code, TwoFiles.objects.count()) == (0, 0), err
