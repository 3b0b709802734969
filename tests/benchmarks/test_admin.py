"""`make bench-admin` at a tiny size: every page answers, and is a line of the table. Nothing here looks at a time."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks import report
from benchmarks.admin import PLAN, Page, text
from benchmarks.measured import ROOT


def test_admin__asks_for_every_page_and_tells_its_queries() -> None:
    command = [sys.executable, "-m", "benchmarks.admin", "--records", "2000", "--repeat", "1"]
    before = report.README.read_text()

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)

    assert ended.returncode in (0, 1), ended.stderr  # 1: a page took too long on this machine
    queries = [int(number) for number in re.findall(r"\d\.\d +(\d+)  ", ended.stdout)]
    assert len(queries) > 60
    assert 0 < max(queries) < 15
    assert f"of {len(queries)} pages took" in ended.stdout
    assert report.README.read_text() == before  # a small size is no figure for it


def test_text__has_a_row_for_each_page_and_marks_what_is_over_the_limit() -> None:
    pages = [Page("a list", 20.0, 5.0, 30.0, 6, "40 of 80"), Page("a slow one", 120.0, 90.0, 150.0, 9, "")]

    made = text(pages, "A machine.")

    assert "2 pages. 1 of them take 100 ms" in made
    assert "| a list | 20 ms | 5 ms | 30 ms | 6 | 40 of 80 |" in made
    assert "| a slow one **over** | 120 ms |" in made
    readme = report.with_tables(report.README.read_text(), PLAN, made)
    assert "| a slow one **over** |" in readme
