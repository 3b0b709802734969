"""The admin's purges: their records, and putting them back after a look at what is in the way."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagesync.admin import background, purge_page
from imagesync.models import Audit, Image, Purge, Tombstone
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import said, staff
from tests.django.helpers import make_images, run

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/imagesync/purge/"


@pytest.fixture
def purged(s3: EmbeddedS3) -> Purge:
    make_images(*(f"{number}.jpg" for number in range(6)))
    for number in range(0, 6, 2):
        s3.put(BUCKET, f"{number}.jpg")
    run("purge_orphans", "--no-input")
    assert Image.objects.count() == 3
    return Purge.objects.get()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A cluster that is running, and what was handed to it."""
    tasks: list[tuple[Any, ...]] = []
    monkeypatch.setattr(purge_page, "cluster_is_running", lambda: True)
    monkeypatch.setattr(purge_page, "queue", lambda *task: tasks.append(task))
    return tasks


def address(purge: Purge) -> str:
    return f"{LIST}{purge.pk}/change/"


def restoring(client: Client, purge: Purge, *tombstones: Tombstone, **values: Any) -> Any:
    chosen = {"record": [one.pk for one in tombstones]} if tombstones else {}
    return client.post(f"{LIST}{purge.pk}/restore/", {**chosen, **values}, follow=True)


def test_list__says_who_how_many_and_what_can_be_restored(purged: Purge, admin_client: Client) -> None:
    page = admin_client.get(LIST).content.decode()

    assert "3 planned, 3 deleted" in page
    assert "command (" in page
    assert 'alt="True"' in page

    run("restore_purged", "--no-input")
    assert 'alt="True"' not in admin_client.get(LIST).content.decode()


def test_page__shows_the_records_and_what_became_of_them(purged: Purge, admin_client: Client) -> None:
    first = purged.tombstones.order_by("pk")[0]
    run("restore_purged", "--no-input", "--id", first.record_label)

    page = admin_client.get(address(purged)).content.decode()

    assert page.count('name="record"') == 2
    assert first.record_label in page
    assert re.search(r"Not restored yet</th><td>2<", page)
    only = admin_client.get(address(purged), {"restored": "yes"}).content.decode()
    assert "1.jpg" in only
    assert "3.jpg" not in only
    assert "5.jpg" in admin_client.get(address(purged), {"key": "5*"}).content.decode()
    assert "No record matches" in admin_client.get(address(purged), {"key": "5"}).content.decode()


def test_page__tells_why_a_purge_was_refused(s3: EmbeddedS3, admin_client: Client) -> None:
    make_images("gone.jpg")
    run("purge_orphans", "--no-input")
    purge = Purge.objects.get()
    assert purge.refused is not None

    page = admin_client.get(address(purge)).content.decode()

    assert "Refused, nothing was touched." in page
    assert purge.refused["id"] in page
    assert "No record was taken." in page
    assert "Restore all" not in page


def test_page__tells_why_records_were_kept(s3: EmbeddedS3, admin_client: Client) -> None:
    purge = Purge.objects.create(
        fingerprint="f",
        counts={"planned": 0, "deleted": 0, "kept": 3},
        plan={"delete": [], "keep": [{"record": "x", "why": why} for why in ("young", "young", "a\u202eb")]},
    )

    page = admin_client.get(address(purge)).content.decode()

    assert "2: young" in page
    assert "1: a\\u202eb" in page


def test_restore__previews_first_then_restores_and_logs_who(purged: Purge, admin_client: Client) -> None:
    first, second, _third = purged.tombstones.order_by("pk")

    preview = restoring(admin_client, purged, first, second).content.decode()

    assert "2 records were tried, and taken back again" in preview
    assert "Restore 2 records" in preview
    assert Image.objects.count() == 3
    assert not purged.tombstones.exclude(restored_at=None).exists()

    done = restoring(admin_client, purged, first, second, confirmed="2")
    assert "2 records are restored." in said(done)
    assert Image.objects.filter(file="1.jpg", verdict="unchecked").exists()
    assert Image.objects.count() == 5
    entries = LogEntry.objects.filter(action_flag=ADDITION, user__username="admin")
    assert {entry.object_repr for entry in entries} == {first.key, second.key}
    first.refresh_from_db()
    assert first.restored_by == "admin (admin)"


def test_restore__all_of_them(purged: Purge, admin_client: Client) -> None:
    assert "Restore 3 records" in restoring(admin_client, purged, all="1").content.decode()

    restoring(admin_client, purged, all="1", confirmed="3")

    assert Image.objects.count() == 6


def test_restore__shows_which_cannot_be_restored_and_why(purged: Purge, admin_client: Client) -> None:
    first = purged.tombstones.order_by("pk")[0]
    Image.objects.create(pk=first.object_pk, file="taken\u202e.jpg")

    preview = restoring(admin_client, purged, all="1").content.decode()

    assert "2 can be restored" in preview
    assert "1 cannot" in preview
    assert "exists already" in preview
    assert "Restore the 2 that can be" in preview

    done = restoring(admin_client, purged, all="1", confirmed="3")
    assert "2 records are restored." in said(done)
    assert f"{first.record_label} was left alone: exists already" in said(done)
    assert Image.objects.get(pk=first.object_pk).file.name == "taken\u202e.jpg"


def test_restore__a_selection_that_changed_meanwhile_goes_back_to_the_preview(
    purged: Purge, admin_client: Client
) -> None:
    first = purged.tombstones.order_by("pk")[0]
    run("restore_purged", "--no-input", "--id", first.record_label)

    again = restoring(admin_client, purged, all="1", confirmed="3")

    assert "have changed since" in said(again)
    assert "Restore 2 records" in again.content.decode()
    assert Image.objects.count() == 4


def test_restore__sent_twice_restores_once(purged: Purge, admin_client: Client) -> None:
    restoring(admin_client, purged, all="1", confirmed="3")

    again = restoring(admin_client, purged, all="1", confirmed="3")

    assert "None of these records is left to restore" in said(again)
    assert Image.objects.count() == 6


def test_restore__another_purges_records_are_not_its_own(purged: Purge, admin_client: Client) -> None:
    other = Purge.objects.create(fingerprint="f", counts={})

    response = restoring(admin_client, other, *purged.tombstones.all(), confirmed="3")

    assert "None of these records" in said(response)
    assert Image.objects.count() == 3


def test_restore__of_many_is_handed_to_the_cluster(
    purged: Purge, admin_client: Client, queued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_page, "AT_ONCE", 2)
    user = User.objects.get(username="admin")

    preview = restoring(admin_client, purged, all="1").content.decode()
    assert "The first 2 were tried" in preview
    assert "in the background" in preview
    restoring(admin_client, purged, all="1", confirmed="3")

    assert queued == [(background.restore_records, purged.pk, str(user.pk), "admin")]
    assert Image.objects.count() == 3
    assert background.restore_records(*queued[0][1:]) == {"purge": purged.pk, "restored": 3, "conflicts": 0}
    assert Image.objects.count() == 6
    assert LogEntry.objects.filter(user=user, action_flag=ADDITION).count() == 3
    assert background.restore_records(*queued[0][1:])["restored"] == 0


def test_restore__of_many_without_a_cluster_names_the_command(
    purged: Purge, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_page, "AT_ONCE", 2)
    monkeypatch.setattr(purge_page, "cluster_is_running", lambda: False)

    preview = restoring(admin_client, purged, all="1").content.decode()
    done = restoring(admin_client, purged, all="1", confirmed="3")

    assert f"<code>python manage.py restore_purged {purged.pk}</code>" in preview
    assert "in the background" not in preview
    assert f"python manage.py restore_purged {purged.pk}" in said(done)
    assert Image.objects.count() == 3


def test_restore__more_single_records_than_a_page_has_are_refused(
    purged: Purge, admin_client: Client, queued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_page, "AT_ONCE", 2)

    response = restoring(admin_client, purged, *purged.tombstones.all(), confirmed="3")

    assert "Choose up to 2 records" in said(response)
    assert not queued
    assert Image.objects.count() == 3


def test_background__does_nothing_for_who_may_not_any_more(purged: Purge, admin_user: User) -> None:
    User.objects.update(is_active=False)
    asked_at = background.now()
    audits = Audit.objects.count()

    told = [
        background.restore_records(purged.pk, str(admin_user.pk), "admin"),
        *background.audit_stores("", str(admin_user.pk), asked_at),
        background.audit_again(Audit.objects.latest().pk, str(admin_user.pk), asked_at),
        background.resume(Audit.objects.latest().pk, str(admin_user.pk)),
    ]

    assert [one["skipped"] for one in told] == [background.NOT_ANY_MORE] * 4
    assert (Audit.objects.count(), purged.tombstones.filter(restored_at=None).count()) == (audits, 3)


def test_background__ends_where_nothing_more_can_be_restored(
    purged: Purge, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RESTORED_TOGETHER", 1)
    first = purged.tombstones.order_by("pk")[0]
    Image.objects.create(pk=first.object_pk, file="taken.jpg")

    told = background.restore_records(purged.pk, str(admin_user.pk), "admin")

    assert told == {"purge": purged.pk, "restored": 2, "conflicts": 1}


@pytest.mark.parametrize(
    ("permissions", "sees", "restores"),
    [
        ([], 403, 403),
        (["restore_image"], 403, 403),
        (["view_purge"], 200, 403),
        (["view_purge", "purge_image", "delete_image", "check_image"], 200, 403),
        (["view_purge", "restore_image"], 200, 200),
    ],
)
def test_permissions__decide_who_sees_and_who_restores(
    purged: Purge, client: Client, permissions: list[str], sees: int, restores: int
) -> None:
    staff(client, *permissions)

    page = client.get(address(purged))
    done = restoring(client, purged, all="1", confirmed="3")

    assert page.status_code == sees
    assert (b"Restore all" in page.content) == (restores == 200)
    assert done.status_code == restores
    assert Image.objects.count() == (6 if restores == 200 else 3)


def test_restore__is_no_link(purged: Purge, admin_client: Client) -> None:
    assert admin_client.get(f"{LIST}{purged.pk}/restore/").status_code == 405


@pytest.mark.parametrize("pk", ["999", "99999999999999999999", "x"])
def test_page__of_no_purge_is_not_found(admin_client: Client, pk: str) -> None:
    assert admin_client.get(f"{LIST}{pk}/change/").status_code == 404


def test_pages__ask_as_often_for_many_records_as_for_few(admin_client: Client) -> None:
    asked: dict[int, list[int]] = {}
    image_type = ContentType.objects.get_for_model(Image)
    for number in (5, 200):
        purge = Purge.objects.create(fingerprint="f", counts={"deleted": number})
        Tombstone.objects.bulk_create(
            Tombstone(
                purge=purge,
                content_type=image_type,
                object_pk=str(one),
                field="file",
                key=f"{one}",
                action="delete",
            )
            for one in range(number)
        )
        for page in (LIST, address(purge), "/admin/imagesync/tombstone/"):
            admin_client.get(page)
            with CaptureQueriesContext(connection) as queries:
                admin_client.get(page)
            asked.setdefault(number, []).append(len(queries))

    assert asked[5] == asked[200]
    assert max(asked[200]) < 12


def test_page__goes_on_behind_the_last_record(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge_page, "PAGE", 2)
    purge = Purge.objects.create(fingerprint="f", counts={"deleted": 5})
    image_type = ContentType.objects.get_for_model(Image)
    for one in range(5):
        Tombstone.objects.create(
            purge=purge,
            content_type=image_type,
            object_pk=f"{one}",
            field="file",
            key=f"k{one}",
            action="delete",
        )

    seen, query = [], ""
    for _page in range(3):
        page = admin_client.get(f"{address(purge)}?{query}").content.decode()
        seen += re.findall(r'title="(k\d)"', page)
        following = re.search(r'href="\?([^"#]*)#records" rel="next"', page)
        query = following[1] if following else ""

    assert seen == [f"k{one}" for one in range(5)]
    assert query == ""


@pytest.mark.parametrize(
    ("term", "found"), [("b/*", 2), ("b/1.jpg", 1), ("b/", 0), ("B/*", 0), ("%", 0), ("b\\_*", 0)]
)
def test_search__finds_the_exact_key_or_its_beginning(admin_client: Client, term: str, found: int) -> None:
    purge = Purge.objects.create(fingerprint="f", counts={})
    image_type = ContentType.objects.get_for_model(Image)
    for key in ("a/1.jpg", "b/1.jpg", "b/2.jpg"):
        Tombstone.objects.create(
            purge=purge, content_type=image_type, object_pk=key, field="file", key=key, action="delete"
        )

    page = admin_client.get("/admin/imagesync/tombstone/", {"q": term}).content.decode()

    assert page.count('class="imagesync-key"') == found
