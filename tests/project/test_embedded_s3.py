"""The demo's S3 refuses what S3 refuses: over a real socket, with botocore and without."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET

HTTP = urllib3.PoolManager()


def client(s3: EmbeddedS3, **options: Any) -> Any:
    values = {
        "region_name": "eu-north-1",
        "aws_access_key_id": s3.access_key,
        "aws_secret_access_key": s3.secret_key,
        "config": Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        **options,
    }
    return boto3.client("s3", endpoint_url=s3.url, **values)


def refusal(call: Any, **arguments: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    metadata = caught.value.response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], caught.value.response["Error"]["Code"], metadata["HTTPHeaders"]


def test_layer__serves_what_is_signed_rightly(s3: EmbeddedS3) -> None:
    for key in ("a.jpg", "a b+c%20\u00e9.jpg", "\U0001f600"):
        s3.put(BUCKET, key, b"body")
        assert client(s3).get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"body"
        url = client(s3).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        assert HTTP.request("GET", url).data == b"body"
    assert client(s3).head_bucket(Bucket=BUCKET)["BucketRegion"] == "eu-north-1"


def test_layer__a_wrong_region_is_a_bare_400_for_head_and_says_so_for_get(s3: EmbeddedS3) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    s3.put(BUCKET, "a.jpg")
    answers = {}
    for method, path in (("HEAD", "a.jpg"), ("GET", "a.jpg"), ("HEAD", "")):
        request = AWSRequest(method, f"{s3.url}/{BUCKET}/{path}".rstrip("/"))
        S3SigV4Auth(Credentials(s3.access_key, s3.secret_key), "s3", "us-east-1").add_auth(request)
        answers[method, path] = HTTP.request(method, request.url, headers=dict(request.headers))

    assert answers["HEAD", "a.jpg"].status == 400
    assert "x-amz-bucket-region" not in answers["HEAD", "a.jpg"].headers
    assert b"<Code>AuthorizationHeaderMalformed</Code>" in answers["GET", "a.jpg"].data
    assert b"<Region>eu-north-1</Region>" in answers["GET", "a.jpg"].data
    assert answers["HEAD", ""].headers["x-amz-bucket-region"] == "eu-north-1"


def test_layer__a_url_signed_for_the_wrong_region_is_refused(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    url = client(s3, region_name="us-east-1").generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "a.jpg"}
    )

    answer = HTTP.request("GET", url)

    assert answer.status == 400
    assert b"AuthorizationQueryParametersError" in answer.data


def test_layer__signature_version_2_is_refused(s3: EmbeddedS3) -> None:
    old = client(s3, config=Config(s3={"addressing_style": "path"}, signature_version="s3"))

    status, code, _headers = refusal(old.get_object, Bucket=BUCKET, Key="a.jpg")
    assert (status, code) == (400, "InvalidRequest")
    url = old.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a.jpg"})
    assert b"AWS4-HMAC-SHA256" in HTTP.request("GET", url).data


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"aws_access_key_id": "AKIANOBODY0000000000"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_layer__wrong_credentials_are_refused(s3: EmbeddedS3, options: dict[str, str], code: str) -> None:
    assert refusal(client(s3, **options).get_object, Bucket=BUCKET, Key="a.jpg")[:2] == (403, code)
    assert refusal(client(s3, **options).head_object, Bucket=BUCKET, Key="a.jpg")[:2] == (403, "403")


def test_layer__unsigned_and_expired_are_refused(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    assert HTTP.request("GET", f"{s3.url}/{BUCKET}/a.jpg").status == 403
    url = client(s3).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "a.jpg"}, ExpiresIn=0
    )
    assert HTTP.request("GET", url).status == 403


def test_layer__without_list_bucket_an_absent_key_is_a_403(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    assert client(s3).get_object(Bucket=BUCKET, Key="a.jpg")["ContentLength"] == 1
    assert refusal(client(s3).get_object, Bucket=BUCKET, Key="absent")[:2] == (403, "AccessDenied")
    assert refusal(client(s3).head_object, Bucket=BUCKET, Key="absent")[:2] == (403, "403")
    assert refusal(client(s3).list_objects_v2, Bucket=BUCKET)[:2] == (403, "AccessDenied")


def test_layer__with_list_bucket_it_is_a_clean_404(s3: EmbeddedS3) -> None:
    assert refusal(client(s3).get_object, Bucket=BUCKET, Key="absent")[:2] == (404, "NoSuchKey")
    assert refusal(client(s3).get_object, Bucket="no-such-bucket", Key="a")[:2] == (404, "NoSuchBucket")


def test_layer__keys_over_the_limit_are_refused(s3: EmbeddedS3) -> None:
    assert refusal(client(s3).put_object, Bucket=BUCKET, Key="x" * 1025, Body=b"")[:2] == (
        400,
        "KeyTooLongError",
    )


def test_layer__denied_get_is_denied(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    s3.denied[s3.access_key] = {"s3:GetObject"}

    assert refusal(client(s3).get_object, Bucket=BUCKET, Key="a.jpg")[0] == 403


def test_layer__without_list_bucket_neither_listings_nor_a_deleted_key_say_more(s3: EmbeddedS3) -> None:
    mine = client(s3)
    mine.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put(BUCKET, "deleted.jpg")
    s3.delete(BUCKET, "deleted.jpg")
    assert s3.keys_in(BUCKET) == []
    s3.denied[s3.access_key] = {"s3:ListBucket"}

    assert refusal(mine.get_object, Bucket=BUCKET, Key="deleted.jpg")[:2] == (403, "AccessDenied")
    status, _code, headers = refusal(mine.head_bucket, Bucket=BUCKET)
    assert (status, headers["x-amz-bucket-region"]) == (403, "eu-north-1")
    assert mine.list_object_versions(Bucket=BUCKET)["DeleteMarkers"], "a permission of its own"


def test_layer__versions_can_be_denied_alone(s3: EmbeddedS3) -> None:
    s3.denied[s3.access_key] = {"s3:ListBucketVersions"}

    assert refusal(client(s3).list_object_versions, Bucket=BUCKET)[:2] == (403, "AccessDenied")
    assert client(s3).list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_layer__every_answer_has_the_id_that_its_document_names(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    answer = client(s3).get_object(Bucket=BUCKET, Key="a.jpg")["ResponseMetadata"]
    assert answer["HTTPHeaders"]["x-amz-request-id"] == answer["RequestId"]
    for key, options in (("absent", {}), ("a.jpg", {"aws_secret_access_key": "wrong"})):
        with pytest.raises(ClientError) as caught:
            client(s3, **options).get_object(Bucket=BUCKET, Key=key)
        answer = caught.value.response["ResponseMetadata"]
        assert answer["HTTPHeaders"]["x-amz-request-id"] == answer["RequestId"]
        assert answer["HTTPHeaders"]["x-amz-bucket-region"] == "eu-north-1"


def test_layer__a_missing_bucket_is_a_bare_404_for_head(s3: EmbeddedS3) -> None:
    assert refusal(client(s3).head_bucket, Bucket="no-such-bucket")[:2] == (404, "404")
    assert refusal(client(s3).head_object, Bucket="no-such-bucket", Key="a")[:2] == (404, "404")


CREDENTIAL = f"{EmbeddedS3.access_key}/20260101/eu-north-1/s3/aws4_request"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("X-Amz-Expires=soon", 400, b"AuthorizationQueryParametersError"),
        ("X-Amz-Expires=604801", 400, b"AuthorizationQueryParametersError"),
        (f"X-Amz-Expires={'9' * 5000}", 400, b"AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60&X-Amz-Date=yesterday", 400, b"AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60&X-Amz-Date=20260101T000000Z", 403, b"AccessDenied"),
        ("X-Amz-Expires=60&X-Amz-Date=29990101T000000Z", 403, b"SignatureDoesNotMatch"),
    ],
)
def test_layer__a_broken_url_is_refused_not_a_crash(
    s3: EmbeddedS3, query: str, status: int, code: bytes
) -> None:
    url = f"{s3.url}/{BUCKET}/a.jpg?X-Amz-Credential={CREDENTIAL}&X-Amz-Signature=%C3%A9&{query}"

    answer = HTTP.request("GET", url)

    assert answer.status == status
    assert b"<Code>" + code + b"</Code>" in answer.data


@pytest.mark.parametrize("header", ["", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 junk", "Basic x"])
def test_layer__a_broken_header_is_refused_not_a_crash(s3: EmbeddedS3, header: str) -> None:
    answer = HTTP.request("GET", f"{s3.url}/{BUCKET}/%ff", headers={"Authorization": header})

    assert answer.status == 403
    assert b"<Error><Code>" in answer.data


def test_server__logs_what_was_asked_without_end(s3: EmbeddedS3) -> None:
    s3.requests.clear()
    client(s3).list_objects_v2(Bucket=BUCKET)
    refusal(client(s3).head_object, Bucket=BUCKET, Key="absent")

    assert [(method, path, status) for method, path, _query, status in s3.requests] == [
        ("GET", f"/{BUCKET}", 200),
        ("HEAD", f"/{BUCKET}/absent", 404),
    ]
    assert s3.requests.maxlen


def test_server__a_proxy_of_the_environment_is_not_asked(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    s3.put(BUCKET, "a.jpg")

    assert s3.keys_in(BUCKET) == ["a.jpg"]


def test_server__has_an_address_only_while_it_runs() -> None:
    with pytest.raises(RuntimeError, match="no address"):
        _ = EmbeddedS3().url
