"""One batch: receive, look, write down, and only then delete.

Killed at any moment, messages whose looks were not committed are handed out again; those that were are looked at once
more, and nothing changes. What an event says decides nothing, so neither duplicates nor their order matter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from imagesync import logs
from imagesync.audit.judge import Judgement
from imagesync.audit.looks import write_down
from imagesync.core.events import ObjectEvent, parse_message
from imagesync.core.verdicts import Reason
from imagesync.exceptions import CannotLook
from imagesync.records import Record
from imagesync.storage.queue import MOST, EventQueue, QueueMessage
from imagesync.watching.set_aside import keep
from imagesync.watching.store import WatchedStore

SCHEMA = "imagesync.events/1"
MOST_AT_ONCE = 100
"""Messages of a batch, received ten at a time: what a batch costs besides its looks is shared by them."""
MOST_TRIES = 5
"""Deliveries of a message whose look fails for a passing reason; then what the look brought is written down."""
MOST_LOOKS = 3
"""At what changes each time that somebody looks; then its messages stay in the queue."""
_PASSING = frozenset(
    {
        Reason.THROTTLED,
        Reason.TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.SERVER_ERROR,
        Reason.EXPIRED_CREDENTIALS,
        Reason.UNEXPECTED_ANSWER,
    }
)

Pointing = tuple[QueueMessage, ObjectEvent]


@dataclass(slots=True)
class BatchReport:
    """What became of one batch. A message may hold several events, an event may concern several records."""

    messages: int = 0
    events: int = 0
    passed_over: int = 0
    """Events that tell nothing about whether an object can be read."""
    elsewhere: int = 0
    """Events of a bucket, or a prefix, that no file field names objects in."""
    unnamed: int = 0
    """Events of a key that no record names."""
    looked: int = 0
    """Records."""
    set_aside: int = 0
    """Messages that cannot be read and are kept in our table now."""
    left: int = 0
    """Messages that stay in the queue."""
    changes: list[Judgement] = field(default_factory=list)
    audits: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        figures = ("messages", "events", "passed_over", "elsewhere", "unnamed", "looked", "set_aside", "left")
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in figures},
            "audits": self.audits,
            "changes": [_change(one) for one in self.changes],
        }


class Watch:
    """One queue, and the stores that its events are about."""

    def __init__(self, queue: EventQueue, stores: Sequence[WatchedStore], *, started_by: str) -> None:
        self._queue = queue
        self._stores = stores
        self._started_by = started_by
        self._queue_sets_aside: bool | None = None

    def receive(self, *, wait_s: int) -> list[QueueMessage]:
        """What waits, up to ``MOST_AT_ONCE`` messages. Raises CannotLook when the queue cannot be asked.

        A store that was not fit is asked first whether it is again: messages that are handed out again and again
        would end among the queue's dead letters.
        """
        for store in self._stores:
            store.must_be_fit_again()
        if self._queue_sets_aside is None:
            self._queue_sets_aside = self._queue.sets_aside()
        messages = received = self._queue.receive(wait_s=wait_s)
        while len(received) == MOST and len(messages) < MOST_AT_ONCE:
            received = self._queue.receive(wait_s=0)
            messages = [*messages, *received]
        return messages

    def work_off(self, messages: Sequence[QueueMessage]) -> BatchReport:
        """Look where the messages point, write it down, delete them. Those that are not done stay in the queue.

        Raises CannotLook when a store cannot be believed, and what the database raises; then all of them stay.
        """
        report = BatchReport(messages=len(messages))
        parsed = [(one, parse_message(one.body)) for one in messages]
        report.passed_over = sum(found.passed_over for _one, found in parsed)
        staying = self._look([(one, event) for one, found in parsed for event in found.events], report)

        unreadable = [(one, found.unreadable) for one, found in parsed if found.unreadable is not None]
        for one, why in unreadable:
            text = f"message {one.id} of queue {self._queue.name} cannot be read: {why}"
            facts = {"queue": self._queue.name, "message_id": one.id, "reason": why.value}
            logs.of_queue("message_unreadable", text, level=logging.WARNING, **facts)
        kept = [] if self._queue_sets_aside else keep(self._queue.name, unreadable)
        staying |= {one.id for one, _why in unreadable} - {one.id for one in kept}
        report.set_aside = len(kept)

        done = [one for one in messages if one.id not in staying]
        self._queue.delete(done)
        report.left = len(messages) - len(done)
        return report

    def _look(self, pointing: Sequence[Pointing], report: BatchReport) -> set[str]:
        """The ids of messages that are to be tried once more."""
        held: set[int] = set()
        named: set[int] = set()
        staying: set[str] = set()
        for store in self._stores:
            ours = {place: one for place, one in enumerate(pointing) if store.holds(one[1])}
            tries = _tries(ours.values())
            records = store.records(tries)
            found = {record.key for record in records}
            again = self._look_at(store, records, tries, report) if records else set()
            held.update(ours)
            named.update(place for place, (_one, event) in ours.items() if found.intersection(event.keys))
            staying.update(one.id for one, event in ours.values() if again.intersection(event.keys))
        report.events = len(pointing)
        report.elsewhere = len(pointing) - len(held)
        report.unnamed = len(held) - len(named)
        return staying

    def _look_at(
        self, store: WatchedStore, records: Sequence[Record], tries: Mapping[str, int], report: BatchReport
    ) -> set[str]:
        """The keys that could not be looked at for now.

        What changed is looked at once more when it is written down: another watch may have looked later and been
        faster, and of what it found as it was before nothing was written that we could have seen.
        """
        report.looked += len(records)
        again: set[str] = set()
        for time in range(MOST_LOOKS):
            try:
                looks = store.look_at(records)
            except CannotLook:
                if not time:
                    raise
                break  # what was written before is told, and the messages stay
            again |= {
                one.record.key
                for one in looks.judgements
                if one.look.reason in _PASSING and tries[one.record.key] < MOST_TRIES
            }
            told = [one for one in looks.judgements if one.record.key not in again]
            written = write_down(store.source, replace(looks, judgements=told), started_by=self._started_by)
            report.changes += written.changes
            if written.audit is not None:
                report.audits.append(written.audit.pk)
            records = store.records({one.record.key for one in written.changes})
            if not records:
                return again
        return again | {record.key for record in records}


def _tries(pointing: Iterable[Pointing]) -> dict[str, int]:
    """Each key that events name, with how often a message about it was handed out."""
    tries: dict[str, int] = {}
    for message, event in pointing:
        for key in event.keys:
            tries[key] = max(tries.get(key, 0), message.times)
    return tries


def _change(judgement: Judgement) -> dict[str, Any]:
    record, seen = judgement.record, judgement.look
    return {
        "record": record.label,
        "field": record.target.field.name,
        "key": record.key,
        "verdict": seen.verdict.value,
        "reason": str(seen.reason),
        "evidence": seen.evidence.to_dict(),
    }
