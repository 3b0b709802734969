"""Clocks that are wrong, or are set while a purge is under way: no record goes because of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from imagesync.exceptions import PurgeRefused
from imagesync.models import Audit, Finding, Image, Purge
from imagesync.purge import execute, looks
from imagesync.purge.basis import fresh_basis, is_fresh
from imagesync.purge.execute import execute_plan
from imagesync.purge.moved import aged
from imagesync.records import Source, find_targets
from imagesync.storage.memory import MemoryStore
from tests.django.beside import once_before
from tests.django.helpers import audited, plan
from tests.testapp.models import Edition, Product

pytestmark = pytest.mark.django_db(transaction=True)

World = tuple[MemoryStore, Source]
HOURS = timedelta(hours=2)


@pytest.fixture
def half(four_of_seven: World) -> World:
    """Four present, three missing, audited."""
    audited(four_of_seven[1])
    return four_of_seven


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Set this machine's clock wrong; the database's is right."""
    real = timezone.now

    def by(difference: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: real() + difference)

    return by


def test_plan__on_a_machine_whose_clock_is_ahead_takes_no_young_record(
    half: World, off: Callable[[timedelta], None]
) -> None:
    _store, source = half
    Image.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    off(HOURS)

    purge = plan(source)

    assert purge.counts["planned"] == 0
    assert {one["why"] for one in purge.plan["keep"]} == {"it is younger than the grace period (1 h)"}


@pytest.mark.parametrize("difference", [HOURS, -HOURS])
def test_purge__on_a_machine_whose_clock_is_wrong_keeps_the_databases_times(
    half: World, off: Callable[[timedelta], None], difference: timedelta
) -> None:
    _store, source = half
    real = timezone.now
    right = real()
    off(difference)

    purge = plan(source)
    assert (purge.refused, aged(purge)) == (None, "")
    execute_plan(purge, source)

    assert purge.counts["deleted"] == 3
    closed = list(Finding.objects.values_list("closed_at", flat=True))
    times = [purge.planned_at, purge.started_at, purge.finished_at, *closed]
    assert len(times) == 6
    assert all(at is not None and abs(at - right) < timedelta(minutes=5) for at in times), times


def test_plan__that_rests_on_an_audit_from_the_future_is_refused(half: World) -> None:
    _store, source = half
    Audit.objects.update(finished_at=timezone.now() + timedelta(days=300))

    purge = plan(source)

    assert purge.refused is not None
    assert purge.refused["id"] == "audit_stale"
    assert "300 d in the future" in purge.refused["fact"]


def test_basis__an_audit_from_the_future_is_not_fresh(half: World) -> None:
    _store, source = half
    audit = Audit.objects.get()
    assert is_fresh(audit)
    assert is_fresh(audit, now=audit.finished_at)

    Audit.objects.update(finished_at=timezone.now() + HOURS)

    assert not is_fresh(Audit.objects.get())
    assert fresh_basis(source) is None


def test_plan__from_the_future_is_not_executed(half: World) -> None:
    _store, source = half
    purge = plan(source)
    Purge.objects.update(planned_at=timezone.now() + timedelta(days=300))
    purge.refresh_from_db()

    with pytest.raises(PurgeRefused) as refused:
        execute_plan(purge, source)

    assert refused.value.id == "plan_stale"
    assert "in the future" in aged(purge)
    assert Image.objects.count() == 7


def planned_of(source: Source, settings: Any, age_field: str) -> dict[str, str]:
    """What a plan says of the records of one field: why each stays, or nothing."""
    label, field = age_field.rsplit(".", 1)
    model = label.rsplit(".", 1)[0] + ":"
    fields = {label: {"policy": "delete", "age_field": field}}
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": fields}
    source = replace(source, targets=tuple(find_targets()))
    audited(source)
    purge = plan(source)
    assert purge.refused is None
    told = [{**one, "why": ""} for one in purge.plan["delete"]] + purge.plan["keep"]
    return {one["key"]: one["why"] for one in told if one["record"].startswith(model)}


YOUNG = "it is younger than the grace period (1 h)"


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_plan__takes_a_day_by_its_end_however_far_it_is(half: World, settings: Any, time_zone: str) -> None:
    today = timezone.now().date()
    days = [date.min, today - timedelta(days=3), today + timedelta(days=1), date.max]
    for number, day in enumerate(days):
        Edition.objects.create(file=f"e/{number}", published_on=day)

    with timezone.override(time_zone):
        told = planned_of(half[1], settings, "testapp.Edition.file.published_on")

    assert told == {"e/0": "", "e/1": "", "e/2": YOUNG, "e/3": YOUNG}


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_plan__takes_a_time_as_it_is_however_far_it_is(half: World, settings: Any, time_zone: str) -> None:
    for number, at in enumerate((datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))):
        Product.objects.create(name=f"{number}", photo=f"p/{number}", created_at=at)

    with timezone.override(time_zone):
        told = planned_of(half[1], settings, "testapp.Product.photo.created_at")

    assert told == {"p/0": "", "p/1": YOUNG}


def kept_after(world: World, monkeypatch: pytest.MonkeyPatch, clocks: dict[str, Any]) -> set[str]:
    """Why a purge keeps its records when clocks go so between its looks and its deletions."""
    _store, source = world
    purge = plan(source)

    def pass_by() -> None:
        for name, moved in clocks.items():
            monkeypatch.setattr(looks, name, moved)

    once_before(monkeypatch, execute, "take", pass_by)
    execute_plan(purge, source)
    assert purge.counts["deleted"] + purge.counts["kept"] == 3
    return {one["why"] for one in purge.plan["keep"]}


real_monotonic, real_utc_now = looks.monotonic, looks.utc_now

TOO_LONG = {"too much time passed since it was looked at; the next purge takes it"}


@pytest.mark.parametrize(
    "clocks",
    [
        # ten minutes, by which the clock was set back
        {"monotonic": lambda: real_monotonic() + 600},
        # the clock was set back by more than the time that passed
        {"utc_now": lambda: real_utc_now() - timedelta(minutes=50)},
        # the machine slept
        {"utc_now": lambda: real_utc_now() + timedelta(minutes=10)},
    ],
)
def test_purge__whose_looks_are_old_by_any_clock_takes_nothing(
    half: World, monkeypatch: pytest.MonkeyPatch, clocks: dict[str, Any]
) -> None:
    assert kept_after(half, monkeypatch, clocks) == TOO_LONG
    assert Image.objects.count() == 7


def test_purge__goes_on_when_a_clock_is_set_right_by_a_little(
    half: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_after(half, monkeypatch, {"utc_now": lambda: real_utc_now() - timedelta(seconds=5)}) == set()
