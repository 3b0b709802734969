"""The gallery: an image, or a word that says why there is none; S3 is never asked while it renders."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import urllib3
from django.test import Client

from imagesync.models import Image
from imagesync.records import find_sources
from project.embedded_s3 import EmbeddedS3
from project.incident import GONE, IDS, fill_bucket, fill_database
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import audited, make_images
from tests.processes import ROOT


@pytest.fixture(autouse=True)
def _project_pages(db: None, settings: Any) -> None:
    settings.ROOT_URLCONF = "project.urls"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "templates"]}]


def test_gallery__shows_a_placeholder_that_says_why_and_asks_s3_nothing() -> None:
    make_images("there.jpg", verdict="present")
    make_images("gone.jpg", verdict="missing")
    make_images("<script>.jpg", verdict="archived")

    response = Client().get("/")  # the suite's default storage refuses every connection

    page = response.content.decode()
    assert page.count("<img ") == 1
    assert "The file of &quot;gone.jpg&quot; is gone." in page
    assert "<script>" not in page
    assert " style=" not in page
    assert "data:" not in page
    assert "script-src" not in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["", "../../etc/passwd"])
def test_gallery__one_odd_record_does_not_cost_the_page(name: str, s3: EmbeddedS3, settings: Any) -> None:
    settings.STORAGES = storages_at(s3.url, location="media")
    forget_default_storage()
    make_images("there.jpg", verdict="present")
    Image.objects.bulk_create([Image(file=name, verdict="unchecked")])

    response = Client().get("/")

    page = response.content.decode()
    assert response.status_code == 200
    assert (page.count("<img "), page.count('role="img"')) == (1, 1)
    assert "There is no file for" in page
    assert 'alt=""' not in page
    assert 'aria-label=""' not in page


def test_gallery__an_image_without_a_title_is_still_named() -> None:
    make_images("there.jpg", verdict="present")
    Image.objects.update(title="")

    assert 'alt="there.jpg"' in Client().get("/").content.decode()


def test_gallery__costs_the_same_queries_for_any_number_of_images(django_assert_num_queries: Any) -> None:
    make_images(*(f"{number}.jpg" for number in range(70)), verdict="missing")

    Client().get("/")  # the id of the content type is asked for once per process

    with django_assert_num_queries(3):
        page = Client().get("/").content.decode()

    assert "Page 1 of 2" in page


def test_gallery__its_addresses_load_from_where_the_policy_allows(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "there.jpg", b"bytes")
    make_images("there.jpg", verdict="present")
    s3.requests.clear()

    response = Client().get("/")

    assert not s3.requests
    shown_url = html.unescape(re.findall(r'<img src="([^"]+)"', response.content.decode())[0])
    assert shown_url.startswith(f"{s3.url}/")
    assert f"img-src 'self' {s3.url};" in response["Content-Security-Policy"]
    assert urllib3.request("GET", shown_url).data == b"bytes"


def test_gallery__an_empty_file_that_an_audit_found_is_a_placeholder_too(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "empty.jpg", b"")
    make_images("empty.jpg")
    audited(find_sources()[0])

    page = Client().get("/").content.decode()

    assert "<img " not in page
    assert "The file of &quot;empty.jpg&quot; is empty." in page


def test_incident__is_twelve_records_and_six_objects(embedded_server: EmbeddedS3) -> None:
    embedded_server.reset()
    fill_bucket(embedded_server)
    fill_database()

    records = {image.title: image for image in Image.objects.all()}
    keys = embedded_server.keys_in("realtor-image-generator")
    assert set(records) == set(IDS)
    assert len(keys) == 6
    assert {title for title, image in records.items() if image.file.name not in keys} == GONE
    assert "img_1761504765823_hai8u3dph" in GONE
    assert records["img_1761504765823_hai8u3dph"].created_at.isoformat() == "2025-10-26T18:52:45.823000+00:00"
