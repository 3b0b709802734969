"""Settings that cannot be used are told before anything begins: by the system checks, and by each command in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from imagesync import conf
from project.embedded_s3 import EmbeddedS3
from tests.conftest import forget_default_storage, storages_at
from tests.django.helpers import run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("READ_TIMEOUT", float("nan"), "nan is not a number"),
        ("READ_TIMEOUT", float("inf"), "inf is more than 3,600"),
        ("CONNECT_TIMEOUT", 10**40, "is more than 3,600"),
        ("CONNECT_TIMEOUT", 0, "less than"),
        ("CANARIES", 10**30, "is more than 1,000"),
        ("WORKERS", 257, "is more than 256"),
        ("MAX_ATTEMPTS", 101, "is more than 100"),
        ("BATCH_SIZE", 2**31, "is more than 2,147,483,647"),
    ],
)
def test_number__that_no_client_and_no_database_takes(name: str, value: float, told: str) -> None:
    with override_settings(IMAGESYNC={name: value}):
        [(fact, _hint)] = conf.problems()
        [error] = run_checks(tags=["imagesync"])
        code, _out, err = run("imagesync_doctor")

    assert told in fact
    assert error.id == "imagesync.E001"
    assert (code, told in err) == (1, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("READ_TIMEOUT", 3600), ("CONNECT_TIMEOUT", 0.1), ("CANARIES", 0), ("WORKERS", 256)],
)
def test_number__at_its_limit(name: str, value: float) -> None:
    with override_settings(IMAGESYNC={name: value}):
        assert conf.problems() == []


CLIENT = [
    ({"addressing_style": "nope"}, "AWS_S3_ADDRESSING_STYLE", '"auto", "virtual" or "path"'),
    ({"signature_version": "nope"}, "AWS_S3_SIGNATURE_VERSION", '"s3v4"'),
]


@pytest.mark.parametrize(("options", "name", "instead"), CLIENT)
@pytest.mark.parametrize("command", ["check_s3_images", "purge_orphans", "imagesync_doctor"])
def test_client__that_cannot_be_made_is_one_sentence(
    s3: EmbeddedS3, command: str, options: dict[str, Any], name: str, instead: str
) -> None:
    with override_settings(STORAGES=storages_at(s3.url, **options)):
        forget_default_storage()
        code, out, err = run(command)

    assert (code, out) == (1, "")
    assert f"{name} (or " in err
    assert "is 'nope'" in err
    assert instead in err


def test_client__of_a_storage_that_is_not_the_default_one(s3: EmbeddedS3) -> None:
    storages = storages_at(s3.url)
    other = {**storages["default"], "OPTIONS": {**storages["default"]["OPTIONS"], "addressing_style": "nope"}}  # type: ignore[dict-item]
    with override_settings(STORAGES={**storages, "other": other}):
        code, _out, err = run("check_s3_images")

    assert code == 1
    assert 'STORAGES["other"]["OPTIONS"]' in err


@pytest.mark.parametrize(("options", "name", "instead"), CLIENT)
def test_checks__tell_what_no_client_can_be_made_of(options: dict[str, Any], name: str, instead: str) -> None:
    with override_settings(STORAGES=storages_at("http://127.0.0.1:9", **options)):
        [error] = run_checks(tags=["imagesync"])

    assert error.id == "imagesync.E003"
    assert name in error.msg
    assert instead in error.hint


@pytest.mark.parametrize(
    "options",
    [
        {"addressing_style": "virtual"},
        {"signature_version": "s3v4"},
        {"signature_version": "v4"},
        {"signature_version": None},
    ],
)
def test_checks__hear_no_error_of_what_botocore_knows(options: dict[str, Any]) -> None:
    with override_settings(STORAGES=storages_at("http://127.0.0.1:9", **options)):
        assert [one for one in run_checks(tags=["imagesync"]) if one.id == "imagesync.E003"] == []


def test_checks__a_client_config_silences_an_addressing_style() -> None:
    from botocore.config import Config

    options = {"addressing_style": "nope", "client_config": Config(signature_version="s3v4")}
    with override_settings(STORAGES=storages_at("http://127.0.0.1:9", **options)):
        assert [one.id for one in run_checks(tags=["imagesync"])] == ["imagesync.W004"]


FIELDS = [
    (
        {"imagesync.Image.fiel": "delete"},
        "'imagesync.Image.fiel', which does not exist",
        "'imagesync.Image.file'?",
    ),
    (
        {"imagesync.image.file": "delete"},
        "'imagesync.image.file', which does not exist",
        "'imagesync.Image.file'?",
    ),
    ({"testap.Product.photo": "clear"}, "does not exist", "'testapp.Product.photo'?"),
    ({"a.b.c": "clear"}, "does not exist", "testapp.Product.photo"),
    ({"testapp.Product.name": "clear"}, "is not a file field", "testapp.Product.photo"),
    (
        {"testapp.Product.photo": {"policy": "delete", "age_field": "name"}},
        "testapp.Product.name is no date",
        "created_at",
    ),
    (
        {"testapp.Product.photo": {"policy": "delete", "age_field": "born"}},
        "has no field 'born'",
        "created_at",
    ),
    (
        {"testapp.Product.photo": {"policy": "delete", "age_field": ["born"]}},
        "has no field ['born']",
        "created_at",
    ),
    (
        {"testapp.Document.document": {"policy": "delete", "age_field": "id"}},
        "is no date",
        "leave 'age_field' out",
    ),
]


@pytest.mark.parametrize(("fields", "fact", "hint"), FIELDS)
def test_fields__that_name_what_is_not_there(
    s3: EmbeddedS3, fields: dict[str, Any], fact: str, hint: str
) -> None:
    with override_settings(IMAGESYNC={"FIELDS": fields}):
        [error] = run_checks(tags=["imagesync"])
        code, out, err = run("purge_orphans", "--no-input")

    assert error.id == "imagesync.E001"
    assert fact in error.msg
    assert hint in error.hint
    assert (code, out) == (1, "")
    assert fact in err


@pytest.mark.parametrize("age_field", ["created_at"])
def test_fields__that_are_there(age_field: str) -> None:
    fields = {
        "testapp.Product.photo": {"policy": "delete", "age_field": age_field},
        "imagesync.Image.file": "report",
    }
    with override_settings(IMAGESYNC={"FIELDS": fields}):
        assert run_checks(tags=["imagesync"]) == []
