"""What moto holds, read directly: the layer before moto must know it without asking as a client would."""

from __future__ import annotations

from typing import Any


def bucket_of(name: str) -> Any:
    """moto's own object for a bucket; None when there is none."""
    from moto.s3.models import s3_backends

    where = s3_backends.bucket_accounts.get(name)
    return s3_backends[where[1]][where[0]].buckets.get(name) if where else None


def region_of(name: str) -> str | None:
    """Where a bucket was created; None when there is none."""
    found = bucket_of(name)
    return found.region_name if found else None


def has_object(bucket: str, key: str) -> bool:
    """Whether a GET would find it. A delete marker is no object."""
    from moto.s3.models import FakeDeleteMarker

    found = bucket_of(bucket)
    newest = found.keys.get(key) if found else None
    return newest is not None and not isinstance(newest, FakeDeleteMarker)


def put_directly(bucket: str, key: str, body: bytes = b"x") -> None:
    """Store an object without a request: thousands of them in a second."""
    from moto.s3.models import s3_backends

    account, partition = reversed(s3_backends.bucket_accounts[bucket])
    s3_backends[account][partition].put_object(bucket, key, body)


def keys_of(name: str) -> list[str]:
    found = bucket_of(name)
    return sorted(key for key in found.keys if has_object(name, key)) if found else []


def forget_all() -> None:
    from moto.s3.models import s3_backends

    s3_backends.reset()
    s3_backends.bucket_accounts.clear()
