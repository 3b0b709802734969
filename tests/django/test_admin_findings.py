"""The admin's lists of findings and failed reads: found by key, never counted to the end."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.admin import read_only
from imagesync.models import FailedRead, Finding, Image
from tests.django.admin_pages import page_of, staff

pytestmark = pytest.mark.django_db

FINDINGS, FAILED_READS = "/admin/imagesync/finding/", "/admin/imagesync/failedread/"
KEYS = ["a/1.jpg", "b/1.jpg", "b/2.jpg", "b/*", "B/3.jpg", "\u00e4/%.jpg", "<b>\u202e.jpg"]


def find(*keys: str, **values: object) -> None:
    image_type = ContentType.objects.get_for_model(Image)
    Finding.objects.bulk_create(
        Finding(
            **{
                "fingerprint": "f",
                "content_type": image_type,
                "object_pk": key[:200],
                "field": "file",
                "key": key,
                "verdict": "missing",
                "opened_at": timezone.now(),
                "settled": True,
                **values,
            }
        )
        for key in keys
    )


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("b/1.jpg", ["b/1.jpg"]),
        ("b/", []),
        ("b/*", ["b/*", "b/1.jpg", "b/2.jpg"]),
        ("b/**", ["b/*"]),
        ("B/*", ["B/3.jpg"]),
        ("\u00e4*", ["\u00e4/%.jpg"]),
        ("%*", []),
        ("B", []),
    ],
)
@pytest.mark.parametrize("address", [FINDINGS, FAILED_READS])
def test_search__finds_the_exact_key_or_its_beginning_in_key_order(
    admin_client: Client, address: str, term: str, found: list[str]
) -> None:
    find(*KEYS)
    image_type = ContentType.objects.get_for_model(Image)
    now = timezone.now()
    for key in KEYS:
        FailedRead.objects.create(
            content_type=image_type, object_pk=key, field="file", key=key, first_at=now, last_at=now
        )

    response = admin_client.get(address, {"q": term})

    assert [row.key for row in response.context["cl"].result_list] == found


def test_list__shows_hostile_keys_harmlessly_and_long_ones_short(admin_client: Client) -> None:
    find("<script>alert(1)</script>\u202e.jpg", "x" * 1000)

    page = page_of(admin_client, FINDINGS)

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e.jpg" in page
    assert f"{'x' * 30}…{'x' * 30}" in page
    assert f'title="{"x" * 1000}"' in page


def test_list__leaves_out_what_an_audit_has_not_settled(admin_client: Client) -> None:
    find("settled.jpg")
    find("unsettled.jpg", settled=False)

    page = page_of(admin_client, FINDINGS)

    assert "unsettled.jpg" not in page
    assert "settled.jpg" in page


def test_list__counts_no_further_than_can_be_paged_through(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only, "PAGED", 70)
    find(*(f"{number:03}.jpg" for number in range(120)))

    with CaptureQueriesContext(connection) as asked:
        response = admin_client.get(FINDINGS)

    counts = [one["sql"] for one in asked.captured_queries if "COUNT(" in one["sql"]]
    assert len(counts) == 1
    assert "LIMIT 70" in counts[0]
    assert response.context["cl"].result_count == 70
    assert len(admin_client.get(FINDINGS, {"p": 2}).context["cl"].result_list) == 20


def test_list__asks_as_often_for_many_as_for_few(admin_client: Client) -> None:
    asked = []
    for number in (3, 200):
        find(*(f"{number}-{one}.jpg" for one in range(number)))
        admin_client.get(FINDINGS)
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(FINDINGS)
        asked.append(len(queries))

    assert asked[0] == asked[1]


@pytest.mark.parametrize("address", [FINDINGS, FAILED_READS])
def test_list__needs_the_permission_to_view(client: Client, address: str) -> None:
    staff(client, "view_audit", "check_image")

    assert client.get(address).status_code == 403
