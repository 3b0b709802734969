"""Every page of imagesync under django-unfold, and what is done on them. Run by tests/django/test_unfold.py."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import Client

from imagesync.admin import at_once, selection
from imagesync.jobs import work_off
from imagesync.models import Audit, Image, Job, Purge
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import LIST, act, act_on_all, page_of, said, token_of
from tests.django.helpers import make_images, run, verdicts
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/admin/testapp/product/"


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    make_images(*(f"{number}.jpg" for number in range(6)))
    Product.objects.create(name="chair", photo="gone.jpg")
    for number in range(0, 6, 2):
        s3.put(BUCKET, f"{number}.jpg")
    return s3


def test_site__is_that_of_unfold() -> None:
    assert type(admin.site).__module__ == "unfold.sites"
    assert admin.site.is_registered(Image)


def test_mixin__column_filter_and_actions_are_there_and_work(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    page = page_of(admin_client, PRODUCTS)

    assert "imagesync-verdict imagesync-missing" in page
    assert 'value="recheck"' in page
    assert "chair" in page_of(admin_client, PRODUCTS, object="missing")
    assert "chair" not in page_of(admin_client, PRODUCTS, object="none").replace('value="chair"', "")
    assert "gone.jpg" in page_of(admin_client, f"{PRODUCTS}{Product.objects.get().pk}/change/")
    half.put(BUCKET, "gone.jpg")
    answer = act(admin_client, "recheck", Product.objects.all(), path=PRODUCTS)
    assert "Looked: 1 present" in said(answer)


def test_images__list_pages_and_look(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    make_images(*(f"more/{number:03}.jpg" for number in range(60)))

    page = page_of(admin_client, LIST)

    assert "imagesync-verdict" in page
    assert "imagesync/admin.css" in page
    following = re.search(r'href="(\?after=[^"]+)"', page)
    assert following
    assert "0.jpg" in page_of(admin_client, LIST + following[1])
    assert "1.jpg" in page_of(admin_client, LIST, verdict__exact="missing")
    missing = Image.objects.get(file="1.jpg")
    shown = page_of(admin_client, f"{LIST}{missing.pk}/change/")
    assert "NoSuchKey" in shown
    assert shown.count(f'action="{LIST}{missing.pk}/look/"') == 1
    assert "Looked just now" in said(admin_client.post(f"{LIST}{missing.pk}/look/", follow=True))


def test_selection__is_confirmed_becomes_a_job_and_a_plan_and_goes(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST", 2)
    monkeypatch.setattr(selection, "WRITTEN_AT_ONCE", 2)
    run("check_s3_images")

    page = act_on_all(admin_client, "purge_missing")
    assert "6 records are selected" in page.content.decode()
    assert "imagesync/actions.css" in page.content.decode()
    admin_client.post(f"{LIST}selection/", {"token": token_of(page)})
    planning = Job.objects.get()
    assert f"imagesync_job {planning.pk}" in page_of(admin_client, f"{LIST}job/{planning.pk}/")
    work_off(planning)
    assert planning.failure == ""
    plan = admin_client.get(f"{LIST}job/{planning.pk}/", follow=True)
    assert "3 records would be deleted" in plan.content.decode()
    admin_client.post(plan.redirect_chain[-1][0], {"number": "3", "token": token_of(plan)})
    work_off(purging := Job.objects.get(kind="purge"))

    assert purging.failure == ""
    assert sorted(verdicts()) == ["0.jpg", "2.jpg", "4.jpg"]
    purge = Purge.objects.get()
    address = f"/admin/imagesync/purge/{purge.pk}/"
    assert "1.jpg" in page_of(admin_client, f"{address}change/")
    preview = admin_client.post(f"{address}restore/", {"all": "1"})
    assert preview.status_code == 200
    admin_client.post(f"{address}restore/", {"all": "1", "confirmed": "3"})
    assert len(verdicts()) == 6


def test_history__dashboard_and_pages_render(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    dashboard = page_of(admin_client, "/admin/imagesync/audit/")

    assert "needs attention" in dashboard
    assert "<svg viewBox" in dashboard
    assert "Run an audit now" in dashboard
    audit = page_of(admin_client, f"/admin/imagesync/audit/{Audit.objects.get().pk}/change/")
    assert "1.jpg" in audit
    for name in ("finding", "purge", "tombstone", "failedread"):
        page_of(admin_client, f"/admin/imagesync/{name}/")
