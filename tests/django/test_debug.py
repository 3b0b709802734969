"""``debug_s3_image`` against an S3 behind a real socket: what it tells, what it concludes, how it exits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import Storage, storages
from django.db import connection
from django.test import override_settings

from imagesync.models import Image, Purge
from imagesync.records import report_failed_read
from imagesync.storage.store import fingerprint
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION, forget_default_storage, storages_at
from tests.django.helpers import make_images, run
from tests.testapp.models import Product, TwoFiles

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {
    "schema", "key", "record", "store", "verdict", "reason", "conclusion", "preflight", "head", "get", "versions",
    "beside", "near_misses", "url", "records", "history", "failed_reads", "purged", "requests",
}  # fmt: skip


def debug(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON document; the conclusion is one line whatever was found."""
    code, out, _err = run("debug_s3_image", "--format", "json", *arguments)
    document = json.loads(out)
    for one in document.get("images", [document]):
        assert one["conclusion"]["sentence"].isprintable()
        assert one["conclusion"]["sentence"].endswith(".")
    return code, document


@pytest.fixture
def versioned(s3: EmbeddedS3) -> EmbeddedS3:
    s3.client(REGION).put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.fixture
def stored_with(s3: EmbeddedS3) -> Iterator[Any]:
    """Have the project's storage made with other options."""
    with override_settings():
        from django.conf import settings

        def change(**options: object) -> None:
            settings.STORAGES = storages_at(s3.url, **options)
            forget_default_storage()

        yield change


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


@pytest.mark.parametrize(
    ("named", "stored", "slip"),
    [
        ("images/x.jpg", "images/x.JPG", "case"),
        ("images/caf\u00e9.jpg", "images/cafe\u0301.jpg", "unicode_form"),
        ("images/a b.jpg", "images/a+b.jpg", "plus_and_space"),
        ("images/a%20b.jpg", "images/a b.jpg", "quoted"),
        ("images/x.jpg", "images/x.jpg ", "whitespace"),
        ("images/x.jpg", "images//x.jpg", "slashes"),
        ("images/img_photo.jpg", "images/IMG_Photo.JPG", "spelling"),
    ],
)
def test_debug__a_near_miss_that_is_there_is_named(
    s3: EmbeddedS3, named: str, stored: str, slip: str
) -> None:
    make_images(named)
    s3.put(BUCKET, stored)

    code, document = debug(named)

    assert code == 3
    there = [one for one in document["near_misses"] if one["verdict"] == "present"]
    assert [(one["key"], one["slip"]) for one in there] == [(stored, slip)]
    assert there[0]["evidence"]["status"] == 206
    assert document["conclusion"]["id"] == "near_miss"
    assert f'"{stored}" is there' in document["conclusion"]["sentence"]


def test_debug__a_doubled_location_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    stored_with(location="media")
    (image,) = make_images("media/a.jpg")
    s3.put(BUCKET, "media/a.jpg")

    code, document = debug("--id", f"imagesync.Image:{image.pk}")

    assert (code, document["key"], document["verdict"]) == (3, "media/media/a.jpg", "missing")
    assert document["conclusion"]["id"] == "near_miss"
    assert f'set the file of imagesync.Image:{image.pk} to "a.jpg"' in document["conclusion"]["sentence"]


def test_debug__a_key_without_its_location_is_looked_up_all_the_same(
    s3: EmbeddedS3, stored_with: Any
) -> None:
    stored_with(location="media")
    make_images("a.jpg")
    s3.put(BUCKET, "media/a.jpg")

    code, document = debug("a.jpg")

    assert (code, document["verdict"], document["url"]) == (3, "missing", None)
    assert [one["key"] for one in document["near_misses"] if one["records"]] == ["media/a.jpg"]


def test_debug__a_near_miss_that_another_record_names_is_not_handed_over(s3: EmbeddedS3) -> None:
    _lost, other = make_images("images/x.jpg", "images/x.JPG")
    s3.put(BUCKET, "images/x.JPG")

    _code, document = debug("images/x.jpg")

    assert f"imagesync.Image:{other.pk} names that object already" in document["conclusion"]["sentence"]


def test_debug__a_delete_marker_is_named_with_the_version_behind_it(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")

    code, document = debug("images/a.jpg")

    marker, version = document["versions"]["entries"]
    assert code == 3
    assert document["verdict"] == "recoverable"
    assert (marker["is_delete_marker"], version["is_delete_marker"]) == (True, False)
    sentence = document["conclusion"]["sentence"]
    assert sentence.startswith(f"A delete marker hides version {version['id']}: bring it back")
    assert f"--key images/a.jpg --version-id {marker['id']}" in sentence


def test_debug__the_step_that_it_names_brings_the_object_back(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")
    _code, document = debug("images/a.jpg")
    words = document["conclusion"]["sentence"].rstrip(".").split()

    versioned.client(REGION).delete_object(
        Bucket=words[words.index("--bucket") + 1],
        Key=words[words.index("--key") + 1],
        VersionId=words[words.index("--version-id") + 1],
    )

    assert debug("images/a.jpg")[0] == 0


def test_debug__a_delete_marker_counts_where_versions_may_not_be_listed(versioned: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    versioned.put(BUCKET, "images/a.jpg")
    versioned.delete(BUCKET, "images/a.jpg")
    versioned.denied[versioned.access_key] = {"s3:ListBucketVersions"}

    _code, document = debug("images/a.jpg")

    assert document["versions"]["told"] == "denied"
    assert (document["verdict"], document["conclusion"]["id"]) == ("recoverable", "delete_marker_unseen")
    assert "s3:ListBucketVersions" in document["conclusion"]["sentence"]


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


# -- several stores ----------------------------------------------------------------------------------------


@pytest.fixture
def second_bucket(s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of another storage, where the photos of products are kept."""
    s3.create_bucket("second", REGION)
    both = storages_at(s3.url)
    default = both["default"]
    both["second"] = {**default, "OPTIONS": {**default["OPTIONS"], "bucket_name": "second"}}  # type: ignore[index,dict-item]
    with override_settings(STORAGES=both):
        forget_default_storage()
        monkeypatch.setattr(Product._meta.get_field("photo"), "storage", storages["second"])
        yield "second"


def test_debug__a_key_that_two_stores_hold_is_two_images(s3: EmbeddedS3, second_bucket: str) -> None:
    make_images("a.jpg")
    Product.objects.create(name="p", photo="a.jpg")
    s3.put(BUCKET, "a.jpg")

    code, document = debug("a.jpg")

    assert (code, document["schema"]) == (3, "imagesync.images/1")
    assert {one["store"]["alias"]: one["verdict"] for one in document["images"]} == {
        "default": "present",
        "second": "missing",
    }
    assert {
        one["store"]["alias"]: [record["field"] for record in one["records"]] for one in document["images"]
    } == {
        "default": ["file"],
        "second": ["photo"],
    }


def test_debug__a_store_that_has_nothing_to_do_with_the_key_is_left_out(
    s3: EmbeddedS3, second_bucket: str
) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")

    code, document = debug("a.jpg")
    asked = debug("a.jpg", "--storage", "second")

    assert (code, document["store"]["alias"]) == (0, "default")
    assert (asked[0], asked[1]["store"]["alias"], asked[1]["conclusion"]["id"]) == (
        3,
        "second",
        "missing_unnamed",
    )


# -- what a browser gets -----------------------------------------------------------------------------------


def client_in_the_right_region(storage: Storage, config: Any) -> Any:
    from tests.django.test_debug import SERVER

    return SERVER[0].client(REGION)


SERVER: list[EmbeddedS3] = []


@pytest.fixture
def api_in_the_right_region(s3: EmbeddedS3) -> Iterator[None]:
    """Every API call of imagesync works, whatever region the site's storage is set to."""
    SERVER[:] = [s3]
    path = f"{client_in_the_right_region.__module__}.client_in_the_right_region"
    with override_settings(IMAGESYNC={"CLIENT_FACTORY": path}):
        yield


def test_debug__a_url_that_is_signed_for_another_region_is_found_out(
    s3: EmbeddedS3, stored_with: Any, api_in_the_right_region: None
) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1", signature_version="s3v4")

    code, document = debug("images/a.jpg")

    assert (code, document["verdict"], document["conclusion"]["id"]) == (3, "present", "url_refused")
    sentence = document["conclusion"]["sentence"]
    assert sentence.startswith("The object is there, but visitors do not see it: ")
    assert "HTTP 400 AuthorizationQueryParametersError" in sentence
    assert f"signed for us-east-1; the bucket is in {REGION}" in sentence
    assert f'AWS_S3_REGION_NAME = "{REGION}"' in document["conclusion"]["sentence"]


def test_debug__a_url_of_signature_version_2_is_found_out(
    s3: EmbeddedS3, stored_with: Any, api_in_the_right_region: None
) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1", signature_version="s3")

    code, document = debug("images/a.jpg")

    assert (code, document["url"]["signature"], document["conclusion"]["id"]) == (3, "v2", "url_signature_v2")
    assert 'AWS_S3_SIGNATURE_VERSION = "s3v4"' in document["conclusion"]["sentence"]


def test_debug__an_unsigned_url_of_a_private_bucket_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(querystring_auth=False)

    code, document = debug("images/a.jpg")

    assert (code, document["url"]["signature"], document["conclusion"]["id"]) == (3, "none", "url_refused")


def test_debug__a_host_that_does_not_answer_is_found_out(s3: EmbeddedS3, stored_with: Any) -> None:
    make_images("images/a.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(custom_domain="127.0.0.1:9")

    code, document = debug("images/a.jpg")

    assert (code, document["conclusion"]["id"]) == (3, "url_unreachable")
    assert document["url"]["host"] == "127.0.0.1:9"


# -- stores that cannot be believed ------------------------------------------------------------------------


def test_debug__of_an_unfit_store_concludes_nothing_and_says_what_to_change(
    s3: EmbeddedS3, stored_with: Any
) -> None:
    make_images("images/a.jpg", "images/b.jpg")
    s3.put(BUCKET, "images/a.jpg")
    stored_with(region_name="us-east-1")

    for key in ("images/a.jpg", "images/b.jpg"):
        code, document = debug(key)
        assert (code, document["verdict"], document["reason"]) == (4, "unknown", "wrong_region")
        assert document["conclusion"]["id"] == "store_unfit"
        assert document["near_misses"] == []
        assert {one["verdict"] for one in document["records"]} == {"unknown"}
        assert f'AWS_S3_REGION_NAME = "{REGION}"' in document["conclusion"]["sentence"]


def test_debug__without_list_bucket_a_lost_image_is_not_missing(s3: EmbeddedS3) -> None:
    make_images("images/a.jpg")
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    code, document = debug("images/a.jpg")

    assert (code, document["verdict"], document["reason"]) == (4, "unknown", "list_denied")
    assert document["get"]["status"] == 403
    assert "s3:ListBucket" in document["conclusion"]["sentence"]


def test_debug__an_unreachable_store_is_not_asked_again_and_again(s3: EmbeddedS3, stored_with: Any) -> None:
    make_images("images/a.jpg")
    stored_with(endpoint_url="http://127.0.0.1:9")

    code, document = debug("images/a.jpg")

    assert (code, document["reason"]) == (4, "unreachable")
    assert (document["head"], document["get"]) == (None, None)
    assert document["requests"] == {"HEAD": 0, "GET": 0, "LIST": 0, "HEAD_BUCKET": 1}


# -- usage -------------------------------------------------------------------------------------------------


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
