"""Role x action x object: what is offered, what is taken by force, and what single objects allow."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client
from django.urls import resolve
from django_q.models import OrmQ

from imagesync.admin import at_once, job_page, jobs
from imagesync.jobs import work_off
from imagesync.models import Audit, Image, Job, Purge, Tombstone
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import act, act_on_all, said, staff, token_of
from tests.django.helpers import make_images, run, verdicts
from tests.testapp.models import Document, ProductImage

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.admin_urls")]

LIST = "/shop/imagesync/image/"
ACTIONS = (
    "recheck",
    "mark_missing",
    "clear_mark",
    "purge_missing",
    "export_csv",
    "export_json",
    "delete_selected",
)
EXPORTS = {"export_csv", "export_json"}
ROLES: dict[str, tuple[list[str], set[str]]] = {
    "nobody": ([], set()),
    "viewer": (["view_image"], EXPORTS),
    "checker": (["view_image", "check_image"], EXPORTS | {"recheck"}),
    "marker": (["view_image", "mark_image"], EXPORTS | {"mark_missing", "clear_mark"}),
    "checks blindly": (["check_image", "mark_image", "purge_image"], set()),
    "purger who may not delete": (["view_image", "purge_image"], EXPORTS),
    "deleter who may not purge": (["view_image", "delete_image"], EXPORTS),
    "purger": (["view_image", "purge_image", "delete_image"], EXPORTS | {"purge_missing"}),
    "purger of all": (
        ["view_image", "purge_image", "delete_image", "delete_productimage"],
        EXPORTS | {"purge_missing"},
    ),
    "restorer": (["view_image", "restore_image"], EXPORTS),
    "editor": (["view_image", "change_image", "add_image"], EXPORTS),
}


@pytest.fixture
def half(half: EmbeddedS3) -> EmbeddedS3:
    """Looked at."""
    run("check_s3_images")
    return half


def state() -> Any:
    """Everything that an action could change."""
    return (
        verdicts(),
        Audit.objects.count(),
        Purge.objects.count(),
        Job.objects.count(),
        LogEntry.objects.count(),
    )


# --- role x action x object ------------------------------------------------------------------------------


OBJECTS = {"1.jpg": "free", "3.jpg": "locked", "5.jpg": "guarded"}
"""Nobody may delete what is locked; with the guarded one goes a row that only some may delete."""
MATRIX = """\
role                      | recheck | mark_missing | clear_mark | purge_missing | export_csv | export_json | delete_selected
nobody                    | -       | -            | -          | -             | -          | -           | -
viewer                    | -       | -            | -          | -             | all        | all         | -
checker                   | all     | -            | -          | -             | all        | all         | -
marker                    | -       | all          | all        | -             | all        | all         | -
checks blindly            | -       | -            | -          | -             | -          | -           | -
purger who may not delete | -       | -            | -          | -             | all        | all         | -
deleter who may not purge | -       | -            | -          | -             | all        | all         | -
purger                    | -       | -            | -          | free          | all        | all         | -
purger of all             | -       | -            | -          | free, guarded | all        | all         | -
restorer                  | -       | -            | -          | -             | all        | all         | -
editor                    | -       | -            | -          | -             | all        | all         | -
superuser                 | all     | all          | all        | free, guarded | all        | all         | -
"""


def test_matrix__role_by_action_by_object(half: EmbeddedS3, client: Client) -> None:
    """Each action is sent by each role, offered or not, with a free, a locked and a guarded object; and what was done
    to which is noted. What is not offered does nothing, and what is offered does something."""
    Image.objects.filter(file="3.jpg").update(title="locked")
    ProductImage.objects.create(image=Image.objects.get(file="5.jpg"), position=1)
    lines = [["role", *ACTIONS]]
    for role in [*ROLES, "superuser"]:
        user = User.objects.create_user(role, is_staff=True, is_superuser=role == "superuser")
        permissions = ROLES[role][0] if role in ROLES else []
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        shown = client.get(LIST).content.decode()
        done = [done_by(client, action) for action in ACTIONS]
        for action, objects in zip(ACTIONS, done, strict=True):
            assert (f'value="{action}"' in shown) is (objects != "-"), (role, action)
        lines.append([role, *done])

    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = "".join(
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )
    print(told)
    assert told == MATRIX


def done_by(client: Client, action: str) -> str:
    """What an action did to which objects; then everything is as it was."""
    before = state()
    point = transaction.savepoint()
    answer = act(client, action, Image.objects.filter(file__in=OBJECTS), path=LIST, follow=False)
    if answer.streaming:
        sent = answer.getvalue().decode()
        names = {name for name in OBJECTS if name in sent}
    elif plan := Purge.objects.values_list("plan", flat=True).first():
        names = {entry["key"] for entry in plan["delete"]}
    else:
        names = set(LogEntry.objects.values_list("object_repr", flat=True)) & set(OBJECTS)
        if not names:
            act_on_all(client, action, path=LIST)
            assert state() == before, action
    transaction.savepoint_rollback(point)
    objects = [name for file, name in OBJECTS.items() if file in names]
    return "all" if len(objects) == len(OBJECTS) else ", ".join(objects) or "-"


# --- role x address ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["anonymous", *ROLES])
def test_addresses__answer_to_those_who_may_purge(half: EmbeddedS3, client: Client, role: str) -> None:
    planner = User.objects.create_superuser("planner")
    client.force_login(planner)
    page = act(client, "purge_missing", Image.objects.all(), path=LIST)
    purge = Purge.objects.get()
    token = token_of(page)
    client.logout()
    if role != "anonymous":
        staff(client, *ROLES[role][0])
    may = "purge_missing" in ROLES.get(role, ([], set()))[1]
    address = f"{LIST}purge/{purge.pk}/"

    reading = {client.get(address).status_code, client.get(f"{address}plan.csv").status_code}
    taking = client.post(address, {"number": "3", "token": token})

    assert reading == ({302} if role == "anonymous" else {200} if may else {403})
    assert taking.status_code == (302 if role == "anonymous" else 403)
    assert Image.objects.count() == 6
    assert Purge.objects.get().state == "planned"


def addresses(half: EmbeddedS3, client: Client) -> list[str]:
    """Of everything that changes something or asks S3, each ready to do so for a superuser."""
    images = "/admin/imagesync/image/"
    act(client, "purge_missing", Image.objects.all(), path=images)
    planned, audit, image = Purge.objects.get(), Audit.objects.get(), Image.objects.get(file="1.jpg")
    content_type = ContentType.objects.get_for_model(Image)
    job = Job.objects.create(kind="check", user=planned.user, nonce="n", content_type=content_type)
    Tombstone.objects.create(
        purge=planned,
        content_type=content_type,
        object_pk="99",
        field="file",
        key="k",
        action="delete",
        rows="[]",
    )
    return [
        f"{images}selection/",
        f"{images}job/{job.pk}/",
        f"{images}purge/{planned.pk}/",
        f"{images}{image.pk}/look/",
        f"{images}{image.pk}/look-closer/",
        "/admin/imagesync/audit/run/",
        f"/admin/imagesync/audit/{audit.pk}/again/",
        f"/admin/imagesync/audit/{audit.pk}/resume/",
        f"/admin/imagesync/audit/{audit.pk}/pause/",
        f"/admin/imagesync/audit/{audit.pk}/cancel/",
        f"/admin/imagesync/purge/{planned.pk}/restore/",
    ]


READING = {"imagesync_audit_export", "imagesync_image_plan_csv"}
DJANGOS = ("_changelist", "_add", "_change", "_delete", "_history")


def own_pages() -> set[str]:
    """What imagesync's admins have beside Django's own pages."""
    ours = (one for model, one in admin.site._registry.items() if model._meta.app_label == "imagesync")
    names = {pattern.name for one in ours for pattern in one.get_urls()} - {None}
    return {name for name in names if not name.endswith(DJANGOS)}


@pytest.mark.urls("tests.urls")
def test_addresses__by_get_or_from_another_site_change_nothing_and_ask_s3_nothing(
    half: EmbeddedS3, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(enforce_csrf_checks=False)
    client.force_login(admin_user)
    found = addresses(half, client)
    assert {resolve(address).url_name for address in found} == own_pages() - READING
    Job.objects.update(selection={"whole": True})
    for module in ("audit_page", "job_page", "jobs", "purge_page", "selection"):
        monkeypatch.setattr(f"imagesync.admin.{module}.cluster_is_running", lambda: True)
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(admin_user)
    before, asked = (state(), OrmQ.objects.count()), len(half.requests)
    everything = {"all": "1", "confirmed": "1", "number": "3"}

    for address in found:
        assert client.get(address, everything).status_code in (200, 302, 405), address
        assert client.head(address, everything).status_code in (200, 302, 405), address
        assert forged.post(address, everything).status_code == 403, address

    assert ((state(), OrmQ.objects.count()), len(half.requests)) == (before, asked)


JOBS = {
    "check": "recheck",
    "mark": "mark_missing",
    "clear": "clear_mark",
    "plan": "purge_missing",
    "purge": "purge_missing",
}


@pytest.mark.parametrize("role", ["anonymous", *ROLES])
def test_jobs__answer_to_those_who_may_take_the_action(db: None, client: Client, role: str) -> None:
    planner = User.objects.create_superuser("planner")
    content_type = ContentType.objects.get_for_model(Image)
    if role != "anonymous":
        staff(client, *ROLES[role][0])

    for kind, action in JOBS.items():
        job = Job.objects.create(kind=kind, user=planner, nonce=kind, content_type=content_type)
        may = action in ROLES.get(role, ([], set()))[1]

        reading = client.get(f"{LIST}job/{job.pk}/")
        starting = client.post(f"{LIST}job/{job.pk}/")

        assert reading.status_code == (302 if role == "anonymous" else 200 if may else 403), kind
        assert starting.status_code == (302 if role == "anonymous" or may else 403), kind
    assert not Job.objects.exclude(state="waiting", queued_at=None).exists()


# --- object ------------------------------------------------------------------------------------------------


def test_objects__that_may_not_be_deleted_stay_and_say_so(half: EmbeddedS3, client: Client) -> None:
    Image.objects.filter(file="1.jpg").update(title="locked")
    staff(client, *ROLES["purger"][0])

    page = act(client, "purge_missing", Image.objects.all(), path=LIST)

    assert "2 records would be deleted" in page.content.decode()
    assert "who planned this may not delete it" in page.content.decode()
    client.post(page.redirect_chain[-1][0], {"number": "2", "token": token_of(page)})
    assert sorted(verdicts()) == ["0.jpg", "1.jpg", "2.jpg", "4.jpg"]


@pytest.mark.parametrize(
    ("permissions", "position", "goes"),
    [
        ([], 1, False),
        (["delete_productimage"], 99, False),
        (["delete_productimage"], 1, True),
    ],
)
def test_objects__that_go_along_must_be_theirs_to_delete_too(
    half: EmbeddedS3, client: Client, permissions: list[str], position: int, goes: bool
) -> None:
    ProductImage.objects.create(image=Image.objects.get(file="1.jpg"), position=position)
    staff(client, *ROLES["purger"][0], *permissions)

    page = act(client, "purge_missing", Image.objects.filter(file="1.jpg"), path=LIST)

    assert [entry["key"] for entry in Purge.objects.get().plan["delete"]] == (["1.jpg"] if goes else [])
    assert ("may not delete what goes along: Product image" in page.content.decode()) is not goes


def test_objects__of_the_same_model_that_go_along_must_be_theirs_to_delete_too(
    s3: EmbeddedS3, client: Client, settings: Any
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {"testapp.Document.document": "delete"}}
    first = Document.objects.create(document="first.pdf")
    Document.objects.create(document="locked.pdf", replaces=first)
    Document.objects.create(document="third.pdf")
    make_images("there.jpg")
    s3.put(BUCKET, "there.jpg")
    run("check_s3_images")
    staff(client, "view_document", "delete_document", "purge_image")
    settings.IMAGESYNC = {**settings.IMAGESYNC, "GRACE_PERIOD": "0s", "MAX_PURGE_RATIO": 1.0}

    act(client, "purge_missing", Document.objects.all(), path="/shop/testapp/document/")

    purge = Purge.objects.get()
    assert [entry["key"] for entry in purge.plan["delete"]] == ["third.pdf"]
    assert {entry["key"]: entry["why"] for entry in purge.plan["keep"]} == {
        "first.pdf": "who planned this may not delete what goes along: Document",
        "locked.pdf": "who planned this may not delete it",
    }


def test_objects__are_asked_about_again_when_the_plan_is_confirmed(half: EmbeddedS3, client: Client) -> None:
    ProductImage.objects.create(image=Image.objects.get(file="1.jpg"), position=1)
    user = staff(client, *ROLES["purger"][0], "delete_productimage")
    page = act(client, "purge_missing", Image.objects.filter(file__in=["1.jpg", "3.jpg"]), path=LIST)
    address, form = page.redirect_chain[-1][0], {"number": "2", "token": token_of(page)}
    user.user_permissions.remove(Permission.objects.get(codename="delete_productimage"))

    answer = client.post(address, form)

    assert answer.status_code == 403
    assert "may not delete what goes along: Product image" in answer.content.decode()
    assert not Tombstone.objects.exists()

    user.user_permissions.add(Permission.objects.get(codename="delete_productimage"))
    Image.objects.filter(file="3.jpg").update(title="locked")
    assert client.post(address, form).status_code == 403
    assert not Tombstone.objects.exists()


def test_objects__are_asked_about_by_a_job_as_well(
    half: EmbeddedS3, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST", 2)
    Image.objects.filter(file="1.jpg").update(title="locked")
    ProductImage.objects.create(image=Image.objects.get(file="3.jpg"), position=99)
    staff(client, *ROLES["purger"][0], "delete_productimage")
    page = act_on_all(client, "purge_missing", path=LIST)
    client.post(f"{LIST}selection/", {"token": token_of(page)})

    work_off(Job.objects.get())

    plan = Purge.objects.get().plan
    assert [entry["key"] for entry in plan["delete"]] == ["5.jpg"]
    assert {entry["why"] for entry in plan["keep"]} == {
        "who planned this may not delete it",
        "who planned this may not delete what goes along: Product image",
    }


@pytest.mark.parametrize("action", ["recheck", "mark_missing", "clear_mark", "purge_missing"])
def test_job__of_somebody_who_lost_their_rights_does_nothing(
    half: EmbeddedS3, client: Client, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(at_once, "MOST", 2)
    user = staff(client, "view_image", "check_image", "mark_image", "purge_image", "delete_image")
    page = act_on_all(client, action, path=LIST)
    client.post(f"{LIST}selection/", {"token": token_of(page)})
    user.user_permissions.clear()
    before = state()

    work_off(Job.objects.get())

    assert "may not have it done (any more)" in Job.objects.get().failure
    assert state() == before


def test_job__executes_no_purge_for_somebody_who_lost_their_rights(
    half: EmbeddedS3, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = staff(client, *ROLES["purger"][0], "delete_productimage")
    page = act(client, "purge_missing", Image.objects.all(), path=LIST)
    monkeypatch.setattr(at_once, "MOST", 2)
    client.post(page.redirect_chain[-1][0], {"number": "3", "token": token_of(page)})
    Image.objects.filter(file="1.jpg").update(title="locked")

    work_off(job := Job.objects.get(kind="purge"))

    assert "may not delete it" in Job.objects.get(pk=job.pk).failure
    assert not Tombstone.objects.exists()
    user.user_permissions.clear()
    work_off(job)
    assert "may not have it done (any more)" in Job.objects.get(pk=job.pk).failure
    assert Image.objects.count() == 6


# --- the log -------------------------------------------------------------------------------------------------


def test_log__has_everybody_who_changed_something_and_what(half: EmbeddedS3, client: Client) -> None:
    user = User.objects.create_superuser("anna")
    client.force_login(user)
    act(client, "recheck", Image.objects.filter(file="0.jpg"), path=LIST)
    act(client, "clear_mark", Image.objects.filter(file="1.jpg"), path=LIST)
    page = act(client, "purge_missing", Image.objects.filter(file="3.jpg"), path=LIST)
    client.post(page.redirect_chain[-1][0], {"number": "1", "token": token_of(page)})
    client.post(f"{LIST}selection/", {"token": "nonsense"})

    entries = LogEntry.objects.order_by("pk").values_list("user__username", "object_repr", "action_flag")

    assert list(entries) == [("anna", "0.jpg", 2), ("anna", "1.jpg", 2), ("anna", "3.jpg", 3)]


def test_log__of_a_large_purge_is_written_in_a_few_queries(
    half: EmbeddedS3, client: Client, django_assert_max_num_queries: Any
) -> None:
    from imagesync.jobs.log import log_purge

    client.force_login(user := User.objects.create_superuser("anna"))
    page = act(client, "purge_missing", Image.objects.all(), path=LIST)
    client.post(page.redirect_chain[-1][0], {"number": "3", "token": token_of(page)})
    purge = Purge.objects.get()
    Tombstone.objects.bulk_create(
        Tombstone(
            purge=purge,
            content_type=one.content_type,
            object_pk=str(number),
            field="file",
            key="k",
            action="delete",
            rows="{}",
        )
        for one in Tombstone.objects.all()[:1]
        for number in range(2500)
    )
    LogEntry.objects.all().delete()

    with django_assert_max_num_queries(40):  # SQLite takes a hundred rows at a time
        log_purge(purge, user.pk)

    assert LogEntry.objects.count() == 2503


def test_jobs__page_without_a_cluster_stays_calm(
    half: EmbeddedS3, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST", 2)
    for module in (job_page, jobs):
        monkeypatch.setattr(module, "cluster_is_running", lambda: False)
    client.force_login(User.objects.create_superuser("anna"))
    page = act_on_all(client, "recheck", path=LIST)

    answer = client.post(f"{LIST}selection/", {"token": token_of(page)}, follow=True)
    again = client.post(answer.redirect_chain[-1][0], follow=True)

    assert "cluster" in said(again)
    assert Job.objects.get().queued_at is None
