"""``check_s3_images --stale`` in real processes: killed in a slice, two at the same moment, in the wrong region."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from django.utils import timezone

from imagesync.freshness import keep, keep_fresh
from imagesync.models import Audit, Finding, Freshness, Image
from imagesync.records import Source, find_sources
from imagesync.records.slices import stored_slices
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import audited, make_images, run
from tests.processes import kill, start, wait_for_requests

pytestmark = pytest.mark.django_db(transaction=True)

FRESH = {"DJANGO_SETTINGS_MODULE": "tests.settings_of_freshness"}


@pytest.fixture
def begun(s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, settings: Any) -> EmbeddedS3:
    """The first slice was looked at; the others are due now."""
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FRESHNESS": "7d"}
    make_images(
        *(f"a/{number}.jpg" for number in range(30)), *(f"gone/{number:03}.jpg" for number in range(150))
    )
    for number in range(30):
        s3.put(BUCKET, f"a/{number}.jpg")
    with monkeypatch.context() as small:
        small.setattr(keep, "SLICE_RECORDS", 60)
        keep_fresh(source())
    slices_are_due()
    return s3


def source() -> Source:
    return find_sources()[0]


def slices_are_due() -> None:
    Freshness.objects.update(due_at=timezone.now())


def findings() -> set[tuple[str, str, str]]:
    return set(Finding.objects.open().values_list("object_pk", "key", "verdict"))


def test_stale__killed_in_a_slice_is_resumed_and_finds_what_an_audit_finds(begun: EmbeddedS3) -> None:
    before = Audit.objects.count()
    process = start(begun, BUCKET, "check_s3_images", "--stale", **FRESH)
    wait_for_requests(begun, process, 60)
    kill(process)
    killed = Audit.objects.latest()
    assert process.returncode == -signal.SIGKILL
    assert (Audit.objects.count(), killed.state, killed.full_scope) == (before + 1, "running", False)
    assert not any(one.looked_at == killed.started_at for one in stored_slices(Freshness.objects.get()))

    code, out, _err = run("check_s3_images", "--stale", "--format", "json")
    assert (code, json.loads(out)["stores"][0]["skipped"][:8]) == (0, f"Audit {killed.pk} "[:8]), (
        "its lease is alive"
    )
    Audit.objects.filter(pk=killed.pk).update(lease_until=timezone.now())

    code, out, err = run("check_s3_images", "--stale", "--format", "json")

    document = json.loads(out)
    assert code == 3, err
    assert [audit["audit"] for audit in document["audits"]] == [killed.pk], "the same audit, resumed"
    assert (document["stores"][0]["share"], document["stores"][0]["never_looked_at"]) == (1.0, 0)
    assert sum(one.records for one in stored_slices(Freshness.objects.get())) == 180
    by_slices = findings()
    Finding.objects.all().delete()
    audited(source())
    assert by_slices == findings()
    assert len(by_slices) == 150


def test_stale__two_at_the_same_moment_do_the_work_once(begun: EmbeddedS3) -> None:
    before = Audit.objects.count()

    both = [
        start(begun, BUCKET, "check_s3_images", "--stale", "--format", "json", **FRESH) for _one in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in both]

    assert all(process.returncode in (0, 3) for process in both), answers
    made = [audit["audit"] for out, _err in answers for audit in json.loads(out)["audits"]]
    assert len(made) == 1
    assert Audit.objects.count() == before + 1
    assert sum(one.records for one in stored_slices(Freshness.objects.get())) == 180


def test_stale__in_the_wrong_region_nothing_counts_as_looked_at(begun: EmbeddedS3) -> None:
    before = stored_slices(Freshness.objects.get())
    marks = set(Image.objects.values_list("pk", "verdict"))

    process = start(begun, BUCKET, "check_s3_images", "--stale", **FRESH, AWS_S3_REGION_NAME="us-east-1")
    out, err = process.communicate(timeout=120)

    assert process.returncode == 4, err
    assert "wrong_region" in out
    assert "the last 1 looks failed" in out
    after = stored_slices(Freshness.objects.get())
    assert [one.looked_at for one in after] == [one.looked_at for one in before]
    assert set(Image.objects.values_list("pk", "verdict")) == marks
    again, _out, _err = run("check_s3_images", "--stale")
    assert again == 0, "it is left alone for a while"
    Freshness.objects.update(not_before=None, due_at=timezone.now())
    assert run("check_s3_images", "--stale")[0] == 3
    assert not Image.objects.filter(verdict="unchecked").exists()


def test_stale__says_what_it_did_and_how_fresh_the_store_is(begun: EmbeddedS3) -> None:
    code, out, err = run("check_s3_images", "--stale")

    assert code == 3, err
    assert "missing" in out
    assert f"Freshness of bucket {BUCKET}" in out
    assert "100.00 % of about 180 records were looked at within 7 d" in out
    assert "0 of them not looked at yet" in out
    nothing_due, out, _err = run("check_s3_images", "--stale")
    assert nothing_due == 0
    assert out.startswith(f"Freshness of bucket {BUCKET}\n")


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--prefix", "a/"], 2, "--stale and --prefix exclude each other"),
        (["--no-mark"], 2, "--stale and --no-mark exclude each other"),
        (["--resume"], 2, "--stale and --resume exclude each other"),
        (["--strategy", "head"], 2, "--stale and --strategy exclude each other"),
        (["--format", "csv"], 2, "--stale writes text or json, not csv"),
    ],
)
def test_stale__refuses_what_it_decides_by_itself(options: list[str], code: int, told: str) -> None:
    answer, _out, err = run("check_s3_images", "--stale", *options)

    assert (answer, told in err) == (code, True), err
    assert not Audit.objects.exists()


def test_stale__without_the_setting_says_which_one(s3: EmbeddedS3) -> None:
    code, _out, err = run("check_s3_images", "--stale")

    assert code == 1
    assert 'IMAGESYNC["FRESHNESS"] is not set' in err
