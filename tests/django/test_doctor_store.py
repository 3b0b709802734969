"""What the doctor says of a bucket: listing, region, clock, versioning, lifecycle; over a real socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.django.doctoring import Examined, examined_at
from tests.django.helpers import make_images
from tests.storage.scripted import Answer, Request, Script, error, scripted
from tests.storage.scripted_bucket import ScriptedBucket, document

pytestmark = pytest.mark.django_db(transaction=True)

SIGNED = {"signature_version": "s3v4"}


@pytest.fixture(autouse=True)
def record() -> None:
    make_images("a.jpg")


def examined(bucket: ScriptedBucket, **options: object) -> Examined:
    with scripted(bucket) as server:
        return examined_at(server.url, **{**SIGNED, **options})


def _at(offset: timedelta) -> Script:
    def head(request: Request) -> Answer:
        return Answer(200, headers={"Date": format_datetime(datetime.now(UTC) + offset, usegmt=True)})

    return head


@pytest.mark.parametrize(
    ("offset", "diagnoses", "code"),
    [
        (timedelta(minutes=4), {}, 0),
        (timedelta(minutes=7), {"clock_drift": "warning"}, 0),
        (timedelta(minutes=-20), {"clock_skew": "failed"}, 3),
    ],
)
def test_doctor__compares_the_clocks(offset: timedelta, diagnoses: dict[str, str], code: int) -> None:
    found = examined(ScriptedBucket({"HeadBucket": _at(offset)}))

    assert (found.code, found.diagnoses) == (code, diagnoses)
    if diagnoses:
        words = "behind" if offset > timedelta(0) else "20 minutes ahead of"
        assert words in found.check("clock")["fact"]


def test_doctor__without_a_time_the_clock_is_not_asked() -> None:
    found = examined(ScriptedBucket({"HeadBucket": Answer(200, headers={"Date": "yesterday"})}))

    assert found.check("clock")["status"] == "not asked"


def _rule(inside: str, status: str = "Enabled") -> Answer:
    return document("LifecycleConfiguration", f"<Rule><ID>tidy</ID><Status>{status}</Status>{inside}</Rule>")


EXPIRES = "<Expiration><Days>30</Days></Expiration>"
GLACIER = "<Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>"


@pytest.mark.parametrize(
    ("rule", "diagnoses"),
    [
        (_rule(f"<Filter><Prefix></Prefix></Filter>{EXPIRES}"), {"lifecycle_deletes": "failed"}),
        (_rule(f"<Prefix>media/</Prefix>{EXPIRES}"), {"lifecycle_deletes": "failed"}),
        (_rule(f"<Filter><Prefix>media/tmp/</Prefix></Filter>{EXPIRES}"), {"lifecycle_deletes": "warning"}),
        (_rule(f"<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>{EXPIRES}"), {"lifecycle_deletes": "warning"}),
        (_rule(f"<Filter><Prefix></Prefix></Filter>{GLACIER}"), {"lifecycle_archives": "warning"}),
        (_rule(f"<Filter><Prefix>logs/</Prefix></Filter>{EXPIRES}{GLACIER}"), {}),
        (_rule(f"<Filter><Prefix></Prefix></Filter>{EXPIRES}", "Disabled"), {}),
        (_rule("<Filter><Prefix></Prefix></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), {}),
        (_rule("<Filter><Prefix></Prefix></Filter><NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionExpiration>"), {}),
    ],
)  # fmt: skip
def test_doctor__lifecycle_rules_that_take_images(rule: Answer, diagnoses: dict[str, str]) -> None:
    bucket = ScriptedBucket({"GetBucketLifecycleConfiguration": rule}, keys=("media/a.jpg",))

    found = examined(bucket, location="media")

    assert found.diagnoses == diagnoses
    assert found.check("lifecycle")["status"] == (next(iter(diagnoses.values())) if diagnoses else "ok")


def test_doctor__a_lifecycle_rule_is_named_with_its_days() -> None:
    answer = _rule(f"<Filter><Prefix></Prefix></Filter>{EXPIRES}")

    found = examined(ScriptedBucket({"GetBucketLifecycleConfiguration": answer}))

    fact = found.diagnosis("lifecycle_deletes")["fact"]
    assert "'tidy'" in fact
    assert "every key after 30 days" in fact


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("GetBucketLifecycleConfiguration", "lifecycle"),
        ("GetBucketVersioning", "versioning"),
        ("ListObjectVersions", "versions"),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        error(403, "AccessDenied"),
        error(501, "NotImplemented"),
        Answer(200, b"<html/>", {"Content_Type": "text/html"}),
    ],
    ids=["denied", "not offered", "foreign"],
)
def test_doctor__an_optional_question_without_an_answer_is_no_fault(
    kind: str, check: str, answer: Answer
) -> None:
    found = examined(ScriptedBucket({kind: answer}))

    assert (found.code, found.diagnoses) == (0, {})
    assert found.check(check)["status"] == "not asked"


def test_doctor__versioning_that_is_suspended() -> None:
    suspended = document("VersioningConfiguration", "<Status>Suspended</Status>")

    found = examined(ScriptedBucket({"GetBucketVersioning": suspended}))

    assert (found.code, found.diagnoses) == (0, {"versioning_suspended": "warning"})


@pytest.mark.parametrize("answer", [error(403, "KMS.DisabledException"), error(403, "AccessDenied")])
def test_doctor__an_object_that_is_listed_and_refused(answer: Answer) -> None:
    def get(request: Request) -> Answer:
        return answer if request.path.endswith("a.jpg") else error(404, "NoSuchKey")

    found = examined(ScriptedBucket({"GetObject": get}))

    assert found.diagnoses == {"read_denied": "failed"}
    wanted = "kms:Decrypt" if b"KMS" in answer.body else '"s3:GetObject"'
    assert wanted in found.diagnosis("read_denied")["hint"]


def test_doctor__a_refusal_of_what_is_not_listed_proves_nothing() -> None:
    def get(request: Request) -> Answer:
        return error(403, "AccessDenied") if request.path.endswith("a.jpg") else error(404, "NoSuchKey")

    found = examined(ScriptedBucket({"GetObject": get}, keys=()))

    assert found.diagnoses == {}
    assert found.check("read")["status"] == "not asked"
    assert "HTTP 403 AccessDenied" in found.check("read")["fact"]


def test_doctor__a_listing_that_contradicts_itself() -> None:
    page = document(
        "ListBucketResult",
        "<Name>test-bucket</Name><Prefix></Prefix><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>"
        "<Contents><Key>b</Key><Size>1</Size></Contents><Contents><Key>a</Key><Size>1</Size></Contents>",
    )

    found = examined(ScriptedBucket({"ListObjectsV2": page}))

    assert (found.code, found.diagnoses) == (3, {"listing_broken": "failed"})
    assert "not in byte order" in found.check("listing")["fact"]
    assert found.check("bucket")["status"] == "not asked"


def test_doctor__the_second_page_is_looked_at_too() -> None:
    def pages(request: Request) -> Answer:
        frame = "<Name>test-bucket</Name><Prefix></Prefix><KeyCount>1</KeyCount>"
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        if "continuation-token" in request.query:
            more = "<IsTruncated>false</IsTruncated>"
        return document(
            "ListBucketResult", f"{frame}{more}<Contents><Key>a.jpg</Key><Size>1</Size></Contents>"
        )

    found = examined(ScriptedBucket({"ListObjectsV2": pages}))

    assert found.diagnoses == {"listing_broken": "failed"}


def test_doctor__a_key_that_cannot_exist_is_answered() -> None:
    image = Answer(206, b"x", {"Content_Type": "image/jpeg"})

    found = examined(ScriptedBucket({"GetObject": image}))

    assert found.diagnoses == {"absent_key_answered": "failed"}


def test_doctor__the_region_is_asked_for_where_no_header_tells_it() -> None:
    found = examined(ScriptedBucket(tells_region=False))

    assert found.diagnoses == {}
    assert found.check("region")["fact"] == "The bucket is in eu-north-1, as configured."


def test_doctor__a_location_that_is_no_region_is_no_fault() -> None:
    """Ceph answers with the name of its zone group and takes a signature for any region."""
    found = examined(ScriptedBucket(region="default", tells_region=False))

    assert (found.code, found.diagnoses) == (0, {})
    assert found.check("region")["status"] == "not asked"
    assert "'default'" in found.check("region")["fact"]


@pytest.mark.parametrize("answer", [error(403, "AccessDenied"), Answer(200, b"<html/>")])
def test_doctor__a_region_that_nobody_tells_is_not_asked(answer: Answer) -> None:
    found = examined(ScriptedBucket({"GetBucketLocation": answer}, tells_region=False))

    assert found.diagnoses == {}
    assert found.check("region")["status"] == "not asked"


@pytest.mark.parametrize(
    ("answers", "id"),
    [
        ({"ListObjectsV2": error(400, "ExpiredToken")}, "expired_credentials"),
        ({"ListObjectsV2": error(503, "SlowDown")}, "throttled"),
        ({"ListObjectsV2": Answer(502, b"<html>")}, "server_error"),
        ({"ListObjectsV2": error(403, "AllAccessDisabled")}, "list_denied"),
        ({"ListObjectsV2": error(400, "InvalidRequest")}, "bad_request"),
        ({"ListObjectsV2": error(404, "NoSuchBucket")}, "no_bucket"),
        ({"HeadBucket": Answer(403), "ListObjectsV2": error(403, "InvalidAccessKeyId")}, "bad_credentials"),
    ],
)
def test_doctor__a_listing_that_fails_is_told_with_its_reason(answers: dict[str, Answer], id: str) -> None:
    found = examined(ScriptedBucket(answers))

    assert (found.code, found.diagnoses) == (3, {id: "failed"})


def test_doctor__a_refused_head_of_the_bucket_is_no_fault_where_the_listing_answers() -> None:
    found = examined(ScriptedBucket({"HeadBucket": Answer(403)}))

    assert (found.code, found.diagnoses) == (0, {})
    assert found.check("bucket")["status"] == "ok"


def test_doctor__a_server_that_tells_the_region_in_errors_only() -> None:
    """As OpenStack Swift does: a HEAD gets a bare 400, and botocore swallows the listing's error that names it."""

    class Swift(ScriptedBucket):
        def __call__(self, request: Request) -> Answer:
            signed_for = f"{request.authorization}{request.query.get('X-Amz-Credential', '')}"
            if "eu-north-1" in signed_for or not signed_for.strip("[]"):
                return super().__call__(request)
            if request.method == "HEAD":
                return Answer(400)
            in_query = "X-Amz-Credential" in request.query
            code = "AuthorizationQueryParametersError" if in_query else "AuthorizationHeaderMalformed"
            return error(400, code, "<Region>eu-north-1</Region>")

    found = examined(Swift(tells_region=False), region_name="us-east-1")

    assert (found.code, found.diagnoses) == (3, {"wrong_region": "failed", "url_refused": "failed"})
    assert "is in eu-north-1; the application is configured for us-east-1" in found.told
    assert "HTTP 400 AuthorizationQueryParametersError" in found.diagnosis("url_refused")["fact"]


def test_doctor__without_credentials_nothing_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    found = examined(ScriptedBucket(), access_key=None, secret_key=None)

    assert (found.code, found.diagnoses) == (4, {"no_credentials": "failed"})


def test_doctor__an_endpoint_that_redirects_for_ever_answers_nothing() -> None:
    found = examined(ScriptedBucket({"HeadBucket": Answer(301)}, tells_region=False))

    assert (found.code, found.diagnoses) == (4, {"redirected": "failed"})
