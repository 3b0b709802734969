from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from PIL import Image as Picture
from storages.backends.s3 import S3Storage

from imagesync.models import Image
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def no_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails on any call: whoever asks for a connection is told off."""

    def refuse(_self: Any) -> Any:
        raise AssertionError("S3 was called")

    monkeypatch.setattr(S3Storage, "connection", property(refuse))
    monkeypatch.setattr(S3Storage, "bucket", property(refuse))


def png(width: int = 3, height: int = 2) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def test_image__rows_never_call_s3(no_s3: None, admin_user: Any) -> None:
    image = Image.objects.create(file="images/a.png", title="a")
    image.title = "b"
    image.save()
    Image.objects.bulk_create([Image(file="images/b.png", owner=admin_user)])
    loaded = Image.objects.get(pk=image.pk)
    assert (loaded.width, loaded.size_bytes, str(loaded)) == (None, None, "b")
    assert [str(one.file) for one in Image.objects.order_by("pk")] == ["images/a.png", "images/b.png"]
    list(Image.objects.defer("file"))
    list(Image.objects.only("title"))
    loaded.full_clean()
    loaded.refresh_from_db()
    client = Client()
    client.force_login(admin_user)
    assert client.get("/admin/imagesync/image/").status_code == 200


def test_image__the_store_that_fails_does_fail(no_s3: None) -> None:
    with pytest.raises(AssertionError, match="S3 was called"):
        Image(file="a.png").file.size  # noqa: B018


def test_image__an_upload_notes_what_was_stored(s3: EmbeddedS3) -> None:
    body = png(7, 5)

    image = Image(title="new")
    image.file.save("new.png", ContentFile(body))

    image.refresh_from_db()
    assert (image.size_bytes, image.width, image.height) == (len(body), 7, 5)
    assert image.verdict == "unchecked"
    assert s3.keys_in(BUCKET) == [image.file.name]


@pytest.mark.parametrize("partial", [False, True])
def test_image__an_upload_heals(s3: EmbeddedS3, partial: bool) -> None:
    from django.utils import timezone

    [image] = make_images(
        "images/old.png", verdict="missing", missing_since=timezone.now(), verdict_at=timezone.now()
    )
    image = Image.objects.get(pk=image.pk)

    image.file = ContentFile(png(), name="new.png")
    image.save(**({"update_fields": ["file"]} if partial else {}))

    image.refresh_from_db()
    assert (image.verdict, image.verdict_at, image.missing_since) == ("unchecked", None, None)
    assert image.width == 3


def test_image__another_name_is_another_object(no_s3: None) -> None:
    [image] = make_images("images/old.png", verdict="present", store="abc", size_bytes=9)
    image = Image.objects.get(pk=image.pk)
    image.title = "only the title"
    image.save()
    assert image.verdict == "present"

    image.file = "images/other.png"
    image.save(update_fields=["file"])

    image.refresh_from_db()
    assert (image.verdict, image.store, image.size_bytes) == ("unchecked", "", None)


@pytest.mark.parametrize("name", ["x" * 1025, "\u00e9" * 513, "\U0001f600" * 257])
def test_image__a_key_over_the_limit_is_refused_by_form_and_database(name: str) -> None:
    with pytest.raises(ValidationError):
        Image(file=name).clean_fields()
    with pytest.raises(Exception, match=r"(?i)constraint|too long") as caught, transaction.atomic():
        Image.objects.bulk_create([Image(file=name)])
    assert isinstance(caught.value, IntegrityError) or connection.vendor == "postgresql"


def test_image__a_key_at_the_limit_is_kept_exactly() -> None:
    for name in ("\u00e9" * 512, "x" * 1024, "a\nb", " a ", "cafe\u0301", "caf\u00e9", "\U0001f600" * 256):
        image = Image.objects.create(file=name)
        image.refresh_from_db()
        assert image.file.name == name


def test_image__a_nul_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValidationError, match="NUL"):
        Image(file="a\0b").clean_fields()
