"""Every screen of the admin with the magazine's data: what the tests look at, and `make screenshots` keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from imagesync.models import Audit, Image, Job, Notice, Purge, SetAsideMessage

IMAGES = "/admin/imagesync/image/"
DELETE = "Delete where the object is missing…"


@dataclass(frozen=True)
class Screen:
    name: str
    address: str
    then: Callable[[Page], None] = lambda page: None
    """What is done there to come to the screen."""


def screens() -> list[Screen]:
    """Those that are read. Rendering them asks the store nothing."""
    last, untrusted = Audit.objects.latest(), Audit.objects.filter(trust="untrustworthy").latest()
    missing = Image.objects.filter(verdict="missing").latest("pk")
    present = Image.objects.filter(verdict="present").latest("pk")
    odd = Image.objects.filter(file__startswith="imports/").order_by("pk")
    audit, purge = "/admin/imagesync/audit/", "/admin/imagesync/purge/"
    return [
        Screen("audits", audit),
        Screen("audit", f"{audit}{last.pk}/change/"),
        Screen("audit-untrustworthy", f"{audit}{untrusted.pk}/change/"),
        Screen("images", IMAGES),
        Screen("images-missing", f"{IMAGES}?verdict__exact=missing", select_all),
        Screen("images-none", f"{IMAGES}?q=nothing-begins-like-this"),
        Screen("images-odd-keys", f"{IMAGES}?folder=imports/"),
        Screen("image-missing", f"{IMAGES}{missing.pk}/change/"),
        Screen("image-present", f"{IMAGES}{present.pk}/change/"),
        Screen("image-long-key", f"{IMAGES}{odd[0].pk}/change/"),
        Screen("image-hostile-key", f"{IMAGES}{odd[1].pk}/change/"),
        Screen("job", f"{IMAGES}job/{Job.objects.earliest('pk').pk}/"),
        Screen("purges", purge),
        Screen("purge", f"{purge}{Purge.objects.earliest('pk').pk}/change/"),
        Screen("restore", f"{purge}{Purge.objects.earliest('pk').pk}/change/", press("Restore all 8…")),
        Screen("selection", IMAGES, select_across("Re-check: look at the objects now")),
        Screen("findings", "/admin/imagesync/finding/"),
        Screen("tombstones", "/admin/imagesync/tombstone/"),
        Screen("failed-reads", "/admin/imagesync/failedread/"),
        Screen("notices", "/admin/imagesync/notice/"),
        Screen("notice", f"/admin/imagesync/notice/{Notice.objects.latest('pk').pk}/change/"),
        Screen("messages-set-aside", "/admin/imagesync/setasidemessage/"),
        Screen(
            "message-set-aside",
            f"/admin/imagesync/setasidemessage/{SetAsideMessage.objects.get().pk}/change/",
        ),
    ]


def screens_that_ask() -> list[Screen]:
    """Those that are reached by what asks the store, or rests on it."""
    missing = Image.objects.filter(verdict="missing").latest("pk")
    return [
        Screen("image-closer", f"{IMAGES}{missing.pk}/change/", press("Look closer")),
        Screen("plan", f"{IMAGES}?verdict__exact=missing", select_page(DELETE)),
        Screen("plan-wrong-number", f"{IMAGES}?verdict__exact=missing", wrong_number),
    ]


def press(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def select_all(page: Page) -> None:
    page.get_by_role("checkbox", name="Select all objects on this page for an action").check()


def select_page(action: str) -> Callable[[Page], None]:
    def then(page: Page) -> None:
        select_all(page)
        page.get_by_role("combobox", name="Action").select_option(action)
        page.get_by_role("button", name="Go", exact=True).click()

    return then


def select_across(action: str) -> Callable[[Page], None]:
    def then(page: Page) -> None:
        select_all(page)
        page.locator(".question").get_by_role("button").click()
        page.get_by_role("combobox", name="Action").select_option(action)
        page.get_by_role("button", name="Go", exact=True).click()

    return then


def wrong_number(page: Page) -> None:
    select_page(DELETE)(page)
    page.get_by_role("textbox", name="Type 40 to go ahead").fill("41")
    page.get_by_role("button", name="Delete").click()
