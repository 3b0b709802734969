"""Selections that are too large for a browser to wait for: confirmed, written down once, carried out as jobs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from imagesync.admin import job_page, jobs, selection
from imagesync.jobs import work_off
from imagesync.models import Audit, Image, Job, JobRecord, Purge
from project.embedded_s3 import EmbeddedS3
from tests.django.admin_pages import LIST, act, act_on_all, confirm, said, token_of
from tests.django.helpers import audited, make_images, run, verdicts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("two_at_once")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (job_page, jobs, selection):
        monkeypatch.setattr(module, "cluster_is_running", lambda: True)


def test_select_all__is_confirmed_before_anything_happens(half: EmbeddedS3, admin_client: Client) -> None:
    page = act_on_all(admin_client, "recheck", "verdict__exact=unchecked")

    text = page.content.decode()
    assert "6 records are selected" in text
    assert "<code>verdict__exact</code> = <code>unchecked</code>" in text
    assert "imagesync_job" not in text
    assert not Job.objects.exists()
    assert not Audit.objects.exists()


def test_select_all__carries_the_filter_and_never_the_records(half: EmbeddedS3, admin_client: Client) -> None:
    page = act_on_all(admin_client, "recheck", "verdict__exact=unchecked")

    held = signing.loads(token_of(page), salt="imagesync.admin.selection")
    assert held["query"] == "verdict__exact=unchecked"
    assert (held["number"], held["kind"]) == (6, "check")
    assert "ticked" not in held
    assert "_selected_action" not in page.content.decode()


def test_confirmed__without_a_cluster_tells_the_command_that_does_it(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = confirm(admin_client, act_on_all(admin_client, "recheck"))

    job = Job.objects.get()
    assert page.redirect_chain[-1][0] == f"{LIST}job/{job.pk}/"
    text = page.content.decode()
    assert f"python manage.py imagesync_job {job.pk}" in text
    assert "nobody does it yet" in text
    assert 'http-equiv="refresh"' not in text
    assert not OrmQ.objects.exists()
    assert (job.records, job.selection, JobRecord.objects.count()) == (6, {"whole": True}, 0)

    assert run("imagesync_job", str(job.pk))[0] == 0

    done = admin_client.get(f"{LIST}job/{job.pk}/").content.decode()
    assert "6 of 6 records" in done
    assert re.search(r'missing</th><td class="imagesync-count">3<', done)
    assert verdicts()["1.jpg"] == "missing"


@pytest.mark.usefixtures("cluster")
def test_confirmed__with_a_cluster_is_handed_to_it_and_the_page_looks_again(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = confirm(admin_client, act_on_all(admin_client, "mark_missing"))

    assert '<meta http-equiv="refresh" content="3">' in page.content.decode()
    [queued] = OrmQ.objects.all()
    assert queued.task["func"] == "imagesync.tasks.work_off"
    assert queued.task["kwargs"] == {"job": Job.objects.get().pk}


def test_confirmed__a_part_of_the_table_is_written_down(half: EmbeddedS3, admin_client: Client) -> None:
    Image.objects.filter(file="5.jpg").update(verdict="denied")

    confirm(admin_client, act_on_all(admin_client, "recheck", "verdict__exact=unchecked"))

    assert JobRecord.objects.count() == Job.objects.get().selection["written"] == 5


def test_purge__of_many_is_planned_as_a_job_and_executed_as_one(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    confirm(admin_client, act_on_all(admin_client, "purge_missing"))
    planning = Job.objects.get()
    assert (planning.kind, planning.records, JobRecord.objects.count()) == ("plan", 6, 3)
    work_off(planning)

    plan = admin_client.get(f"{LIST}job/{planning.pk}/", follow=True)
    address = plan.redirect_chain[-1][0]
    assert "3 records would be deleted" in plan.content.decode()
    assert re.search(r"did not find it missing</th><td[^>]*>3<", plan.content.decode())
    form = {"number": "3", "token": token_of(plan)}
    page = admin_client.post(address, form, follow=True)
    assert Image.objects.count() == 6
    purging = Job.objects.get(kind="purge")
    assert page.redirect_chain[-1][0] == f"{LIST}job/{purging.pk}/"
    assert "confirmed already" in admin_client.post(address, form).content.decode()

    assert run("imagesync_job", str(purging.pk))[0] == 0

    assert sorted(verdicts()) == ["0.jpg", "2.jpg", "4.jpg"]
    done = admin_client.get(f"{LIST}job/{purging.pk}/").content.decode()
    assert "restore_purged" in done
    assert "This plan is done: 3 deleted" in admin_client.get(address).content.decode()


def test_purge__of_many_whose_records_changed_goes_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client
) -> None:
    """The page asks nothing about thousands of records: the job does, before it deletes the first of them."""
    run("check_s3_images")
    confirm(admin_client, act_on_all(admin_client, "purge_missing"))
    work_off(planning := Job.objects.get())
    plan = admin_client.get(f"{LIST}job/{planning.pk}/", follow=True)
    admin_client.post(plan.redirect_chain[-1][0], {"number": "3", "token": token_of(plan)})
    purging = Job.objects.get(kind="purge")
    Image.objects.filter(file="1.jpg").update(file="0.jpg")

    work_off(purging)

    assert "1 of its records were changed or deleted" in purging.failure
    assert (purging.state, Image.objects.count()) == ("failed", 6)
    old, anew = Purge.objects.order_by("pk")
    assert (old.state, old.refused["id"], anew.state) == ("refused", "plan_stale", "planned")
    page = admin_client.get(f"{LIST}job/{purging.pk}/").content.decode()
    assert f'href="{LIST}purge/{anew.pk}/"' in page
    again = admin_client.get(f"{LIST}purge/{anew.pk}/")
    assert "2 records would be deleted" in again.content.decode()
    work_off(purging)
    assert (Image.objects.count(), Purge.objects.count()) == (6, 2), "the old plan stays refused"
    admin_client.post(f"{LIST}purge/{anew.pk}/", {"number": "2", "token": token_of(again)})
    assert sorted(Image.objects.values_list("file", flat=True)) == ["0.jpg", "0.jpg", "2.jpg", "4.jpg"]


def test_ticked__more_than_a_few_are_confirmed_and_are_those_that_were_ticked(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = act(admin_client, "recheck", Image.objects.filter(file__in=["0.jpg", "1.jpg", "2.jpg"]))
    assert "Each of them was ticked" in page.content.decode()

    confirm(admin_client, page)

    work_off(Job.objects.get())
    assert Audit.objects.get().counts["records"] == 3
    assert verdicts()["3.jpg"] == "unchecked"


def test_select_all__few_are_done_at_once(half: EmbeddedS3, admin_client: Client) -> None:
    answer = act_on_all(admin_client, "recheck", "q=1.jpg")

    assert "Looked: 1 missing" in said(answer)
    assert not Job.objects.exists()


@pytest.mark.usefixtures("cluster")
def test_job__whose_worker_died_says_so_and_what_to_do(half: EmbeddedS3, admin_client: Client) -> None:
    confirm(admin_client, act_on_all(admin_client, "recheck"))
    job = Job.objects.get()
    Job.objects.update(state="running", lease_owner="dead", lease_until=timezone.now() - timedelta(seconds=1))
    address = f"{LIST}job/{job.pk}/"

    text = admin_client.get(address).content.decode()

    assert "Whoever worked on it died" in text
    assert "its lease ran out at" in text
    assert 'http-equiv="refresh"' not in text
    assert "Handed to the cluster" in said(admin_client.post(address, follow=True))
    assert OrmQ.objects.count() == 2


def test_job__that_runs_is_not_started_again(half: EmbeddedS3, admin_client: Client) -> None:
    confirm(admin_client, act_on_all(admin_client, "recheck"))
    Job.objects.update(
        state="running", lease_owner="alive", lease_until=timezone.now() + timedelta(seconds=50)
    )
    address = f"{LIST}job/{Job.objects.get().pk}/"

    assert "somebody is at it" in said(admin_client.post(address, follow=True))
    assert 'http-equiv="refresh"' in admin_client.get(address).content.decode()


def test_job__of_somebody_else_can_be_watched_and_not_started(
    half: EmbeddedS3, admin_client: Client, client: Client
) -> None:
    confirm(admin_client, act_on_all(admin_client, "recheck"))
    client.force_login(User.objects.create_superuser("other"))
    address = f"{LIST}job/{Job.objects.get().pk}/"

    assert "Hand it to the cluster" not in client.get(address).content.decode()
    assert "admin's; only they can start it again" in said(client.post(address, follow=True))


def test_pages__render_at_once_when_the_store_is_down(
    half: EmbeddedS3, admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")
    confirm(admin_client, act_on_all(admin_client, "purge_missing"))
    work_off(Job.objects.get())
    confirm(admin_client, act_on_all(admin_client, "recheck"))

    def called(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a page asked S3")

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", called)

    planned, checking = Job.objects.order_by("pk")
    for address in (f"{LIST}purge/{planned.purge_id}/", f"{LIST}job/{checking.pk}/", LIST):
        assert admin_client.get(address).status_code == 200
    assert "6 records are selected" in act_on_all(admin_client, "recheck").content.decode()


def test_select_all__more_records_go_than_a_browser_waits_for(
    admin_client: Client, memory_source: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "MAX_PURGE_RATIO": 1.0}
    store, source = memory_source()
    monkeypatch.setattr("imagesync.jobs.sources.find_sources", lambda **narrowed: [source])
    make_images(*(f"gone/{number:05}.jpg" for number in range(1200)))
    make_images("there.jpg")
    store.put("there.jpg")
    audited(source)
    hundred = [str(pk) for pk in Image.objects.order_by("-pk").values_list("pk", flat=True)[:100]]

    page = admin_client.post(
        f"{LIST}?verdict__exact=missing",
        {"action": "purge_missing", "_selected_action": hundred, "index": 0, "select_across": "1"},
    )
    assert "1,200 records are selected" in page.content.decode()
    confirm(admin_client, page)
    planning = Job.objects.get()
    work_off(planning)
    plan = admin_client.get(f"{LIST}job/{planning.pk}/", follow=True)
    assert "1,200 records would be deleted" in plan.content.decode()
    form = {"number": "1200", "token": token_of(plan)}
    admin_client.post(plan.redirect_chain[-1][0], form)
    work_off(purging := Job.objects.get(kind="purge"))

    assert purging.failure == ""
    assert list(Image.objects.values_list("file", flat=True)) == ["there.jpg"]
    assert LogEntry.objects.filter(action_flag=DELETION).count() == 1200
    assert "1,200 of 1,200 records" in admin_client.get(f"{LIST}job/{purging.pk}/").content.decode()
