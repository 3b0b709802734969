"""Verified uploads on a real object store, and under a policy that lets nobody look."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile, File

from imagesync.exceptions import UploadNotVerified
from imagesync.storage.saving import receipts
from tests.live.ceph import CEPH, CephRGW
from tests.storage.spoiling import MIB, SMALL_PARTS, Stream, storage_at

AVAILABLE, WHY_NOT = CEPH.available()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not AVAILABLE, reason=f"live lane left out: {WHY_NOT}"),
]

LARGE = b"0123456789ab" * MIB


@pytest.fixture(scope="module")
def ceph() -> Iterator[CephRGW]:
    with CephRGW() as ceph:
        yield ceph


def storage_on(ceph: CephRGW, bucket: str, **options: Any) -> Any:
    storage = storage_at(
        ceph.url,
        bucket_name=bucket,
        region_name="us-east-1",
        access_key=ceph.access_key,
        secret_key=ceph.secret_key,
        transfer_config=SMALL_PARTS,
        **options,
    )
    storage.bucket.meta.client.create_bucket(Bucket=bucket)
    return storage


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "single", "parts"])
@pytest.mark.parametrize("seekable", [True, False], ids=["file", "stream"])
def test_upload__is_verified_by_content(ceph: CephRGW, content: bytes, seekable: bool) -> None:
    storage = storage_on(ceph, "uploads")
    file = File(io.BytesIO(content) if seekable else Stream(content), name="a")

    with receipts() as found:
        storage.save("a/caf\u00e9 c+d%.bin", file)

    [receipt] = found
    assert (receipt.outcome, receipt.by, receipt.size_bytes) == ("content", "md5", len(content))


def test_upload__is_refused_where_nobody_may_look(ceph: CephRGW) -> None:
    storage = storage_on(ceph, "write-only")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::write-only/*",
            }
        ],
    }
    storage.bucket.meta.client.put_bucket_policy(Bucket="write-only", Policy=json.dumps(policy))

    with pytest.raises(UploadNotVerified, match="does not let the application look") as caught:
        storage.save("a.bin", ContentFile(b"x"))

    assert caught.value.reason == "denied"
    assert '"Resource": "arn:aws:s3:::write-only/*"' in caught.value.hint
