"""From the incident to the restore, as one person lives through it in the admin: by mouse, by keyboard, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from imagesync.models import Audit, Image, Purge
from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, GONE, IDS
from tests.browser.conftest import PASSWORD
from tests.browser.hands import Hands, Keyboard, Mouse
from tests.browser.site import Site


@pytest.fixture(scope="module", autouse=True)
def _clusters(site: Site) -> Iterator[None]:
    site.start_clusters()
    yield
    site.stop_clusters()


def test_story__by_mouse(site: Site, s3: EmbeddedS3, visit: Callable[..., Page]) -> None:
    from_the_incident_to_the_restore(site, s3, Mouse(visit(user="")))


def test_story__by_keyboard_alone(site: Site, s3: EmbeddedS3, visit: Callable[..., Page]) -> None:
    from_the_incident_to_the_restore(site, s3, Keyboard(visit(user="")))


def test_story__without_javascript(site: Site, s3: EmbeddedS3, visit: Callable[..., Page]) -> None:
    from_the_incident_to_the_restore(site, s3, Mouse(visit(user="", java_script_enabled=False)))


def from_the_incident_to_the_restore(site: Site, s3: EmbeddedS3, hands: Hands) -> None:
    page = hands.page
    records = list(Image.objects.order_by("pk").values())

    log_in(hands, f"{site.misconfigured_url}/admin/")
    audit(hands, 1)
    expect(page.get_by_role("region", name=BUCKET)).to_contain_text("is in eu-north-1")
    hands.press("link", str(Audit.objects.latest()))
    expect(page.get_by_role("main")).to_contain_text("This audit is untrustworthy")
    expect(page.get_by_role("main")).to_contain_text('AWS_S3_REGION_NAME = "eu-north-1"')
    assert not Image.objects.exclude(verdict="unchecked").exists()

    page.goto(f"{site.url}/admin/")  # the setting was corrected, the site has started anew
    audit(hands, 2)
    expect(page.get_by_role("region", name=BUCKET).get_by_role("definition").first).to_have_text("6")

    hands.press("link", "Home")
    hands.press("link", "Images")
    hands.press("link", "missing")
    ticks = page.get_by_role("checkbox", name="Select this object for an action")
    expect(ticks).to_have_count(6)
    for image_id in sorted(GONE):
        hands.tick(f"Select this object for an action - {image_id}")
    hands.choose("Action", "Delete where the object is missing…")
    hands.press("button", "Go")
    confirm(hands)
    expect(page.get_by_role("listitem").filter(has_text="6 deleted, 0 kept.")).to_be_visible()
    assert set(Image.objects.values_list("title", flat=True)) == set(IDS) - GONE

    restore(hands)
    expect(page.get_by_role("listitem").filter(has_text="6 records")).to_be_visible()
    back = list(Image.objects.order_by("pk").values())
    assert [one["file"] for one in back] == [one["file"] for one in records]
    assert len(s3.keys_in(BUCKET)) == 6


def log_in(hands: Hands, address: str) -> None:
    hands.page.goto(address)
    hands.type("Username", "anna")
    hands.type("Password", PASSWORD)
    hands.press("button", "Log in")
    expect(hands.page.get_by_role("heading", name="Site administration")).to_be_visible()


def audit(hands: Hands, number: int) -> None:
    hands.press("link", "Audits")
    hands.press("button", "Run an audit now")
    waited = 0
    while Audit.objects.filter(state="finished").count() < number:
        hands.page.wait_for_timeout(250)
        waited += 1
        assert waited < 240, "the cluster did not carry it out within a minute"
    hands.page.reload()
    expect(hands.page.get_by_role("heading", name=f"{BUCKET}: needs attention")).to_be_visible()


def confirm(hands: Hands) -> None:
    page = hands.page
    expect(page.get_by_role("heading", name="6 records would be deleted")).to_be_visible()
    hands.type("Type 6 to go ahead", "5")
    hands.press("button", "Delete")
    expect(page.get_by_role("alert")).to_be_visible()
    assert Image.objects.count() == 12
    hands.type("Type 6 to go ahead", "6")
    hands.press("button", "Delete")


def restore(hands: Hands) -> None:
    page = hands.page
    hands.press("link", "Home")
    hands.press("link", "Purges")
    hands.press("link", str(Purge.objects.get()))
    hands.press("button", "Restore all 6…")
    expect(page.get_by_role("main")).to_contain_text("6 can be restored")
    assert Image.objects.count() == 6
    hands.press("button", "Restore 6 records")
