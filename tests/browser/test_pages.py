"""Each screen: for telephone, keyboard, screen reader and tired eyes; nothing against the policy, nothing asked of S3."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from project.embedded_s3 import EmbeddedS3
from tests.browser import magazine
from tests.browser.conftest import emptied
from tests.browser.screens import Screen, screens, screens_that_ask
from tests.browser.site import Site

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 400, "height": 800}
LOOKS = (Path(__file__).parent / "looks.js").read_text()


@pytest.fixture(scope="module")
def s3(site: Site) -> EmbeddedS3:
    """With the magazine's data, which is made once: nothing here changes it."""
    magazine.fill(emptied(site), timezone.now())
    return site.s3


@pytest.fixture
def silent(s3: EmbeddedS3) -> Iterator[socket.socket]:
    """In place of the store something that takes connections and never says a word."""
    address = urlsplit(s3.url)
    s3.stop()
    with socket.create_server((address.hostname, address.port)) as listening:
        yield listening
    s3.start()


def test_screens__while_the_store_says_nothing(
    s3: EmbeddedS3, visit: Callable[..., Page], silent: socket.socket
) -> None:
    """Can be used by everybody, keep to the policy (else the console says so), and ask the store nothing."""
    page = visit()
    page.context.route(
        lambda address: ":" + str(silent.getsockname()[1]) in address, lambda route: route.abort()
    )

    wrong = {one.name: found for one in screens() if (found := looked_at(page, one))}

    assert wrong == {}
    assert select.select([silent], [], [], 0)[0] == [], "the server has asked the store"


def test_screens__of_what_asks_the_store(s3: EmbeddedS3, visit: Callable[..., Page]) -> None:
    page = visit()

    assert {one.name: found for one in screens_that_ask() if (found := looked_at(page, one))} == {}


def looked_at(page: Page, screen: Screen) -> list[str]:
    """What is wrong with it, wide or narrow, in the light or in the dark."""
    page.set_viewport_size(WIDE)
    page.goto(screen.address)
    screen.then(page)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found: list[str] = []
    for size, scheme in ((WIDE, "light"), (NARROW, "dark"), (NARROW, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        found += page.evaluate(LOOKS)
    return sorted(set(found))


def test_pictures__are_shown_under_the_policy_and_described(
    s3: EmbeddedS3, visit: Callable[..., Page]
) -> None:
    page = visit()
    page.goto("/admin/imagesync/image/?verdict__exact=present")

    first = page.locator("#result_list").get_by_role("img").first
    expect(first).to_be_visible()
    page.wait_for_function("image => image.complete && image.naturalWidth", arg=first.element_handle())
    assert first.get_attribute("alt")
