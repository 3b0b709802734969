"""The static server lists as S3 does, and the worlds are as they are described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.place import KEY_ID, SECRET, Server, serving
from benchmarks.server import BUCKET, REGION, write_bucket
from benchmarks.world import SHAPES, World

WORLD = World(records=3_000, objects=2_990, missing=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bucket")
    write_bucket(folder, WORLD.keys())
    with serving(folder, port=0) as found:
        yield found


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def listed(s3: Any, **asked: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, **asked)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def test_server__lists_every_key_in_order(s3: Any) -> None:
    assert listed(s3) == list(WORLD.keys())


@pytest.mark.parametrize("size", [1, 7, 999, 1000])
def test_server__pages_have_the_size_that_was_asked_for(s3: Any, size: int) -> None:
    keys = list(WORLD.keys())

    page = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=size)

    assert [one["Key"] for one in page["Contents"]] == keys[:size]
    assert (page["KeyCount"], page["IsTruncated"]) == (size, True)
    following = s3.list_objects_v2(
        Bucket=BUCKET, MaxKeys=size, ContinuationToken=page["NextContinuationToken"]
    )
    assert [one["Key"] for one in following["Contents"]] == keys[size : 2 * size]


def test_server__start_after_is_exclusive_and_need_not_be_a_key(s3: Any) -> None:
    keys = list(WORLD.keys())

    assert listed(s3, StartAfter=keys[1234]) == keys[1235:]
    assert listed(s3, StartAfter=keys[1234][:-1]) == keys[1234:]
    assert listed(s3, StartAfter=keys[-1]) == []


def test_server__a_prefix_holds_across_pages_and_together_with_start_after(s3: Any) -> None:
    keys = list(WORLD.keys())
    within = [key for key in keys if key.startswith("images/2019/1")]
    assert 50 < len(within) < len(keys)

    assert listed(s3, Prefix="images/2019/1", PaginationConfig={"PageSize": 50}) == within
    assert listed(s3, Prefix="images/2019/1", StartAfter=within[20]) == within[21:]
    assert listed(s3, Prefix="images/2019/1", StartAfter="a") == within
    assert listed(s3, Prefix="images/2019/1", StartAfter="z") == []
    assert listed(s3, Prefix="nothing/") == []


def test_server__single_objects_are_there_or_not(s3: Any) -> None:
    there, gone = next(WORLD.keys()), next(WORLD.gone())

    assert s3.head_object(Bucket=BUCKET, Key=there)["ContentLength"] >= 10_000
    assert s3.get_object(Bucket=BUCKET, Key=there, Range="bytes=0-0")["ContentLength"] == 1
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key=gone)
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key=gone)


def test_server__counts_what_it_answers(s3: Any, server: Server) -> None:
    before = server.requests()

    listed(s3)

    assert server.requests() - before == {"LIST": 3}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("records", "objects", "missing"),
    [(1_000, 990, 10), (100, 10_000, 1), (1, 10_000, 0), (500, 100, 400), (77, 1_003, 9)],
)
def test_world__is_as_described(shape: str, records: int, objects: int, missing: int) -> None:
    world = World(records, objects, missing, shape)
    keys, names, gone = list(world.keys()), list(world.names()), list(world.gone())

    assert (len(keys), len(names), len(gone)) == (objects, records, missing)
    assert set(names) - set(keys) == set(gone)
    for column in (keys, names, gone):
        assert column == sorted(set(column), key=str.encode)
