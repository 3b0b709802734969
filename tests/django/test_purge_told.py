"""What the report of a purge says of one that did not run to its end: what was done, what was left, and the undo."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from imagesync.models import Image, Purge, Tombstone
from imagesync.purge import execute
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images, run, the_incident

pytestmark = pytest.mark.django_db(transaction=True)

Stop = Callable[[], None]


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    """Twelve records, six objects; a purge takes two records at a time."""
    return the_incident(s3)


@pytest.fixture
def ctrl_c(half: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Have the purge interrupted before its second batch."""

    def stop() -> None:
        taken = execute.take

        def interrupted(*arguments: Any) -> None:
            if Tombstone.objects.exists():
                raise KeyboardInterrupt
            taken(*arguments)

        monkeypatch.setattr(execute, "BATCH", 2)
        monkeypatch.setattr(execute, "take", interrupted)

    return stop


@pytest.fixture
def store_gone(half: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Have the store fail its check when the first batch is gone."""

    def stop() -> None:
        fit = execute.preflight

        def failing(store: Any) -> Any:
            if Tombstone.objects.exists():
                half.denied[half.access_key] = {"s3:ListBucket"}
            return fit(store)

        monkeypatch.setattr(execute, "BATCH", 2)
        monkeypatch.setattr(execute, "preflight", failing)

    return stop


def test_text__interrupted(ctrl_c: Stop) -> None:
    ctrl_c()

    code, out, _err = run("purge_orphans", "--no-input")

    purge = Purge.objects.get()
    assert code == 130
    assert f"audit {purge.audit_id}: interrupted when 2 of 6 records were taken." in out
    assert "2 deleted, 0 cleared, 0 kept, 4 left alone" in out
    assert f"undo: restore_purged {purge.pk}" in out
    assert "planned to delete 6:" in out
    assert not {"would", "nothing"} & set(out.split())


def test_text__stopped_by_a_rail(store_gone: Stop) -> None:
    store_gone()

    code, out, _err = run("purge_orphans", "--no-input")

    purge = Purge.objects.get()
    assert code == 4
    assert f"audit {purge.audit_id}: stopped by a safety rail when 2 of 6 records were taken." in out
    assert "store_unfit" in out
    assert "2 deleted, 0 cleared, 0 kept, 4 left alone" in out
    assert f"undo: restore_purged {purge.pk}" in out
    assert "nothing was touched" not in out


def test_text__refused_before_anything_went(half: EmbeddedS3) -> None:
    code, out, _err = run("purge_orphans", "--no-input", "--max-delete", "1")

    assert code == 4
    assert "refused, nothing was touched." in out
    assert "would delete 6:" in out
    assert "undo" not in out


def test_text__interrupted_before_anything_went(half: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "take", interrupted)

    code, out, _err = run("purge_orphans", "--no-input")

    assert code == 130
    assert "interrupted when 0 of 6 records were taken." in out
    assert "0 deleted, 0 cleared, 0 kept, 6 left alone" in out
    assert "undo" not in out


@pytest.mark.parametrize("how", ["ctrl_c", "store_gone"])
def test_json__tells_each_records_outcome(how: str, request: pytest.FixtureRequest) -> None:
    stop: Stop = request.getfixturevalue(how)
    stop()

    _code, out, _err = run("purge_orphans", "--no-input", "--format", "json")

    purge = Purge.objects.latest()
    document = json.loads(out)
    assert document["undo"] == f"restore_purged {purge.pk}"
    assert Counter(entry["outcome"] for entry in document["delete"]) == {"deleted": 2, "left": 4}
    gone = {entry["record"] for entry in document["delete"] if entry["outcome"] == "deleted"}
    assert gone == {one.record_label for one in Tombstone.objects.all()}


def test_csv__tells_each_records_outcome(ctrl_c: Stop) -> None:
    ctrl_c()

    _code, out, err = run("purge_orphans", "--no-input", "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert Counter(row["outcome"] for row in rows) == {"deleted": 2, "left": 4}
    assert f"undo: restore_purged {Purge.objects.get().pk}" in err


def test_outcomes__of_what_was_kept_at_the_last_look(
    half: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images("young.jpg", created_at=timezone.now())  # which the plan keeps
    half.put(BUCKET, "more.jpg")
    make_images("more.jpg")
    run("check_s3_images")
    half.put(BUCKET, "images/01.jpg")

    _code, out, _err = run("purge_orphans", "--no-input", "--format", "json")

    document = json.loads(out)
    kept = [entry["key"] for entry in document["delete"] if entry["outcome"] == "kept"]
    assert kept == ["images/01.jpg"]
    assert [entry["key"] for entry in document["keep"]] == ["young.jpg", *kept]
    assert Counter(entry["outcome"] for entry in document["delete"]) == {"deleted": 5, "kept": 1}


def test_csv__of_a_plan_says_planned(half: EmbeddedS3) -> None:
    _code, out, err = run("purge_orphans", "--dry-run", "--format", "csv")

    assert {row["outcome"] for row in csv.DictReader(io.StringIO(out))} == {"planned"}
    assert "undo" not in err


def test_page__of_a_purge_that_was_stopped_on_its_way(store_gone: Stop, admin_client: Client) -> None:
    store_gone()
    run("purge_orphans", "--no-input")

    page = admin_client.get(f"/admin/imagesync/purge/{Purge.objects.get().pk}/change/").content.decode()

    assert "Stopped by a safety rail." in page
    assert "nothing was touched" not in page
    assert Image.objects.count() == 10
