"""An audit of a store that lists in another order, on a disk that has no room to sort the listing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from imagesync.exceptions import NotInByteOrder
from imagesync.models import Audit, Finding
from imagesync.storage import listing
from imagesync.storage.spool import SortedSpool
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images, run, verdicts

OBJECTS = 100
pytestmark = pytest.mark.django_db(transaction=True)


def test_check__of_a_disorderly_store_on_a_full_disk_is_one_sentence_and_can_be_resumed(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_images("there.jpg", "gone.jpg")
    for number in range(OBJECTS):
        s3.put(BUCKET, f"{number:0200}.jpg")
    s3.put(BUCKET, "there.jpg")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    whole = SortedSpool._open

    def on_a_full_disk(spool: SortedSpool) -> None:
        whole(spool)
        spool._database.execute("PRAGMA max_page_count = 5")

    def disorderly(*_args: Any, **_options: Any) -> Any:
        raise NotInByteOrder("The listing is not in byte order: 'a' came after 'b'.")

    monkeypatch.setattr("imagesync.audit.requests.list_page", disorderly)
    monkeypatch.setattr("imagesync.audit.pages.PAGE_SIZE", OBJECTS // 5)
    monkeypatch.setattr(listing, "PAGE_SIZE", OBJECTS // 5)
    with monkeypatch.context() as full:
        full.setattr(SortedSpool, "_open", on_a_full_disk)
        code, out, err = run("check_s3_images")

    (audit,) = Audit.objects.all()
    assert code == 1
    assert not out
    assert err.count("database or disk is full") == 1
    assert "TMPDIR" in err
    assert "Traceback" not in err
    assert (audit.state, audit.trust) == ("interrupted", "")
    assert set(verdicts().values()) == {"unchecked"}
    assert not Finding.objects.exists()
    assert not list(tmp_path.iterdir())

    code, _out, _err = run("check_s3_images", "--resume")

    assert code == 3
    assert verdicts() == {"there.jpg": "present", "gone.jpg": "missing"}
    assert not list(tmp_path.iterdir())
