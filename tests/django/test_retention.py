"""History that is over goes after its time. What a restore, a purge or the next audit rests on stays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from imagesync import tasks
from imagesync.audit import finding_rows, interrupted_audit, open_audit
from imagesync.audit.identity import last_with_canaries
from imagesync.core.retention import Retention
from imagesync.models import (
    Audit,
    AuditRange,
    Finding,
    Freshness,
    Image,
    Job,
    JobRecord,
    Notice,
    Purge,
    SetAsideMessage,
    Slice,
    ToldStore,
    Tombstone,
)
from imagesync.purge.basis import latest_audit
from imagesync.purge.execute import execute_plan
from imagesync.purge.restore import execute_restore, latest_restorable, restorable
from imagesync.records import Scope, Source
from imagesync.records.targets import content_type_of
from imagesync.retention import execute_prune, plan_prune
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, MakeSource
from tests.django.helpers import audited, make_images, plan, run
from tests.processes import kill, start

YEARS = timedelta(days=800)
MONTHS = timedelta(days=100)

DATES: dict[Any, tuple[str, ...]] = {
    Audit: ("started_at", "finished_at"),
    Finding: ("opened_at", "closed_at"),
    Purge: ("planned_at", "started_at", "finished_at"),
    Tombstone: ("purged_at", "restored_at"),
    Job: ("created_at", "finished_at"),
    Notice: ("created_at",),
    SetAsideMessage: ("set_aside_at",),
}


def time_passes(by: timedelta) -> None:
    """As if all that is written down had happened that much earlier."""
    for model, names in DATES.items():
        model.objects.update(**{name: F(name) - by for name in names})


def purge(source: Source, *ids: str) -> Purge:
    scope = Scope(ids=tuple(("imagesync.Image", pk) for pk in ids))
    return execute_plan(plan(source, scope, max_ratio=1.0), source)


def purged_once(memory_source: MakeSource) -> tuple[Source, Purge]:
    """Three records, of which one was gone and was purged."""
    store, source = memory_source()
    make_images("a.jpg", "b.jpg", "c.jpg")
    store.put("b.jpg")
    store.put("c.jpg")
    audited(source)
    done = purge(source)
    return source, done


def plans(source: Source) -> list[Any]:
    """What would be purged now, by somebody and by a schedule, and why not the rest."""
    found = []
    for unattended in (False, True):
        planned = plan(source, max_ratio=1.0, unattended=unattended)
        found.append((planned.plan, planned.refused, planned.counts, planned.audit_id))
        planned.delete()
    return found


def everything_asked(source: Source) -> dict[str, Any]:
    latest = latest_audit(source)
    assert latest is not None
    looked_back_at = last_with_canaries(
        Audit(pk=10**9, fingerprint=latest.fingerprint, alias=latest.alias, fields=latest.fields)
    )
    assert looked_back_at is not None
    resumable = interrupted_audit(source, Scope(prefix="b"))
    restore = latest_restorable()
    return {
        "plans": plans(source),
        "report": list(finding_rows(latest)),
        "canaries": looked_back_at.canaries,
        "resumable": resumable and resumable.pk,
        "restorable": restore and [one.pk for one in restorable(restore)],
        "images": list(Image.objects.order_by("pk").values("pk", "file", "verdict", "missing_since")),
    }


@pytest.fixture
def long_history(memory_source: MakeSource) -> Source:
    """Years of it: findings open ever since, closed, purged, restored and missing again; audits of every kind."""
    store, source = memory_source()
    images = make_images(*(f"{letter}.jpg" for letter in "abcdefghijklmnop"))
    for letter in "efghijklmnop":
        store.put(f"{letter}.jpg")
    by_name = {image.file.name: str(image.pk) for image in images}
    audited(source)  # a, b, c and d are missing; a ever since
    time_passes(MONTHS)
    store.put("b.jpg")
    audited(source)  # b came back
    purge(source, by_name["c.jpg"])
    audited(source)
    done = purge(source, by_name["d.jpg"])
    execute_restore(done, restorable(done), restored_by="somebody")
    audited(source)  # d is missing again
    SetAsideMessage.objects.create(queue="q", message_id="1", reason="no_json", body=b"?")
    time_passes(YEARS)
    gave_up = open_audit(source, Scope(prefix="a"))
    resumable = open_audit(source, Scope(prefix="b"))
    Audit.objects.filter(pk__in=[gave_up.pk, resumable.pk]).update(state="interrupted", lease_until=None)
    left = Finding.objects.filter(verdict="missing").first()
    assert left is not None
    Finding.objects.create(
        fingerprint=left.fingerprint, content_type=left.content_type, object_pk="1", field="file", key="never.jpg",
        verdict="missing", opened_by=gave_up, opened_at=timezone.now(), settled=False,
    )  # fmt: skip
    audited(source, Scope(prefix="a"))
    audited(source, Scope(ids=(("imagesync.Image", by_name["e.jpg"]),)))
    for _time in range(3):
        audited(source)
    job = Job.objects.create(kind="check", state="done", nonce="1", content_type=content_type_of(Image))
    JobRecord.objects.create(job=job, object_pk="1")
    told = ToldStore.objects.create(fingerprint="told")
    for number, state in enumerate(("sent", "given_up", "waiting")):
        Notice.objects.create(store=told, change=number, channel="email", state=state)
    time_passes(MONTHS)
    store.delete("f.jpg")
    audited(source)
    purge(source, by_name["f.jpg"])  # can be restored
    time_passes(timedelta(days=2))
    for _time in range(2):
        audited(source)
    return source


@pytest.mark.django_db
def test_prune__whatever_is_asked_is_answered_as_before(long_history: Source) -> None:
    before = everything_asked(long_history)
    numbers = {
        model: model.objects.count()
        for model in (Audit, AuditRange, Finding, Purge, Job, Notice, SetAsideMessage)
    }
    unattended = before["plans"][1][0]
    assert [one["key"] for one in unattended["delete"]] == ["a.jpg"]
    assert any("restored before" in one["why"] for one in unattended["keep"])

    prune = execute_prune(plan_prune())

    assert everything_asked(long_history) == before
    assert prune.removed == prune.planned
    print({model.__name__: (number, model.objects.count()) for model, number in numbers.items()})
    for model, number in numbers.items():
        assert model.objects.count() < number, f"no {model.__name__} was removed"
    assert plan_prune().number == 0
    assert Notice.objects.get().state == "waiting"
    # and the next audit says of every record what it would have said
    latest = latest_audit(long_history)
    again = audited(long_history)
    assert latest is not None
    assert (again.trust, again.counts) == (latest.trust, latest.counts)


@pytest.mark.django_db
def test_prune__a_purge_can_be_undone_until_its_time_is_over(memory_source: MakeSource) -> None:
    source, done = purged_once(memory_source)
    audited(source)
    audited(source)
    time_passes(timedelta(days=364))

    execute_prune(plan_prune())
    assert done.tombstones.count() == 1
    assert Audit.objects.filter(pk=done.audit_id).exists()
    time_passes(timedelta(days=2))
    plan = plan_prune()

    assert (plan.planned["tombstones"], plan.planned["purges"]) == (1, 1)
    execute_prune(plan)
    assert not Purge.objects.exists()


@pytest.mark.django_db
def test_prune__a_record_that_was_restored_is_remembered_for_ever(long_history: Source) -> None:
    execute_prune(plan_prune())
    time_passes(YEARS)
    execute_prune(plan_prune())

    [note] = Tombstone.objects.exclude(restored_at=None)
    assert note.rows == ""
    audited(long_history)
    [kept] = [one for one in plans(long_history)[1][0]["keep"] if one["key"] == "d.jpg"]
    assert "restored before" in kept["why"]


@pytest.mark.django_db
def test_setting__none_keeps_for_ever_and_nothing_takes_what_a_purge_may_rest_on(
    long_history: Source,
) -> None:
    before = plans(long_history)
    planned = plan_prune().planned
    for step in planned:
        kind = "TOMBSTONES" if step == "restored_copies" else step.upper()
        with override_settings(IMAGESYNC={"RETENTION": {kind: None}}):
            assert plan_prune().planned[step] == 0
    assert all(planned.values())

    nothing = dict.fromkeys(
        ("AUDITS", "FINDINGS", "TOMBSTONES", "PURGES", "JOBS", "SELECTIONS", "NOTICES"), "0s"
    )
    with override_settings(IMAGESYNC={"RETENTION": nothing}):
        execute_prune(plan_prune())

    assert plans(long_history) == before


@pytest.mark.django_db
def test_prune__keeps_audits_that_anything_names_which_stays(old_audits: int) -> None:
    by_job, by_slice, by_purge, *_others = Audit.objects.order_by("pk")
    content_type = content_type_of(Image)
    Job.objects.create(kind="plan", state="waiting", nonce="1", content_type=content_type, audit=by_job)
    now = timezone.now()
    fresh = Freshness.objects.create(fingerprint="f" * 16, reads_upto=now, uploads_upto=now)
    Slice.objects.create(freshness=fresh, audit=by_slice)
    Purge.objects.create(fingerprint="f" * 16, state="refused", audit=by_purge)

    prune = execute_prune(plan_prune())

    assert prune.removed["audits"] == old_audits - 3
    assert Audit.objects.filter(pk__in=[by_job.pk, by_slice.pk, by_purge.pk]).count() == 3


@pytest.mark.django_db
def test_prune__keeps_what_a_purge_by_slices_looks_back_at(old_audits: int) -> None:
    """An audit that doubted the store within FRESHNESS stops such a purge, so it has to be there."""
    assert plan_prune().planned["audits"] == old_audits

    with override_settings(IMAGESYNC={"FRESHNESS": "800d"}):
        assert plan_prune().planned["audits"] == 0


@pytest.mark.parametrize(
    "value", [["90d"], {"AUDIT": "90d"}, {"AUDITS": "soon"}, {"AUDITS": 90}, {"AUDITS": "-1d"}, "90d"]
)
def test_setting__a_bad_one_is_a_system_check(value: Any) -> None:
    with override_settings(IMAGESYNC={"RETENTION": value}):
        ids = [one.id for one in run_checks(tags=["imagesync"])]

    assert "imagesync.E001" in ids


@pytest.mark.django_db
def test_prune__jobs_that_wait_keep_what_was_selected() -> None:
    for state in ("waiting", "running", "done", "failed"):
        job = Job.objects.create(kind="check", state=state, nonce=state, content_type=content_type_of(Image))
        JobRecord.objects.create(job=job, object_pk="1")
    time_passes(YEARS)

    execute_prune(plan_prune())

    assert set(Job.objects.values_list("state", flat=True)) == {"waiting", "running"}
    assert JobRecord.objects.count() == 2


@pytest.mark.django_db
def test_prune__with_nothing_to_do_costs_three_queries_at_most(
    memory_source: MakeSource, django_assert_max_num_queries: Any
) -> None:
    _store, source = memory_source()
    make_images("a.jpg")
    for _time in range(3):
        audited(source)
        time_passes(timedelta(days=40))
    tasks.prune_history()

    with django_assert_max_num_queries(3):
        answer = tasks.prune_history()

    assert not any(answer["removed"].values())


@pytest.fixture
def old_audits(db: None) -> int:
    """Ten audits, of which nothing rests on eight, and a purge that cannot be undone much longer."""
    for number in range(10):
        audit = Audit.objects.create(
            state="finished", trust="trustworthy", fingerprint="f" * 16, bucket="b", alias="default", scope_key="all",
            finished_at=timezone.now(),
        )  # fmt: skip
        AuditRange.objects.create(audit=audit, number=number)
    purge = Purge.objects.create(fingerprint="f" * 16, state="done", finished_at=timezone.now())
    Tombstone.objects.create(
        purge=purge, content_type=content_type_of(Image), object_pk="1", field="file", key="a.jpg", action="delete",
        rows="{}",
    )  # fmt: skip
    time_passes(YEARS)
    return 8


@pytest.mark.django_db
def test_prune__removes_nothing_that_got_old_after_the_plan(old_audits: int) -> None:
    plan = plan_prune(now=timezone.now() - YEARS)

    execute_prune(plan)

    assert plan.number == 0
    assert (Audit.objects.count(), Tombstone.objects.count()) == (10, 1)


@pytest.mark.django_db
def test_command__shows_asks_and_removes(old_audits: int) -> None:
    code, out, _err = run("imagesync_prune", "--dry-run", "--format", "json")
    document = json.loads(out)
    assert (code, document["schema"], document["executed"]) == (0, "imagesync.prune/1", False)
    assert document["remove"]["audits"] == old_audits
    code, out, err = run("imagesync_prune")
    assert code == 1
    assert "no terminal" in err
    assert Audit.objects.count() == 10

    code, out, _err = run("imagesync_prune", "--no-input", "--format", "json")

    assert (code, json.loads(out)["removed"]) == (0, document["remove"])
    assert (Audit.objects.count(), AuditRange.objects.count(), Purge.objects.count()) == (2, 2, 0)
    assert run("imagesync_prune")[:2] == (0, "Nothing was removed.\n")
    assert run("imagesync_prune", "--dry-run")[1] == "No history is old enough to be removed.\n"


@pytest.mark.django_db
@pytest.mark.parametrize(("answer", "code"), [("10", 0), ("yes", 1), ("", 1)])
def test_command__has_the_number_typed(
    old_audits: int, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: f"{answer}\n", raising=False)

    found, _out, err = run("imagesync_prune")

    assert (found, "cannot be restored any more" in err) == (code, True)
    assert Audit.objects.count() == (2 if code == 0 else 10)


@pytest.mark.django_db
def test_prune__what_is_restored_after_the_plan_was_made_is_not_taken(memory_source: MakeSource) -> None:
    _source, done = purged_once(memory_source)
    time_passes(YEARS)
    plan = plan_prune()
    execute_restore(done, restorable(done), restored_by="somebody")

    execute_prune(plan)

    assert plan.planned["tombstones"] == 1
    assert (plan.removed["tombstones"], plan.removed["purges"]) == (0, 0)
    assert Image.objects.count() == 3
    assert done.tombstones.get().rows  # what was restored just now is not past its time


@pytest.mark.django_db(transaction=True)
def test_prune__two_at_once_remove_the_same_once(s3: EmbeddedS3) -> None:
    old = timezone.now() - YEARS
    audits = Audit.objects.bulk_create(
        Audit(
            state="finished", trust="trustworthy", fingerprint="f" * 16, bucket="b", alias="default", scope_key="all",
            started_at=old, finished_at=old,
        )
        for _number in range(400)
    )  # fmt: skip
    AuditRange.objects.bulk_create(
        AuditRange(audit=one, number=number) for one in audits for number in range(3)
    )

    both = [start(s3, BUCKET, "imagesync_prune", "--no-input", "--format", "json") for _time in range(2)]
    answers = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0], answers
    assert sum(json.loads(out)["removed"]["audits"] for out, _err in answers) >= 398
    assert (Audit.objects.count(), AuditRange.objects.count()) == (2, 6)


@pytest.mark.django_db(transaction=True)
def test_prune__killed_half_way_is_taken_up_again(s3: EmbeddedS3) -> None:
    make_images("gone.jpg")
    s3.put(BUCKET, "here.jpg")
    run("check_s3_images")
    time_passes(YEARS)
    run("check_s3_images")
    run("check_s3_images")
    opened = Audit.objects.order_by("pk").first()
    assert opened is not None
    open_before = list(Finding.objects.open().values())
    old = timezone.now() - YEARS
    total = 10_000
    Finding.objects.bulk_create(
        Finding(
            fingerprint=opened.fingerprint, content_type=content_type_of(Image), object_pk=str(number), field="file",
            key=f"{number}.jpg", verdict="missing", opened_by=opened, opened_at=old, closed_by=opened, closed_at=old,
            settled=True,
        )
        for number in range(total)
    )  # fmt: skip
    closed = Finding.objects.exclude(closed_at=None)

    process = start(s3, BUCKET, "imagesync_prune", "--no-input")
    while closed.count() == total:
        assert process.poll() is None, process.communicate()[1]
    kill(process)

    left = closed.count()
    print(f"killed with {left} of {total} findings left")
    assert 0 < left < total
    assert list(Finding.objects.open().values()) == open_before
    assert not closed.filter(opened_by=None).exists()
    code, out, err = run("imagesync_prune", "--no-input", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["removed"]["findings"] == left
    assert list(Finding.objects.values()) == open_before
    assert Audit.objects.filter(pk=opened.pk).exists(), "its finding is open yet"


def test_defaults__are_those_that_are_documented() -> None:
    days = {
        name: kept.days for name in Retention.__slots__ if (kept := getattr(Retention(), name)) is not None
    }

    assert days == {
        "audits": 90, "findings": 365, "tombstones": 365, "purges": 365, "jobs": 90, "selections": 7, "notices": 90, "set_aside": 365,
    }  # fmt: skip
