"""The self-test as a document, and the table as the documentation shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from imagesync.selftest.row import Row
from imagesync.selftest.run import Judged
from imagesync.selftest.table import TABLE

SCHEMA = "imagesync.selftest/1"

QUESTIONS = {
    "GET": "one object: GetObject, `Range: bytes=0-0`",
    "HEAD": "one object: HeadObject, which a GET follows unless it says 200",
    "VERSIONS": "ListObjectVersions, after `NoSuchKey`, where versioning is not known to be off",
    "HEAD_BUCKET": "the store: HeadBucket",
    "LIST": "the store: ListObjectsV2",
    "VERSIONING": "the store: GetBucketVersioning",
}
"""What each kind of request asks, in the order of the table."""


def self_test_document(alias: str, results: Iterable[Judged]) -> dict[str, Any]:
    """``imagesync.selftest/1``: every answer with what was made of it."""
    answers = [_answer(one) for one in results]
    return {
        "schema": SCHEMA,
        "storage": alias,
        "answers": answers,
        "counts": {
            "played": len(answers),
            "differing": sum(not one["as_documented"] for one in answers),
            "unsafe": sum(not one["safe"] for one in answers),
            "deletable": sum(one["deletable"] for one in answers),
        },
    }


def _answer(one: Judged) -> dict[str, Any]:
    return {
        "id": one.row.id,
        "request": one.row.operation,
        "judged": one.judged,
        "reason": one.reason,
        "deletable": one.deletable,
        "safe": one.is_safe,
        "as_documented": one.as_documented,
    }


def markdown_table(rows: Iterable[Row] = TABLE) -> str:
    """The table for docs/how-it-decides.md."""
    return "\n".join(_markdown_lines(list(rows)))


def _markdown_lines(rows: list[Row]) -> Iterator[str]:
    for operation, question in QUESTIONS.items():
        mine = [row for row in rows if row.operation == operation]
        yield f"### Asked about {question}\n"
        yield "| the answer | is judged | why | may a record go? |"
        yield "| --- | --- | --- | --- |"
        for row in mine:
            told = row.id.partition(" ")[2].replace("|", "\\|").replace("<", "&lt;")
            yield f"| {told} | `{row.judged}` | {f'`{row.reason}`' if row.reason else ''} | {_may_go(row)} |"
        yield ""


def _may_go(row: Row) -> str:
    return "yes, after all other checks" if row.may_delete else "no"
