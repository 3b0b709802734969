"""``kill -9`` and Ctrl-C of real processes, at random moments."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
from django.utils import timezone

from imagesync.models import Audit, Image, Purge, Tombstone
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images, run
from tests.processes import kill, start, wait_for, wait_for_requests

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 20
GONE = 1200


def let_leases_run_out() -> None:
    Purge.objects.filter(state="running").update(lease_until=timezone.now())
    Audit.objects.filter(state="running").update(lease_until=timezone.now())


def test_purge__killed_at_random_moments_never_deletes_without_a_tombstone(s3: EmbeddedS3) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    make_images(*(f"gone/{number:03}.jpg" for number in range(GONE)), "here.jpg")
    s3.put(BUCKET, "here.jpg")
    everything = {str(pk) for pk in Image.objects.values_list("pk", flat=True)}
    before = {row["id"]: row for row in Image.objects.values()}
    assert run("check_s3_images", "--fail-on", "none")[0] == 0
    halfway = 0

    for nth in range(KILLS):
        process = start(s3, BUCKET, "purge_orphans", "--no-input", "--max-ratio", "1")
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("purging"):
                break
        # counted in requests, not in seconds: a slow machine is killed at the same places; every other one about
        # where a batch of 200 has been confirmed and is being deleted, and every fifth where the next one is looked at
        about = moments.choice((moments.randrange(260), moments.randrange(195, 210)))
        wait_for_requests(s3, process, about if nth % 5 else moments.randrange(220, 260))
        time.sleep(moments.uniform(0, 0.2))
        kill(process)

        there, buried = images_and_tombstones()
        assert there | buried == everything
        assert not there & buried
        halfway += process.returncode == -signal.SIGKILL and 0 < len(buried) < GONE
        let_leases_run_out()

    print(
        f"{KILLS} kills, {halfway} of them with a purge half done, {len(buried)} of {GONE} purged in the end"
    )
    assert halfway >= 5, "the kills came too early or too late to show anything"
    code, _out, err = run("purge_orphans", "--no-input", "--max-ratio", "1")
    assert code == 0, err
    assert list(Image.objects.values_list("file", flat=True)) == ["here.jpg"]
    for purge in Purge.objects.filter(tombstones__isnull=False).distinct():
        assert run("restore_purged", str(purge.pk), "--no-input")[0] == 0
    marks = {"verdict", "verdict_at", "missing_since", "store"}
    for row in Image.objects.values():
        assert {k: v for k, v in row.items() if k not in marks} == {
            k: v for k, v in before[row["id"]].items() if k not in marks
        }


def images_and_tombstones() -> tuple[set[str], set[str]]:
    """Primary keys."""
    images = {str(pk) for pk in Image.objects.values_list("pk", flat=True)}
    return images, set(Tombstone.objects.values_list("object_pk", flat=True))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_audit__stopped_half_way_resumes_and_finds_the_same(s3: EmbeddedS3, how: signal.Signals) -> None:
    make_images(*(f"gone/{number:04}.jpg" for number in range(600)), "here.jpg")
    s3.put(BUCKET, "here.jpg")
    process = start(s3, BUCKET, "check_s3_images")
    wait_for(process, "comparing")
    wait_for_requests(s3, process, 60)
    process.send_signal(how)
    _out, err = process.communicate(timeout=60)

    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "--resume" in err
        assert "Traceback" not in err
    assert not Image.objects.filter(verdict="missing").exists()
    let_leases_run_out()
    number = str(Audit.objects.get().pk)

    code, out, err = run("check_s3_images", "--resume", number, "--format", "json")

    document = json.loads(out)
    assert code == 3, err
    assert (document["counts"]["missing"], document["counts"]["present"]) == (600, 1)
    assert len(document["findings"]) == 600
    assert Image.objects.filter(verdict="missing").count() == 600


def test_purge__interrupted_by_ctrl_c_says_how_to_undo_and_go_on(s3: EmbeddedS3) -> None:
    make_images(*(f"gone/{number:03}.jpg" for number in range(600)), "here.jpg")
    s3.put(BUCKET, "here.jpg")
    run("check_s3_images")
    process = start(s3, BUCKET, "purge_orphans", "--no-input", "--max-ratio", "1")
    wait_for(process, "purging")
    wait_for_requests(s3, process, 70)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "restore_purged" in err
    assert "Traceback" not in err
    assert Image.objects.count() + Tombstone.objects.count() == 601
    assert run("purge_orphans", "--no-input", "--max-ratio", "1")[0] == 0
    assert Image.objects.count() == 1
