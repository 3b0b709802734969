"""What the doctor and the system checks say of a project's settings, receivers and django-q2."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db.models.signals import post_delete
from django.test import override_settings

from imagesync.models import Image
from tests.conftest import forget_default_storage, storages_at
from tests.django.doctoring import Examined, examined_at, site_at
from tests.django.doctoring import examined as examine
from tests.django.helpers import make_images, run
from tests.storage.scripted import scripted
from tests.storage.scripted_bucket import ScriptedBucket
from tests.testapp.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

SIGNED = {"signature_version": "s3v4"}


def examined(**options: Any) -> Examined:
    with scripted(ScriptedBucket()) as server:
        return examined_at(server.url, **{**SIGNED, **options})


@pytest.fixture
def no_aws_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """As on a machine where nobody configured AWS."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cleaned_up() -> Iterator[None]:
    """A receiver as django-cleanup connects one."""

    def delete_all_post_delete(sender: Any, **more: Any) -> None:
        """Would delete the object."""

    delete_all_post_delete.__module__ = "django_cleanup.handlers"
    delete_all_post_delete.__qualname__ = "delete_all_post_delete"
    post_delete.connect(delete_all_post_delete, sender=Image)
    yield
    post_delete.disconnect(delete_all_post_delete, sender=Image)


def remove_thumbnails(sender: Any, **more: Any) -> None:
    """A receiver of the project's own."""


def test_doctor__names_receivers_that_run_when_a_record_is_deleted() -> None:
    post_delete.connect(remove_thumbnails, sender=Product)
    try:
        found = examined()
    finally:
        post_delete.disconnect(remove_thumbnails, sender=Product)

    assert found.diagnoses == {"deletion_receivers": "warning"}
    told = found.diagnosis("deletion_receivers")
    assert "testapp.Product" in told["fact"]
    assert "tests.django.test_doctor_site.remove_thumbnails" in told["fact"]
    assert "BLOCKING_RECEIVERS" in told["hint"]


def test_doctor__records_that_share_an_object() -> None:
    make_images("a.jpg", "a.jpg", "a.jpg", "b.jpg")

    calm, shared = examined(), examined(file_overwrite=True)

    assert calm.diagnoses == {}
    assert shared.diagnoses == {"shared_keys": "warning"}
    assert "3 records of imagesync.Image.file share 1 objects" in shared.diagnosis("shared_keys")["fact"]
    assert "AWS_S3_FILE_OVERWRITE = False" in shared.diagnosis("shared_keys")["hint"]


def test_doctor__overwriting_alone_is_no_fault() -> None:
    make_images("a.jpg", "b.jpg")

    found = examined(file_overwrite=True)

    assert found.diagnoses == {}
    assert "file_overwrite is on" in found.check("shared_keys")["fact"]


def test_doctor__a_client_config_silences_settings() -> None:
    from botocore.config import Config

    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})

    found = examined(client_config=config, addressing_style="virtual", signature_version=None)

    assert found.diagnoses == {"client_config_ignored": "warning"}
    assert "ignores its addressing_style" in found.diagnosis("client_config_ignored")["fact"]


def test_doctor__a_location_that_is_rewritten_is_a_sentence() -> None:
    with scripted(ScriptedBucket()) as server, site_at(server.url, location="media//images"):
        code, _out, err = run("imagesync_doctor")

    assert code == 1
    assert "media//images" in err


SAFE = {"orm": "default", "workers": 2, "queue_limit": 2, "timeout": 100, "retry": 400, "max_attempts": 2, "catch_up": False}  # fmt: skip
ON_REDIS = {"redis": {"host": "127.0.0.1"}, "catch_up": False}


@pytest.mark.parametrize(
    ("cluster", "diagnoses"),
    [
        (SAFE, set()),
        ({**SAFE, "retry": 300}, {"cluster_redelivers"}),  # 100 * (2 / 2 + 2) is not below 300
        ({**SAFE, "retry": 301}, set()),
        ({**SAFE, "queue_limit": 20}, {"cluster_redelivers"}),
        ({**SAFE, "timeout": None}, {"cluster_redelivers"}),
        ({**SAFE, "retry": 100}, {"cluster_redelivers"}),
        ({**SAFE, "max_attempts": 0}, {"cluster_retries_forever"}),
        ({**SAFE, "max_attempts": 0, "ack_failures": True}, set()),
        ({**SAFE, "catch_up": True}, {"cluster_catch_up"}),
        ({"orm": "default"}, {"cluster_redelivers", "cluster_retries_forever", "cluster_catch_up"}),
        ({"redis": {}, "timeout": None, "catch_up": False}, {"cluster_no_timeout"}),
        (
            {"redis": {}, "timeout": 100, "retry": 60, "catch_up": False},
            set(),
        ),  # gives out what it then has forgotten
    ],
)
def test_doctor__a_cluster_that_runs_a_task_twice(cluster: dict[str, Any], diagnoses: set[str]) -> None:
    with (
        scripted(ScriptedBucket()) as server,
        site_at(server.url, **SIGNED),
        override_settings(Q_CLUSTER=cluster),
    ):
        found = examine()

    assert found.diagnoses == dict.fromkeys(diagnoses, "warning")
    assert found.code == 0


def _checked(**options: Any) -> dict[str, str]:
    """System check id -> its text, for a storage at AWS itself; nobody may connect anywhere."""
    at_aws = {"endpoint_url": None, "addressing_style": "virtual", **options}
    with override_settings(STORAGES=storages_at("", **at_aws)):
        forget_default_storage()
        found = run_checks(tags=["imagesync"])
    forget_default_storage()
    return {str(one.id): f"{one.msg} {one.hint}" for one in found}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("a system check went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    "options",
    [
        {},  # eu-north-1, as django-storages' documentation has it
        {"signature_version": "s3v4"},
        {"region_name": "us-east-1", "signature_version": "s3v4"},
        {"region_name": None, "signature_version": "s3v4"},  # us-east-1, which may well be right
        {"region_name": None, "custom_domain": "images.example.com"},
        {"region_name": None, "endpoint_url": "https://minio.example.com"},
        {"region_name": "us-east-1", "endpoint_url": "https://minio.example.com"},
        {"region_name": "us-east-1", "querystring_auth": False},
        {"file_overwrite": True},
        {"location": "media"},
        {"location": "media/images/"},
    ],
    ids=str,
)
def test_checks__a_healthy_project_hears_nothing(
    options: dict[str, Any], no_aws_files: None, no_network: None
) -> None:
    assert _checked(**options) == {}


@pytest.mark.parametrize(
    ("options", "id", "words"),
    [
        ({"region_name": None}, "imagesync.W002", "AWS_S3_REGION_NAME"),
        ({"region_name": "us-east-1"}, "imagesync.W003", "s3v4"),
        ({"region_name": "eu-west-1"}, "imagesync.W003", "s3v4"),
        ({"signature_version": "s3"}, "imagesync.W003", "'s3'"),
        ({"signature_version": "s3", "endpoint_url": "https://minio.example.com"}, "imagesync.W003", "s3v4"),
        ({"location": "media//images"}, "imagesync.W005", "'media//images'"),
        ({"location": "./media"}, "imagesync.W005", "AWS_LOCATION"),
        ({"location": "../media"}, "imagesync.W005", "AWS_LOCATION"),
    ],
    ids=str,
)
def test_checks__what_is_wrong_is_told_without_the_network(
    options: dict[str, Any], id: str, words: str, no_aws_files: None, no_network: None
) -> None:
    found = _checked(**options)

    assert list(found) == [id]
    assert words in found[id]


def test_checks__a_region_that_the_environment_names_is_one(
    no_aws_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")

    assert _checked(region_name=None) == {}


def test_checks__settings_of_their_own_count_like_options(no_aws_files: None) -> None:
    plain = {"default": {"BACKEND": "storages.backends.s3.S3Storage"}}
    with override_settings(STORAGES=plain, AWS_S3_REGION_NAME="us-east-1"):
        assert [one.id for one in run_checks(tags=["imagesync"])] == ["imagesync.W003"]
    with override_settings(STORAGES=plain, AWS_S3_REGION_NAME="eu-north-1"):
        assert run_checks(tags=["imagesync"]) == []


def test_checks__a_client_config_that_silences_settings(no_network: None) -> None:
    from botocore.config import Config

    config = Config(signature_version="s3v4")

    assert list(_checked(client_config=config)) == ["imagesync.W004"]
    assert _checked(client_config=config, addressing_style=None) == {}
    same = Config(s3={"addressing_style": "virtual"})
    assert _checked(client_config=same) == {}


def test_checks__django_cleanup_beside_overwriting(
    cleaned_up: None, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.apps import apps

    honest = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "django_cleanup" or honest(name))

    assert _checked(file_overwrite=False) == {}
    found = _checked(file_overwrite=True)
    assert list(found) == ["imagesync.W006"]
    assert "imagesync.Image.file" in found["imagesync.W006"]


@pytest.mark.parametrize(
    ("cluster", "ids"),
    [
        (SAFE, []),
        ({**SAFE, "queue_limit": 20}, ["imagesync.W001"]),
        ({**SAFE, "bulk": 10}, ["imagesync.W001"]),
        ({**SAFE, "timeout": None}, ["imagesync.W001"]),
        ({**SAFE, "retry": 100}, ["imagesync.W001"]),
        ({**SAFE, "catch_up": True}, ["imagesync.W008"]),
        ({**SAFE, "max_attempts": 0}, ["imagesync.W010"]),
        ({**ON_REDIS, "timeout": 100}, []),
        (ON_REDIS, ["imagesync.W009"]),
        ({}, ["imagesync.W009", "imagesync.W008"]),
    ],
)
def test_checks__a_cluster_that_runs_a_task_twice_or_for_ever(
    cluster: dict[str, Any], ids: list[str]
) -> None:
    with override_settings(Q_CLUSTER=cluster):
        assert [one.id for one in run_checks(tags=["imagesync"])] == ids


def test_checks__do_not_import_boto3() -> None:
    """Every ``manage.py`` call would pay for it."""
    import subprocess
    import sys

    code = (
        "import sys, django; django.setup(); from django.core.checks import run_checks; run_checks();"
        "print([name for name in ('boto3', 'botocore', 'storages.backends.s3') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
