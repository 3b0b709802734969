"""Purges where slices keep the records fresh: on their union when it is sound, and never on a slice by accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

from imagesync import tasks
from imagesync.exceptions import PurgeRefused
from imagesync.freshness import keep, keep_fresh
from imagesync.jobs import work_off
from imagesync.models import Audit, Finding, Freshness, Image, Job, Purge, Slice, Tombstone
from imagesync.purge.basis import Basis, basis_of, is_fresh, latest_audit
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source
from imagesync.records.slices import stored_slices
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.admin_pages import act, act_on_all, said, token_of
from tests.django.freshening import RECORDS, WEEK, pass_time
from tests.django.helpers import LONG_AGO, audited, make_images, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_slices")]

DAY = timedelta(days=1)
GONE = 10


@pytest.fixture
def small_slices(small_slices: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of them, so that some are fresh and others are not."""
    monkeypatch.setattr(keep, "SLICE_RECORDS", 80)


@pytest.fixture
def kept(memory_source: MakeSource, clock: time_machine.Coordinates) -> tuple[MemoryStore, Source]:
    """Every slice was looked at within the week, the last of them now; ten objects, all over, were gone from the start."""
    store, source = memory_source()
    names = [f"{number:03}.jpg" for number in range(RECORDS)]
    make_images(*names)
    for number, name in enumerate(names):
        if number % (RECORDS // GONE):
            store.put(name)
    pass_time(source, clock, WEEK, every=timedelta(hours=6))
    return store, source


def planned(source: Source, **limits: Any) -> Purge:
    basis = basis_of(source)
    assert basis is not None
    return make_plan(source, basis.audit, union=basis.union, limits=limits_from_settings(**limits))


def test_purge__rests_on_the_union_of_slices_and_takes_what_is_in_fresh_ones(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    _store, source = kept
    basis = basis_of(source)
    assert basis is not None
    assert basis.union is not None
    assert not basis.audit.full_scope
    assert basis.union.records == RECORDS
    assert latest_audit(source) is None

    purge = planned(source)

    assert purge.refused is None
    fresh = {
        one.first_key
        for one in stored_slices(Freshness.objects.get())
        if one.looked_at and timezone.now() - one.looked_at <= DAY
    }
    assert 0 < len(fresh) < Slice.objects.count()
    assert 0 < len(purge.plan["delete"]) < GONE
    assert len(purge.plan["delete"]) + len(purge.plan["keep"]) == GONE
    assert {one["why"].split(" ago")[0].rpartition(" looked at ")[0] for one in purge.plan["keep"]} == {
        "its slice was"
    }
    for one in purge.plan["delete"]:
        own = basis.union.own_slice(one["key"])
        assert own is not None
        assert timezone.now() - own.looked_at <= DAY
    assert purge.limits["slices"]["records"] == RECORDS
    execute_plan(purge, source)
    assert Image.objects.count() == RECORDS - len(purge.plan["delete"])


def test_purge__whose_newest_slice_is_empty_notices_an_empty_store_all_the_same(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates, settings: Any
) -> None:
    """The same address leads to another, empty store by now."""
    store, source = kept
    settings.IMAGESYNC = {**settings.IMAGESYNC, "AUDIT_MAX_AGE": "7d"}  # so that another slice is fresh too
    last = max(stored_slices(Freshness.objects.get()), key=lambda one: one.first_key)
    Image.objects.filter(file__gte=last.first_key).delete()
    while not ((basis := basis_of(source)) and basis.union and not basis.audit.counts["records"]):
        pass_time(source, clock, timedelta(hours=6), every=timedelta(hours=6))
    assert basis.audit.canaries
    purge = planned(source)
    assert purge.counts["planned"]
    for image in Image.objects.all():
        store.delete(image.file.name)
    left = Image.objects.count()

    with pytest.raises(PurgeRefused) as refused:
        execute_plan(purge, source)

    assert refused.value.id == "collapse"
    assert Image.objects.count() == left


def test_purge__day_by_day_takes_everything_that_is_gone_and_nothing_else(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    _store, source = kept
    for _day in range(8):
        execute_plan(planned(source, unattended=True), source)
        pass_time(source, clock, DAY)

    assert Image.objects.count() == RECORDS - GONE
    assert not Image.objects.filter(verdict="missing").exists()


def test_purge__unattended_takes_nothing_before_a_second_look(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    """Each slice was looked at once: no two looks say missing."""
    store, source = memory_source()
    make_images("gone.jpg", *(f"{n:03}.jpg" for n in range(200)))
    for number in range(200):
        store.put(f"{number:03}.jpg")
    pass_time(source, clock, WEEK * 0.8)

    purge = planned(source, unattended=True)

    assert purge.plan["delete"] == []
    taken: set[str] = set()
    for _day in range(8):
        pass_time(source, clock, DAY)
        taken |= {one["key"] for one in planned(source, unattended=True).plan["delete"]}
    assert taken == {"gone.jpg"}


def test_purge_orphans__rests_on_the_union_and_lifts_rails_for_an_audit_of_everything_alone(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = kept
    command = "imagesync.management.commands.purge_orphans.find_sources"
    monkeypatch.setattr(command, lambda **_narrowed: [source])
    before = Audit.objects.count()

    code, out, err = run("purge_orphans", "--dry-run", "--format", "json")

    document = json.loads(out)
    assert code == 0, err
    assert Audit.objects.count() == before, "no audit of everything had to run first"
    assert document["limits"]["slices"]["records"] == RECORDS
    assert 0 < len(document["delete"]) < GONE

    by_schedule = tasks._purge(source, None)
    assert by_schedule["counts"]["deleted"] == Tombstone.objects.count()

    code, out, err = run(
        "purge_orphans", "--dry-run", "--format", "json", "--all-missing", source.store.identity.bucket
    )
    assert code == 0, err
    assert Audit.objects.latest().full_scope
    assert "slices" not in json.loads(out)["limits"]


def test_purge__of_a_union_counts_the_records_that_there_are_now(kept: tuple[MemoryStore, Source]) -> None:
    """Slices were counted within a week: ten of three hundred then, ten of fifteen by now."""
    _store, source = kept
    there = Image.objects.exclude(verdict="missing").order_by("pk")
    Image.objects.filter(pk__in=there.values_list("pk", flat=True)[5:]).delete()

    purge = planned(source)

    assert purge.refused is not None
    assert purge.refused["id"] == "max_ratio"
    assert "of 15 audited records" in purge.refused["fact"]


@pytest.fixture
def in_admin(kept: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch) -> Source:
    """The store of ``kept`` is the one that the admin and its jobs purge from."""
    _store, source = kept
    for module in ("admin.selection", "admin.at_once", "admin.confirm", "jobs.work"):
        monkeypatch.setattr(f"imagesync.{module}.source_to_purge", lambda _fields: source)
    return source


def keys_to_delete(purge: Purge) -> set[str]:
    return {one["key"] for one in purge.plan["delete"]}


def test_admin__plans_on_the_union_what_the_command_would_and_executes_it(
    in_admin: Source, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    by_command = planned(in_admin)

    page = act(admin_client, "purge_missing", Image.objects.all())

    purge = Purge.objects.latest("pk")
    assert 0 < len(keys_to_delete(purge)) < GONE
    assert keys_to_delete(purge) == keys_to_delete(by_command)
    assert purge.limits["slices"] == by_command.limits["slices"]
    text = page.content.decode()
    assert f"Resting on {purge.limits['slices']['number']} slices of 300 records together" in text
    number = str(purge.counts["planned"])
    address = page.redirect_chain[-1][0]
    done = admin_client.post(address, {"number": number, "token": token_of(page)}, follow=True)
    assert f"{number} deleted" in said(done)
    assert set(Tombstone.objects.values_list("key", flat=True)) == keys_to_delete(by_command)


def test_admin__an_aged_plan_is_made_anew_on_the_union(
    in_admin: Source, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    page = act(admin_client, "purge_missing", Image.objects.all())
    Purge.objects.update(planned_at=timezone.now() - timedelta(hours=25))
    number = str(Purge.objects.get().counts["planned"])

    answer = admin_client.post(
        page.redirect_chain[-1][0], {"number": number, "token": token_of(page)}, follow=True
    )

    assert "here is the plan as it is now" in said(answer)
    anew = Purge.objects.latest("pk")
    assert (anew.state, anew.limits["slices"]["records"]) == ("planned", RECORDS)
    assert Image.objects.count() == RECORDS


@pytest.mark.parametrize("spoiled", [False, True])
def test_admin__a_job_plans_on_the_union_as_it_is_when_it_gets_there(
    in_admin: Source,
    clock: time_machine.Coordinates,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    spoiled: bool,
) -> None:
    by_command = planned(in_admin)
    monkeypatch.setattr("imagesync.admin.at_once.MOST", 5)
    question = act_on_all(admin_client, "purge_missing")
    assert f"missing in the {Slice.objects.count()} slices" in question.content.decode()
    admin_client.post("/admin/imagesync/image/selection/", {"token": token_of(question)}, follow=True)
    job = Job.objects.get()

    if spoiled:
        Slice.objects.filter(pk=Slice.objects.order_by("first_key")[0].pk).update(sound=False)
    work_off(job)

    if spoiled:
        assert (job.state, job.purge) == (Job.State.FAILED, None)
        assert "can bear a purge any more" in job.failure
    else:
        assert job.purge is not None
        assert keys_to_delete(job.purge) == keys_to_delete(by_command)
        assert "slices" in job.purge.limits
    assert Image.objects.count() == RECORDS


def test_admin__no_plan_rests_on_slices_that_are_not_all_believed(
    in_admin: Source, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    Slice.objects.filter(pk=Slice.objects.order_by("first_key")[0].pk).update(sound=False)

    page = act(admin_client, "purge_missing", Image.objects.all())

    assert "Run check_s3_images. The slices of FRESHNESS are not all looked at and believed" in said(page)
    assert not Purge.objects.exists()


def test_slice__satisfies_no_rail_by_itself(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    _store, source = kept
    newest = Audit.objects.first()
    assert newest is not None
    assert newest.trust == "trustworthy"

    purge = make_plan(source, newest, limits=limits_from_settings())

    assert purge.refused is not None
    assert purge.refused["id"] == "audit_partial"
    assert latest_audit(source) is None
    assert not is_fresh(latest_audit(source))
    Slice.objects.filter(pk=Slice.objects.order_by("pk")[0].pk).update(looked_at=None)
    assert basis_of(source) is None
    assert tasks._purge(source, None)["refused"]["id"] == "no_audit"
    assert Image.objects.count() == RECORDS


def test_union__is_no_basis_once_one_slice_is_not_what_it_must_be(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates, settings: Any
) -> None:
    _store, source = kept
    one = Slice.objects.filter(pk=Slice.objects.order_by("first_key")[1].pk)
    spoil: dict[str, Callable[[], Any]] = {
        "unsound": lambda: one.update(sound=False),
        "looked at longer ago": lambda: one.update(looked_at=timezone.now() - WEEK - timedelta(seconds=1)),
        "failed since": lambda: one.update(failed_at=timezone.now()),
        "a gap": one.delete,
        "another field": lambda: Freshness.objects.update(fields=["imagesync.Image.file"]),
        "the store failed": lambda: Freshness.objects.update(failures=1),
        "no slices": Slice.objects.all().delete,
        "its audits are gone": lambda: Slice.objects.update(audit=None),
    }
    for how, do in spoil.items():
        assert basis_of(source) is not None, how
        with transaction.atomic():
            do()
            assert basis_of(source) is None, how
            transaction.set_rollback(True)
    settings.IMAGESYNC = {}
    assert basis_of(source) is None


def test_union__an_emptied_bucket_is_never_a_basis(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    store, source = kept
    for key in list(store._keys):
        store.delete(key)

    for _slice in range(12):
        clock.shift(timedelta(hours=14))
        keep_fresh(source)
        basis = basis_of(source)
        assert basis is None or Audit.objects.filter(trust="degraded").count() == 0

    assert Image.objects.filter(verdict="missing").count() > RECORDS / 2
    assert basis_of(source) is None


def test_union__that_a_later_audit_of_anything_doubted_is_no_basis(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    store, source = kept
    clock.shift(timedelta(hours=1))
    for key in list(store._keys):
        store.delete(key)
    one = Image.objects.filter(verdict="present")[0]
    looked = audited(source, Scope(ids=(("imagesync.Image", str(one.pk)),)))
    assert looked.reasons[0]["id"] == "collapse"

    assert basis_of(source) is None


def test_union__a_later_whole_audit_that_was_not_believed_comes_first(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    store, source = kept
    clock.shift(timedelta(hours=1))
    store.fail("HeadBucket", 500, "InternalError")
    failed = audited(source)
    store.answer("HeadBucket", None, None)

    basis = basis_of(source)

    assert basis == Basis(failed)
    refused = planned(source).refused
    assert refused is not None
    assert refused["id"] == "audit_untrustworthy"


def test_union__a_fresh_audit_of_everything_is_preferred(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    _store, source = kept
    clock.shift(timedelta(hours=1))
    whole = audited(source)

    assert basis_of(source) == Basis(whole)
    assert len(planned(source).plan["delete"]) == GONE


def test_union__a_record_that_only_a_single_look_found_missing_waits_for_its_slice(
    kept: tuple[MemoryStore, Source], clock: time_machine.Coordinates
) -> None:
    store, source = kept
    newest = max(stored_slices(Freshness.objects.get()), key=lambda one: one.looked_at or LONG_AGO)
    inside = next(one for one in Image.objects.filter(verdict="present") if newest.holds(one.file.name))
    clock.shift(timedelta(minutes=5))
    store.delete(inside.file.name)
    audited(source, Scope(ids=(("imagesync.Image", str(inside.pk)),)))
    assert Finding.objects.open().filter(key=inside.file.name, verdict="missing").exists()

    plan = planned(source, grace_period=timedelta(0)).plan

    assert inside.file.name not in {one["key"] for one in plan["delete"]}
    [why] = [one["why"] for one in plan["keep"] if one["key"] == inside.file.name]
    assert "was not looked at since it was found missing" in why
