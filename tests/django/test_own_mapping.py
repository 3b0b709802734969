"""Storages whose class makes keys of names in a way of its own: what we cannot map exactly is never missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import override_settings
from storages.backends.s3 import S3Storage

from imagesync.models import Image
from imagesync.storage.saving import verified_save
from project.embedded_s3 import EmbeddedS3
from tests.conftest import forget_default_storage, storages_at
from tests.django.helpers import make_images, run, verdicts

pytestmark = pytest.mark.django_db(transaction=True)


class ShardedStorage(S3Storage):
    """Keeps what is named ``thumbs/...`` below ``cache/``."""

    def _normalize_name(self, name: str) -> str:
        return str(super()._normalize_name(f"cache/{name}" if name.startswith("thumbs/") else name))


@pytest.fixture
def sharded(s3: EmbeddedS3) -> Iterator[EmbeddedS3]:
    entries = storages_at(s3.url)
    entries["default"] = {**entries["default"], "BACKEND": f"{__name__}.ShardedStorage"}  # type: ignore[dict-item]
    with override_settings(STORAGES=entries):
        forget_default_storage()
        yield s3
    forget_default_storage()


@pytest.mark.parametrize("strategy", ["list", "head"])
def test_audit__of_a_name_that_the_storage_keeps_elsewhere_is_ambiguous(
    sharded: EmbeddedS3, strategy: str
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "thumbs/d.jpg"):
        default_storage.save(name, ContentFile(b"x"))
    make_images("a.jpg", "b.jpg", "c.jpg", "thumbs/d.jpg")

    run("check_s3_images", "--strategy", strategy)
    code, _out, err = run("purge_orphans", "--no-input", "--max-ratio", "1")

    assert code == 0, err
    assert verdicts() == {"a.jpg": "present", "b.jpg": "present", "c.jpg": "present", "thumbs/d.jpg": "ambiguous"}  # fmt: skip
    assert Image.objects.count() == 4


def test_upload__is_verified_where_the_storage_put_it(sharded: EmbeddedS3) -> None:
    stored = verified_save(default_storage, default_storage.save, "thumbs/d.jpg", ContentFile(b"x"), None)

    assert stored == "thumbs/d.jpg"
