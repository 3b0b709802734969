"""CSV, a line at a time: for files, and for answers that are sent while they are made."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from imagesync.reports.escaping import cell


class _Line:
    """What ``csv`` writes to: it keeps the last line."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Each row as a line, quoted, with nothing in it that a spreadsheet would execute."""
    line = _Line()
    writer = csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for row in rows:
        writer.writerow([cell(value) for value in row])
        yield line.text
