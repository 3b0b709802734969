"""The page of one image: what it says without asking S3, and what it asks when somebody wants to know."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.admin.words import REASON_SENTENCES, VERDICT_SENTENCES
from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Audit, FailedRead, Finding, Image
from imagesync.records.targets import content_type_of
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.admin_pages import LIST, said, staff
from tests.django.helpers import make_images, run
from tests.testapp.models import Album, Contract, Cover, Product, ProductImage, Remark

pytestmark = pytest.mark.django_db(transaction=True)


def address(image: Image, what: str = "change") -> str:
    return f"{LIST}{image.pk}/{what}/"


def html(response: Any) -> str:
    text: str = response.content.decode()
    return text


def text_of(page: str) -> str:
    """What is read, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def no_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> Any:
        raise AssertionError("S3 was called")

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", refuse)


def test_words__there_is_a_sentence_for_each() -> None:
    assert set(VERDICT_SENTENCES) == set(Verdict)
    assert set(REASON_SENTENCES) == set(Reason)


@pytest.mark.usefixtures("no_s3")
@pytest.mark.parametrize("verdict", list(Verdict))
def test_page__asks_s3_nothing_and_says_the_verdict(admin_client: Client, verdict: Verdict) -> None:
    (image,) = make_images("images/a.jpg", verdict=verdict.value, size_bytes=2048)

    page = html(admin_client.get(address(image)))

    assert f">{verdict}</span> {VERDICT_SENTENCES[verdict]}" in page.replace("&#x27;", "'")
    assert ('class="imagesync-picture" src=' in page) == (verdict is Verdict.PRESENT)
    assert "2.0\xa0KB" in page


@pytest.mark.usefixtures("no_s3")
def test_page__tells_evidence_history_and_failed_reads(admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="missing", missing_since=timezone.now())
    about = {"content_type": content_type_of(Image), "object_pk": str(image.pk), "field": "file"}
    first = Audit.objects.create(bucket="photos", fingerprint="ab", state="finished")
    second = Audit.objects.create(bucket="photos", fingerprint="ab", state="finished")
    evidence = {"operation": "GetObject", "status": 404, "code": "NoSuchKey", "request_id": "REQ7"}
    same = {**about, "fingerprint": "ab", "settled": True, "opened_at": timezone.now()}
    Finding.objects.create(**same, key="a.jpg", verdict="missing", last_evidence=evidence, opened_by=second)
    Finding.objects.create(
        **same, key="old\u202e.jpg", verdict="denied", reason="access_denied", opened_by=first,
        closed_by=second, closed_at=timezone.now(),
    )  # fmt: skip
    Finding.objects.create(**{**same, "settled": False}, key="a.jpg", verdict="unknown")
    FailedRead.objects.create(**about, key="a.jpg", first_at=timezone.now(), last_at=timezone.now())

    page = html(admin_client.get(address(image)))
    text = text_of(page)

    assert "GetObject -&gt; HTTP 404 NoSuchKey, request REQ7" in text
    assert "The site could not read it since" in text
    assert f'href="/admin/imagesync/audit/{second.pk}/change/"' in page
    assert "old\\u202e.jpg" in page
    assert "\u202e" not in page
    history = page.split('id="imagesync-history"')[1]
    assert history.count("<tr>") == 3  # the heads, and two settled findings
    assert "imagesync-unknown" not in history


@pytest.mark.usefixtures("no_s3")
def test_page__shows_the_address_without_its_signature(
    admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    (image,) = make_images("images/a b.jpg", verdict="missing")

    with caplog.at_level(logging.DEBUG, logger="imagesync"), caplog.at_level(logging.DEBUG, logger="django"):
        page = html(admin_client.get(address(image)))

    assert "http://127.0.0.1:9/test-bucket/images/a%20b.jpg</span>" in page
    assert "Signed (v4)" in page
    assert "X-Amz" not in page
    assert "X-Amz" not in caplog.text


@pytest.mark.usefixtures("no_s3")
def test_page__of_a_hostile_name_is_harmless(admin_client: Client, client: Client) -> None:
    (image,) = make_images("<script>alert(1)</script>\u202e.jpg", verdict="missing")
    Image.objects.update(title="")

    for_admin = html(admin_client.get(address(image)))
    staff(client, "view_image")
    for_viewer = html(client.get(address(image)))

    for page in (for_admin, for_viewer):
        assert "<script>alert(1)" not in page
        assert "\u202e" not in page
        assert "\\u202e" in page
        assert "X-Amz" not in page


@pytest.mark.usefixtures("no_s3")
@pytest.mark.urls("tests.django.shop_admin")
def test_page__names_who_uses_the_image(admin_client: Client) -> None:
    (image, other) = make_images("a.jpg", "b.jpg", verdict="present")
    for number in range(120):
        Cover.objects.create(image=image, title=f"cover {number}")
    Album.objects.create(title="summer").images.add(image)
    Contract.objects.create(image=other)
    Remark.objects.create(image=image, deleted=True)
    product = Product.objects.create(name="chair\u202e")
    ProductImage.objects.create(image=image, product=product)

    response = admin_client.get(f"/shop/imagesync/image/{image.pk}/change/")

    uses = {use.label: use for use in response.context["page"]["uses"]}
    assert set(uses) == {"covers", "album", "remark", "product image"}
    assert (uses["covers"].number, uses["covers"].is_capped, len(uses["covers"].named)) == (100, True, 5)
    assert uses["covers"].named[0][1].startswith("/shop/testapp/cover/")
    assert [text for text, _address in uses["album"].named] == ["summer"]
    assert (uses["product image"].number, uses["product image"].named) == (1, ())  # not in this admin
    assert "more than 100 covers" in text_of(html(response))


@pytest.mark.usefixtures("no_s3")
def test_page__does_not_name_rows_that_may_not_be_seen(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = make_images("a.jpg")
    Cover.objects.create(image=image, title="secret")

    class NobodySees(admin.ModelAdmin):
        def has_view_permission(self, request: Any, obj: Any = None) -> bool:
            return False

    monkeypatch.setitem(admin.site._registry, Cover, NobodySees(Cover, admin.site))
    staff(client, "view_image")

    page = text_of(html(client.get(address(image))))

    assert "1 cover" in page
    assert "1 covers" not in page
    assert "secret" not in page


@pytest.mark.usefixtures("no_s3")
def test_page__queries_do_not_grow_with_its_rows(admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="missing")

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(address(image)).status_code == 200
        assert not [one for one in context.captured_queries if "COUNT(" in one["sql"].upper()]
        return len(context)

    queries()
    few = queries()
    about = {"content_type": content_type_of(Image), "object_pk": str(image.pk), "field": "file"}
    for number in range(30):
        Cover.objects.create(image=image, title=f"{number}")
        now = timezone.now()
        Finding.objects.create(
            **about,
            fingerprint="ab",
            key="a.jpg",
            verdict="denied",
            opened_at=now,
            closed_at=now,
            settled=True,
        )

    assert queries() == few


def test_look_now__marks_this_one_and_says_what_it_found(s3: EmbeddedS3, admin_client: Client) -> None:
    here, gone = make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")

    found = admin_client.post(address(here, "look"), follow=True)
    not_found = admin_client.post(address(gone, "look"), follow=True)

    assert found.redirect_chain == [(address(here), 302)]
    assert "Looked just now: present. The object is there." in said(found)
    assert "Looked just now: missing. The object is gone" in said(not_found)
    here.refresh_from_db()
    gone.refresh_from_db()
    assert (here.verdict, gone.verdict) == ("present", "missing")
    assert Audit.objects.count() == 2
    assert {entry.object_id for entry in LogEntry.objects.all()} == {str(here.pk), str(gone.pk)}
    assert "HTTP 404 NoSuchKey" in html(not_found)


def test_look_now__tells_why_nothing_is_concluded(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="present")
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    response = admin_client.post(address(image, "look"), follow=True)

    assert "s3:ListBucket" in said(response)
    image.refresh_from_db()
    assert image.verdict == "present"


@pytest.mark.parametrize("what", ["look", "look-closer"])
def test_looks__are_asked_for_by_post_only(s3: EmbeddedS3, admin_client: Client, what: str) -> None:
    (image,) = make_images("a.jpg")

    response = admin_client.get(address(image, what))

    assert (response.status_code, response["Location"]) == (302, address(image))
    assert not Audit.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("what", ["look", "look-closer"])
@pytest.mark.parametrize("permissions", [["view_image"], ["check_image"], ["change_image"], []])
def test_looks__need_view_and_check_permission(
    s3: EmbeddedS3, client: Client, what: str, permissions: list[str]
) -> None:
    (image,) = make_images("a.jpg")
    staff(client, *permissions)

    assert client.post(address(image, what)).status_code == 403
    assert not Audit.objects.exists()
    if "view_image" in permissions:
        page = html(client.get(address(image)))
        assert "/look/" not in page
        assert "Can look an image up in S3" in page


def test_looks__of_a_record_that_is_not_there_go_back_to_the_list(
    s3: EmbeddedS3, admin_client: Client
) -> None:
    response = admin_client.post(f"{LIST}7/look/")

    assert (response.status_code, response["Location"]) == (302, LIST)


def test_looks__need_a_token_against_forgery(s3: EmbeddedS3, admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    (image,) = make_images("a.jpg")

    assert client.post(address(image, "look")).status_code == 403


def test_look_closer__tells_near_misses_and_what_a_browser_gets(
    s3: EmbeddedS3, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    (image,) = make_images("photos/a.JPG")
    s3.put(BUCKET, "photos/a.jpg")

    with caplog.at_level(logging.DEBUG, logger="imagesync"), caplog.at_level(logging.DEBUG, logger="django"):
        page = html(admin_client.post(address(image, "look-closer")))

    text = text_of(page)
    assert "the two differ in upper and lower case" in text
    assert "photos/a.jpg" in page.split("Near misses of the key")[1]
    assert "A browser does not get it: HTTP 404 NoSuchKey" in text
    assert f"http://{urlsplit(s3.url).netloc}" in page
    assert "X-Amz" not in page
    assert "X-Amz" not in caplog.text
    image.refresh_from_db()
    assert image.verdict == "unchecked"  # it marks nothing
    assert not Audit.objects.exists()


def test_look_closer__of_a_healthy_image_says_so(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")

    text = text_of(html(admin_client.post(address(image, "look-closer"))))

    assert "The object is there and a browser gets it: nothing to do." in text
    assert "A browser gets it: HTTP 206" in text
    assert f"imagesync.Image:{image.pk} file: present" in text


def test_looks__at_a_record_without_a_file_say_what_happened(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("")

    assert admin_client.get(address(image)).status_code == 200
    assert "nothing to look at" in said(admin_client.post(address(image, "look-closer"), follow=True))
    assert admin_client.post(address(image, "look"), follow=True).status_code == 200


def test_page__renders_at_once_while_the_store_is_down(admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="present")

    assert admin_client.get(address(image)).status_code == 200
    response = admin_client.post(address(image, "look"), follow=True)  # nobody listens at port 9

    assert response.status_code == 200
    assert "127.0.0.1" in said(response)


def test_page__its_form_still_saves_and_adds(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="present")
    values = {"title": "new", "owner": "", "created_at_0": "2026-01-01", "created_at_1": "12:00:00"}

    assert admin_client.post(address(image), values).status_code == 302
    image.refresh_from_db()
    assert (image.title, image.file.name, image.verdict) == ("new", "a.jpg", "present")
    assert "imagesync-known" not in html(admin_client.get(f"{LIST}add/"))


def test_page__has_no_inline_script_or_style(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="present")
    s3.put(BUCKET, "a.jpg")
    run("check_s3_images")

    for page in (
        html(admin_client.get(address(image))),
        html(admin_client.get(LIST)),
        html(admin_client.post(address(image, "look-closer"))),
    ):
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page)
        assert " style=" not in page
        assert "<style" not in page
        assert not re.search(r"\son[a-z]+=", page)
        assert len(re.findall("<h1", page)) == 1


@pytest.mark.urls("tests.django.shop_admin")
def test_page__works_in_an_admin_site_of_another_name(s3: EmbeddedS3, admin_client: Client) -> None:
    (image,) = make_images("a.jpg")
    page = f"/shop/imagesync/image/{image.pk}/"

    looked = admin_client.post(f"{page}look/", follow=True)
    closer = html(admin_client.post(f"{page}look-closer/"))

    assert looked.redirect_chain == [(f"{page}change/", 302)]
    assert f'action="{page}look/"' in html(looked)
    assert "/audit/" not in html(looked)  # no audits in this admin
    assert f'href="{page}change/"' in closer


def test_page__shows_the_key_with_the_location(admin_client: Client) -> None:
    (image,) = make_images("a.jpg", verdict="missing")
    with override_settings(STORAGES=storages_at("http://127.0.0.1:9", location="media")):
        forget_default_storage()
        page = html(admin_client.get(address(image)))
    forget_default_storage()

    assert '<dd class="imagesync-key">media/a.jpg</dd>' in page
