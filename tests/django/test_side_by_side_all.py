"""Everything at once, at random: objects come and go, and two watches, audits, purges, restores and cleared marks meet."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event

import pytest
from django.db import connection

from imagesync.audit.marks import clear_marks
from imagesync.exceptions import AlreadyRunning, PurgeRefused
from imagesync.models import Audit, Image
from imagesync.purge.basis import latest_audit
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.purge.restore import execute_restore, restorable
from imagesync.records import Scope, Source
from imagesync.storage.memory import MemoryStore
from imagesync.watching import Watch
from imagesync.watching.store import WatchedStore
from tests.conftest import BUCKET, MakeSource
from tests.django.beside import Beside, marked, missing
from tests.django.helpers import audited, make_images
from tests.queues import MemoryQueue, event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]

CHANGES = 400
CHANGING = [f"{number:02}.jpg" for number in range(40)]
STAYING = [f"stays/{number:02}.jpg" for number in range(60)]


class Site:
    def __init__(self, store: MemoryStore, source: Source) -> None:
        self.store = store
        self.source = source
        self.events: SimpleQueue[str] = SimpleQueue()
        self.is_over = Event()

    def again_and_again(self, step: Callable[[], None]) -> Beside:
        def run() -> None:
            while not self.is_over.is_set():
                try:
                    step()
                except (AlreadyRunning, PurgeRefused):
                    time.sleep(0.05)  # that is what they say to each other

        beside = Beside(run)
        beside.start()
        return beside

    def change(self, dice: random.Random) -> None:
        name = dice.choice(CHANGING)
        if name in self.store._objects:
            self.store.delete(name)
        else:
            self.store.put(name)
        self.events.put(name)
        time.sleep(dice.uniform(0, 0.02))

    def watch(self) -> None:
        names: list[str] = []
        try:
            while len(names) < 10:
                names.append(self.events.get(timeout=0.05))
        except Empty:
            pass
        queue = MemoryQueue()
        queue.send(*map(event, names))
        one = Watch(queue, [WatchedStore(self.source)], started_by="events")
        if one.work_off(one.receive(wait_s=0)).left:
            for name in names:
                self.events.put(name)

    def purge(self) -> None:
        audit = latest_audit(self.source)
        assert isinstance(audit, Audit)
        plan = make_plan(self.source, audit, limits=limits_from_settings(max_ratio=1.0))
        if not plan.refused:
            execute_plan(plan, self.source)
            back = execute_restore(plan, restorable(plan), restored_by="somebody")
            assert not back.conflicts
            for one in back.records:  # they are unchecked until somebody looks
                self.events.put(one.key)

    def clear(self) -> None:
        for cleared in clear_marks(self.source, Scope()):
            for _record, key in cleared:
                self.events.put(key)
        time.sleep(0.3)


def test_all_at_once__ends_with_what_is_true(memory_source: MakeSource) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    store, source = memory_source(bucket=BUCKET)
    make_images(*CHANGING, *STAYING)
    for name in (*CHANGING, *STAYING):
        store.put(name)
    audited(source)
    site = Site(store, source)

    def audit() -> None:
        audited(source)

    def audit_a_part() -> None:
        audited(source, Scope(prefix="0"))

    steps = [site.watch, site.watch, audit, audit_a_part, site.purge, site.clear]
    others = [site.again_and_again(step) for step in steps]
    dice = random.Random(seed)
    for _change in range(CHANGES):
        site.change(dice)
    site.is_over.set()
    for other in others:
        other.outcome()
    while not site.events.empty():
        site.watch()
    # a file that came back and went again between an audit's page and its writing, when no watch had anything to write
    audited(source)

    gone = sorted(name for name in CHANGING if name not in store._objects)
    assert (missing(), marked()) == (gone, gone)
    assert Image.objects.count() == len(CHANGING) + len(STAYING)
