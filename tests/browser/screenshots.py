"""`make screenshots`: each screen of the admin, 1280 and 400 pixels wide, light and dark, into docs/screenshots/.

The data is the magazine's and the clock stands at one date, so a picture changes when the screen does.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

import time_machine
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, sync_playwright

from project.database_url import sqlite_url
from project.embedded_s3 import PORT, EmbeddedS3
from project.incident import BUCKET
from project.serve import is_free
from tests.browser.chromium import CHROMIUM, launch_arguments
from tests.processes import ROOT

NOW = "2026-03-07T09:30:00+00:00"
FOLDER = ROOT / "docs" / "screenshots"
WIDTHS = (1280, 400)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MOST_PIXELS = 1100
"""Of height: what is below is more of the same."""
COLOURS = 160


def main() -> int:
    available, why = CHROMIUM.available()
    if not available:
        print(why, file=sys.stderr)
        return 1
    only = set(sys.argv[1:])
    with (
        tempfile.TemporaryDirectory(prefix="imagesync-screenshots-") as folder,
        time_machine.travel(NOW, tick=True),
        EmbeddedS3(PORT if is_free(PORT) else 0) as s3,
    ):
        take(s3, sqlite_url(Path(folder) / "db.sqlite3"), folder, only)
    return 0


def take(s3: EmbeddedS3, database_url: str, folder: str, only: set[str]) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="tests.browser.settings",
        BROWSER_LANE_FOLDER=folder,
        DATABASE_URL=database_url,
        SECRET_KEY="only for tests",
        AWS_STORAGE_BUCKET_NAME=BUCKET,
        AWS_S3_REGION_NAME="eu-north-1",
        AWS_S3_ENDPOINT_URL=s3.url,
        AWS_S3_ACCESS_KEY_ID=s3.access_key,
        AWS_S3_SECRET_ACCESS_KEY=s3.secret_key,
        DJANGO_ALLOW_ASYNC_UNSAFE="true",
    )
    import django

    django.setup()
    from django.core.management import call_command

    from tests.browser import magazine
    from tests.browser.conftest import make_people, session_of
    from tests.browser.screens import screens, screens_that_ask
    from tests.browser.site import Site

    call_command("migrate", verbosity=0)
    make_people()
    magazine.fill(s3, datetime.fromisoformat(NOW))
    with Site(s3, database_url, now=NOW) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_arguments())
        page = opened(browser, site.url, session_of("anna"))
        FOLDER.mkdir(exist_ok=True)
        shown = [*screens(), *screens_that_ask()]
        for screen in shown:
            if only and screen.name not in only:
                continue
            page.goto(screen.address)
            screen.then(page)
            page.wait_for_load_state("networkidle")
            for width in WIDTHS:
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    keep(page, width, FOLDER / f"{screen.name}-{width}-{scheme}.png")
            page.set_viewport_size({"width": WIDTHS[0], "height": 800})
        browser.close()
    if not only:
        (FOLDER / "README.md").write_text(gallery([one.name for one in shown]))
    taken = sorted(FOLDER.glob("*.png"))
    size = sum(one.stat().st_size for one in taken)
    print(f"{len(taken)} pictures in {FOLDER.relative_to(ROOT)}, {size / 1e6:.1f} MB")


def gallery(names: list[str]) -> str:
    """The page of all pictures."""
    lines = [
        "# Screens of the admin",
        "",
        "Made by `make screenshots`: 1280 and 400 pixels wide, light and dark.",
    ]
    for name in names:
        lines += ["", f"## {name}", ""]
        for width in WIDTHS:
            shown = 560 if width == WIDTHS[0] else 175
            for scheme in SCHEMES:
                address = f"{name}-{width}-{scheme}.png"
                lines += [f'<img alt="{name}, {width} pixels, {scheme}" src="{address}" width="{shown}">']
    return "\n".join(lines) + "\n"


def opened(browser: Browser, url: str, session: str) -> Page:
    context = browser.new_context(base_url=url)
    context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
    return context.new_page()


def keep(page: Page, width: int, file: Path) -> None:
    """The page from its beginning, with few colours, which is a quarter of the bytes."""
    page.set_viewport_size({"width": width, "height": 800})
    height = min(MOST_PIXELS, max(500, int(page.evaluate("document.documentElement.scrollHeight"))))
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("scrollTo(0, 0)")
    picture = Picture.open(BytesIO(page.screenshot(animations="disabled", caret="hide")))
    few = picture.convert("RGB").quantize(COLOURS, dither=Picture.Dither.NONE)
    few.save(file, "PNG", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
