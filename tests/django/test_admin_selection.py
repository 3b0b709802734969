"""Selections that are too large for a browser to wait for: confirmed, written down once, carried out as jobs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from imagesync.admin import jobs, selection, tokens
from imagesync.jobs import work_off, written
from imagesync.models import Audit, Image, Job, JobRecord, Purge
from imagesync.records.selected import counted
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import LIST, act, act_on_all, said, token_of
from tests.django.helpers import audited, make_images, run, verdicts
from tests.processes import start
from tests.testapp.models import ProductImage

pytestmark = pytest.mark.django_db(transaction=True)

SELECTION = f"{LIST}selection/"


@pytest.fixture
def half(s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, settings: Any) -> EmbeddedS3:
    """Six records, three objects; and what is more than two is a large selection."""
    monkeypatch.setattr(selection, "AT_ONCE", 2)
    settings.IMAGESYNC = {**settings.IMAGESYNC, "BATCH_SIZE": 2}
    make_images(*(f"{number}.jpg" for number in range(6)))
    for number in range(0, 6, 2):
        s3.put(BUCKET, f"{number}.jpg")
    return s3


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "cluster_is_running", lambda: True)
    monkeypatch.setattr(selection, "cluster_is_running", lambda: True)


def confirm(client: Client, page: Any) -> Any:
    return client.post(SELECTION, {"token": token_of(page)}, follow=True)


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


def test_confirmed__a_selection_that_changed_goes_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = act_on_all(admin_client, "recheck")
    make_images("new.jpg")

    again = confirm(admin_client, page)

    text = again.content.decode()
    assert "it had 6 records when you looked, it has 7 now" in text
    assert not Job.objects.exists()
    assert "job/" in confirm(admin_client, again).redirect_chain[-1][0]


def test_confirmed__as_many_records_and_not_the_same_ones_go_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = act_on_all(admin_client, "clear_mark", "verdict__exact=unchecked")
    Image.objects.filter(file="1.jpg").update(verdict="denied")
    make_images("another.jpg")

    again = confirm(admin_client, page)

    assert "as many records as when you looked, and not the same ones" in again.content.decode()
    assert not Job.objects.exists()


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
        process.kill()
        process.communicate()
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


def test_confirmed__rests_on_the_audit_that_was_shown(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    page = act_on_all(admin_client, "purge_missing")
    assert "A plan is made of those" in page.content.decode()
    run("check_s3_images")

    again = confirm(admin_client, page)

    assert "Another audit has finished meanwhile" in again.content.decode()
    assert not Job.objects.exists()


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


def test_confirmed__twice_does_nothing_the_second_time_and_says_so(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = act_on_all(admin_client, "recheck")
    confirm(admin_client, page)

    again = confirm(admin_client, page)

    assert "confirmed already, as job" in said(again)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c", signing.dumps({"user": "1"}, salt="other")])
def test_confirmed__a_token_that_is_not_ours_does_nothing(
    half: EmbeddedS3, admin_client: Client, token: str
) -> None:
    answer = admin_client.post(SELECTION, {"token": token}, follow=True)

    assert "not one of ours or was changed, so nothing was done" in said(answer)
    assert not Job.objects.exists()


def test_confirmed__a_changed_token_does_nothing(half: EmbeddedS3, admin_client: Client) -> None:
    token = token_of(act_on_all(admin_client, "recheck"))

    answer = admin_client.post(SELECTION, {"token": f"x{token}"}, follow=True)

    assert "was changed, so nothing was done" in said(answer)
    assert not Job.objects.exists()


def test_confirmed__an_old_token_does_nothing(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = act_on_all(admin_client, "recheck")
    monkeypatch.setattr(tokens, "MAX_AGE_SECONDS", -1)

    assert "more than an hour old, so nothing was done" in said(confirm(admin_client, page))
    assert not Job.objects.exists()


def test_confirmed__somebody_elses_token_does_nothing(
    half: EmbeddedS3, admin_client: Client, client: Client
) -> None:
    page = act_on_all(admin_client, "recheck")
    client.force_login(User.objects.create_superuser("other"))

    assert "made for somebody else, so nothing was done" in said(confirm(client, page))
    assert not Job.objects.exists()


def test_confirmed__a_permission_that_was_taken_away_counts(half: EmbeddedS3, client: Client) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_image", "check_image"]))
    client.force_login(staff)
    page = act_on_all(client, "recheck")
    staff.user_permissions.set(Permission.objects.filter(codename="view_image"))

    assert client.post(SELECTION, {"token": token_of(page)}).status_code == 403
    assert not Job.objects.exists()


def test_confirmed__by_get_changes_nothing(half: EmbeddedS3, admin_client: Client) -> None:
    page = act_on_all(admin_client, "recheck")

    answer = admin_client.get(SELECTION, {"token": token_of(page)})

    assert answer["Location"] == LIST
    assert not Job.objects.exists()


def test_confirmed__a_filter_that_no_longer_exists_does_nothing(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = act_on_all(admin_client, "recheck")
    held = signing.loads(token_of(page), salt="imagesync.admin.selection")
    forged = signing.dumps({**held, "query": "password__startswith=a"}, salt="imagesync.admin.selection")

    answer = admin_client.post(SELECTION, {"token": forged}, follow=True)

    assert "no such filter any more" in said(answer)
    assert not Job.objects.exists()


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


def test_select_all__five_thousand_records_go(
    admin_client: Client, memory_source: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "MAX_PURGE_RATIO": 1.0}
    store, source = memory_source()
    monkeypatch.setattr("imagesync.jobs.sources.find_sources", lambda **narrowed: [source])
    make_images(*(f"gone/{number:05}.jpg" for number in range(5000)))
    make_images("there.jpg")
    store.put("there.jpg")
    audited(source)
    hundred = [str(pk) for pk in Image.objects.order_by("-pk").values_list("pk", flat=True)[:100]]

    page = admin_client.post(
        f"{LIST}?verdict__exact=missing",
        {"action": "purge_missing", "_selected_action": hundred, "index": 0, "select_across": "1"},
    )
    assert "5,000 records are selected" in page.content.decode()
    confirm(admin_client, page)
    planning = Job.objects.get()
    work_off(planning)
    plan = admin_client.get(f"{LIST}job/{planning.pk}/", follow=True)
    assert "5,000 records would be deleted" in plan.content.decode()
    form = {"number": "5000", "token": token_of(plan)}
    admin_client.post(plan.redirect_chain[-1][0], form)
    work_off(purging := Job.objects.get(kind="purge"))

    assert purging.failure == ""
    assert list(Image.objects.values_list("file", flat=True)) == ["there.jpg"]
    assert LogEntry.objects.filter(action_flag=DELETION).count() == 5000
    assert "5,000 of 5,000 records" in admin_client.get(f"{LIST}job/{purging.pk}/").content.decode()
