"""The page of an audit in the admin: what it tells, its findings and exports, and what is started from it."""

from __future__ import annotations

import csv
import io
import json
import shlex
import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import Task

from imagesync.admin import audit_page, background, finding_pages
from imagesync.admin.audit_scope import command_of
from imagesync.admin.finding_pages import FindingFilter, filtered_findings, findings_page
from imagesync.audit import open_audit
from imagesync.exceptions import InvalidRequest
from imagesync.models import Audit, AuditRange, Finding, Image
from imagesync.records import Scope, find_sources
from imagesync.records.findings import findings_of
from project.embedded_s3 import EmbeddedS3
from project.settings import Q_CLUSTER
from tests.conftest import BUCKET
from tests.django.admin_pages import page_of, said, staff
from tests.django.helpers import half_of_them, make_images, run, verdicts
from tests.processes import start

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/imagesync/audit/"


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    return half_of_them(s3, "a/")


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A cluster that is running, and what was handed to it."""
    tasks: list[tuple[Any, ...]] = []
    monkeypatch.setattr(audit_page, "cluster_is_running", lambda: True)
    monkeypatch.setattr(audit_page, "queue", lambda *task: tasks.append(task))
    return tasks


def test_page__tells_what_who_how_and_what_it_cost(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images", "--prefix", "a/")
    audit = Audit.objects.get()

    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")

    assert "keys that begin with a/" in page
    assert "by command (" in page
    assert "s3://test-bucket/" in page
    assert f"{audit.requests['LIST']} LIST" in page
    assert "USD" in page
    assert '<strong class="imagesync-trust imagesync-trustworthy">trustworthy</strong>' in page
    assert "50.00 %" in page
    assert "GetObject -&gt; HTTP 404 NoSuchKey" in page


def test_page__tells_reasons_with_what_to_do(half: EmbeddedS3, admin_client: Client) -> None:
    half.denied[half.access_key] = {"s3:ListBucket"}
    run("check_s3_images")
    audit = Audit.objects.get()

    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")

    assert audit.reasons
    for reason in audit.reasons:
        assert f"<code>{reason['id']}</code>" in page
    assert "s3:ListBucket" in page
    assert "No record was judged." in page
    assert "no verdict was written on the records" in page
    assert "neither that the objects are there nor that they are gone" in page
    assert "Nothing was found that needs attention." not in page


def test_page__filters_its_findings(half: EmbeddedS3, admin_client: Client) -> None:
    make_images("b/gone.jpg", "b/<b>\u202e.jpg")
    run("check_s3_images")
    address = f"{LIST}{Audit.objects.get().pk}/change/"

    page = page_of(admin_client, address, begins="b/")
    assert "b/gone.jpg" in page
    assert "b/&lt;b&gt;\\u202e.jpg" in page
    assert "a/1.jpg" not in page
    assert "No finding matches." in page_of(admin_client, address, verdict="denied")
    assert "a/1.jpg" in page_of(admin_client, address, field="imagesync.Image.file", verdict="missing")
    refused = page_of(admin_client, address, verdict="nonsense")
    assert "Select a valid choice" in refused
    assert "a/1.jpg" not in refused


@pytest.mark.parametrize("query", [{}, {"verdict": "missing"}, {"verdict": "unknown"}, {"begins": "a/"}])
def test_findings__page_by_page_are_those_of_the_report(
    half: EmbeddedS3, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After audits that opened, closed and could not look, for each of them."""
    monkeypatch.setattr(finding_pages, "PAGE", 2)
    make_images("a/1.jpg", "\u00e4.jpg", "B.jpg", "//odd.jpg")
    run("check_s3_images")
    half.put(BUCKET, "a/1.jpg")
    half.delete(BUCKET, "a/2.jpg")
    run("check_s3_images")
    half.delete(BUCKET, "a/4.jpg")
    run("check_s3_images", "--key", "a/4.jpg")
    Finding.objects.filter(key="a/3.jpg").update(opened_at=timezone.now())
    looked_in_vain = Finding.objects.get(key="a/3.jpg", closed_at=None)
    looked_in_vain.pk, looked_in_vain.verdict = None, "unknown"
    looked_in_vain.opened_by = Audit.objects.order_by("pk")[1]
    looked_in_vain.save()

    for audit in Audit.objects.all():
        wanted = FindingFilter(query)
        assert wanted.is_valid()
        paged: list[Finding] = []
        after: int | None = None
        while True:
            page = findings_page(audit, wanted, after)
            paged += page.rows
            after = page.after
            if after is None:
                break
        assert paged == list(filtered_findings(audit, wanted))
    assert findings_of(Audit.objects.order_by("pk")[0]).count() >= 6


def test_findings__closed_by_an_audit_that_began_before_are_still_what_this_one_found() -> None:
    earlier, later = (
        Audit.objects.create(
            bucket="b",
            fingerprint="f",
            scope_key=f"{number}",
            state="finished",
            trust="trustworthy",
            counts={"records": 1},
            finished_at=timezone.now() - timedelta(minutes=number),
        )
        for number in (1, 2)
    )
    Finding.objects.create(
        fingerprint="f",
        key="k",
        verdict="missing",
        settled=True,
        opened_by=earlier,
        opened_at=timezone.now(),
        closed_by=earlier,
        closed_at=timezone.now() - timedelta(seconds=90),
    )
    wanted = FindingFilter({})
    assert wanted.is_valid()

    assert [one.key for one in findings_page(later, wanted).rows] == ["k"]


@pytest.mark.parametrize("format", ["csv", "json"])
def test_export__is_what_the_command_writes(half: EmbeddedS3, admin_client: Client, format: str) -> None:
    make_images("=cmd|'x'.jpg", "b/\u202ex\\n.jpg")
    run("check_s3_images")
    audit = Audit.objects.get()
    _code, written, _err = run("check_s3_images", "--resume", str(audit.pk), "--format", format)

    response = admin_client.get(f"{LIST}{audit.pk}/findings.{format}")

    assert response.streaming
    assert b"".join(response.streaming_content).decode() == written  # type: ignore[attr-defined]
    assert f'filename="audit-{audit.pk}-findings.{format}"' in response["Content-Disposition"]


def test_export__of_filtered_findings_says_so(half: EmbeddedS3, admin_client: Client) -> None:
    make_images("b/gone.jpg")
    run("check_s3_images")
    address = f"{LIST}{Audit.objects.get().pk}/findings"

    def exported(format: str, **query: str) -> str:
        response = admin_client.get(f"{address}.{format}", query)
        return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]

    document = json.loads(exported("json", begins="b/"))
    assert [one["key"] for one in document["findings"]] == ["b/gone.jpg"]
    assert document["filter"] == {"begins": "b/"}
    rows = list(csv.DictReader(io.StringIO(exported("csv", begins="b/", verdict="missing"))))
    assert [row["key"] for row in rows] == ["b/gone.jpg"]
    assert admin_client.get(f"{address}.exe").status_code == 404
    assert admin_client.get(f"{address}.csv", {"verdict": "nonsense"}).status_code == 404


def test_run_now__is_handed_to_the_cluster_and_carried_out_once(
    half: EmbeddedS3, admin_client: Client, queued: list[Any]
) -> None:
    assert "Run an audit now" in page_of(admin_client, LIST)

    response = admin_client.post(f"{LIST}run/", follow=True)
    admin_client.post(f"{LIST}run/")

    assert "An audit is queued" in said(response)
    assert [task[0] for task in queued] == [background.audit_stores] * 2
    first, second = (background.audit_stores(*task[1:]) for task in queued)
    audit = Audit.objects.get()
    assert first[0]["counts"]["missing"] == 3
    assert "has been started since" in second[0]["skipped"]
    assert (audit.started_by, str(audit.user)) == ("admin", "admin")
    assert verdicts()["a/1.jpg"] == "missing"
    assert LogEntry.objects.get().object_id == str(audit.pk)


def test_run_now__without_a_cluster_says_so_and_names_the_command(
    half: EmbeddedS3, admin_client: Client
) -> None:
    page = page_of(admin_client, LIST)
    response = admin_client.post(f"{LIST}run/", follow=True)

    assert "LocMemCache is not shared" in page
    assert "<code>python manage.py check_s3_images</code>" in page
    assert "Nothing was started." in said(response)
    assert "python manage.py check_s3_images" in said(response)
    assert not Audit.objects.exists()


def test_run_now__is_carried_out_by_a_real_cluster(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_page, "cluster_is_running", lambda: True)  # its reports are in its own memory
    for name in ("PREFIX", "CLUSTER_NAME"):  # the queue of the process that is started
        monkeypatch.setattr(Conf, name, Q_CLUSTER["name"])
    admin_client.post(f"{LIST}run/")
    cluster = start(half, BUCKET, "qcluster")
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not Task.objects.exists():
            assert cluster.poll() is None, cluster.communicate()[1]
            time.sleep(0.3)
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.communicate(timeout=30)

    task, audit = Task.objects.get(), Audit.objects.get()
    assert task.success, task.result
    assert (task.func, task.group) == ("imagesync.admin.background.audit_stores", "imagesync")
    assert (audit.state, audit.started_by, str(audit.user)) == ("finished", "admin", "admin")


def test_run_again__looks_at_the_same_records(
    half: EmbeddedS3, admin_client: Client, queued: list[Any]
) -> None:
    run("check_s3_images", "--prefix", "a/1", "--no-mark")
    audit = Audit.objects.get()

    admin_client.post(f"{LIST}{audit.pk}/again/")
    told = background.audit_again(*queued[0][1:])

    again = Audit.objects.get(pk=told["audit"])
    assert (again.scope, again.marks, again.counts["records"]) == ({"prefix": "a/1"}, False, 1)
    assert str(again.user) == "admin"


def test_run_again__draws_another_sample(half: EmbeddedS3, admin_user: User) -> None:
    run("check_s3_images", "--sample", "2")

    told = background.audit_again(Audit.objects.get().pk, str(admin_user.pk), background.now())

    again = Audit.objects.get(pk=told["audit"])
    assert (again.scope["sample"], again.counts["records"]) == (2, 2)


def test_resume__goes_on_with_an_interrupted_audit(
    half: EmbeddedS3, admin_client: Client, queued: list[Any]
) -> None:
    audit = open_audit(find_sources()[0], Scope(), started_by="command")
    assert "Resume" not in page_of(admin_client, f"{LIST}{audit.pk}/change/")
    assert "is not interrupted" in said(admin_client.post(f"{LIST}{audit.pk}/resume/", follow=True))
    Audit.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")
    response = admin_client.post(f"{LIST}{audit.pk}/resume/", follow=True)

    assert "Resume" in page
    assert "goes on where it stopped" in said(response)
    assert background.resume(*queued[0][1:])["counts"]["missing"] == 3
    assert Audit.objects.get().state == "finished"
    assert LogEntry.objects.get().change_message == "Resumed."
    assert "is finished already" in background.resume(*queued[0][1:])["skipped"]


def test_pause_and_cancel__act_at_once_and_are_in_the_log(
    half: EmbeddedS3, admin_client: Client, queued: list[Any]
) -> None:
    audit = open_audit(find_sources()[0], Scope())
    AuditRange.objects.update(
        counts={"records": 1200}, lease_owner="a:1:b", lease_until=Now() + timedelta(seconds=50)
    )
    Audit.objects.update(
        stage="comparing",
        expected_records=3600,
        comparing_since=Now() - timedelta(seconds=60),
        comparing_from=0,
    )
    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")
    assert "1,200 of about 3,600 records judged, 1 worker, 20 a second, about 2 min" in page

    assert "is paused" in said(admin_client.post(f"{LIST}{audit.pk}/pause/", follow=True))

    audit.refresh_from_db()
    assert (audit.state, AuditRange.objects.get().lease_owner) == ("paused", "")
    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")
    assert ("Resume" in page, "Pause" in page, "Cancel" in page) == (True, False, True)
    assert "is paused already" in said(admin_client.post(f"{LIST}{audit.pk}/pause/", follow=True))
    assert "goes on where it stopped" in said(admin_client.post(f"{LIST}{audit.pk}/resume/", follow=True))

    assert "is cancelled" in said(admin_client.post(f"{LIST}{audit.pk}/cancel/", follow=True))

    assert "was cancelled" in background.resume(*queued[0][1:])["skipped"]
    page = page_of(admin_client, f"{LIST}{audit.pk}/change/")
    assert ("Resume" in page, ">Cancel<" in page) == (False, False)
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == [
        "Paused.",
        "Cancelled.",
    ]


def test_resume__of_a_store_that_the_settings_no_longer_name_is_refused(admin_user: User) -> None:
    audit = Audit.objects.create(bucket="b", fingerprint="gone", scope_key="k", state="interrupted")

    with pytest.raises(InvalidRequest, match="no longer name"):
        background.resume(audit.pk, str(admin_user.pk))


@pytest.mark.parametrize(
    ("permissions", "sees", "starts"),
    [
        ([], 403, 403),
        (["check_image"], 403, 403),
        (["view_audit"], 200, 403),
        (["view_audit", "mark_image", "purge_image"], 200, 403),
        (["view_audit", "check_image"], 200, 302),
    ],
)
def test_permissions__decide_who_sees_and_who_starts_audits(
    client: Client, queued: list[Any], permissions: list[str], sees: int, starts: int
) -> None:
    staff(client, *permissions)
    audit = Audit.objects.create(bucket="b", fingerprint="f", scope_key="k", state="interrupted")
    pages = [LIST, f"{LIST}{audit.pk}/change/", f"{LIST}{audit.pk}/findings.csv"]
    actions = [
        f"{LIST}run/",
        *(f"{LIST}{audit.pk}/{action}/" for action in ("again", "resume", "pause", "cancel")),
    ]

    assert {client.get(address).status_code for address in pages} == {sees}
    offered = b"".join(client.get(address).content for address in pages[:2])
    assert (b"Run an audit now" in offered, b"Run again" in offered) == (starts == 302,) * 2
    assert (b"Cancel" in offered) is (starts == 302)
    assert {client.post(address).status_code for address in actions} == {starts}
    assert len(queued) == (3 if starts == 302 else 0)
    assert {client.get(address).status_code for address in actions} == {405}


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "python manage.py check_s3_images --storage=default"),
        (["--prefix", "a/ b'"], "python manage.py check_s3_images --storage=default --prefix='a/ b'\"'\"''"),
        (["--key=-x\\y.jpg"], "python manage.py check_s3_images --storage=default --key='-x\\y.jpg'"),
        (
            ["--id", "7", "--no-mark"],
            "python manage.py check_s3_images --storage=default --id=imagesync.Image:7 --no-mark",
        ),
        (["--sample", "1"], "python manage.py check_s3_images --storage=default --sample=1"),
        (["--key", "\u202e.jpg"], ""),
        (["--key", "\n.jpg"], ""),
    ],
)
def test_command__audits_the_same_records_when_it_is_pasted(
    s3: EmbeddedS3, arguments: list[str], command: str
) -> None:
    make_images("a/ b'.jpg", "-x\\y.jpg", "\u202e.jpg", "\n.jpg")
    Image.objects.bulk_create([Image(pk=7, file="seven.jpg")], ignore_conflicts=True)
    run("check_s3_images", *arguments)
    audit = Audit.objects.get()

    assert command_of(audit) == command
    if command:
        run(*shlex.split(command)[2:])
        again = Audit.objects.order_by("pk")[1]
        assert (again.scope.keys(), again.marks) == (audit.scope.keys(), audit.marks)


def test_command__of_hundreds_of_records_is_not_offered(db: None) -> None:
    audit = Audit(scope={"keys": [f"{number}.jpg" for number in range(300)]})

    assert command_of(audit) == ""
