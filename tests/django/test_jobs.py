"""Jobs without the admin: a selection that is written down, and what comes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError
from django.utils import timezone

from imagesync import tasks
from imagesync.audit import open_audit
from imagesync.exceptions import AlreadyRunning
from imagesync.jobs import forget_selections, sources_of, work_off, write_down
from imagesync.models import Audit, Finding, Image, Job, JobRecord, Purge, Tombstone
from imagesync.records import Scope
from imagesync.records.selected import counted
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import LONG_AGO, run, verdicts
from tests.testapp.models import Child, Document

pytestmark = pytest.mark.django_db(transaction=True)

FIELD = "imagesync.Image.file"


def make_job(kind: str, rows: Any, **values: Any) -> Job:
    user, _new = User.objects.get_or_create(username="anna", is_superuser=True)
    job = Job.objects.create(
        kind=kind,
        user=user,
        nonce=f"{kind}{Job.objects.count()}",
        content_type=ContentType.objects.get_for_model(Image),
        fields=[FIELD],
        **values,
    )
    if kind != "purge":
        found = counted(rows)
        job.records, job.selection = found.number, {"sum": found.sum}
        write_down(job, rows, lambda seen: None)
        job.save()
    return job


def test_check__looks_at_the_selected_and_at_nothing_else(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.filter(file__in=["0.jpg", "1.jpg"]))

    work_off(job)

    audit = Audit.objects.get()
    assert (audit.counts["records"], audit.counts["missing"], audit.started_by) == (2, 1, "admin")
    assert not audit.full_scope
    assert audit.unreferenced is None
    assert verdicts() == {"0.jpg": "present", "1.jpg": "missing"} | dict.fromkeys(
        ("2.jpg", "3.jpg", "4.jpg", "5.jpg"), "unchecked"
    )
    job.refresh_from_db()
    assert (job.state, job.outcome["audits"], job.lease_owner) == ("done", [audit.pk], "")


def test_selection__knows_records_by_any_primary_key(half: EmbeddedS3) -> None:
    """A UUID is text without dashes to SQLite, and of a type of its own to PostgreSQL."""
    one, other = (Document.objects.create(document=f"documents/{name}.pdf") for name in "ab")
    job = make_job("check", Document.objects.filter(pk=one.pk))
    Job.objects.update(fields=["testapp.Document.document"])
    job.refresh_from_db()

    work_off(job)

    assert JobRecord.objects.get().object_pk == str(one.pk)
    assert Finding.objects.open().get().object_pk == str(one.pk) != str(other.pk)
    assert Audit.objects.get().counts["records"] == 1


def test_selection__of_a_child_in_a_table_of_its_own_has_the_parents_file_too(half: EmbeddedS3) -> None:
    child = Child.objects.create(file="pictures/1.jpg", scan="scans/1.pdf", created_at=LONG_AGO)
    Child.objects.create(file="pictures/2.jpg", scan="scans/2.pdf", created_at=LONG_AGO)
    job = make_job("check", Child.objects.filter(pk=child.pk))
    Job.objects.update(fields=["testapp.Child.scan", "testapp.Picture.file"])
    job.refresh_from_db()

    work_off(job)

    assert set(Finding.objects.open().values_list("key", flat=True)) == {"pictures/1.jpg", "scans/1.pdf"}


def test_check__leaves_the_findings_of_records_beside_it_alone(half: EmbeddedS3) -> None:
    run("check_s3_images")
    half.put(BUCKET, "1.jpg")
    half.put(BUCKET, "3.jpg")

    work_off(make_job("check", Image.objects.filter(file="3.jpg")))

    still_open = set(Finding.objects.open().values_list("key", flat=True))
    assert still_open == {"1.jpg", "5.jpg"}
    assert verdicts()["1.jpg"] == "missing"


def test_selection__is_what_it_was_when_the_filter_would_find_something_else(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.filter(verdict="unchecked"))
    Image.objects.filter(file="5.jpg").update(verdict="denied")

    work_off(job)

    assert Audit.objects.get().counts["records"] == 6
    assert (
        run("check_s3_images", "--resume", str(Audit.objects.get().pk), "--format", "csv")[1].count("\n") == 4
    )


def test_check__logs_who_looked_and_what_was_found_new(half: EmbeddedS3) -> None:
    work_off(make_job("check", Image.objects.all()))

    about = list(LogEntry.objects.order_by("pk").values_list("content_type__model", "object_repr"))
    assert about[0][0] == "audit"
    assert sorted(about[1:]) == [("image", "1.jpg"), ("image", "3.jpg"), ("image", "5.jpg")]


def test_clear__takes_marks_back_and_what_is_cleared_feeds_no_purge(half: EmbeddedS3) -> None:
    run("check_s3_images")

    work_off(job := make_job("clear", Image.objects.filter(file__in=["0.jpg", "1.jpg"])))

    assert job.outcome["cleared"] == 1
    assert (verdicts()["0.jpg"], verdicts()["1.jpg"], verdicts()["3.jpg"]) == (
        "present",
        "unchecked",
        "missing",
    )
    assert Image.objects.get(file="1.jpg").missing_since is None
    code, out, _err = run("purge_orphans", "--dry-run", "--format", "csv")
    assert code == 0
    assert "1.jpg" not in out
    assert "3.jpg" in out
    assert LogEntry.objects.get().object_repr == "1.jpg"
    run("check_s3_images")
    assert verdicts()["1.jpg"] == "missing"


def test_clear__what_cannot_be_logged_is_not_cleared(
    half: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")

    def fails(*arguments: Any) -> None:
        raise DatabaseError("the log is full")

    monkeypatch.setattr("imagesync.jobs.clearing.log_cleared", fails)
    with pytest.raises(DatabaseError):
        work_off(make_job("clear", Image.objects.filter(file="1.jpg")))

    assert verdicts()["1.jpg"] == "missing"
    assert Finding.objects.open().filter(key="1.jpg").exists()


def test_plan_and_purge__go_on_where_the_page_left_off(half: EmbeddedS3) -> None:
    run("check_s3_images")
    job = make_job(
        "plan", Image.objects.filter(file__in=["0.jpg", "1.jpg", "3.jpg"]), audit=Audit.objects.get()
    )
    work_off(job)
    purge = job.purge
    assert purge is not None
    assert [entry["key"] for entry in purge.plan["delete"]] == ["1.jpg", "3.jpg"]
    assert purge.limits["chosen"] == {"records": 3, "by": ""}

    work_off(make_job("purge", Image.objects.none(), purge=purge))

    assert sorted(verdicts()) == ["0.jpg", "2.jpg", "4.jpg", "5.jpg"]
    assert LogEntry.objects.filter(action_flag=3).count() == 2


def test_purge__refused_is_told_and_deletes_nothing(half: EmbeddedS3) -> None:
    run("check_s3_images")
    work_off(planned := make_job("plan", Image.objects.all(), audit=Audit.objects.get()))
    half.denied[half.access_key] = {"s3:ListBucket"}

    work_off(job := make_job("purge", Image.objects.none(), purge=planned.purge))

    job.refresh_from_db()
    assert job.state == "failed"
    assert "s3:ListBucket" in job.failure
    assert Image.objects.count() == 6


def test_purge__whose_worker_died_is_not_executed_again_and_what_had_gone_is_logged(half: EmbeddedS3) -> None:
    run("check_s3_images")
    work_off(planned := make_job("plan", Image.objects.all(), audit=Audit.objects.get()))
    purge = planned.purge
    assert purge is not None
    Tombstone.objects.create(
        purge=purge,
        content_type=ContentType.objects.get_for_model(Image),
        object_pk="1",
        field="file",
        key="1.jpg",
        action="delete",
        rows="{}",
    )
    long_ago = timezone.now() - timedelta(seconds=1)
    Purge.objects.update(state="running", lease_owner="dead", lease_until=long_ago)
    job = make_job("purge", Image.objects.none(), purge=purge, state="running", lease_until=long_ago)

    work_off(job)

    assert job.state == "failed"
    assert "executed once. Plan it anew" in job.failure
    assert Image.objects.count() == 6
    assert LogEntry.objects.get(action_flag=3).object_repr == "1.jpg"
    work_off(job)
    assert LogEntry.objects.filter(action_flag=3).count() == 1


def test_work_off__a_second_delivery_does_nothing_and_says_so(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.all())
    assert tasks.work_off(job.pk)["state"] == "done"

    assert "done already" in tasks.work_off(job.pk)["skipped"]
    assert Audit.objects.count() == 1


def test_work_off__takes_over_from_one_that_died(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.all())
    [source] = sources_of([FIELD])
    dead = open_audit(source, Scope(fields=(FIELD,), job=job.pk))
    long_ago = timezone.now() - timedelta(seconds=1)
    Audit.objects.update(lease_until=long_ago)
    Job.objects.update(state="running", lease_owner="dead", lease_until=long_ago)

    work_off(job)

    assert Audit.objects.get().pk == dead.pk
    job.refresh_from_db()
    assert job.state == "done"


def test_work_off__leaves_one_alone_that_lives(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.all())
    Job.objects.update(
        state="running", lease_owner="alive", lease_until=timezone.now() + timedelta(seconds=30)
    )

    with pytest.raises(AlreadyRunning, match="being worked on"):
        work_off(job)
    assert not Audit.objects.exists()


def test_command__carries_a_job_out(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.all())

    code, out, _err = run("imagesync_job", str(job.pk))

    assert code == 0
    assert f"Job {job.pk} (re-check) is done" in out
    assert run("imagesync_job", str(job.pk))[0] == 1
    assert "no job 4711" in run("imagesync_job", "4711")[2]


def test_forget_selections__keeps_the_jobs(half: EmbeddedS3) -> None:
    job = make_job("check", Image.objects.all())
    Job.objects.update(created_at=timezone.now() - timedelta(days=8))
    make_job("check", Image.objects.filter(file="1.jpg"))

    forget_selections()
    assert JobRecord.objects.count() == 7  # the old one still waits
    Job.objects.filter(pk=job.pk).update(state="done")
    forget_selections()

    assert JobRecord.objects.count() == 1
    assert Job.objects.filter(pk=job.pk).exists()
