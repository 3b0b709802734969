"""VerifiedS3Storage and its mixin against a real socket: what is looked up, how often, what it compares."""

from __future__ import annotations

import hashlib
import io
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.test import override_settings
from storages.backends.s3 import S3ManifestStaticStorage, S3Storage

from imagesync.exceptions import UploadNotVerified
from imagesync.storage.saving import receipts
from imagesync.storage.sending import measure
from imagesync.storage.uploaded import Receipt
from imagesync.storage.verified import VerifiedS3Storage, VerifiedUploadsMixin
from imagesync.uploads import unverified
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.storage.spoiling import MIB, SMALL_PARTS, Stream, methods, storage_at

# S3 tells a HEAD with versions and parts the same way, so ten megabytes stand for ten gigabytes
LARGE = bytes(range(256)) * (4 * 11 * 1024) + b"and a bit"


def save(storage: Any, name: str, content: Any) -> tuple[str, Receipt]:
    with receipts() as found:
        stored = storage.save(name, content)
    [receipt] = found
    return stored, receipt


def test_storage__an_upload_costs_one_head_and_is_verified_by_content(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url)
    methods(s3)

    stored, receipt = save(storage, "images/a.jpg", ContentFile(b"jpeg"))

    assert methods(s3) == ["PUT", "HEAD"]
    assert (stored, receipt.name, receipt.key) == ("images/a.jpg",) * 3
    assert (receipt.size_bytes, receipt.etag) == (4, hashlib.md5(b"jpeg").hexdigest())
    assert (receipt.outcome, receipt.by) == ("content", "crc32")


@pytest.mark.parametrize("content", [b"", b"x", b"x" * (5 * MIB), LARGE], ids=len)
@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("how", ["content", "size"])
def test_storage__files_of_every_size_and_kind_are_verified(
    s3: EmbeddedS3, content: bytes, seekable: bool, how: str
) -> None:
    storage = storage_at(s3.url, transfer_config=SMALL_PARTS)
    file = File(io.BytesIO(content) if seekable else Stream(content), name="big")

    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}):
        _stored, receipt = save(storage, "big.bin", file)

    assert receipt.size_bytes == len(content)
    assert receipt.outcome == how
    assert [method for method in methods(s3) if method == "HEAD"] == ["HEAD"]
    assert ("-" in receipt.etag) == (len(content) >= 5 * MIB)


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "CRC32"])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["single", "parts"])
def test_storage__the_checksum_that_the_storage_sends_is_compared(
    s3: EmbeddedS3, algorithm: str, content: bytes
) -> None:
    parameters = {"ChecksumAlgorithm": algorithm}
    storage = storage_at(s3.url, transfer_config=SMALL_PARTS, object_parameters=parameters)

    _stored, receipt = save(storage, "a.bin", ContentFile(content))

    assert receipt.outcome == "content"
    assert receipt.by in (algorithm.lower(), "md5")
    if content == b"small":
        assert receipt.by == algorithm.lower()


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["single", "parts"])
def test_storage__crc64nvme_is_compared_where_the_client_can_make_it(s3: EmbeddedS3, content: bytes) -> None:
    pytest.importorskip("awscrt", reason="botocore computes CRC64NVME with its extra crt only")
    parameters = {"ChecksumAlgorithm": "CRC64NVME"}
    storage = storage_at(s3.url, transfer_config=SMALL_PARTS, object_parameters=parameters)

    _stored, receipt = save(storage, "a.bin", ContentFile(content))

    assert (receipt.outcome, receipt.by) == ("content", "crc64nvme")


def test_storage__many_threads_share_one(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url, transfer_config=SMALL_PARTS)
    bodies = [bytes([number]) * (6 * MIB if number % 8 == 0 else 1000 + number) for number in range(24)]

    def store(number: int) -> Receipt:
        return save(storage, f"{number}.bin", ContentFile(bodies[number]))[1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store, range(24)))

    assert [one.size_bytes for one in found] == [len(body) for body in bodies]
    assert {one.outcome for one in found} == {"content"}


def test_storage__names_that_the_storage_changes_are_followed(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url, location="media", file_overwrite=False)

    first, one = save(storage, "a/b c+d.jpg", ContentFile(b"1"))
    second, two = save(storage, "a/b c+d.jpg", ContentFile(b"22"))
    third, three = save(storage, "x/./y//caf\u00e9.jpg", ContentFile(b"333"))

    assert first == "a/b c+d.jpg"
    assert second not in (first, third)
    assert third == "x/y/caf\u00e9.jpg"
    assert (one.size_bytes, two.size_bytes, three.size_bytes) == (1, 2, 3)
    assert s3.keys_in(BUCKET) == sorted([f"media/{name}" for name in (first, second, third)])
    assert [one.key, two.key, three.key] == [f"media/{name}" for name in (first, second, third)]


def test_storage__what_it_compresses_is_compared_as_it_left(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url, gzip=True)

    _stored, receipt = save(storage, "a.svg", ContentFile(b"<svg>" * 1000))

    assert receipt.outcome == "content"
    assert receipt.size_bytes is not None
    assert receipt.size_bytes < 1000


def test_storage__a_storage_of_ones_own_may_change_the_content(s3: EmbeddedS3) -> None:
    class Shouting(VerifiedUploadsMixin, S3Storage):
        def _save(self, name: str, content: Any) -> str:
            return super()._save(name, ContentFile(content.read().upper() + b"!"))

    _stored, receipt = save(storage_at(s3.url, Shouting), "a.txt", ContentFile(b"ahoy"))

    assert receipt.etag == hashlib.md5(b"AHOY!").hexdigest()
    assert receipt.outcome == "content"


@pytest.mark.parametrize("body", [b"bytes", bytearray(b"bytes")], ids=["bytes", "bytearray"])
def test_storage__that_sends_a_body_by_itself_is_compared(s3: EmbeddedS3, body: Any) -> None:
    class ByItself(VerifiedUploadsMixin, S3Storage):
        def _save(self, name: str, content: Any) -> str:
            self.bucket.Object(name).put(Body=body)
            return name

    _stored, receipt = save(storage_at(s3.url, ByItself), "a.txt", ContentFile(b"ahoy"))

    assert (receipt.outcome, receipt.size_bytes) == ("content", 5)


@pytest.mark.parametrize("hashing", [True, False])
def test_measure__leaves_a_body_where_it_stood(hashing: bool) -> None:
    body = io.BytesIO(b"head and tail")
    body.seek(9)

    piece = measure(body, algorithm="", hashing=hashing)

    assert piece.size_bytes == 4
    assert body.read() == b"tail"
    assert piece.digests.get("md5", b"").hex() == (hashlib.md5(b"tail").hexdigest() if hashing else "")


def test_measure__never_reads_a_stream() -> None:
    stream = Stream(b"once")

    assert measure(stream, algorithm="", hashing=True).size_bytes is None
    assert stream.read() == b"once"


def test_measure__takes_a_text_as_the_client_sends_it() -> None:
    assert measure("h\u00e9", algorithm="", hashing=True).size_bytes == 3


@pytest.mark.parametrize("how", ["content", "size"])
def test_storage__that_sends_by_another_client_is_looked_at_for_presence(
    s3: EmbeddedS3, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    class Elsewhere(VerifiedUploadsMixin, S3Storage):
        def _save(self, name: str, content: Any) -> str:
            s3.put(BUCKET, name, content.read()[:-1])
            return name

    with (
        override_settings(IMAGESYNC={"VERIFY_UPLOADS": how}),
        caplog.at_level(logging.INFO, logger="imagesync.uploads"),
    ):
        _stored, receipt = save(storage_at(s3.url, Elsewhere), "a.txt", ContentFile(b"ahoy"))

    assert (receipt.outcome, receipt.size_bytes) == ("presence", 3)
    assert "verified by presence only" in caplog.text


def test_storage__a_name_without_an_exact_key_is_refused(s3: EmbeddedS3) -> None:
    class Doubling(VerifiedUploadsMixin, S3Storage):
        def _save(self, name: str, content: Any) -> str:
            return super()._save(name, content).replace("/", "//")

    with pytest.raises(UploadNotVerified) as caught:
        storage_at(s3.url, Doubling).save("a/b.txt", ContentFile(b"ahoy"))

    assert caught.value.reason == "name_rewritten"


def test_storage__where_no_checksum_can_be_compared_it_says_so(
    s3: EmbeddedS3, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = {"ServerSideEncryption": "aws:kms"}
    config = dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required")
    from botocore.config import Config

    storage = storage_at(
        s3.url,
        object_parameters=parameters,
        client_config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", **config),
    )

    with caplog.at_level(logging.INFO, logger="imagesync.uploads"):
        _stored, receipt = save(storage, "a.bin", ContentFile(b"secret"))

    assert (receipt.outcome, receipt.by) == ("size", "size")
    assert "verified by size only" in caplog.text


def test_storage__what_is_encrypted_with_kms_is_verified_without_the_right_to_decrypt(s3: EmbeddedS3) -> None:
    """By the checksum in the answer to the upload: a HEAD that asks for it would need kms:Decrypt."""
    storage = storage_at(s3.url, object_parameters={"ServerSideEncryption": "aws:kms"})

    _stored, receipt = save(storage, "a.bin", ContentFile(b"secret"))

    assert (receipt.outcome, receipt.by) == ("content", "crc32")


@override_settings(IMAGESYNC={"VERIFY_UPLOADS": False})
def test_storage__switched_off_nobody_looks(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url)
    methods(s3)

    storage.save("a.jpg", ContentFile(b"x"))

    assert methods(s3) == ["PUT"]


def test_storage__bulk_imports_are_not_looked_at(s3: EmbeddedS3) -> None:
    storage = storage_at(s3.url)
    methods(s3)

    with unverified():
        storage.save("a.jpg", ContentFile(b"x"))
        assert methods(s3) == ["PUT"]
    storage.save("a.jpg", ContentFile(b"x"))

    assert methods(s3) == ["PUT", "HEAD"]


def test_storage__django_storages_own_are_not_affected(s3: EmbeddedS3, tmp_path: Any) -> None:
    plain = storage_at(s3.url, S3Storage)
    static = storage_at(s3.url, S3ManifestStaticStorage)
    methods(s3)

    with receipts() as found:
        plain.save("a.jpg", ContentFile(b"x"))
        static.save("a.css", ContentFile(b"x"))
        FileSystemStorage(tmp_path).save("a.jpg", ContentFile(b"x"))

    assert methods(s3) == ["PUT", "PUT"]
    assert found == []


def test_storage__collected_static_files_can_be_verified(s3: EmbeddedS3) -> None:
    class VerifiedStatic(VerifiedUploadsMixin, S3ManifestStaticStorage):
        pass

    _stored, receipt = save(storage_at(s3.url, VerifiedStatic), "a.css", ContentFile(b"x"))

    assert receipt.outcome == "content"


def test_storage__can_be_named_in_settings_and_taken_apart(s3: EmbeddedS3) -> None:
    path, args, options = storage_at(s3.url).deconstruct()

    assert path == "imagesync.storage.verified.VerifiedS3Storage"
    assert args == ()
    assert VerifiedS3Storage(**options).bucket_name == BUCKET
