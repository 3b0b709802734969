"""Five thousand at once, two people on one plan, and a session that ends in the middle."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from imagesync.models import Audit, Finding, Image, Job, Purge
from project.embedded_s3 import EmbeddedS3
from project.incident import GONE, IDS
from tests.browser.conftest import PASSWORD
from tests.browser.site import Site
from tests.django.helpers import make_images, run

LIST = "/admin/imagesync/image/"
MISSING = f"{LIST}?verdict__exact=missing"
DELETE = "Delete where the object is missing…"


def test_five_thousand__selected_by_one_link_and_deleted_as_a_job(
    site: Site, s3: EmbeddedS3, visit: Callable[..., Page]
) -> None:
    run("check_s3_images")
    find_missing(4994)
    page = visit()

    page.goto(MISSING)
    page.get_by_role("checkbox", name="Select all objects on this page for an action").check()
    page.get_by_role("button", name=re.compile("Select all 5,?000 images")).click()
    page.get_by_role("combobox", name="Action").select_option(DELETE)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("heading", name="5,000 records are selected")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("No django-q2 cluster is running")
    assert "gone/" not in page.content()
    page.get_by_role("button", name="Go ahead with 5,000").click()
    carry_out_as_told(site, page, "plan")

    page.reload()
    expect(page.get_by_role("heading", name="5,000 records would be deleted")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("row")).to_have_count(21)  # twenty, and their heading
    page.get_by_role("textbox", name="Type 5000 to go ahead").fill("5,000")
    page.get_by_role("button", name="Delete").click()
    assert Image.objects.count() == 5006
    carry_out_as_told(site, page, "purge")

    page.reload()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("row", name="deleted")).to_contain_text("5,000")
    assert set(Image.objects.values_list("title", flat=True)) == set(IDS) - GONE


def find_missing(number: int) -> None:
    """As if the audit had met so many more: the purge asks the store for each of them, which takes long enough."""
    audit, known = Audit.objects.get(), Finding.objects.filter(verdict="missing").earliest("pk")
    at = audit.finished_at
    made = make_images(
        *(f"gone/{one}.jpg" for one in range(number)), verdict="missing", missing_since=at, updated_at=at
    )
    found = [copy(known) for _image in made]
    for image, finding in zip(made, found, strict=True):
        finding.pk, finding.object_pk, finding.key = None, str(image.pk), str(image.file)
    Finding.objects.bulk_create(found)
    audit.counts |= {"records": audit.counts["records"] + number, "missing": audit.counts["missing"] + number}
    audit.save()


def carry_out_as_told(site: Site, page: Page, kind: str) -> None:
    """No cluster runs: what the page says is what somebody types."""
    expect(page.get_by_role("heading", name="Waiting: nobody does it yet")).to_be_visible()
    told = page.get_by_role("code").filter(has_text="imagesync_job").inner_text()
    assert told == f"python manage.py imagesync_job {Job.objects.get(kind=kind).pk}"
    # nearly all of the records are missing here, which the rails let nobody purge by a click
    site.command(*told.split()[2:], BROWSER_LANE_MAX_PURGE_RATIO="1.0")


def planned(page: Page) -> str:
    """The address of a plan to delete the six records whose object is gone."""
    run("check_s3_images")
    page.goto(MISSING)
    page.get_by_role("checkbox", name="Select all objects on this page for an action").check()
    page.get_by_role("combobox", name="Action").select_option(DELETE)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("heading", name="6 records would be deleted")).to_be_visible()
    return page.url


@pytest.mark.usefixtures("s3")
def test_two_people__on_the_same_plan(visit: Callable[..., Page]) -> None:
    anna, ben = visit("anna"), visit("ben")
    address = planned(anna)

    ben.goto(address)
    expect(ben.get_by_role("status")).to_contain_text("This plan was made by anna")
    expect(ben.get_by_role("button", name="Delete")).to_have_count(0)
    assert Image.objects.count() == 12

    second = anna.context.new_page()  # the same person once more, in another tab
    second.goto(address)
    for tab in (anna, second):
        tab.get_by_role("textbox", name="Type 6 to go ahead").fill("6")
    anna.get_by_role("button", name="Delete").click()
    expect(anna.get_by_role("main")).to_contain_text("6 deleted, 0 kept.")
    second.get_by_role("button", name="Delete").click()
    expect(second.get_by_role("alert")).to_contain_text("a plan is executed once")

    ben.reload()
    expect(ben.get_by_role("main")).to_contain_text("This plan is done: 6 deleted")
    assert (Image.objects.count(), Purge.objects.get().counts["deleted"]) == (6, 6)


@pytest.mark.parametrize("how", ["the cookie is gone", "the server forgot it"])
def test_session__that_ends_between_the_plan_and_its_confirmation(
    how: str, s3: EmbeddedS3, visit: Callable[..., Page]
) -> None:
    page = visit()
    address = planned(page)
    page.get_by_role("textbox", name="Type 6 to go ahead").fill("6")
    if how == "the cookie is gone":
        page.context.clear_cookies(name="sessionid")
    else:
        Session.objects.all().delete()

    page.get_by_role("button", name="Delete").click()

    page.get_by_role("textbox", name="Username").fill("anna")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    assert page.url == address
    expect(page.get_by_role("heading", name="6 records would be deleted")).to_be_visible()
    assert (Image.objects.count(), Purge.objects.get().state) == (12, "planned")

    page.get_by_role("textbox", name="Type 6 to go ahead").fill("6")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("main")).to_contain_text("6 deleted, 0 kept.")
