"""An audit spread over workers, task by task: what each delivery does, whoever it comes to and however often.

Here the tasks are called one after the other; real clusters, and what kills them, are in tests/cluster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.dispatch import Signal
from django.test import override_settings
from django.utils import timezone
from django_q.models import Schedule

from imagesync import signals, tasks
from imagesync.audit import (
    audit_document,
    canaries,
    cancel_audit,
    claim,
    finding_rows,
    open_audit,
    pause_audit,
    resume_audit,
    spread,
)
from imagesync.audit.ranges import Claims
from imagesync.core.verdicts import Look, Reason, Verdict
from imagesync.exceptions import AlreadyRunning, InvalidRequest, NoQueue
from imagesync.models import Audit, AuditRange, Finding, Image
from imagesync.models.leases import database_clock
from imagesync.records import Scope, find_sources
from imagesync.storage.store import Store
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import make_images, run, verdicts

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS = 36
QUEUE: list[tuple[str, dict[str, Any]]] = []


def queue(function: str, /, **kwargs: Any) -> None:
    QUEUE.append((function, kwargs))


@pytest.fixture
def world(s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedS3]:
    """Thirty-six records in about twelve ranges, each third one without its object."""
    QUEUE.clear()
    make_images(*(f"{number:03}.jpg" for number in range(RECORDS)))
    for number in range(RECORDS):
        if number % 3:
            s3.put(BUCKET, f"{number:03}.jpg")
    monkeypatch.setattr(claim, "LEAST_RECORDS", 3)
    with override_settings(IMAGESYNC={"BATCH_SIZE": 2, "ENQUEUE": f"{__name__}.queue"}):
        yield s3


@contextmanager
def receiving(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def spread_audit() -> Audit:
    [source] = find_sources()
    audit = open_audit(source, Scope())
    assert spread(audit, source)
    return audit


def deliver_all() -> int:
    """Call what is enqueued until nothing is."""
    number = 0
    while QUEUE:
        function, kwargs = QUEUE.pop(0)
        assert function == "imagesync.tasks.work_on_audit"
        tasks.work_on_audit(**kwargs)
        number += 1
    return number


def findings_of(audit: Audit) -> list[tuple[str, str, str]]:
    audit.refresh_from_db()
    return [(row["record"], row["key"], row["verdict"]) for row in finding_rows(audit)]


def undisturbed() -> list[tuple[str, str, str]]:
    """What an audit in one process finds in the same world; then all is as it was."""
    assert run("check_s3_images", "--no-mark")[0] == 3
    found = findings_of(Audit.objects.get())
    Audit.objects.all().delete()
    Finding.objects.all().delete()
    assert len(found) == RECORDS // 3
    return found


def test_distributed__finds_what_one_process_finds(world: EmbeddedS3) -> None:
    expected = undisturbed()
    told: list[Audit] = []
    audit = spread_audit()
    assert audit.ranges.count() > 8

    with receiving(signals.audit_finished, lambda audit, **_facts: told.append(audit)):
        assert deliver_all() == ceil(audit.ranges.count() / 4)

    assert told == [audit]
    assert findings_of(audit) == expected
    assert (audit.state, audit.trust, audit.stage) == ("finished", "trustworthy", "closing")
    assert audit.counts["records"] == RECORDS
    assert audit.requests["GET"] >= RECORDS // 3
    assert len(audit.canaries) == 20
    assert set(Image.objects.values_list("verdict", flat=True)) == {"present", "missing"}
    assert not AuditRange.objects.exclude(lease_owner="").exists()


def test_distributed__deliveries_that_come_thrice_or_late_do_nothing(world: EmbeddedS3) -> None:
    audit = spread_audit()
    QUEUE.extend(QUEUE * 2)
    deliver_all()
    finished = Audit.objects.values().get()

    for _time in range(3):
        assert "over" in tasks.work_on_audit(audit.pk)["skipped"]

    assert Audit.objects.values().get() == finished
    assert Finding.objects.count() == RECORDS // 3
    assert tasks.work_on_audit(12345)["skipped"]


def test_slice__hands_on_what_it_does_not_get_done(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed()
    monkeypatch.setattr("imagesync.audit.distributed.RANGES_IN_FLIGHT", 1)
    ticks = iter(range(10**6))
    monkeypatch.setattr("imagesync.audit.distributed.monotonic", lambda: next(ticks) * 2.0)
    with override_settings(
        IMAGESYNC={"BATCH_SIZE": 2, "ENQUEUE": f"{__name__}.queue", "AUDIT_TASK_TIME": "3s"}
    ):
        audit = spread_audit()
        assert deliver_all() > audit.ranges.count()  # more than one for each: they were left in the middle

    assert findings_of(audit) == expected


def test_opening__is_done_once_and_an_unfit_store_ends_it(world: EmbeddedS3) -> None:
    audit = spread_audit()
    Audit.objects.filter(pk=audit.pk).update(lease_owner="another", lease_until=Now() + timedelta(seconds=50))
    assert "being opened" in tasks.work_on_audit(audit.pk)["skipped"]

    Audit.objects.filter(pk=audit.pk).update(lease_until=Now() - timedelta(seconds=1))
    world.reset()  # the bucket is gone
    tasks.work_on_audit(audit.pk)

    audit.refresh_from_db()
    assert (audit.state, audit.trust) == ("finished", "untrustworthy")
    assert not Finding.objects.exists()
    assert set(verdicts().values()) == {"unchecked"}


def test_closing__is_done_by_one_and_taken_over_from_a_dead_one(world: EmbeddedS3) -> None:
    expected = undisturbed()
    audit = spread_audit()
    tasks.work_on_audit(audit.pk)
    Audit.objects.filter(pk=audit.pk).update(
        state="running", stage="closing", lease_owner="closer", lease_until=Now() + timedelta(seconds=50)
    )
    Finding.objects.update(settled=False)

    assert tasks.work_on_audit(audit.pk)["done"] == "what there was"
    assert not Finding.objects.filter(settled=True).exists()
    Audit.objects.filter(pk=audit.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert tasks.work_on_audit(audit.pk)["done"] == "closed"

    assert findings_of(audit) == expected


def test_sweep__enqueues_anew_what_a_broker_lost_and_not_too_often(world: EmbeddedS3) -> None:
    audit = spread_audit()
    QUEUE.clear()  # Redis was restarted
    assert tasks.sweep() == []  # it may well be waiting its turn

    Audit.objects.update(enqueued_at=Now() - timedelta(seconds=61))
    assert tasks.sweep() == [audit.pk]
    assert tasks.sweep() == []

    assert deliver_all() > 0
    audit.refresh_from_db()
    assert audit.complete


def test_opening__goes_on_alone_when_the_broker_takes_nothing(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = spread_audit()

    def away(*_arguments: Any, **_more: Any) -> None:
        raise ConnectionError("the broker is gone")

    monkeypatch.setattr(f"{__name__}.queue", away)

    assert tasks.work_on_audit(audit.pk)["done"] == "closed"
    with pytest.raises(NoQueue, match="the broker is gone"):
        spread_audit()


def test_sweep__sees_the_ranges_of_a_dead_worker(world: EmbeddedS3) -> None:
    audit = spread_audit()
    AuditRange.objects.update(lease_owner="dead", lease_until=Now() + timedelta(seconds=50))
    deliver_all()
    assert audit.ranges.filter(state="done").count() == 0
    long_ago = {"enqueued_at": Now() - timedelta(seconds=61)}
    Audit.objects.update(**long_ago)
    assert tasks.sweep() == []  # all are in somebody's hands

    AuditRange.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert tasks.sweep() == [audit.pk]
    deliver_all()

    audit.refresh_from_db()
    assert (audit.complete, audit.counts["missing"]) == (True, RECORDS // 3)


def test_sweep__gives_up_on_an_audit_that_does_not_get_on(world: EmbeddedS3) -> None:
    audit = spread_audit()
    for _sweep in range(11):
        QUEUE.clear()
        Audit.objects.update(enqueued_at=Now() - timedelta(seconds=61))
        tasks.sweep()

    audit.refresh_from_db()
    assert audit.state == "interrupted"
    [told] = tasks.check_images()
    assert told["audit"] == audit.pk
    assert told["counts"]["missing"] == RECORDS // 3


def test_sweep__with_nothing_to_do_costs_at_most_three_queries(
    db: None, django_assert_max_num_queries: Any
) -> None:
    tasks.sweep()
    with django_assert_max_num_queries(3):
        assert tasks.sweep() == []


def test_schedule__of_the_sweep_is_there_as_long_as_an_audit_is_shared(world: EmbeddedS3) -> None:
    with override_settings(IMAGESYNC={}):
        audit = spread_audit()
        [swept] = Schedule.objects.all()
        assert (swept.func, swept.schedule_type, swept.minutes) == ("imagesync.tasks.sweep", "I", 1)
        cancel_audit(audit)

        tasks.sweep()

        assert not Schedule.objects.exists()


def test_check_images__hands_over_when_the_setting_says_so_and_leaves_a_paused_one(world: EmbeddedS3) -> None:
    with override_settings(IMAGESYNC={"DISTRIBUTED": True, "ENQUEUE": f"{__name__}.queue"}):
        [told] = tasks.check_images()
        assert told["distributed"]
        [told] = tasks.check_images()  # the same minute
        assert "is running" in told["skipped"]
        pause_audit(Audit.objects.get())
        [told] = tasks.check_images()
        assert "is paused" in told["skipped"]
    assert len(QUEUE) == 1


def test_pause__takes_effect_at_once_and_a_resumed_one_ends_like_the_others(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed()
    audit = spread_audit()
    renew = Claims.renew_if_due
    monkeypatch.setattr(Claims, "renew_if_due", lambda claims: pause_audit(Audit.objects.get()))

    assert "paused" in tasks.work_on_audit(audit.pk)["skipped"]

    audit.refresh_from_db()
    assert (audit.state, audit.lease_owner) == ("paused", "")
    assert not AuditRange.objects.exclude(lease_owner="").exists()
    assert audit_document(audit)["progress"]["records"] in range(1, RECORDS)
    deliver_all()
    assert Audit.objects.get().state == "paused"
    with pytest.raises(InvalidRequest, match="paused already"):
        pause_audit(audit)

    monkeypatch.setattr(Claims, "renew_if_due", renew)
    [source] = find_sources()
    assert spread(resume_audit(audit, source), source)
    deliver_all()
    assert findings_of(audit) == expected


def test_cancel__nothing_counts_and_another_can_begin(world: EmbeddedS3) -> None:
    audit = spread_audit()
    [source] = find_sources()
    Finding.objects.create(
        fingerprint=audit.fingerprint, key="k", verdict="missing", opened_by=audit, opened_at=timezone.now()
    )

    cancel_audit(audit)

    assert audit.state == "cancelled"
    assert not Finding.objects.exists()
    deliver_all()
    assert run("check_s3_images", "--cancel", str(audit.pk))[0] == 2
    code, _out, err = run("check_s3_images", "--resume", str(audit.pk))
    assert (code, "was cancelled" in err) == (1, True)
    assert open_audit(source, Scope()).pk != audit.pk


@pytest.mark.parametrize("stop", [pause_audit, cancel_audit])
def test_purge__acts_on_no_part_of_an_audit(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, stop: Callable[[Audit], None]
) -> None:
    audit = spread_audit()
    monkeypatch.setattr(Claims, "renew_if_due", lambda claims: stop(Audit.objects.get()))
    tasks.work_on_audit(audit.pk)

    code, _out, err = run("purge_orphans", "--audit", str(audit.pk), "--no-input")

    assert (code, "has not run to its end" in err) == (4, True), err
    assert Image.objects.count() == RECORDS


def test_commands__pause_and_cancel_say_what_to_do_next(world: EmbeddedS3) -> None:
    audit = spread_audit()

    code, _out, err = run("check_s3_images", "--pause", str(audit.pk))
    assert (code, f"--resume {audit.pk}" in err) == (0, True)
    for other in (("--cancel", "1"), ("--resume", "1"), ("--distributed",), ("--stale",)):
        assert run("check_s3_images", "--pause", "1", *other)[0] == 2
    assert run("check_s3_images", "--pause", "99999")[0] == 1
    code, out, err = run("check_s3_images", "--resume", str(audit.pk), "--fail-on", "none")
    assert code == 0, err
    assert "12" in out


def test_progress__is_the_databases_and_in_the_document(world: EmbeddedS3) -> None:
    audit = spread_audit()
    tasks.work_on_audit(audit.pk)
    document = audit_document(Audit.objects.get())

    assert document["progress"] == {
        "stage": "closing", "ranges": audit.ranges.count(), "ranges_done": audit.ranges.count(), "records": RECORDS,
        "expected_records": RECORDS, "missing": RECORDS // 3, "workers": 0, "per_second": None, "seconds_left": 0,
    }  # fmt: skip
    AuditRange.objects.filter(number=0).update(
        state="pending", lease_owner="one", lease_until=Now() + timedelta(seconds=9), counts={"records": 10}
    )
    Audit.objects.update(
        state="running",
        comparing_since=Now() - timedelta(seconds=10),
        comparing_from=0,
        expected_records=1000,
    )
    audit = Audit.objects.get()
    progress = audit_document(audit)["progress"]
    judged = progress["records"]
    assert progress["workers"] == 1
    assert progress["per_second"] == pytest.approx(judged / 10, rel=0.2)
    assert progress["seconds_left"] == pytest.approx((1000 - judged) * 10 / judged, rel=0.2)


def test_worker__whose_settings_name_another_store_claims_nothing(world: EmbeddedS3) -> None:
    from tests.conftest import forget_default_storage, storages_at

    audit = spread_audit()
    with override_settings(STORAGES=storages_at(world.url, bucket_name="another-bucket")):
        forget_default_storage()
        assert "no longer name" in tasks.work_on_audit(audit.pk)["skipped"]
    forget_default_storage()
    assert Audit.objects.get().stage == "opening"


def part_of_an_audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    audit = spread_audit()
    with monkeypatch.context() as patched:
        ticks = iter(range(10**6))
        patched.setattr("imagesync.audit.distributed.monotonic", lambda: next(ticks) * 8.0)
        assert tasks.work_on_audit(audit.pk)["done"] == "a part"
    return audit


@contextmanager
def looks_failing(monkeypatch: pytest.MonkeyPatch, *keys: str) -> Iterator[None]:
    """Canaries that S3 answers "slow down" for, whatever is there."""
    honest = canaries.look

    def look(store: Store, key: str, **more: Any) -> Look:
        seen = honest(store, key, **more)
        return replace(seen, verdict=Verdict.UNKNOWN, reason=Reason.THROTTLED) if key in keys else seen

    with monkeypatch.context() as patched:
        patched.setattr(canaries, "look", look)
        yield


@pytest.mark.parametrize("failing", [0, 1, 20])
def test_worker__that_the_same_address_leads_to_an_empty_bucket_calls_nothing_missing(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """As "localhost" does on another machine. The bucket is fit there, and has none of the objects. Canaries that it
    could not look at are no sign of another kind."""
    assert run("check_s3_images")[0] == 3
    expected = findings_of(Audit.objects.get())
    drawn = [key for _label, _pk, key in Audit.objects.get().canaries]
    audit = part_of_an_audit(monkeypatch)
    there = world.keys_in(BUCKET)
    for key in there:
        world.delete(BUCKET, key)

    with looks_failing(monkeypatch, *drawn[:failing]):
        assert "another store" in tasks.work_on_audit(audit.pk)["skipped"]

    assert not AuditRange.objects.filter(audit=audit).exclude(lease_owner="").exists()
    for key in there:
        world.put(BUCKET, key)
    deliver_all()
    assert findings_of(audit) == expected
    assert (audit.state, audit.trust) == ("finished", "trustworthy")


def test_worker__that_sees_one_of_the_canaries_works_whatever_the_others_answer(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("check_s3_images")[0] == 3
    expected = findings_of(Audit.objects.get())
    drawn = [key for _label, _pk, key in Audit.objects.get().canaries]
    audit = part_of_an_audit(monkeypatch)

    with looks_failing(monkeypatch, *drawn[1:]):
        deliver_all()

    assert findings_of(audit) == expected
    assert (audit.state, audit.trust) == ("finished", "trustworthy")


def test_audit__whose_canaries_no_worker_can_look_at_any_more_is_interrupted_in_the_end(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("check_s3_images")[0] == 3
    drawn = [key for _label, _pk, key in Audit.objects.get().canaries]
    audit = part_of_an_audit(monkeypatch)

    with looks_failing(monkeypatch, *drawn):
        for _sweep in range(11):
            deliver_all()
            Audit.objects.filter(pk=audit.pk).update(enqueued_at=Now() - timedelta(seconds=61))
            tasks.sweep()

    audit.refresh_from_db()
    assert audit.state == "interrupted"
    assert not AuditRange.objects.exclude(lease_owner="").exists()


def test_field__that_must_be_sorted_is_left_to_one_process(
    world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagesync.records.presorted.has_byte_order_index", lambda model, field: False)
    monkeypatch.setattr("imagesync.records.presorted.SORTED_BY_THE_DATABASE", 10)
    [source] = find_sources()

    assert not spread(open_audit(source, Scope()), source)
    assert QUEUE == []


@pytest.mark.parametrize("at_once", [1, 3])
def test_claims__each_range_goes_to_one(world: EmbeddedS3, at_once: int) -> None:
    audit = spread_audit()
    got: list[int] = []

    def take_all() -> None:
        claims = Claims(audit, at_once=at_once)
        while (part := claims.take()) is not None:
            got.append(part.pk)
        connection.close()

    if connection.vendor == "sqlite":
        take_all()
    else:
        threads = [threading.Thread(target=take_all) for _thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(got) == sorted(audit.ranges.values_list("pk", flat=True))
    assert Claims(audit).take() is None


def test_claims__what_was_taken_over_is_not_written(world: EmbeddedS3) -> None:
    audit = spread_audit()
    claims = Claims(audit)
    part = claims.take()
    assert part is not None
    AuditRange.objects.filter(pk=part.pk).update(lease_owner="another")

    with pytest.raises(AlreadyRunning, match="took over"):
        claims.write(part, unreferenced=1)
    assert not AuditRange.objects.filter(unreferenced=1).exists()


def test_claims__of_several_those_not_taken_go_back_and_come_in_order(world: EmbeddedS3) -> None:
    audit = spread_audit()
    numbers = list(audit.ranges.order_by("number").values_list("number", flat=True))
    claims, others = Claims(audit, at_once=3), Claims(audit)

    first, other = claims.take(), others.take()
    claims.release()
    again = [part.number for part in iter(claims.take, None)]

    assert first is not None
    assert other is not None
    assert (first.number, other.number) == (numbers[0], numbers[3])
    assert again == [number for number in numbers if number != other.number]


def test_clock__is_the_databases(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() - timedelta(hours=1))

    now = database_clock(Audit)

    assert abs(now() - real()) < timedelta(seconds=5)


def test_lease__is_judged_by_the_databases_clock(world: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = find_sources()
    audit = open_audit(source, Scope())
    real = timezone.now
    for hours in (1, -1):
        monkeypatch.setattr(timezone, "now", lambda hours=hours: real() + timedelta(hours=hours))
        assert Audit.objects.get().lease_is_alive
        with pytest.raises(AlreadyRunning):
            open_audit(source, Scope())
    Audit.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert not Audit.objects.get().lease_is_alive
    assert resume_audit(audit, source).state == "running"
