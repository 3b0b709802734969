"""The doctor against an S3 that checks signatures, regions and permissions."""

from __future__ import annotations

import json

import pytest
from django.test import override_settings

from imagesync.core.examination import QUESTIONS, Standing
from imagesync.models import Audit
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.doctoring import examined, examined_at, site_at
from tests.django.helpers import make_images, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(s3: EmbeddedS3) -> EmbeddedS3:
    """One image that is there, one newer record whose object is gone."""
    s3.put(BUCKET, "there.jpg")
    make_images("there.jpg", "gone.jpg")
    return s3


def test_doctor__a_healthy_site_has_nothing_to_change(site: EmbeddedS3) -> None:
    found = examined_at(site.url)

    assert (found.code, found.document["diagnoses"]) == (0, [])
    [storage] = found.document["storages"]
    statuses = {check["id"]: check["status"] for check in storage["checks"]}
    assert statuses == {id: "ok" for id in QUESTIONS if id not in ("receivers", "cluster", "events")} | {
        "shared_keys": "not asked"
    }
    assert found.check("url")["fact"].endswith("signed for eu-north-1, answers HTTP 206, image/jpeg.")
    assert Audit.objects.count() == 0


def test_doctor__json_keeps_the_contract(site: EmbeddedS3) -> None:
    found = examined_at(site.url, region_name="us-east-1")

    document = found.document
    assert set(document) == {"schema", "storages", "site", "diagnoses"}
    assert document["schema"] == "imagesync.doctor/1"
    [storage] = document["storages"]
    assert list(storage["store"]) == ["alias", "bucket", "region", "endpoint", "prefix", "fingerprint"]
    rows = [*storage["checks"], *document["site"]]
    assert all({"id", "status", "fact", "hint"} <= set(row) for row in rows)
    assert {row["status"] for row in rows} <= set(Standing)
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), key=list(QUESTIONS).index)
    assert set(document["diagnoses"][0]) == {"id", "level", "fact", "hint", "storage"}
    assert {one["storage"] for one in document["diagnoses"]} == {"default"}


def test_doctor__the_incident(site: EmbeddedS3) -> None:
    """Every call of the application works, by silent redirects; every image on the page is broken."""
    found = examined_at(site.url, region_name="us-east-1")

    assert found.code == 3
    assert found.diagnoses == {"wrong_region": "failed", "url_signature_v2": "failed"}
    region = found.diagnosis("wrong_region")
    assert (
        region["fact"]
        == 'The bucket "test-bucket" is in eu-north-1; the application is configured for us-east-1.'
    )
    assert 'AWS_S3_REGION_NAME = "eu-north-1"' in region["hint"]
    assert "HTTP 400 InvalidRequest" in found.diagnosis("url_signature_v2")["fact"]
    assert found.check("read")["status"] == "ok"


def test_doctor__requests_signed_by_version_2_are_refused_like_the_urls(site: EmbeddedS3) -> None:
    found = examined_at(site.url, signature_version="s3")

    assert found.diagnoses == {"bad_request": "failed", "url_signature_v2": "failed"}
    assert 'AWS_S3_SIGNATURE_VERSION = "s3v4"' in found.diagnosis("url_signature_v2")["hint"]


def test_doctor__a_url_of_another_scope_is_refused_with_s3s_code(site: EmbeddedS3) -> None:
    found = examined_at(site.url, region_name="us-east-1", signature_version="s3v4")

    url = found.diagnosis("url_refused")
    assert found.code == 3
    assert "HTTP 400 AuthorizationQueryParametersError" in url["fact"]
    assert "signed for us-east-1; the bucket is in eu-north-1" in url["fact"]
    assert 'AWS_S3_REGION_NAME = "eu-north-1"' in url["hint"]


def test_doctor__a_url_that_lives_too_long_is_refused(site: EmbeddedS3) -> None:
    found = examined_at(site.url, querystring_expire=2_000_000)

    assert found.diagnoses == {"url_refused": "failed"}
    assert "AWS_QUERYSTRING_EXPIRE" in found.diagnosis("url_refused")["hint"]


def test_doctor__unsigned_urls_of_private_objects_are_refused(site: EmbeddedS3) -> None:
    host = site.url.removeprefix("http://")
    found = examined_at(site.url, custom_domain=f"{host}/{BUCKET}", url_protocol="http:")

    assert found.diagnoses == {"url_refused": "failed"}
    assert "HTTP 403 AccessDenied" in found.diagnosis("url_refused")["fact"]
    assert "custom_domain" in found.diagnosis("url_refused")["hint"]


def _statement(hint: str) -> dict[str, object]:
    statement: dict[str, object] = json.loads(hint[hint.index("{") :])
    return statement


@pytest.mark.parametrize(
    ("action", "id", "level", "resource"),
    [
        ("s3:ListBucket", "list_denied", "failed", "arn:aws:s3:::test-bucket"),
        ("s3:GetObject", "read_denied", "failed", "arn:aws:s3:::test-bucket/*"),
        ("s3:ListBucketVersions", "versions_denied", "warning", "arn:aws:s3:::test-bucket"),
    ],
)
def test_doctor__what_is_denied_comes_with_the_statement_to_add(
    site: EmbeddedS3, action: str, id: str, level: str, resource: str
) -> None:
    site.client("eu-north-1").put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    site.denied[site.access_key] = {action}

    found = examined_at(site.url)

    assert found.diagnoses == {id: level}
    assert found.code == (3 if level == "failed" else 0)
    statement = _statement(found.diagnosis(id)["hint"])
    assert (statement["Action"], statement["Resource"]) == (action, resource)


def test_doctor__versions_are_optional_where_there_are_none(site: EmbeddedS3) -> None:
    site.denied[site.access_key] = {"s3:ListBucketVersions", "s3:GetBucketVersioning"}

    found = examined_at(site.url)

    assert (found.code, found.diagnoses) == (0, {})
    assert found.check("versions")["status"] == "not asked"
    assert _statement(found.check("versions")["hint"])["Action"] == "s3:ListBucketVersions"


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"bucket_name": "no-such-bucket"}, "no_bucket"),
        ({"access_key": "AKIANOBODY0000000000"}, "bad_credentials"),
        ({"secret_key": "wrong"}, "bad_credentials"),
    ],
)
def test_doctor__a_store_that_lets_nobody_in_fails_once_and_is_not_asked_further(
    site: EmbeddedS3, options: dict[str, str], id: str
) -> None:
    found = examined_at(site.url, **options)

    assert (found.code, found.diagnoses) == (3, {id: "failed"})
    assert len(found.document["diagnoses"]) == 1
    assert {found.check(one)["status"] for one in ("read", "absence", "url", "public")} == {"not asked"}


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"endpoint_url": "http://127.0.0.1:9"}, "unreachable"),
        ({"bucket_name": "not a bucket"}, "no_bucket"),
    ],
)
def test_doctor__a_store_that_answers_nothing_is_exit_4(
    site: EmbeddedS3, options: dict[str, str], id: str
) -> None:
    found = examined_at(site.url, **options)

    assert (found.code, found.diagnoses) == (4, {id: "failed"})
    assert "default" in found.told


def test_doctor__text_has_a_row_per_check_and_its_narration_elsewhere(site: EmbeddedS3) -> None:
    with site_at(site.url, region_name="us-east-1"):
        code, out, err = run("imagesync_doctor")

    lines = out.splitlines()
    assert code == 3
    assert lines[0].startswith("Storage default: s3://test-bucket/ (us-east-1) at http://127.0.0.1:")
    assert any(line.startswith("  failed     region       wrong_region: ") for line in lines)
    assert any(line.startswith("  ok         read         ") for line in lines)
    assert lines[-1] == "2 failed, 0 warnings."
    assert "Asking" in err
    assert "Asking" not in out


def test_doctor__only_the_storage_that_is_named(site: EmbeddedS3) -> None:
    with site_at(site.url):
        assert examined("--storage", "default").code == 0
        code, _out, err = run("imagesync_doctor", "--storage", "nowhere")

    assert code == 1
    assert "nowhere" in err


def test_doctor__looks_at_a_listed_object_when_no_record_leads_to_one(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "folder/")
    s3.put(BUCKET, "listed.jpg")

    found = examined_at(s3.url)

    assert found.diagnoses == {}
    assert found.check("read")["fact"] == "A listed object answers GetObject."
    assert found.check("url")["status"] == "ok"


def test_doctor__an_empty_bucket_is_nothing_to_read(s3: EmbeddedS3) -> None:
    make_images("gone.jpg")

    found = examined_at(s3.url)

    assert (found.code, found.diagnoses) == (0, {})
    assert {found.check(one)["status"] for one in ("read", "url")} == {"not asked"}


def test_doctor__asks_under_the_storages_own_location(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "media/there.jpg")
    make_images("there.jpg")
    s3.requests.clear()

    found = examined_at(s3.url, location="media")

    assert found.diagnoses == {}
    objects = [path for _method, path, _query, _status in s3.requests if path.count("/") > 1]
    assert objects
    assert all(path.startswith(f"/{BUCKET}/media/") for path in objects)


def test_doctor__changes_nothing(site: EmbeddedS3) -> None:
    site.requests.clear()

    examined_at(site.url)

    assert {method for method, *_more in site.requests} <= {"GET", "HEAD"}
    assert site.keys_in(BUCKET) == ["there.jpg"]


def test_doctor__a_setting_that_is_wrong_is_one_sentence(site: EmbeddedS3) -> None:
    with override_settings(IMAGESYNC={"FIELDS": {"no.Such.field": "delete"}}):
        code, _out, err = run("imagesync_doctor")

    assert code == 1
    assert "no.Such.field" in err
