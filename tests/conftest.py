from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import botocore.loaders
import pytest
from django.core.files.storage import default_storage
from django.test import override_settings

from imagesync.records import Source, find_targets
from imagesync.storage.memory import MemoryStore
from project.embedded_s3 import EmbeddedS3

BUCKET = "test-bucket"
REGION = "eu-north-1"

MakeSource = Callable[..., tuple[MemoryStore, Source]]

# Each client of its own session parses 2 MB of JSON anew, which was a third of the suite, and looks through four hundred
# folders for the services that there are. One session's clients share that too.
botocore.loaders.JSONFileLoader.load_file = staticmethod(  # type: ignore[assignment,method-assign]
    cache(botocore.loaders.JSONFileLoader().load_file)
)
_list_available_services = botocore.loaders.Loader.list_available_services
_available_services: dict[tuple[str, ...], list[str]] = {}


def available_services(loader: botocore.loaders.Loader, type_name: str) -> list[str]:
    where = (*loader.search_paths, type_name)
    if where not in _available_services:
        _available_services[where] = _list_available_services(loader, type_name)
    return _available_services[where]


botocore.loaders.Loader.list_available_services = available_services  # type: ignore[method-assign]


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
