"""What a confirmation is good for: the records and the audit that were shown, once, within the hour, by who asked."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.test import Client

from imagesync.admin import tokens
from imagesync.models import Image, Job
from project.embedded_s3 import EmbeddedS3
from tests.django.admin_pages import LIST, SELECTION, act_on_all, confirm, said, token_of
from tests.django.helpers import make_images, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("two_at_once")]


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


def test_confirmed__rests_on_the_audit_that_was_shown(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    page = act_on_all(admin_client, "purge_missing")
    assert "A plan is made of those" in page.content.decode()
    run("check_s3_images")

    again = confirm(admin_client, page)

    assert "Another audit has finished meanwhile" in again.content.decode()
    assert not Job.objects.exists()


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
