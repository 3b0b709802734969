from __future__ import annotations

import threading
import time

import pytest

from imagesync.core.verdicts import Evidence, Verdict
from imagesync.storage import probe
from imagesync.storage.memory import MemoryStore
from imagesync.storage.probe import confirm, look_all


def test_look_all__answers_in_the_order_asked_and_takes_what_it_can_hold() -> None:
    store = MemoryStore("b")
    taken: list[int] = []
    for number in range(0, 200, 2):
        store.put(f"{number}")

    def wanted():
        for number in range(200):
            taken.append(number)
            yield number, str(number), None

    answers = look_all(store, wanted(), how=confirm, versioning="off", workers=3)
    next(answers)

    assert len(taken) <= 4 * 3 + 1
    rest = [(number, seen.verdict) for number, seen in answers]
    expected = [Verdict.PRESENT if number % 2 == 0 else Verdict.MISSING for number in range(1, 200)]
    assert rest == list(zip(range(1, 200), expected, strict=True))


def test_look_all__beats_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "HEARTBEAT_SECONDS", 0.05)
    store = MemoryStore("b")
    beats: list[float] = []
    honest = store.get

    def slow(key: str) -> Evidence:
        time.sleep(0.3)
        return honest(key)

    store.get = slow  # type: ignore[method-assign]

    list(
        look_all(
            store,
            [(1, "a", None)],
            how=confirm,
            versioning="off",
            workers=1,
            heartbeat=lambda: beats.append(1),
        )
    )

    assert len(beats) >= 2


def test_look_all__asks_nothing_more_when_its_consumer_stops() -> None:
    store = MemoryStore("b")
    before = threading.active_count()
    answers = look_all(
        store, ((n, str(n), None) for n in range(1000)), how=confirm, versioning="off", workers=2
    )
    next(answers)

    answers.close()

    assert store.requests["GET"] <= 10
    assert threading.active_count() == before
