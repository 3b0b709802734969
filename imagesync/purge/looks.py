"""The looks of this moment that a batch of a purge rests on, and how long ago each of them was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from time import monotonic
from typing import Any

from imagesync.core.ages import is_too_old
from imagesync.core.verdicts import Look, Verdict
from imagesync.storage.probe import confirm, utc_now
from imagesync.storage.store import Store

CONFIRMED_WITHIN = timedelta(seconds=60)
"""A look older than this says nothing about now; the record stays for the next purge."""


class Looks:
    """By key, at the batch's own objects and at all that would go along."""

    def __init__(self) -> None:
        self._seen: dict[str, Look] = {}
        self._asked: dict[str, float] = {}

    def __getitem__(self, key: str) -> Look:
        return self._seen[key]

    def ask(self, store: Store, key: str, **asked: Any) -> Look:
        """``confirm``, in whatever thread, with the moment noted."""
        self._asked[key] = monotonic()
        return confirm(store, key, **asked)

    def remember(self, looked: Iterable[tuple[str, Look]]) -> None:
        self._seen.update(looked)

    def prove(self, key: str) -> bool:
        """Whether an object was seen to be missing just now. (False for one that nobody looked at.)

        By two clocks: one may be set in between, and the one that nobody sets stands still while a machine sleeps.
        """
        look = self._seen.get(key)
        if look is None or look.verdict is not Verdict.MISSING or look.evidence.at is None:
            return False
        since = timedelta(seconds=monotonic() - self._asked[key])
        return since <= CONFIRMED_WITHIN and not is_too_old(utc_now() - look.evidence.at, CONFIRMED_WITHIN)
