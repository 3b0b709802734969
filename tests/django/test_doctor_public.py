"""What the doctor says of what everybody may do with a bucket; over a real socket."""

from __future__ import annotations

import pytest

from tests.django.doctoring import Examined, examined_at
from tests.django.helpers import make_images
from tests.storage.scripted import Answer, error, scripted
from tests.storage.scripted_bucket import ScriptedBucket, document

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def record() -> None:
    make_images("a.jpg")


def examined(bucket: ScriptedBucket, **options: object) -> Examined:
    with scripted(bucket) as server:
        return examined_at(server.url, signature_version="s3v4", **options)


@pytest.mark.parametrize(
    ("answers", "diagnoses"),
    [
        ({"AnonymousGet": Answer(206, b"x")}, {"public_objects": "warning"}),
        ({"AnonymousList": document("ListBucketResult", "")}, {"public_listing": "warning"}),
        ({"AnonymousList": Answer(200, b"<html>", {"Content_Type": "text/html"})}, {}),
        ({"GetBucketPolicyStatus": document("PolicyStatus", "<IsPublic>true</IsPublic>")}, {"public_bucket": "warning"}),
        ({"GetBucketPolicyStatus": document("PolicyStatus", "<IsPublic>false</IsPublic>")}, {}),
        ({"GetBucketAcl": "READ"}, {"public_bucket": "warning"}),
        ({"GetBucketAcl": "WRITE"}, {"public_bucket": "failed"}),
        ({"GetBucketAcl": "WRITE", "GetPublicAccessBlock": "all"}, {}),
    ],
)  # fmt: skip
def test_doctor__what_everybody_may_do(answers: dict[str, object], diagnoses: dict[str, str]) -> None:
    named = {"READ": _acl("READ"), "WRITE": _acl("WRITE"), "all": _blocked()}
    scripts = {kind: named[told] if isinstance(told, str) else told for kind, told in answers.items()}

    found = examined(ScriptedBucket(scripts))  # type: ignore[arg-type]

    assert found.diagnoses == diagnoses
    assert found.code == (3 if "failed" in diagnoses.values() else 0)


def _acl(permission: str) -> Answer:
    everybody = '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>'
    grant = f"<Grant>{everybody}<Permission>{permission}</Permission></Grant>"
    return document(
        "AccessControlPolicy",
        f"<Owner><ID>me</ID></Owner><AccessControlList>{grant}</AccessControlList>",
    )


def _blocked() -> Answer:
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return document("PublicAccessBlockConfiguration", "".join(f"<{name}>true</{name}>" for name in names))


def test_doctor__public_images_by_plain_urls_are_meant() -> None:
    image = Answer(206, b"x", {"Content_Type": "image/jpeg"})

    found = examined(ScriptedBucket({"AnonymousGet": image}), querystring_auth=False)

    assert found.diagnoses == {}
    assert "unsigned" in found.check("url")["fact"]


def test_doctor__when_nobody_says_what_is_public_it_says_so() -> None:
    denied = error(403, "AccessDenied")
    moved = Answer(301)
    settings = ("GetBucketPolicyStatus", "GetBucketAcl", "GetPublicAccessBlock")

    found = examined(
        ScriptedBucket({"AnonymousGet": moved, "AnonymousList": moved, **dict.fromkeys(settings, denied)})
    )

    assert found.check("public")["status"] == "not asked"
