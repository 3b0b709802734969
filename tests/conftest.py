from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from django.core.files.storage import default_storage
from django.test import override_settings

from imagesync.records import Source, find_targets
from imagesync.storage.memory import MemoryStore
from project.embedded_s3 import EmbeddedS3
from tests import botocore_once

BUCKET = "test-bucket"
REGION = "eu-north-1"

MakeSource = Callable[..., tuple[MemoryStore, Source]]

botocore_once.share()


def pytest_collection_finish() -> None:
    """What was imported lives as long as the tests: the garbage collector need not look through it for each of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedS3]:
    with EmbeddedS3() as server:
        yield server


@pytest.fixture
def s3(embedded_server: EmbeddedS3) -> Iterator[EmbeddedS3]:
    """An empty bucket ``test-bucket`` in eu-north-1, behind a real socket; the project's storage is it."""
    embedded_server.reset()
    embedded_server.denied.clear()
    embedded_server.create_bucket(BUCKET, REGION)
    with override_settings(STORAGES=storages_at(embedded_server.url)):
        forget_default_storage()
        yield embedded_server
    forget_default_storage()


def storages_at(url: str, **options: object) -> dict[str, object]:
    from tests.settings import STORAGES

    default = {**STORAGES["default"]["OPTIONS"], "endpoint_url": url, "access_key": EmbeddedS3.access_key}
    default |= {"secret_key": EmbeddedS3.secret_key, **options}
    return {**STORAGES, "default": {"BACKEND": STORAGES["default"]["BACKEND"], "OPTIONS": default}}


def forget_default_storage() -> None:
    """File fields hold the lazy default storage; have it made anew from the settings of now."""
    from django.utils.functional import empty

    default_storage._wrapped = empty


@pytest.fixture
def memory_source(db: None) -> MakeSource:
    """The project's fields against a store in memory."""

    def make(**options: object) -> tuple[MemoryStore, Source]:
        store = MemoryStore(**options)  # type: ignore[arg-type]
        # not find_sources: a client that nobody uses costs a tenth of a second
        return store, Source(store=store, targets=tuple(find_targets()), workers=4)

    return make
