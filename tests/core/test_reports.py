from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.verdicts import Verdict
from imagesync.reports import AUDIT_FORMATS, printable, write_audits, write_purge
from imagesync.reports.audits import PROMISES
from imagesync.reports.escaping import cell, markdown


def document(**values: Any) -> dict[str, Any]:
    store = {
        "alias": "default",
        "bucket": "b",
        "region": "r",
        "endpoint": "e",
        "prefix": "",
        "fingerprint": "f",
    }
    counts = {"records": 1, "missing": 1}
    return {
        "schema": "imagesync.audit/1", "audit": 7, "started_at": "s", "finished_at": "f", "trust": "trustworthy", "reasons": [],
        "store": store, "strategy": "list", "strategy_reason": "why", "requests": {"GET": 1}, "counts": counts, **values,
    }  # fmt: skip


def finding(key: str = "a.jpg") -> dict[str, Any]:
    evidence = {
        "operation": "GetObject",
        "status": 404,
        "code": "NoSuchKey",
        "at": "2026-11-23T08:00:00+00:00",
    }
    return {
        "record": "a.B:1",
        "field": "file",
        "key": key,
        "verdict": "missing",
        "reason": "",
        "since": "s",
        "evidence": evidence,
    }


def written(format: str, *reports: Any, limit: int | None = None) -> str:
    out = io.StringIO()
    write_audits(out, format, list(reports), limit=limit)
    return out.getvalue()


def test_json__several_audits_are_one_document() -> None:
    several = json.loads(written("json", (document(), [finding()]), (document(audit=8), [])))

    assert several["schema"] == "imagesync.audits/1"
    assert [one["audit"] for one in several["audits"]] == [7, 8]
    assert json.loads(written("json", (document(), [finding()])))["schema"] == "imagesync.audit/1"


@given(st.text(max_size=20))
def test_json_and_ndjson__give_every_key_back_exactly(key: str) -> None:
    assert json.loads(written("json", (document(), [finding(key)])))["findings"][0]["key"] == key
    assert json.loads(written("ndjson", (document(), [finding(key)])).splitlines()[1])["key"] == key


@given(st.text(max_size=20))
def test_every_format__keeps_a_hostile_key_on_its_line(key: str) -> None:
    plain = {format: written(format, (document(), [finding("a.jpg")])) for format in AUDIT_FORMATS}
    for format in ("text", "csv", "markdown"):
        report = written(format, (document(), [finding(key)]))
        assert len(report.splitlines()) == len(plain[format].splitlines())
        assert "\x1b" not in report


@given(st.text(max_size=20))
def test_csv__no_cell_starts_a_formula(key: str) -> None:
    rows = list(csv.reader(io.StringIO(written("csv", (document(), [finding(key)])))))

    assert len(rows) == 2
    assert not any(one.startswith(("=", "+", "-", "@", "\t", "\r")) for one in rows[1])


@given(st.text(max_size=12), st.text(max_size=12))
def test_printable__tells_any_two_keys_apart(one: str, other: str) -> None:
    assert (printable(one) == printable(other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["\n", "\r", "\x1b[31m", "\u202e", "\u200b", "\ufeff", "\u2028", "\x7f", "\x00", "\ud800"]
)
def test_printable__shows_what_would_hide(text: str) -> None:
    assert printable(text).isascii()
    assert printable(text).isprintable()


def test_cell__numbers_stay_numbers() -> None:
    assert (cell(-3), cell(None), cell("=1"), cell("plain")) == ("-3", "", "'=1", "plain")


def test_markdown__fences_backticks() -> None:
    assert markdown("a`b") == "``a`b``"
    assert "|" not in markdown("a|b").replace("\\|", "")


def test_text__says_how_many_it_does_not_show() -> None:
    report = written("text", (document(), [finding(f"{n}.jpg") for n in range(5)]), limit=2)

    assert "1.jpg" in report
    assert "2.jpg" not in report
    assert "3 more" in report


def test_promises__cover_every_verdict() -> None:
    assert set(PROMISES) == set(Verdict)


@pytest.mark.parametrize("format", ["text", "csv", "json"])
def test_purge__names_what_goes_and_why_the_rest_stays(format: str) -> None:
    out = io.StringIO()
    purge = {
        "schema": "imagesync.purge/1", "purge": 3, "audit": 7, "dry_run": True, "executed": False, "refused": None,
        "delete": [{"record": "a.B:1", "key": "=x", "action": "delete", "cascades": {"shop.C": 2}}],
        "keep": [{"record": "a.B:2", "key": "y", "why": "it is young"}],
        "counts": {"planned": 1, "deleted": 0, "cleared": 0, "kept": 1}, "state": "planned", "undo": None,
    }  # fmt: skip

    write_purge(out, format, purge)

    report = out.getvalue()
    assert all(part in report for part in ("a.B:1", "shop.C", "it is young"))
    assert '"=x"' not in report or format == "json"
