"""Clocks that are wrong, or are set while a purge is under way: no record goes because of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from imagesync.exceptions import PurgeRefused
from imagesync.models import Audit, Finding, Image, Purge
from imagesync.purge import execute, looks
from imagesync.purge.execute import execute_plan
from imagesync.purge.moved import aged
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.django.beside import once_before
from tests.django.helpers import audited, plan

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
