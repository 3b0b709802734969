"""``debug_s3_image`` against an S3 behind a real socket: what it tells, what it concludes, how it exits."""

from __future__ import annotations

import pytest
from django.db import connection

from imagesync.models import Image, Purge
from imagesync.records import report_failed_read
from imagesync.storage.store import fingerprint
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION
from tests.django.debugging import debug
from tests.django.helpers import make_images, run
from tests.testapp.models import Product, TwoFiles

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {
    "schema", "key", "record", "store", "verdict", "reason", "conclusion", "preflight", "head", "get", "versions",
    "beside", "near_misses", "url", "records", "history", "failed_reads", "purged", "requests",
}  # fmt: skip


def test_debug__json_keeps_the_contract(s3: EmbeddedS3) -> None:
    (image,) = make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg", b"four")

    code, document = debug("images/a.jpg")

    assert code == 0
    assert set(document) == KEYS
    assert (document["schema"], document["key"]) == ("imagesync.image/1", "images/a.jpg")
    assert (document["verdict"], document["conclusion"]["id"]) == ("present", "present")
    assert document["conclusion"]["sentence"] == "The object is there and a browser gets it: nothing to do."
    assert (document["head"]["status"], document["get"]["status"], document["get"]["size_bytes"]) == (
        200,
        206,
        4,
    )
    assert document["preflight"]["fit"] is True
    assert document["url"]["signature"] == "v4"
    assert (document["url"]["region"], document["url"]["status"]) == (REGION, 206)
    assert document["url"]["host"] == s3.url.removeprefix("http://")
    assert [one["record"] for one in document["records"]] == [f"imagesync.Image:{image.pk}"]
    assert document["versions"]["told"] == "found"
    assert document["beside"]["listed"] is True


def test_debug__a_lost_image_is_missing_with_its_history(s3: EmbeddedS3) -> None:
    (image, _other) = make_images("images/a.jpg", "images/b.jpg")
    s3.put(BUCKET, "images/b.jpg")
    run("check_s3_images")
    s3.put(BUCKET, "images/a.jpg")
    run("check_s3_images")
    s3.delete(BUCKET, "images/a.jpg")
    run("check_s3_images")

    code, document = debug("--id", str(image.pk))

    assert code == 3
    assert document["record"] == f"imagesync.Image:{image.pk}"
    assert (document["verdict"], document["conclusion"]["id"]) == ("missing", "missing")
    assert document["get"]["code"] == "NoSuchKey"
    latest, first = document["history"]
    assert (latest["verdict"], latest["closed_by"]) == ("missing", None)
    assert first["opened_by"] < first["closed_by"] < latest["opened_by"]
    assert [one["key"] for one in document["beside"]["objects"]] == ["images/b.jpg"]
    assert document["beside"]["listed"] is False
    assert Image.objects.get(pk=image.pk).verdict == "missing"


def test_debug__an_empty_object_and_one_of_another_size_are_mismatched(s3: EmbeddedS3) -> None:
    _empty, other = make_images("images/empty.jpg", "images/other.jpg")
    Image.objects.filter(pk=other.pk).update(size_bytes=99)
    s3.put(BUCKET, "images/empty.jpg", b"")
    s3.put(BUCKET, "images/other.jpg", b"four")

    empty, other_size = debug("images/empty.jpg"), debug("images/other.jpg")

    assert [(code, told["verdict"], told["reason"]) for code, told in (empty, other_size)] == [
        (3, "mismatched", "empty_object"),
        (3, "mismatched", "size_differs"),
    ]


def test_debug__a_record_last_seen_in_another_store_is_not_missing(s3: EmbeddedS3) -> None:
    (image,) = make_images("images/a.jpg", store=fingerprint("https://s3.amazonaws.com", "old", ""))

    code, document = debug("--id", str(image.pk))

    assert (code, document["verdict"], document["reason"]) == (3, "unknown", "written_elsewhere")
    assert "--adopt" in document["conclusion"]["sentence"]


def test_debug__a_name_without_an_exact_key_is_ambiguous_and_still_looked_for(s3: EmbeddedS3) -> None:
    (image,) = make_images("images//a.jpg")
    s3.put(BUCKET, "images/a.jpg")

    code, document = debug("--id", str(image.pk))

    assert (code, document["verdict"], document["get"]) == (3, "ambiguous", None)
    assert {one["key"] for one in document["near_misses"]} >= {"images//a.jpg", "images/a.jpg"}
    assert (
        f'set the file of imagesync.Image:{image.pk} to "images/a.jpg"' in document["conclusion"]["sentence"]
    )


def test_debug__every_record_and_field_that_names_the_key_is_told(s3: EmbeddedS3) -> None:
    make_images("shared.jpg", "shared.jpg")
    Product.objects.create(name="p", photo="shared.jpg")
    TwoFiles.objects.create(file="other.jpg", thumbnail="shared.jpg")
    s3.put(BUCKET, "shared.jpg")

    _code, document = debug("shared.jpg")

    named = sorted((one["record"].partition(":")[0], one["field"]) for one in document["records"])
    assert named == [
        ("imagesync.Image", "file"),
        ("imagesync.Image", "file"),
        ("testapp.Product", "photo"),
        ("testapp.TwoFiles", "thumbnail"),
    ]
    assert {one["verdict"] for one in document["records"]} == {"present"}


def test_debug__each_file_field_of_a_record_is_an_image_of_its_own(s3: EmbeddedS3) -> None:
    row = TwoFiles.objects.create(file="two/a.jpg", thumbnail="two/thumbnails/a.jpg")
    s3.put(BUCKET, "two/a.jpg")

    code, document = debug("--id", f"testapp.TwoFiles:{row.pk}")

    assert (code, document["schema"]) == (3, "imagesync.images/1")
    assert [(one["key"], one["verdict"]) for one in document["images"]] == [
        ("two/a.jpg", "present"),
        ("two/thumbnails/a.jpg", "missing"),
    ]


def test_debug__a_key_that_no_record_names_is_looked_up(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "images/unnamed.jpg")

    there, gone = debug("images/unnamed.jpg"), debug("images/nowhere.png")

    assert (there[0], there[1]["conclusion"]["id"]) == (0, "present_unnamed")
    assert (gone[0], gone[1]["conclusion"]["id"]) == (3, "missing_unnamed")


def test_debug__a_purged_record_whose_object_is_back_can_be_restored(s3: EmbeddedS3) -> None:
    lost, _kept = make_images("images/a.jpg", "images/b.jpg")
    s3.put(BUCKET, "images/b.jpg")
    assert run("purge_orphans", "--no-input")[0] == 0
    s3.put(BUCKET, "images/a.jpg")

    code, document = debug("images/a.jpg")

    purge = Purge.objects.get()
    assert (code, document["conclusion"]["id"]) == (3, "record_purged")
    assert f"restore_purged {purge.pk} --id imagesync.Image:{lost.pk}" in document["conclusion"]["sentence"]
    assert [one["purge"] for one in document["purged"]] == [purge.pk]
    told = run("debug_s3_image", "--id", str(lost.pk))
    assert (told[0], told[1]) == (1, "")
    assert f"restore_purged {purge.pk} --id imagesync.Image:{lost.pk}" in told[2]
    assert run("restore_purged", "--no-input", "--id", f"imagesync.Image:{lost.pk}")[0] == 0
    assert debug("images/a.jpg")[1]["purged"] == []


def test_debug__what_a_view_could_not_read_is_told(s3: EmbeddedS3) -> None:
    (image,) = make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    report_failed_read(image, error=OSError("no"))

    _code, document = debug("images/a.jpg")
    text = run("debug_s3_image", "images/a.jpg")[1]

    assert [(one["record"], one["code"]) for one in document["failed_reads"]] == [
        (f"imagesync.Image:{image.pk}", "OSError")
    ]
    assert f"  not read    imagesync.Image:{image.pk} file: reported since " in text


def test_debug__a_key_that_a_whole_table_names(s3: EmbeddedS3) -> None:
    make_images(*["default.jpg"] * 1200)

    code, document = debug("default.jpg")
    text = run("debug_s3_image", "default.jpg")[1]

    assert (code, len(document["records"])) == (3, 1200)
    assert "(and 1,199 more)" in document["conclusion"]["sentence"]
    assert "... and 1,180 more" in text


def test_debug__a_name_that_is_no_text_is_told_and_not_asked_for(s3: EmbeddedS3) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL refuses such text when it is written")
    (image,) = make_images("images/a.jpg")
    with connection.cursor() as cursor:
        name = b"images/\xff.jpg"
        cursor.execute("UPDATE imagesync_image SET file = CAST(%s AS TEXT) WHERE id = %s", [name, image.pk])

    code, document = debug("--id", str(image.pk))

    assert (code, document["verdict"], document["reason"]) == (3, "unknown", "unsendable_key")
    assert (document["get"], document["head"], document["near_misses"]) == (None, None, [])


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ((), 2, "KEY"),
        (("images/a.jpg", "--id", "1"), 2, "not both"),
        (("",), 2, "1 to 1,024 bytes"),
        (("x" * 1025,), 2, "1,025"),
        (("a\udce9.jpg",), 2, "Unicode"),
        (("--id", "seven"), 2, "primary key"),
        (("--id", "7"), 1, "There is no record imagesync.Image:7"),
        (("--id", "no.Such:7"), 1, "no model"),
        (("images/a.jpg", "--storage", "elsewhere"), 1, "no storage 'elsewhere'"),
        (("images/a.jpg", "--storage", "disk"), 1, "No file field uses"),
    ],
)
def test_debug__bad_input_is_one_sentence(
    s3: EmbeddedS3, arguments: tuple[str, ...], code: int, word: str
) -> None:
    got, out, err = run("debug_s3_image", *arguments)

    assert (got, out) == (code, "")
    assert word in err


def test_debug__writes_nothing(s3: EmbeddedS3) -> None:
    (image,) = make_images("images/a.jpg")
    before = Image.objects.values().get(pk=image.pk)
    s3.requests.clear()

    debug("--id", str(image.pk))

    assert Image.objects.values().get(pk=image.pk) == before
    assert {method for method, *_rest in s3.requests} <= {"GET", "HEAD"}
