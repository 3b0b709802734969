"""How a long run tells somebody how far it is, without knowing who that is."""

from __future__ import annotations


class Progress:
    """Does nothing. The command line has one that writes, a task has none."""

    def begin(self, what: str, total: int | None = None) -> None:
        """A new stage starts; ``total`` is how many records it will go through, when that is known."""

    def advance(self, done: int, **figures: int) -> None:
        """``done`` records are through so far, with some figures to show."""

    def report(self, done: int, *, rate: float | None, seconds_left: int | None, **figures: int) -> None:
        """The same of work that other processes do, who know at which rate."""
