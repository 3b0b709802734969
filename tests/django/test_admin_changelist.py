"""The list of images: what it shows, how it is filtered, searched and paged, and what that costs."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.admin import filters, paging
from imagesync.admin.columns import why_no_picture
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Image
from tests.conftest import forget_default_storage, storages_at
from tests.django.helpers import make_images

pytestmark = pytest.mark.django_db

LIST = "/admin/imagesync/image/"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    from imagesync.admin import ImageAdmin

    monkeypatch.setattr(ImageAdmin, "list_per_page", 3)


def shown(response: Any) -> list[str]:
    """The stored names on a page."""
    return [image.file.name for image in response.context["cl"].result_list]


def html(response: Any) -> str:
    text: str = response.content.decode()
    return text


def row_of(page: str, name: str) -> str:
    return next(row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if name in row)


def test_row__of_a_present_image_has_a_lazy_thumbnail_and_words(admin_client: Client) -> None:
    owner = User.objects.create_user("paula")
    make_images("images/a.jpg", verdict="present", size_bytes=2048, owner=owner)

    row = row_of(html(admin_client.get(LIST)), "images/a.jpg")

    image = re.search(r"<img [^>]*>", row.split("column-shown_picture")[-1] if "column" in row else row)
    assert image is not None
    assert 'loading="lazy"' in image[0]
    assert 'width="60" height="60"' in image[0]
    assert 'alt="images/a.jpg"' in image[0]
    assert f'src="{NOBODY}/test-bucket/images/a.jpg?' in image[0]
    assert ">present</span>" in row
    assert "2.0\xa0KB" in row
    assert "paula" in row


@pytest.mark.parametrize("verdict", [one for one in Verdict if one is not Verdict.PRESENT])
def test_row__of_another_verdict_has_no_thumbnail_and_says_why(admin_client: Client, verdict: str) -> None:
    make_images("a.jpg", verdict=verdict, missing_since=timezone.now() if verdict == "missing" else None)

    row = row_of(html(admin_client.get(LIST)), "a.jpg")

    assert "<img" not in row
    assert f">{why_no_picture(verdict)}</span>" in row
    assert why_no_picture(verdict) != verdict or verdict == "archived"
    assert f'imagesync-{verdict}">{verdict}</span>' in row


def test_row__shows_the_key_with_the_location_and_nothing_hostile(admin_client: Client) -> None:
    make_images("<b>x</b>\u202egpj.exe", verdict="present")
    with override_settings(STORAGES=storages_at(NOBODY, location="media")):
        forget_default_storage()
        page = html(admin_client.get(LIST))
    forget_default_storage()

    assert "media/&lt;b&gt;x&lt;/b&gt;\\u202egpj.exe" in page
    assert "\u202e" not in page
    assert "<b>x" not in page


def test_list__asks_s3_nothing(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(*(f"{verdict}.jpg" for verdict in Verdict))
    for verdict in Verdict:
        Image.objects.filter(file=f"{verdict}.jpg").update(verdict=verdict.value, store="ab12")

    def refuse(*_arguments: Any) -> Any:
        raise AssertionError("S3 was called")

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", refuse)

    for asked in SPREAD:
        assert admin_client.get(LIST, asked).status_code == 200


def test_list__never_logs_a_signed_address(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    make_images("a.jpg", verdict="present")

    with caplog.at_level(logging.DEBUG, logger="imagesync"), caplog.at_level(logging.DEBUG, logger="django"):
        page = html(admin_client.get(LIST))

    assert "X-Amz-Signature=" in page  # the browser needs it; nobody else does
    assert "X-Amz-Signature" not in caplog.text


def test_filters__by_verdict_store_age_and_folder(admin_client: Client) -> None:
    now = timezone.now()
    make_images("a/gone.jpg", verdict="missing", missing_since=now - timedelta(hours=2), store="ab12")
    make_images("a/old.jpg", verdict="missing", missing_since=now - timedelta(days=90), store="ab12")
    make_images("b/new.jpg", verdict="present", created_at=now, store="cd34")
    make_images("b/c/never.jpg")

    def names(**asked: str) -> set[str]:
        return set(shown(admin_client.get(LIST, asked)))

    assert names(verdict__exact="missing") == {"a/gone.jpg", "a/old.jpg"}
    assert names(missing="1d") == {"a/gone.jpg"}
    assert names(missing="older") == {"a/old.jpg"}
    assert names(created="1d") == {"b/new.jpg"}
    assert names(created="365d") == {"b/new.jpg"}
    assert names(created="older") == {"a/gone.jpg", "a/old.jpg", "b/c/never.jpg"}
    assert names(seen_in="cd34") == {"b/new.jpg"}
    assert names(seen_in="none") == {"b/c/never.jpg"}
    assert names(folder="b/") == {"b/new.jpg", "b/c/never.jpg"}
    assert names(folder="b/", verdict__exact="present", created="7d") == {"b/new.jpg"}


@pytest.mark.parametrize(
    "asked",
    [
        {"created": "x"},
        {"missing": "x"},
        {"seen_in": "x'"},
        {"after": "x"},
        {"before": "bm8"},
        {"folder": "a\0"},
    ],
)
def test_filters__what_they_do_not_know_is_no_error_page(admin_client: Client, asked: dict[str, str]) -> None:
    make_images("a.jpg")

    response = admin_client.get(LIST, asked)

    assert response.status_code == 302
    assert response["Location"].endswith("?e=1")


@pytest.mark.parametrize("order", [{}, {"o": "3"}, {"o": "8"}])
@pytest.mark.parametrize(
    "place",
    [
        "5", "[]", "[1]", '["a"]', "[null, null]", '["a", "x"]', '["a", 1e400]', '["a", 99999999999999999999]',
        "[5, 5]", '["\\u0000", 5]', '["\\ud800", 5]', "[" * 4000, '{"a": 1}', '["2026-99-99T00:00:00", 5]',
    ],
)  # fmt: skip
def test_pages__a_place_made_up_by_somebody_is_no_error_page(
    admin_client: Client, place: str, order: dict[str, str]
) -> None:
    make_images("a.jpg", "b.jpg")
    made_up = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    for name in ("after", "before"):
        assert admin_client.get(LIST, {**order, name: made_up}).status_code in (200, 302)


def test_autocomplete__of_other_admins_searches_in_key_order(admin_client: Client, rf: Any) -> None:
    from django.contrib import admin

    make_images("a/2.jpg", "a/1.jpg", "b.jpg")
    images = admin.site.get_model_admin(Image)
    request = rf.get("/admin/autocomplete/", {"term": "a/"})

    found, _duplicates = images.get_search_results(request, images.get_queryset(request), "a/")

    assert [image.file.name for image in found] == ["a/1.jpg", "a/2.jpg"]
    assert images.get_paginator(request, found, 20).count == 2


def test_store_filter__names_the_stores_of_recent_audits(admin_client: Client) -> None:
    Audit.objects.create(bucket="photos", prefix="media/", fingerprint="ab12")
    Audit.objects.create(bucket="photos", prefix="media/", fingerprint="ab12", state="finished")
    make_images("a.jpg", store="ab12")

    page = html(admin_client.get(LIST))

    assert page.count(">photos/media/</a>") == 1
    assert "?seen_in=ab12" in page


def test_folders__are_found_by_steps_and_lead_down_and_up(admin_client: Client) -> None:
    make_images("a/1/x.jpg", "a/1/y.jpg", "a/2/x.jpg", "a/top.jpg", "\u00e4/x.jpg", "b.jpg", "a0/x.jpg")

    assert filters.folders_in(Image, "") == ["a/", "a0/", "\u00e4/"]
    assert filters.folders_in(Image, "a/") == ["a/1/", "a/2/"]
    assert filters.folders_in(Image, "a/1/") == []

    page = html(admin_client.get(LIST, {"folder": "a/1/"}))
    assert 'href="?folder=a%2F"' in page
    page = html(admin_client.get(LIST, {"folder": "a/"}))
    assert 'href="?folder=a%2F2%2F"' in page


def test_folders__are_few_however_many_there_are(admin_client: Client) -> None:
    make_images(*(f"{number:03d}/x.jpg" for number in range(60)))

    page = html(admin_client.get(LIST))

    assert "019/" in page.split('id="changelist-filter"')[1]
    assert "and more: search by prefix" in page


def test_search__begins_with_and_the_exact_key_comes_first(admin_client: Client) -> None:
    make_images("ab.jpg", "ab", "aB", "abc/d.jpg", "ac", "%", "a_b")

    assert shown(admin_client.get(LIST, {"q": "ab"})) == ["ab", "ab.jpg", "abc/d.jpg"]
    assert shown(admin_client.get(LIST, {"q": '"ab"'})) == ["ab"]
    assert shown(admin_client.get(LIST, {"q": "%"})) == ["%"]
    assert shown(admin_client.get(LIST, {"q": "a_"})) == ["a_b"]
    assert shown(admin_client.get(LIST, {"q": "b"})) == []
    number = Image.objects.get(file="ac").pk
    assert shown(admin_client.get(LIST, {"q": f"#{number}"})) == ["ac"]


def test_search__takes_off_the_storages_location(admin_client: Client) -> None:
    make_images("a.jpg", "b.jpg")
    with override_settings(STORAGES=storages_at(NOBODY, location="media")):
        forget_default_storage()
        found = shown(admin_client.get(LIST, {"q": "media/a"}))
        short = shown(admin_client.get(LIST, {"q": "a"}))
    forget_default_storage()

    assert found == short == ["a.jpg"]


@pytest.mark.parametrize("text", ["x" * 1025, "\U0010ffff", '""', "#" + "9" * 30])
def test_search__odd_text_finds_nothing_and_breaks_nothing(admin_client: Client, text: str) -> None:
    make_images("a.jpg")

    response = admin_client.get(LIST, {"q": text})

    assert response.status_code == 200
    assert shown(response) == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["f6", "f5", "f4", "f3", "f2", "f1", "f0"]),
        ({"q": "f"}, ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]),
        ({"o": "3"}, ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]),
        ({"o": "-3"}, ["f6", "f5", "f4", "f3", "f2", "f1", "f0"]),
        ({"o": "8"}, ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]),
        ({"verdict__exact": "missing", "o": "-5"}, ["f6", "f5", "f4", "f3", "f2", "f1", "f0"]),
        ({"missing": "older"}, ["f6", "f5", "f4", "f3", "f2", "f1", "f0"]),
    ],
)
@pytest.mark.usefixtures("small_pages")
def test_pages__go_on_where_the_last_one_ended_and_back(
    admin_client: Client, asked: dict[str, str], expected: list[str]
) -> None:
    since = timezone.now() - timedelta(days=100)
    # the ends of pages fall among rows of the same time: the primary key decides
    times = [since + timedelta(microseconds=number // 4) for number in range(7)]
    for number, at in enumerate(times):
        make_images(f"f{number}", verdict="missing", missing_since=at, created_at=at)

    page = admin_client.get(LIST, asked)
    seen = [shown(page)]
    assert page.context["cl"].previous_url == ""
    while page.context["cl"].next_url:
        page = admin_client.get(LIST + page.context["cl"].next_url)
        seen.append(shown(page))
    assert [name for names in seen for name in names] == expected
    assert [len(names) for names in seen] == [3, 3, 1]

    back = []
    while page.context["cl"].previous_url:
        page = admin_client.get(LIST + page.context["cl"].previous_url)
        back.append(shown(page))
    assert back == [seen[1], seen[0]]


@pytest.mark.usefixtures("small_pages")
def test_pages__keep_their_place_when_rows_are_deleted_meanwhile(admin_client: Client) -> None:
    make_images(*(f"f{number}" for number in range(7)))
    following = admin_client.get(LIST, {"q": "f"}).context["cl"].next_url
    Image.objects.filter(file__in=["f0", "f1", "f2", "f3"]).delete()

    page = admin_client.get(LIST + following)

    assert shown(page) == ["f4", "f5", "f6"]
    first = admin_client.get(LIST + page.context["cl"].previous_url)
    assert shown(first) == ["f4", "f5", "f6"]
    assert first.context["cl"].previous_url == ""


@pytest.mark.usefixtures("small_pages")
def test_pages__a_filter_or_another_order_starts_at_the_beginning(admin_client: Client) -> None:
    make_images(*(f"f{number}" for number in range(7)))
    page = admin_client.get(LIST + admin_client.get(LIST).context["cl"].next_url)

    links = re.findall(r'href="(\?[^"]*)"', html(page))

    places = [link for link in links if "after=" in link or "before=" in link]
    assert len(places) == 2
    assert 'name="after"' not in html(page)


@pytest.mark.usefixtures("small_pages")
def test_count__stops_at_its_limit_and_says_so(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "COUNTED", 5)
    make_images(*(f"f{number}" for number in range(7)))

    page = admin_client.get(LIST)
    few = admin_client.get(LIST, {"q": "f1"})

    assert "more than 5 images" in " ".join(html(page).split())
    assert "1 result " in html(few)
    assert "more than" not in html(few)


@pytest.mark.usefixtures("small_pages")
def test_select_all__names_no_number_that_nobody_has_counted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "COUNTED", 5)
    make_images(*(f"{number}.jpg" for number in range(8)))

    many, few = html(admin_client.get(LIST)), html(admin_client.get(f"{LIST}?q=1.jpg"))

    assert "Select all images, more than 5</a>" in many
    assert "All selected, more than 5<" in many
    assert "Select all 5" not in many
    assert "Select all" not in few.partition('class="actions"')[2].partition("<table")[0]


@pytest.mark.parametrize(
    ("asked", "sortable"),
    [
        ({}, {"shown_key", "created_at"}),
        ({"q": "f"}, {"shown_key"}),
        ({"folder": "f/"}, {"shown_key"}),
        ({"verdict__exact": "missing"}, {"missing_since", "shown_key"}),
        ({"verdict__exact": "missing", "missing": "1d"}, {"missing_since"}),
        ({"verdict__exact": "missing", "folder": "f/"}, {"shown_key"}),
        ({"verdict__exact": "denied"}, {"shown_key"}),
        ({"verdict__exact": "present"}, set()),
        ({"missing": "1d"}, {"missing_since"}),
        ({"created": "1d"}, {"created_at"}),
        ({"seen_in": "ab12"}, set()),
    ],
)
def test_order__is_offered_only_where_an_index_has_it(
    admin_client: Client, asked: dict[str, str], sortable: set[str]
) -> None:
    now = timezone.now()
    for verdict in ("missing", "denied", "present"):
        since = now if verdict == "missing" else None
        make_images(f"f/{verdict}", verdict=verdict, missing_since=since, created_at=now, store="ab12")

    page = html(admin_client.get(LIST, asked))

    assert set(re.findall(r'class="sortable column-(\w+)', page)) == sortable
    assert admin_client.get(LIST, {**asked, "o": "-7.2"}).status_code == 200


def test_order__of_a_column_without_an_index_is_not_taken(admin_client: Client) -> None:
    make_images("a", size_bytes=1)
    make_images("b", size_bytes=2)

    page = admin_client.get(LIST, {"o": "6"})

    assert shown(page) == ["b", "a"]
    assert page.context["cl"].get_ordering_field_columns() == {}


SPREAD: list[dict[str, str]] = [
    {},
    {"verdict__exact": "missing"},
    {"verdict__exact": "present"},
    {"missing": "older"},
    {"created": "older"},
    {"seen_in": "ab12"},
    {"folder": "f/"},
    {"q": "f/"},
    {"q": '"f/0001"'},
    {"o": "3"},
    {"o": "-8"},
]


@pytest.fixture
def queries(admin_client: Client) -> Callable[[dict[str, str]], list[str]]:
    def asked(parameters: dict[str, str]) -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as context:
            assert admin_client.get(LIST, parameters).status_code == 200
        return [query["sql"] for query in context.captured_queries]

    return asked


@pytest.mark.parametrize("asked", SPREAD)
@pytest.mark.usefixtures("small_pages")
def test_queries__are_as_many_for_many_rows_as_for_few(
    queries: Callable[[dict[str, str]], list[str]], asked: dict[str, str]
) -> None:
    values = {"verdict": "missing", "missing_since": timezone.now() - timedelta(days=50), "store": "ab12"}
    make_images(*(f"f/{number:04d}" for number in range(4)), **values)
    queries(asked)  # what Django remembers from the first request on
    few = queries(asked)

    owners = [User.objects.create_user(f"user{number}") for number in range(3)]
    for number in range(60):
        make_images(f"f/{number:04d}/x", owner=owners[number % 3], **values)
    many = queries(asked)

    assert len(many) == len(few) <= 8
    assert not [sql for sql in many if "OFFSET" in sql or "LIKE" in sql.upper()]
    whole_counts = [sql for sql in many if "COUNT(" in sql.upper() and "LIMIT" not in sql]
    assert whole_counts == []


@pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="the plans of PostgreSQL (TEST_DATABASE=postgres)"
)
@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "imagesync_image_pkey"),
        ({"verdict__exact": "missing"}, "imagesync_image_notok"),
        ({"verdict__exact": "missing", "o": "3"}, "imagesync_image_notok_key"),
        ({"verdict__exact": "missing", "o": "-5"}, "imagesync_image_gone_since"),
        ({"verdict__exact": "missing", "folder": "f/"}, "imagesync_image_notok_key"),
        ({"missing": "older"}, "imagesync_image_gone_since"),
        ({"created": "older"}, "imagesync_image_created"),
        ({"seen_in": "ab12"}, "imagesync_image_store"),
        ({"folder": "f/"}, "imagesync_image_key_made"),
        ({"q": "f/"}, "imagesync_image_key_made"),
        ({"o": "3"}, "imagesync_image_key_made"),
        ({"o": "-8"}, "imagesync_image_created"),
    ],
)
@pytest.mark.usefixtures("small_pages")
def test_plans__take_the_index_that_is_there_for_them(
    admin_client: Client, asked: dict[str, str], index: str
) -> None:
    values = {"verdict": "missing", "missing_since": timezone.now() - timedelta(days=50), "store": "ab12"}
    with (
        connection.cursor() as cursor
    ):  # what earlier tests left in the table and its indexes would count as their size
        cursor.execute("TRUNCATE imagesync_image CASCADE")
    make_images(*(f"f/{number:04d}" for number in range(300)), verdict="present")
    make_images(*(f"f/{number:04d}/x" for number in range(10)), **values)
    page = admin_client.get(LIST, asked)
    place = page.context["cl"].order
    rows = page.context["cl"].queryset
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE imagesync_image")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")

    first = rows[:4].explain()
    second = place.behind(rows, place.place_of(rows[2]))[:4].explain()

    assert index in first
    assert index in second
    assert re.search(r"Index Cond: .*ROW\(|Index Cond: .*id < ", second), second


def test_order__of_a_verdict_and_an_age_is_that_of_the_index_that_has_both(admin_client: Client) -> None:
    for verdict in ("missing", "present"):
        page = admin_client.get(LIST, {"verdict__exact": verdict, "created": "older"})

        assert page.context["cl"].order == paging.Order("created_at", descending=True)
        assert "created_at" in page.context["cl"].sortable_by
    indexed = {tuple(index.fields) for index in Image._meta.indexes}
    assert {("verdict", "created_at", "id"), ("created_at", "id")} <= indexed


@pytest.mark.django_db
def test_list__of_nothing_says_why(admin_client: Client) -> None:
    assert "No image has been stored yet." in html(admin_client.get(LIST))

    make_images("a.jpg")
    assert "No image matches." in html(admin_client.get(f"{LIST}?q=b"))
    assert "imagesync-empty" not in html(admin_client.get(LIST))
