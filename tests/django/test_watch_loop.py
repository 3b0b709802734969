"""When a watch ends, what it waits for, and what it does not wait for. No queue, no store: batches that a test makes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from django.db import OperationalError

from imagesync.exceptions import CannotLook, QueueFailed, QueueRefused
from imagesync.storage.queue import QueueMessage
from imagesync.watching import BatchReport, Ending, Stop, Totals, Watch, loop, watch

AWAY = QueueFailed("queue_away", "No answer.", "Try again.")
REFUSED = QueueRefused("queue_denied", "Refused.", "Add a line.")
MESSAGE = QueueMessage(id="1", body="", receipt="", times=1)
Step = Exception | int


class Steps:
    """One step per receive: so many messages, or what is raised. Stops behind the last one."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.stop = Stop()
        self.waited: list[int] = []

    def receive(self, *, wait_s: int) -> list[QueueMessage]:
        self.waited.append(wait_s)
        step = self.steps.pop(0)
        if not self.steps:
            self.stop._asked.set()
        if isinstance(step, Exception):
            raise step
        return [MESSAGE] * step

    def work_off(self, messages: Sequence[QueueMessage]) -> BatchReport:
        return BatchReport(messages=len(messages))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without their time. There is no database to have connections to."""
    made: list[float] = []
    monkeypatch.setattr(loop, "close_old_connections", lambda: None)
    monkeypatch.setattr(loop.time, "sleep", made.append)
    return made


def run_through(steps: Steps, told: list[str] | None = None, **ending: Any) -> Totals:
    return watch(
        cast(Watch, steps),
        Ending(**ending),
        stop=steps.stop,
        tell=lambda report: None,
        complain=(told if told is not None else []).append,
    )


def test_endless__goes_on_when_nothing_waits_and_adds_up() -> None:
    steps = Steps(0, 3, 0, 2)

    totals = run_through(steps)

    assert (totals.batches, totals.figures["messages"]) == (4, 5)
    assert set(steps.waited) == {20}


def test_drain__ends_at_the_first_empty_receive() -> None:
    steps = Steps(10, 1, 0, 5)

    assert run_through(steps, when_empty=True).figures["messages"] == 11
    assert steps.steps == [5]
    assert set(steps.waited) == {1}


def test_once__is_one_batch() -> None:
    assert run_through(Steps(10, 10), batches=1).batches == 1


@pytest.mark.parametrize("trouble", [AWAY, CannotLook("The store is unfit."), OperationalError("gone\naway")])
def test_endless__waits_for_what_is_away(trouble: Exception, pauses: list[float]) -> None:
    told: list[str] = []

    totals = run_through(Steps(trouble, trouble, 1, trouble, 1), told)

    assert totals.figures["messages"] == 2
    assert pauses == [1, 2, 1]
    assert all("Trying again" in line and "\n" not in line for line in told)


def test_endless__gives_up_when_it_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PATIENCE_S", -1)

    with pytest.raises(QueueFailed):
        run_through(Steps(AWAY, 1))


@pytest.mark.parametrize("ending", [{}, {"when_empty": True}])
def test_refused__ends_it_at_once(ending: dict[str, Any], pauses: list[float]) -> None:
    with pytest.raises(QueueRefused):
        run_through(Steps(REFUSED, 1), **ending)

    assert pauses == []


@pytest.mark.parametrize("trouble", [AWAY, OperationalError("gone")])
@pytest.mark.parametrize("ending", [{"when_empty": True}, {"batches": 1}, {"seconds": 60.0}])
def test_one_that_ends_by_itself__waits_for_nothing(trouble: Exception, ending: dict[str, Any]) -> None:
    with pytest.raises(type(trouble)):
        run_through(Steps(trouble, 1), **ending)


def test_time_that_is_over__receives_nothing() -> None:
    steps = Steps(1)

    assert run_through(steps, seconds=-1.0).batches == 0
    assert steps.steps == [1]


def test_stop__breaks_a_wait_and_never_a_batch() -> None:
    stop = Stop()
    stop.ask()  # nobody waits: nothing is raised, the batch goes on
    with pytest.raises(loop.Stopped), stop.waiting():
        pass
    again = Stop()

    with pytest.raises(loop.Stopped), again.waiting():
        again.ask()
