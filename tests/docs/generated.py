"""The parts of the documentation that are made from the code. ``make docs`` writes them; a test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from imagesync.selftest.document import markdown_table

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/how-it-decides.md"
BEGIN, END = "<!-- made by `make docs`: begin -->\n", "<!-- made by `make docs`: end -->\n"


def with_table(page: str) -> str:
    """The page with its table as the code has it now."""
    before, _begin, rest = page.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{markdown_table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
    sys.stderr.write(f"{PAGE.name} is up to date\n")
