"""Selections that the job writes down, and not the request: once each, as they were when they were confirmed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from imagesync.admin import selection
from imagesync.jobs import work_off, written
from imagesync.models import Audit, Image, Job, JobRecord, Purge
from imagesync.records.selected import counted
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import LIST, act_on_all, confirm
from tests.django.helpers import make_images, run, verdicts
from tests.processes import kill, start
from tests.testapp.models import ProductImage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("two_at_once")]


def test_large__is_written_down_by_the_job_and_not_by_the_request(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    Image.objects.filter(file="5.jpg").update(verdict="denied")
    confirm(admin_client, act_on_all(admin_client, "recheck", "verdict__exact=unchecked"))
    job = Job.objects.get()
    assert (job.records, JobRecord.objects.count()) == (5, 0)

    work_off(job)

    assert (Audit.objects.get().counts["records"], job.selection["written"]) == (5, 5)
    assert verdicts()["5.jpg"] == "denied"


def test_large__of_a_plan_is_what_is_missing_among_the_selected(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    confirm(admin_client, act_on_all(admin_client, "purge_missing", "created=older"))
    assert not JobRecord.objects.exists()

    work_off(job := Job.objects.get())

    assert (job.records, job.selection["seen"], job.selection["written"]) == (6, 6, 3)
    assert [one["key"] for one in Purge.objects.get().plan["delete"]] == ["1.jpg", "3.jpg", "5.jpg"]


@pytest.mark.parametrize("is_replaced", [False, True], ids=["another number", "as many, others"])
def test_large__that_changed_before_it_was_written_down_goes_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    run("check_s3_images")
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    confirm(admin_client, act_on_all(admin_client, "clear_mark", "verdict__exact=missing"))
    job = Job.objects.get()
    Image.objects.filter(file="1.jpg").update(verdict="present")
    if is_replaced:
        make_images("other.jpg", verdict="missing")
    before = verdicts()

    work_off(job)

    assert job.state == "failed"
    assert "The selection has changed" in job.failure
    assert (verdicts(), JobRecord.objects.count()) == (before, 0)
    address = f"{LIST}job/{job.pk}/"
    assert "Look at the selection again" in admin_client.get(address).content.decode()
    again = admin_client.post(address)
    number = 3 if is_replaced else 2
    assert f"{number} records are selected" in again.content.decode()
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 10)
    confirm(admin_client, again)
    work_off(anew := Job.objects.latest())
    assert (anew.state, anew.pk != job.pk) == ("done", True)
    assert "missing" not in verdicts().values()


def test_large__days_are_those_before_the_confirmation(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    Image.objects.exclude(file="0.jpg").update(created_at=timezone.now() - timedelta(hours=23))
    confirm(admin_client, act_on_all(admin_client, "recheck", "created=1d"))
    job, later = Job.objects.get(), timezone.now() + timedelta(hours=6)
    monkeypatch.setattr("imagesync.jobs.listed.timezone.now", lambda: later)

    work_off(job)

    assert (job.state, job.failure, job.selection["written"]) == ("done", "", 5)


def test_large__a_filter_that_finds_records_twice_selects_each_once(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for image in Image.objects.all():
        ProductImage.objects.create(image=image, position=1)
        ProductImage.objects.create(image=image, position=2)
    rows = Image.objects.filter(uses__position__gt=0)
    assert rows.count() == 12

    assert counted(rows) == counted(Image.objects.all())
    job = Job.objects.create(
        kind="check",
        nonce="twice",
        content_type=ContentType.objects.get_for_model(Image),
        records=6,
        selection={"sum": counted(rows).sum},
    )
    written.write_down(job, rows, lambda seen: None)

    assert job.selection["complete"]
    assert JobRecord.objects.count() == 6


def test_large__killed_while_it_is_written_down_goes_on_where_it_was(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Three processes are killed between slices of forty; the fourth one ends the job."""
    settings.IMAGESYNC = {**settings.IMAGESYNC, "BATCH_SIZE": 2000}
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    make_images(*(f"more/{number:05}.jpg" for number in range(8000)))
    Image.objects.filter(file="5.jpg").update(verdict="denied")
    confirm(admin_client, act_on_all(admin_client, "clear_mark", "verdict__exact=unchecked"))
    job = Job.objects.get()
    assert (job.records, job.selection.get("written")) == (8005, None)
    there = 0

    for _kill in range(3):
        small_batches = {"DJANGO_SETTINGS_MODULE": "tests.settings_of_small_batches"}
        process = start(half, BUCKET, "imagesync_job", str(job.pk), **small_batches)
        while JobRecord.objects.count() == there:
            assert process.poll() is None, process.communicate()
        kill(process)
        job.refresh_from_db()
        before, there = there, JobRecord.objects.count()
        assert job.selection["written"] == job.selection["seen"] == there
        assert before < there < 8005, "it was killed too early or too late to show anything"
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    assert run("imagesync_job", str(job.pk))[0] == 0

    assert set(JobRecord.objects.values_list("object_pk", flat=True)) == {
        str(pk) for pk in Image.objects.exclude(file="5.jpg").values_list("pk", flat=True)
    }
    assert JobRecord.objects.count() == 8005
    assert verdicts()["5.jpg"] == "denied"
