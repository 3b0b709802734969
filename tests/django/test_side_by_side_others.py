"""Reports, schedules, clean-ups and beginnings that meet each other at the worst moment."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django_q.models import Schedule

from imagesync.audit import (
    cancel_audit,
    carry_out,
    claim,
    distributed,
    open_audit,
    resume_audit,
    spread,
)
from imagesync.enqueue import keep_calling
from imagesync.exceptions import AlreadyRunning, NothingMatches
from imagesync.jobs import work_off
from imagesync.models import Audit, FailedRead, Image, Job
from imagesync.records import Scope, Source
from imagesync.records.failed_reads import report_failed_read
from imagesync.storage.memory import MemoryStore
from tests.django.beside import (
    Beside,
    once_after,
    once_before,
)
from tests.django.helpers import LONG_AGO, audited

ThreeImages = tuple[MemoryStore, Source]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def test_failed_read__that_is_reported_while_an_audit_closes_the_older_ones_stays(
    three_images: ThreeImages,
) -> None:
    _store, source = three_images
    image = Image.objects.get(file="a.jpg")
    report_failed_read(image)
    FailedRead.objects.update(last_at=LONG_AGO)
    over = []

    def reported_again(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("DELETE") and "failedread" in sql and not over:
            over.append(True)
            Beside(lambda: report_failed_read(image)).begin().outcome()
        return execute(sql, *args)

    with connection.execute_wrapper(reported_again):
        audited(source)

    assert over
    assert FailedRead.objects.get().times == 2


def test_open_audit__beside_one_that_ends_at_that_moment_says_so(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = three_images
    first: list[Audit] = []
    once_after(monkeypatch, claim, "estimated_records", lambda: first.append(open_audit(source, Scope())))
    ends = Beside(lambda: carry_out(first[0], source))
    once_before(
        monkeypatch,
        claim.transaction,
        "atomic",
        lambda: once_before(monkeypatch, claim, "_running", lambda: ends.begin().outcome()),
    )

    with pytest.raises(AlreadyRunning, match="just ended"):
        open_audit(source, Scope())


@pytest.mark.parametrize("is_committed", [True, False])
def test_sweep__that_sees_nothing_to_do_leaves_the_schedule_to_an_audit_that_was_spread_just_then(
    three_images: ThreeImages, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    _store, source = three_images
    keep_calling(distributed.SWEEPS, distributed.SWEEP)
    audit = open_audit(source, Scope())
    spreading = Beside(lambda: spread(audit, source))
    sweeping = Beside(distributed.sweep)

    if is_committed:
        once_before(monkeypatch, distributed, "stop_calling", lambda: spreading.begin().outcome())
        distributed.sweep()
    else:
        once_before(monkeypatch, distributed, "enqueue", sweeping.begin)  # in the transaction that spreads it
        assert spread(audit, source)
        sweeping.outcome()

    assert Schedule.objects.filter(name=distributed.SWEEPS).count() == 1


def test_failed_read__that_is_reported_while_an_audit_removes_the_older_one_is_noted(
    three_images: ThreeImages,
) -> None:
    image = Image.objects.get(file="a.jpg")
    report_failed_read(image)
    FailedRead.objects.update(last_at=LONG_AGO)
    over = []

    def removed(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "failedread" in sql and not over:
            over.append(True)
            Beside(FailedRead.objects.all().delete).begin().outcome()
        return execute(sql, *args)

    with connection.execute_wrapper(removed):
        report_failed_read(image)

    assert over
    assert FailedRead.objects.get().times == 1


def test_audit__that_a_clean_up_removed_just_now_is_told_of_in_a_sentence(
    three_images: ThreeImages,
) -> None:
    _store, source = three_images
    audit = open_audit(source, Scope())
    Beside(Audit.objects.filter(pk=audit.pk).delete).begin().outcome()

    for asked in (resume_audit, lambda audit, _source: cancel_audit(audit)):
        with pytest.raises(NothingMatches, match="was removed"):
            asked(audit, source)


def test_job__that_a_clean_up_removed_just_now_is_told_of_in_a_sentence(
    three_images: ThreeImages,
) -> None:
    job = Job.objects.create(content_type=ContentType.objects.get_for_model(Image), state=Job.State.FAILED)
    Beside(Job.objects.filter(pk=job.pk).delete).begin().outcome()

    with pytest.raises(NothingMatches, match="was removed"):
        work_off(job)
