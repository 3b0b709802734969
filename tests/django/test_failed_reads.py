"""What visitors could not read: noted cheaply, whatever the error was, and listed."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from botocore.exceptions import EndpointConnectionError
from django.core.files.storage import storages
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.models import FailedRead, Image
from imagesync.records import report_failed_read
from project.embedded_s3 import EmbeddedS3
from tests.django.helpers import client_error, make_images
from tests.testapp.models import Child, PictureProxy, Product

# a report is written after the transaction under way, so these tests must not be one
pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def test_report__notes_record_field_key_and_code() -> None:
    (image,) = make_images("images/k.jpg")

    with time_machine.travel(NOON, tick=False):
        report_failed_read(image, error=client_error("NoSuchKey"))

    noted = FailedRead.objects.get()
    assert noted.record_label == f"imagesync.Image:{image.pk}"
    assert (noted.field, noted.key, noted.code, noted.times) == ("file", "images/k.jpg", "NoSuchKey", 1)
    assert (noted.first_at, noted.last_at) == (NOON, NOON)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, ""),
        (FileNotFoundError("images/k.jpg"), "FileNotFoundError"),
        (EndpointConnectionError(endpoint_url="https://x/?X-Amz-Signature=abc"), "EndpointConnectionError"),
        (client_error("<script>alert(1)</script>"), ""),
        (client_error("x" * 65), ""),
    ],
)
def test_report__keeps_a_clean_code_and_no_text_of_an_error(error: Exception | None, code: str) -> None:
    (image,) = make_images("k.jpg")

    report_failed_read(image, error=error)

    assert FailedRead.objects.get().code == code


def test_report__is_written_at_most_once_a_minute() -> None:
    (image,) = make_images("k.jpg")
    with time_machine.travel(NOON, tick=False) as clock:
        report_failed_read(image)
        for _ in range(5):
            clock.shift(timedelta(seconds=11))
            with CaptureQueriesContext(connection) as queries:
                report_failed_read(image, error=client_error("SlowDown"))
            assert [one["sql"].split()[0] for one in queries] == ["SELECT"]
        clock.shift(timedelta(seconds=11))
        report_failed_read(image, error=client_error("AccessDenied"))

    noted = FailedRead.objects.get()
    assert (noted.times, noted.code) == (2, "AccessDenied")
    assert (noted.first_at, noted.last_at) == (NOON, NOON + timedelta(seconds=66))


def test_report__of_another_file_of_the_same_record_starts_anew() -> None:
    (image,) = make_images("k.jpg")
    report_failed_read(image)
    FailedRead.objects.update(times=7)
    image.file.name = "new.jpg"

    report_failed_read(image)

    noted = FailedRead.objects.get()
    assert (noted.key, noted.times) == ("new.jpg", 1)


def test_report__names_the_model_that_owns_the_field() -> None:
    child = Child.objects.create(file="c.jpg", scan="scans/c.jpg")

    report_failed_read(child)
    report_failed_read(child, "scan")
    report_failed_read(PictureProxy.objects.get())

    assert {(one.record_label, one.field) for one in FailedRead.objects.all()} == {
        (f"testapp.Picture:{child.pk}", "file"),
        (f"testapp.Child:{child.pk}", "scan"),
    }


def test_report__notes_nothing_that_no_audit_would_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    report_failed_read(Product.objects.create(name="no file"), "photo")
    monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["disk"])
    report_failed_read(Product.objects.create(name="chair", photo="chair.jpg"), "photo")

    assert not FailedRead.objects.exists()


def test_report__refuses_what_cannot_have_been_read() -> None:
    with pytest.raises(ValueError, match="never saved"):
        report_failed_read(Image(file="k.jpg"))
    with pytest.raises(ValueError, match="not a file field"):
        report_failed_read(Product.objects.create(name="chair"), "name")


def test_report__asks_s3_nothing(s3: EmbeddedS3) -> None:
    (image,) = make_images("k.jpg")
    s3.requests.clear()

    report_failed_read(image)

    assert FailedRead.objects.count() == 1
    assert not s3.requests


def test_report__waits_for_the_transaction_of_the_view() -> None:
    (image,) = make_images("k.jpg")

    with transaction.atomic():
        with CaptureQueriesContext(connection) as queries:
            report_failed_read(image)
        assert len(queries) == 0

    assert FailedRead.objects.count() == 1


def test_report__that_the_database_cannot_take_is_logged_and_not_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (image,) = make_images("k.jpg")

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        report_failed_read(image)

    assert not FailedRead.objects.exists()
    assert "database is locked" in caplog.text


@pytest.mark.parametrize("noted_before", [False, True])
def test_report__many_at_once_are_one_row_and_none_fails(
    noted_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (image,) = make_images("k.jpg")
    if noted_before:
        with time_machine.travel(timezone.now() - timedelta(hours=1)):
            report_failed_read(image)
    together = Barrier(8)

    def visit(_number: int) -> None:
        together.wait()
        try:
            report_failed_read(image, error=client_error("NoSuchKey"))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(8)))

    noted = FailedRead.objects.get()
    assert noted.times == 1 + noted_before
    assert not caplog.records


def test_admin__lists_the_failed_reads(admin_client: Client) -> None:
    (image,) = make_images("<b>.jpg")
    report_failed_read(image, error=client_error("NoSuchKey"))

    page = admin_client.get("/admin/imagesync/failedread/").content.decode()

    assert "&lt;b&gt;.jpg" in page
    assert "NoSuchKey" in page
