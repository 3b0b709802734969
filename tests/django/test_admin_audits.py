"""The admin's list of audits under its dashboard: figures, charts, and how often the database is asked."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.admin import dashboard
from imagesync.admin.charts import histogram, line, stacked
from imagesync.audit import figures
from imagesync.models import Audit, AuditRange, Finding, Image
from imagesync.records import Source
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import page_of
from tests.django.helpers import half_of_them, make_images, run

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/imagesync/audit/"


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    return half_of_them(s3, "a/")


def test_dashboard__says_that_nothing_was_audited_yet(admin_client: Client) -> None:
    page = page_of(admin_client, LIST)

    assert "never audited" in page
    assert "<svg viewBox" not in page


def test_dashboard__tells_what_is_missing_where_and_since_when(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    half.delete(BUCKET, "a/0.jpg")
    run("check_s3_images")

    page = page_of(admin_client, LIST)

    assert "needs attention" in page
    assert re.search(r"<dt>Missing</dt><dd>4\s*<small>\+1 since the audit before", page)
    assert "1 <small>new, 0 over" in page
    assert re.search(
        r"3 missing at audit \d+ of test-bucket, 4 at audit \d+ of test-bucket; at the most 4", page
    )
    assert '<th scope="row">a/</th>' in page
    assert "<title>2025-10-27: 4</title>" in page
    assert "2 no finding, 4 missing" in page


def test_dashboard__is_healthy_where_all_is_there_and_stale_after_a_day(
    half: EmbeddedS3, admin_client: Client
) -> None:
    for number in range(6):
        half.put(BUCKET, f"a/{number}.jpg")
    run("check_s3_images")

    assert 'imagesync-is-healthy">healthy' in page_of(admin_client, LIST)

    Audit.objects.update(finished_at=timezone.now() - timedelta(hours=25))
    assert 'imagesync-is-stale">stale' in page_of(admin_client, LIST)


def test_dashboard__an_audit_that_is_not_believed_is_a_gap_and_no_news(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    half.denied[half.access_key] = {"s3:ListBucket"}
    run("check_s3_images")

    page = page_of(admin_client, LIST)

    assert "needs attention" in page
    assert "<td>not known</td>" in page
    assert re.search(r"<dt>Missing</dt><dd>3", page)
    assert f"{Audit.objects.latest()}</a> is untrustworthy:" in page
    assert "s3:ListBucket" in page
    assert re.search(
        r"3 missing at audit \d+ of test-bucket; no other of the last audits could be believed", page
    )


def test_dashboard__draws_nothing_from_what_could_not_be_believed(
    half: EmbeddedS3, admin_client: Client
) -> None:
    half.denied[half.access_key] = {"s3:ListBucket"}
    run("check_s3_images")

    page = page_of(admin_client, LIST)

    assert "is untrustworthy:" in page
    assert "Findings by field" not in page


def test_dashboard__shows_how_far_a_running_audit_is(admin_client: Client) -> None:
    audit = Audit.objects.create(
        bucket="b", fingerprint="f", scope_key="k", lease_until=timezone.now() + timedelta(minutes=1)
    )
    for number, state in enumerate(["done", "pending", "pending", "pending"]):
        AuditRange.objects.create(audit=audit, number=number, state=state)

    assert "25 % of its ranges are done" in page_of(admin_client, LIST)

    Audit.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    assert "was interrupted" in page_of(admin_client, LIST)


def test_dashboard__escapes_hostile_folders(admin_client: Client, half: EmbeddedS3) -> None:
    make_images("<script>alert(1)</script>\u202e/x.jpg")
    run("check_s3_images")

    page = page_of(admin_client, LIST)

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/" in page


def test_dashboard__has_no_inline_style_or_script(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    for address in (LIST, f"{LIST}{Audit.objects.get().pk}/change/"):
        page = page_of(admin_client, address)
        assert " style=" not in page
        assert "<style" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page)


def test_dashboard__figures_in_drawings_are_the_same_in_every_language(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    with override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True):
        drawings = re.findall(r"<rect[^>]*>", page_of(admin_client, LIST))

    assert drawings
    assert not [drawing for drawing in drawings if re.search(r'="[\d.]*,', drawing)]


def test_pages__ask_as_often_for_many_findings_and_audits_as_for_few(
    admin_client: Client, memory_source: Any
) -> None:
    _store, source = memory_source()
    asked: dict[int, list[int]] = {}
    for number in (21, 300):
        audit = audit_with_findings(number, source)
        for address in (LIST, f"{LIST}{audit.pk}/change/"):
            admin_client.get(address)  # content types and the like are remembered
            with CaptureQueriesContext(connection) as queries:
                page_of(admin_client, address)
            asked.setdefault(number, []).append(len(queries))

    assert asked[21] == asked[300]
    assert max(asked[300]) < 40


def audit_with_findings(number: int, source: Source) -> Audit:
    audits = [
        Audit.objects.create(
            bucket="b",
            fingerprint="f",
            scope_key="k",
            state="finished",
            trust="trustworthy",
            finished_at=timezone.now(),
            counts={"records": number * 2, "present": number, "missing": number},
        )
        for _ in range(number // 10)
    ]
    images = make_images(*(f"x/{number}-{one}.jpg" for one in range(number)))
    image_type = ContentType.objects.get_for_model(Image)
    Finding.objects.bulk_create(
        Finding(
            fingerprint="f",
            content_type=image_type,
            object_pk=str(image.pk),
            field="file",
            key=image.file.name,
            verdict="missing",
            opened_by=audits[-1],
            opened_at=timezone.now(),
            settled=True,
        )
        for image in images
    )
    audits[-1].figures = figures.figures_of(audits[-1], source)
    audits[-1].save()
    return audits[-1]


def test_figures__of_very_many_are_of_a_sample_from_all_over_and_the_page_says_so(
    memory_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SAMPLE", 100)
    _store, source = memory_source()
    audit = audit_with_findings(500, source)

    found = dashboard.dashboard()

    assert 80 <= found.sampled <= 120
    assert found.missing == audit.counts["missing"]
    assert audit.figures["fields"]["imagesync.Image.file"] == {"records": 500, "missing": 500}
    assert "Taken from a random" in found.dates_told


def test_figures__are_those_of_the_audit_and_not_of_the_moment(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    Finding.objects.all().delete()

    kept = Audit.objects.get().figures

    assert kept["fields"]["imagesync.Image.file"] == {"records": 6, "missing": 3}
    assert (kept["opened"], kept["closed"], kept["sampled"], kept["undated"]) == (3, 0, 3, 0)
    assert (kept["days"], kept["folders"]) == ({"2025-10-27": 3}, {"a/": 3})
    assert "3 no finding, 3 missing" in page_of(admin_client, LIST)


def test_figures__of_an_audit_from_before_they_were_kept_are_said_to_be_wanting(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    Audit.objects.update(figures={})

    page = page_of(admin_client, LIST)

    assert "counted at the end of the next audit of everything" in page
    assert re.search(r"<dt>Missing</dt><dd>3", page)


@pytest.mark.parametrize("scope", [["--sample", "3"], ["--key", "a/1.jpg"], ["--prefix", "a/"]])
def test_figures__are_kept_of_audits_of_everything_alone(half: EmbeddedS3, scope: list[str]) -> None:
    run("check_s3_images", *scope)

    assert Audit.objects.get().figures == {}


def test_histogram__is_as_fine_as_sixty_bars_allow_and_names_a_wall() -> None:
    wall = {date(2026, 3, day): 40 for day in (3, 4, 5)}
    few = {date(2026, 1, 1) + timedelta(days=10 * number): 1 for number in range(12)}

    drawn = histogram({**few, **wall})

    assert len(drawn.bars) <= 60
    assert (drawn.wall, drawn.wall_percent) == ("2026-03-02 to 2026-03-08", 92)
    assert sum(bar.number for bar in drawn.bars) == 132
    assert histogram({}).bars == []


@pytest.mark.parametrize("days", [1, 59, 60, 61, 400, 420, 1700, 1800, 5200, 5500, 50 * 365])
def test_histogram__never_has_more_than_sixty_bars_and_loses_nothing(days: int) -> None:
    first = date(1976, 5, 17)

    drawn = histogram({first: 1, first + timedelta(days=days): 2})

    assert 2 <= len(drawn.bars) <= 60 or days == 1
    assert sum(bar.number for bar in drawn.bars) == 3
    assert all(float(bar.x) >= 0 and float(bar.x) + float(bar.width) <= 600.1 for bar in drawn.bars)


def test_stacked__fills_the_width_and_shows_one_in_a_million() -> None:
    bars = stacked([("present", 1_000_000), ("missing", 1), ("denied", 0)])

    assert [bar.kind for bar in bars] == ["present", "missing"]
    assert float(bars[1].width) >= 2
    assert float(bars[1].x) + float(bars[1].width) == pytest.approx(600, abs=0.2)


def test_line__has_a_gap_where_nothing_is_known() -> None:
    drawn = line([1, None, 3, 4])

    assert [len(piece.split()) for piece in drawn.pieces] == [1, 2]
    assert (drawn.last_x, drawn.last_y, drawn.top) == ("600.0", "4.0", 4)
    assert line([0, 0]).last_y == "116.0"
