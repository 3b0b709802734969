"""An audit that is killed with ``kill -9`` again and again ends as an undisturbed one does."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from typing import Any

import pytest

from imagesync.audit import carry_out, claim, finding_rows, open_audit, resume_audit
from imagesync.models import Audit, AuditRange, Finding, Image
from imagesync.records import Scope, find_sources
from project.buckets import put_directly
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images
from tests.django.test_killed import let_leases_run_out
from tests.processes import kill, start, wait_for, wait_for_requests

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 20
AT_THE_END = 3
"""So many of them while what was found is settled."""
RECORDS, UNNAMED = 1_500, 8_000
"""So that a range is several pages, and a batch one of them."""


def populate(dice: random.Random) -> None:
    """Records that are present, missing, of another size, or have no exact key; some share their object."""
    names = [f"{dice.choice('abcé')}/{number:05}.jpg" for number in range(RECORDS)]
    there = {name for name in names if dice.random() < 0.7}
    make_images(*(f"x//{number}.jpg" for number in range(40)), *dice.sample(names, 100))
    make_images(*names[::2])
    make_images(*names[1::2], size_bytes=1)
    wrong = dice.sample(sorted(there), 60)
    make_images(*wrong, size_bytes=7)
    for name in there:
        put_directly(BUCKET, name)
    for number in range(UNNAMED):
        put_directly(BUCKET, f"{dice.choice('abcé')}/{number % RECORDS:05}.{number}")


def outcome(audit: Audit) -> dict[str, Any]:
    rows = Image.objects.order_by("pk").values_list("pk", "verdict", "store", "missing_since", "verdict_at")
    return {
        "trust": audit.trust,
        "reasons": audit.reasons,
        "counts": audit.counts,
        "unreferenced": audit.unreferenced,
        "saw_all_objects": audit.saw_all_objects,
        "findings": sorted(
            (one["record"], one["key"], one["verdict"], one["reason"]) for one in finding_rows(audit)
        ),
        "open": Finding.objects.open().count(),
        "all": Finding.objects.count(),
        "marks": [(pk, verdict, store, bool(since), bool(at)) for pk, verdict, store, since, at in rows],
    }


def forget_everything() -> None:
    Finding.objects.all().delete()
    Audit.objects.all().delete()
    Image.objects.update(verdict="unchecked", store="", missing_since=None, verdict_at=None)


def test_audit__killed_at_random_moments_ends_like_an_undisturbed_one(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    monkeypatch.setattr(claim, "LEAST_RECORDS", 550)
    populate(dice)
    (source,) = find_sources(fields=["imagesync.Image.file"])  # the processes know no other
    undisturbed = outcome(carry_out(open_audit(source, Scope(), strategy="list"), source))
    forget_everything()
    audit = open_audit(source, Scope(), strategy="list")
    assert audit.ranges.count() == 3
    where: Counter[str] = Counter()
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings_of_small_batches"}

    for nth in range(KILLS):
        let_leases_run_out()
        process = start(s3, BUCKET, "check_s3_images", "--resume", str(audit.pk), **settings)
        if nth < KILLS - AT_THE_END:
            wait_for(process, "comparing")
            # counted in requests, not in seconds: a slow machine is killed at the same places. A range writes its first
            # batch down after some fifty; of all that an audit sends, which is five hundred, less than half
            wait_for_requests(s3, process, dice.randrange(200))
        else:
            wait_for(process, "checking the store once more")
            time.sleep(dice.uniform(0, 0.1))
        kill(process)

        done = AuditRange.objects.filter(audit=audit, state="done").count()
        begun = AuditRange.objects.filter(audit=audit).exclude(cursor=None).count()
        where["within ranges" if done < begun else "between"] += process.returncode == -signal.SIGKILL
        where["ended by itself"] += process.returncode != -signal.SIGKILL
        audit.refresh_from_db()
        if audit.complete:  # it was faster than the kill: the others are for another one
            assert outcome(audit) == undisturbed
            forget_everything()
            audit = open_audit(source, Scope(), strategy="list")
        elif audit.ranges.count() > done:
            assert not Finding.objects.open().exists(), "nothing is said before all is seen"
            assert not Image.objects.exclude(verdict__in=("unchecked", "present")).exists()

    let_leases_run_out()
    audit.refresh_from_db()
    if not audit.complete:
        audit = carry_out(resume_audit(audit, source), source)
    print(f"{KILLS} kills in {audit.ranges.count()} ranges: {dict(where)}; {undisturbed['counts']}")
    assert where["within ranges"] >= 5, "the kills came too early or too late to show anything"
    assert outcome(audit) == undisturbed
    assert undisturbed["saw_all_objects"]
    assert undisturbed["unreferenced"] == UNNAMED
