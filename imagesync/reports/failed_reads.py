"""What an audit found where visitors could not read a file, in a few lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from imagesync.reports.escaping import printable

NAMED = 10
"""Of those that are present: the JSON has them all."""


def failed_read_lines(failed_reads: Mapping[str, Any] | None) -> Iterator[str]:
    """One line of figures, and one for each file that is there although visitors could not read it."""
    if not failed_reads or not failed_reads["looked_at"]:
        return
    looked_at = failed_reads["looked_at"]
    found = ", ".join(f"{number:,} {verdict}" for verdict, number in failed_reads["counts"].items())
    yield f"{looked_at:,} reported failed read{'' if looked_at == 1 else 's'}: {found}"
    unreadable = [entry for entry in failed_reads["records"] if entry["verdict"] == "present"]
    for entry in unreadable[:NAMED]:
        code = f" ({printable(entry['code'])})" if entry["code"] else ""
        yield (
            f"  {printable(entry['record'])} is present, yet visitors could not read it{code}: "
            f"run debug_s3_image {_argument(entry)}"
        )
    if len(unreadable) > NAMED:
        yield f"  ... and {len(unreadable) - NAMED:,} more; --format json names them all"


def _argument(entry: Mapping[str, Any]) -> str:
    """What can be pasted into a shell as it stands and runs nothing: the key, or else its record."""
    key = entry["key"]
    if printable(key) == key.replace("\\", "\\\\") and not key.startswith("-"):
        return shlex.quote(key)
    return f"--id {shlex.quote(printable(entry['record']))}"
