"""Records whose upload is not what was sent are not written; what S3 said of the others is kept."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone
from storages.backends.s3 import S3Storage

from imagesync.exceptions import UploadNotVerified
from imagesync.models import Image
from imagesync.records import find_sources
from imagesync.uploads import unverified
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import audited, make_images, verdicts
from tests.storage.spoiling import Passing, Proxy, Stream, methods, png, proxy_of
from tests.testapp.models import Portrait, Scan

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy(s3: EmbeddedS3) -> Iterator[Proxy]:
    """The project's storage is behind a proxy in front of the embedded S3."""
    port = urlsplit(s3.url).port
    assert port is not None
    with proxy_of(port) as proxy, override_settings(STORAGES=storages_at(proxy.url)):
        forget_default_storage()
        yield proxy


@pytest.fixture
def spoiling(proxy: Proxy) -> Proxy:
    def cut(passing: Passing) -> None:
        if passing.method == "PUT":
            passing.body = passing.body[:-1]

    proxy.before = cut
    return proxy


def uploaded(body: bytes, **values: Any) -> Image:
    return Image(file=ContentFile(body, name="new.png"), **values)


def put(image: Image, how: str) -> None:
    """A new file: ``assigned`` and saved with the row, the same ``partly``, or ``saved`` by its own method."""
    if how == "saved":
        image.file.save("new.png", ContentFile(png()))
    else:
        image.file = ContentFile(png(), name="new.png")
        image.save(**({"update_fields": ["file"]} if how == "partly" else {}))


def test_record__keeps_what_s3_said_and_costs_one_head(s3: EmbeddedS3) -> None:
    body = png(7, 5)
    [source] = find_sources()
    methods(s3)

    image = uploaded(body)
    image.save()

    assert methods(s3) == ["HEAD", "PUT", "HEAD"]  # the first asks for a free name: file_overwrite is off
    image = Image.objects.get()
    assert (image.size_bytes, image.width, image.height) == (len(body), 7, 5)
    assert image.etag == hashlib.md5(body).hexdigest()
    assert image.store == source.store.identity.fingerprint
    assert image.verdict == "unchecked"


def test_record__an_audit_finds_what_was_remembered(s3: EmbeddedS3) -> None:
    uploaded(png()).save()
    image = Image.objects.get()

    audit = audited(find_sources()[0])

    assert (audit.trust, audit.counts["present"]) == ("trustworthy", 1)
    assert verdicts() == {image.file.name: "present"}

    s3.put(BUCKET, image.file.name, b"y" * (image.size_bytes or 0))
    audited(find_sources()[0])

    assert verdicts() == {image.file.name: "mismatched"}


def test_record__loading_and_saving_rows_calls_nothing(s3: EmbeddedS3) -> None:
    uploaded(png()).save()
    Scan.objects.create(page=ContentFile(b"x", name="a.tif"))
    methods(s3)

    image = Image.objects.get()
    image.title = "b"
    image.save()
    image.full_clean()
    scan = Scan.objects.get()
    scan.note = "n"
    scan.save()
    scan.full_clean()
    list(Image.objects.all()), list(Scan.objects.values_list("page", "etag"))

    assert methods(s3) == []


@pytest.mark.parametrize("how", ["assigned", "saved"])
def test_record__is_not_written_when_the_upload_is_not_verified(
    spoiling: Proxy, s3: EmbeddedS3, how: str
) -> None:
    image = Image()

    with pytest.raises(UploadNotVerified, match=r"holds \d+ bytes"):
        put(image, how)

    assert Image.objects.count() == 0
    assert image.pk is None
    assert image.etag == ""
    assert len(s3.keys_in(BUCKET)) == 1


def test_record__rolls_back_what_was_written_beside_it(spoiling: Proxy) -> None:
    @transaction.atomic
    def both() -> None:
        make_images("beside.png")
        uploaded(png()).save()

    with pytest.raises(UploadNotVerified):
        both()

    assert Image.objects.count() == 0


def test_record__can_be_saved_once_more(spoiling: Proxy) -> None:
    image = uploaded(png(), title="the same instance")
    with pytest.raises(UploadNotVerified):
        image.save()
    spoiling.before = lambda passing: None

    image.save()

    stored = Image.objects.get()
    assert stored.size_bytes == len(png())
    assert stored.file.name == image.file.name
    with stored.file.open() as file:
        assert file.read() == png()


@pytest.mark.parametrize("how", ["assigned", "saved"])
def test_record__an_existing_one_keeps_its_file(spoiling: Proxy, how: str) -> None:
    [image] = make_images(
        "images/old.png", verdict="present", verdict_at=timezone.now(), etag="e", size_bytes=3
    )
    image = Image.objects.get(pk=image.pk)

    with pytest.raises(UploadNotVerified):
        put(image, how)

    if how == "saved":
        image.save()  # the instance itself still names the old file
    image.refresh_from_db()
    assert (image.file.name, image.verdict, image.etag, image.size_bytes) == (
        "images/old.png",
        "present",
        "e",
        3,
    )


@pytest.mark.parametrize("how", ["assigned", "saved", "partly"])
def test_record__another_upload_is_remembered_too(s3: EmbeddedS3, how: str) -> None:
    [image] = make_images("images/old.png", verdict="missing", etag="e", size_bytes=3)
    image = Image.objects.get(pk=image.pk)

    put(image, how)

    image = Image.objects.get()
    assert (image.verdict, image.size_bytes, image.width) == ("unchecked", len(png()), 3)
    assert image.etag == hashlib.md5(png()).hexdigest()
    assert len(image.store) == 32


def test_record__a_stream_is_uploaded_and_remembered(s3: EmbeddedS3) -> None:
    image = Image()

    image.file.save("new.bin", File(Stream(b"abc"), name="new.bin"))

    image = Image.objects.get()
    assert (image.size_bytes, image.width) == (3, None)
    assert s3.keys_in(BUCKET) == [image.file.name]


def test_record__imported_in_bulk_is_not_looked_at(s3: EmbeddedS3) -> None:
    methods(s3)

    with unverified():
        uploaded(png()).save()

    assert methods(s3) == ["HEAD", "PUT"]
    image = Image.objects.get()
    assert (image.size_bytes, image.etag, image.store) == (len(png()), "", "")


def test_unverified__concerns_its_own_thread_alone(s3: EmbeddedS3) -> None:
    etags: list[str] = []

    def elsewhere() -> None:
        image = uploaded(png())
        image.file.save("new.png", ContentFile(png()), save=False)
        etags.append(image.etag)

    with unverified():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    assert etags == [hashlib.md5(png()).hexdigest()]


def test_unverified__concerns_its_own_task_alone(s3: EmbeddedS3) -> None:
    from asgiref.sync import sync_to_async

    def save() -> str:
        image = Image()
        image.file.save("new.png", ContentFile(png()), save=False)
        return image.etag

    async def importing(inside: asyncio.Event, done: asyncio.Event) -> str:
        with unverified():
            inside.set()
            await done.wait()
            return await sync_to_async(save)()

    async def serving(inside: asyncio.Event, done: asyncio.Event) -> str:
        await inside.wait()
        etag = await sync_to_async(save)()
        done.set()
        return etag

    async def both() -> list[str]:
        inside, done = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(importing(inside, done), serving(inside, done))

    assert asyncio.run(both()) == ["", hashlib.md5(png()).hexdigest()]


def test_model_of_ones_own__remembers_its_upload(s3: EmbeddedS3) -> None:
    scan = Scan.objects.create(page=ContentFile(b"tiff", name="a.tif"))

    scan = Scan.objects.get(pk=scan.pk)
    assert (scan.size_bytes, scan.etag) == (4, hashlib.md5(b"tiff").hexdigest())
    assert scan.store == find_sources()[0].store.identity.fingerprint

    scan.page = ContentFile(b"other", name="a.tif")
    scan.save(update_fields=["page"])

    assert Scan.objects.values_list("size_bytes", flat=True).get() == 5


def test_model_of_ones_own__is_not_written_when_the_upload_is_not_verified(spoiling: Proxy) -> None:
    with pytest.raises(UploadNotVerified):
        Scan.objects.create(page=ContentFile(b"tiff", name="a.tif"))
    with pytest.raises(UploadNotVerified):
        Portrait.objects.create(face=ContentFile(png(), name="a.png"))

    assert Scan.objects.count() == Portrait.objects.count() == 0


def test_model_of_ones_own__keeps_django_s_dimensions(s3: EmbeddedS3) -> None:
    Portrait.objects.create(face=ContentFile(png(7, 5), name="a.png"))

    assert list(Portrait.objects.values_list("wide", "high")) == [(7, 5)]


def test_record__a_verified_storage_is_looked_at_once(s3: EmbeddedS3) -> None:
    given = storages_at(s3.url)
    given["default"]["BACKEND"] = "imagesync.storage.verified.VerifiedS3Storage"  # type: ignore[index]

    with override_settings(STORAGES=given):
        forget_default_storage()
        methods(s3)
        uploaded(png()).save()

        assert methods(s3) == ["HEAD", "PUT", "HEAD"]
        assert Image.objects.get().etag == hashlib.md5(png()).hexdigest()
        assert find_sources()[0].store.identity.fingerprint == Image.objects.get().store


def test_record__on_disk_nobody_looks(tmp_path: Any) -> None:
    disk = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    from tests.settings import STORAGES

    with override_settings(STORAGES={**STORAGES, "default": disk}):
        forget_default_storage()
        uploaded(png()).save()

        image = Image.objects.get()
        assert (image.size_bytes, image.etag, image.store) == (len(png()), "", "")
        assert (tmp_path / image.file.name).read_bytes() == png()
    forget_default_storage()


def test_admin__tells_an_upload_that_is_not_verified_and_writes_nothing(
    spoiling: Proxy, admin_user: Any
) -> None:
    client = Client()
    client.force_login(admin_user)
    picture = SimpleUploadedFile("new.png", png(), "image/png")

    page = client.post(
        "/admin/imagesync/image/add/",
        {"file": picture, "created_at_0": "2026-01-01", "created_at_1": "12:00:00"},
        follow=True,
    )

    assert page.status_code == 200
    assert "Upload the file again" in page.content.decode()
    assert Image.objects.count() == 0


def test_storages__the_default_one_is_the_plain_one() -> None:
    """What these tests rest on: the field verifies by itself, over django-storages' own storage."""
    assert type(storages["default"]) is S3Storage
    assert default_storage.__class__ is S3Storage
