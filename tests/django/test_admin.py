from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from imagesync.models import Image, Purge, Tombstone
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import act, said, token_of
from tests.django.helpers import make_images, run, verdicts

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/imagesync/image/"


def test_changelist__filters_by_verdict_and_offers_no_stock_delete(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")

    page = admin_client.get(LIST, {"verdict__exact": "missing"}).content.decode()

    assert "1.jpg" in page
    assert "0.jpg" not in page
    assert "delete_selected" not in page
    assert "purge_missing" in page


def test_changelist__escapes_hostile_keys(admin_client: Client) -> None:
    make_images("<script>alert(1)</script>\u202e.jpg")

    page = admin_client.get(LIST).content.decode()

    assert "<script>alert(1)" not in page
    assert "\\u202e" in page


def test_recheck__looks_now_and_logs_who(half: EmbeddedS3, admin_client: Client) -> None:
    images = Image.objects.filter(file__in=["0.jpg", "1.jpg"])

    response = act(admin_client, "recheck", images)

    assert "1 present, 1 missing" in said(response)
    assert verdicts()["1.jpg"] == "missing"
    assert verdicts()["3.jpg"] == "unchecked"
    assert LogEntry.objects.count() == 2


def test_mark_missing__marks_only_what_is_proven(half: EmbeddedS3, admin_client: Client) -> None:
    response = act(admin_client, "mark_missing", Image.objects.filter(file__in=["0.jpg", "1.jpg"]))

    assert "1 image is marked as missing" in said(response)
    assert "not marked: 1 present" in said(response)
    assert verdicts()["0.jpg"] == "present"


def test_mark_missing__an_unfit_store_marks_nothing(half: EmbeddedS3, admin_client: Client) -> None:
    half.denied[half.access_key] = {"s3:ListBucket"}

    response = act(admin_client, "mark_missing", Image.objects.filter(file="1.jpg"))

    assert "s3:ListBucket" in said(response)
    assert verdicts()["1.jpg"] == "unchecked"


def test_purge__shows_the_plan_asks_for_the_number_and_can_be_undone(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    page = act(admin_client, "purge_missing", Image.objects.all())
    text = page.content.decode()
    purge = Purge.objects.get()
    address = f"/admin/imagesync/image/purge/{purge.pk}/"
    assert page.redirect_chain[-1][0] == address
    assert "3 records would be deleted" in text
    assert "1.jpg" in text
    assert Image.objects.count() == 6

    form = {"number": "3", "token": token_of(page)}
    wrong = admin_client.post(address, {**form, "number": "4"})
    assert "not the number" in wrong.content.decode()
    assert Image.objects.count() == 6

    done = admin_client.post(address, form, follow=True)
    assert "3 deleted, 0 kept" in said(done)
    assert sorted(verdicts()) == ["0.jpg", "2.jpg", "4.jpg"]
    assert Tombstone.objects.count() == 3
    assert LogEntry.objects.filter(action_flag=3).count() == 3

    again = admin_client.post(address, form)
    assert "confirmed already" in again.content.decode()
    assert run("restore_purged", "--no-input")[0] == 0
    assert Image.objects.count() == 6


def test_purge__acts_on_the_selected_only(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    act(admin_client, "purge_missing", Image.objects.filter(file__in=["0.jpg", "1.jpg"]))

    assert [entry["key"] for entry in Purge.objects.get().plan["delete"]] == ["1.jpg"]


def test_purge__without_a_fresh_audit_says_what_to_run(half: EmbeddedS3, admin_client: Client) -> None:
    response = act(admin_client, "purge_missing", Image.objects.all())

    assert "check_s3_images" in said(response)
    assert not Purge.objects.exists()


def test_purge__a_refusal_offers_no_button(half: EmbeddedS3, admin_client: Client) -> None:
    half.delete(BUCKET, "0.jpg")
    half.delete(BUCKET, "2.jpg")
    run("check_s3_images")

    page = act(admin_client, "purge_missing", Image.objects.all()).content.decode()

    assert "max_ratio" in page
    assert 'name="number"' not in page


def test_purge__somebody_elses_plan_can_be_read_and_not_executed(
    half: EmbeddedS3, admin_client: Client, client: Client
) -> None:
    run("check_s3_images")
    act(admin_client, "purge_missing", Image.objects.all())
    client.force_login(User.objects.create_superuser("other"))

    address = f"/admin/imagesync/image/purge/{Purge.objects.get().pk}/"
    seen = client.get(address)
    assert "made by admin, and only they can execute it" in seen.content.decode()
    assert 'name="number"' not in seen.content.decode()

    taken = client.post(address, {"number": "3"})

    assert taken.status_code == 403
    assert "only they can execute it" in taken.content.decode()
    assert Image.objects.count() == 6


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (["view_image"], set()),
        (["view_image", "check_image"], {"recheck"}),
        (["view_image", "mark_image"], {"mark_missing"}),
        (["view_image", "purge_image"], set()),
        (["view_image", "purge_image", "delete_image"], {"purge_missing"}),
    ],
)
def test_permissions__decide_which_actions_are_offered_and_taken(
    half: EmbeddedS3, client: Client, permissions: list[str], offered: set[str]
) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(staff)

    page = client.get(LIST).content.decode()

    actions = {"recheck", "mark_missing", "purge_missing"}
    assert {action for action in actions if f'value="{action}"' in page} == offered
    for action in actions - offered:
        act(client, action, Image.objects.all())
    assert set(verdicts().values()) == {"unchecked"}
    assert not Purge.objects.exists()
    purge = Purge.objects.create(
        fingerprint="f", user=staff, counts={"planned": 1}, plan={"delete": [], "keep": []}
    )
    expected = 200 if "purge_missing" in offered else 403
    assert client.get(f"/admin/imagesync/image/purge/{purge.pk}/").status_code == expected


@pytest.mark.parametrize("model", ["audit", "finding", "purge", "tombstone"])
def test_history__can_be_read_and_not_written(half: EmbeddedS3, admin_client: Client, model: str) -> None:
    run("purge_orphans", "--no-input")

    assert admin_client.get(f"/admin/imagesync/{model}/").status_code == 200
    assert admin_client.get(f"/admin/imagesync/{model}/add/").status_code == 403
