"""Progress on stderr: one rewritten line on a terminal, now and then a whole line elsewhere."""

from __future__ import annotations

import time
from typing import Any

from imagesync.core.progress import Progress

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 30.0


class TerminalProgress(Progress):
    def __init__(self, stderr: Any, *, verbosity: int = 1) -> None:
        self.stderr = stderr
        self.silent = verbosity < 1
        self.terminal = bool(getattr(stderr, "isatty", lambda: False)())
        self.total: int | None = None
        self.began_at = self.shown_at = time.monotonic()
        self.line_is_open = False

    def begin(self, what: str, total: int | None = None) -> None:
        self.total = total
        self.began_at = self.shown_at = time.monotonic()
        if not self.silent:
            self.end()
            self.stderr.write(f"{what} ...", style_func=str)

    def advance(self, done: int, **figures: int) -> None:
        seconds = time.monotonic() - self.began_at
        rate = done / seconds if seconds else 0.0
        left = max(0.0, (self.total - done) / rate) if self.total and rate else None
        self._show(done, rate, left, figures)

    def report(self, done: int, *, rate: float | None, seconds_left: int | None, **figures: int) -> None:
        self._show(done, rate or 0.0, seconds_left, figures)

    def _show(self, done: int, rate: float, left: float | None, figures: dict[str, int]) -> None:
        now = time.monotonic()
        pause = TERMINAL_SECONDS if self.terminal else LOG_SECONDS
        if self.silent or now - self.shown_at < pause:
            return
        self.shown_at = now
        line = self._line(done, rate, left, figures)
        if self.terminal:
            self.stderr.write(f"\r\033[K{line}", ending="", style_func=str)
            self.stderr.flush()
            self.line_is_open = True
        else:
            self.stderr.write(line, style_func=str)

    def end(self) -> None:
        """Leave the terminal on a line of its own."""
        if self.line_is_open:
            self.stderr.write("", style_func=str)
            self.line_is_open = False

    def _line(self, done: int, rate: float, left: float | None, figures: dict[str, int]) -> str:
        parts = [f"{done:,}"]
        if self.total:
            parts = [f"{done:,} / {self.total:,}", f"{100 * done / self.total:.1f} %"]
        parts.append(f"{rate:,.0f}/s")
        if left is not None:
            parts.append(f"{_span(left)} left")
        parts += [f"{name} {number:,}" for name, number in figures.items()]
        return "  ".join(parts)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
