"""A store that events are about, and what is remembered of its fitness."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from imagesync.audit.looks import Fitness, Looks, fitness_of, look_at
from imagesync.core.events import ObjectEvent
from imagesync.exceptions import CannotLook
from imagesync.records import Record, Scope, Source, ordered_records

REMEMBERED_S = 300.0
"""How long a store that was found fit is taken for fit before looks. After an absence it is asked anew, always."""


class WatchedStore:
    """One source. Its store is checked when there is something to look at, and not for each batch."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._fitness: Fitness | None = None
        self._checked_at = 0.0
        self._was_unfit = False

    def holds(self, event: ObjectEvent) -> bool:
        """Whether the event is about this bucket, and a key under its prefix (or one that no record could name)."""
        store = self.source.store
        if event.bucket != store.identity.bucket:
            return False
        return not event.keys or any(store.name_for(key) is not None for key in event.keys)

    def records(self, keys: Iterable[str]) -> list[Record]:
        """Those that name one of these keys: one query per file field, by the exact key."""
        wanted = tuple(sorted(keys))
        return ordered_records(self.source, Scope(keys=wanted)) if wanted else []

    def look_at(self, records: Sequence[Record]) -> Looks:
        """Raises CannotLook when the store is not fit."""
        fitness = self._checked()
        try:
            return look_at(self.source, records, fitness)
        except CannotLook:
            self._fitness, self._was_unfit = None, True
            raise

    def must_be_fit_again(self) -> None:
        """Nothing, unless the store was found unfit. Raises CannotLook while it is."""
        if self._was_unfit:
            self._checked()

    def _checked(self) -> Fitness:
        now = time.monotonic()
        if self._fitness is None or now - self._checked_at > REMEMBERED_S:
            self._fitness, self._was_unfit = None, True
            self._fitness = fitness_of(self.source)
            self._checked_at, self._was_unfit = now, False
        return self._fitness
