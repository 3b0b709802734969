"""An audit's report. ``documents`` are ``imagesync.audit/1`` without findings; those come as a stream."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from imagesync.reports.escaping import cell, markdown, plain_markdown, printable
from imagesync.reports.failed_reads import failed_read_lines
from imagesync.reports.lines import estimate_lines, evidence_line, object_lines, requests_line, where_line

Document = Mapping[str, Any]
Rows = Iterable[Document]
Report = tuple[Document, Rows]

CSV_COLUMNS = ("audit", "store", "record", "field", "key", "verdict", "reason", "since")
EVIDENCE_COLUMNS = ("operation", "status", "code", "request_id", "at")

PROMISES = {
    "present": "the object is there",
    "mismatched": "there, but empty or not what the record remembers",
    "archived": "there, but must be restored before it can be read",
    "recoverable": "behind a delete marker; a version can be brought back",
    "missing": "proven absent: 404 NoSuchKey from a healthy store",
    "ambiguous": "the stored name does not map to one exact key",
    "denied": "S3 refused to say",
    "unknown": "we could not look",
    "unchecked": "nobody has looked yet",
}


def write_audits(out: TextIO, format: str, reports: Sequence[Report], *, limit: int | None = None) -> None:
    """Write one or several audits. ``limit`` is how many findings the text shows per audit."""
    out.writelines(audit_pieces(format, reports, limit=limit))


def audit_pieces(format: str, reports: Sequence[Report], *, limit: int | None = None) -> Iterator[str]:
    """What ``write_audits`` writes, piece by piece, for who sends it on as it comes."""
    pieces: dict[str, Callable[[], Iterator[str]]] = {
        "json": lambda: _json(reports),
        "ndjson": lambda: _ndjson(reports),
        "csv": lambda: _csv(reports),
        "markdown": lambda: _markdown(reports),
        "text": lambda: _text(reports, limit),
    }
    return pieces[format]()


AUDIT_FORMATS = ("text", "json", "ndjson", "csv", "markdown")


def _json(reports: Sequence[Report]) -> Iterator[str]:
    if len(reports) == 1:
        yield from json_audit(*reports[0])
    else:
        yield '{"schema": "imagesync.audits/1", "audits": ['
        for number, report in enumerate(reports):
            yield ", " if number else ""
            yield from json_audit(*report)
        yield "]}"
    yield "\n"


def json_audit(document: Document, findings: Rows) -> Iterator[str]:
    """One audit's document with its findings, as the JSON contract has it."""
    yield json.dumps(document)[:-1] + ', "findings": ['
    for number, finding in enumerate(findings):
        yield (",\n" if number else "\n") + json.dumps(finding)
    yield "]}"


def _ndjson(reports: Sequence[Report]) -> Iterator[str]:
    """One line per audit, then one per finding of it."""
    for document, findings in reports:
        yield json.dumps(document) + "\n"
        for finding in findings:
            yield json.dumps({"schema": "imagesync.finding/1", "audit": document["audit"], **finding}) + "\n"


class _Line:
    """A file for ``csv.writer`` that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(reports: Sequence[Report]) -> Iterator[str]:
    writer: Any = csv.writer(_Line(), quoting=csv.QUOTE_ALL, lineterminator="\n")
    yield writer.writerow([*CSV_COLUMNS, *EVIDENCE_COLUMNS])
    for document, findings in reports:
        for finding in findings:
            row = {**finding, "audit": document["audit"], "store": document["store"]["fingerprint"]}
            evidence = finding["evidence"]
            yield writer.writerow(
                [cell(row.get(name)) for name in CSV_COLUMNS]
                + [cell(evidence.get(name)) for name in EVIDENCE_COLUMNS]
            )


def _text(reports: Sequence[Report], limit: int | None) -> Iterator[str]:
    for number, (document, findings) in enumerate(reports):
        yield "\n" if number else ""
        yield from (line + "\n" for line in _text_lines(document, findings, limit))


def _text_lines(document: Document, findings: Rows, limit: int | None) -> Iterator[str]:
    store, counts = document["store"], document["counts"]
    yield f"Audit {document['audit']} of {where_line(store)}: {document['trust'] or 'not finished'}"
    for reason in document["reasons"]:
        yield f"  {reason['id']}: {printable(reason['fact'])}"
        yield f"    -> {printable(reason['hint'])}"
    if not counts.get("records"):
        yield "  No record was judged." if document["reasons"] else "  No record names an object here."
        return
    yield f"  {counts['records']:,} records, {requests_line(document)}"
    for verdict, promise in PROMISES.items():
        if counts.get(verdict):
            share = 100 * counts[verdict] / counts["records"]
            yield f"  {verdict:<12}{counts[verdict]:>10,}  {share:6.2f} %  {promise}"
    yield from (f"  {line}" for line in object_lines(document))
    yield from (f"  {line}" for line in estimate_lines(document.get("estimate")))
    yield from (f"  {line}" for line in failed_read_lines(document.get("failed_reads")))
    shown, rest = _first(findings, limit)
    if shown:
        yield ""
    for finding in shown:
        yield f"  {finding['verdict']:<12}{finding['record']}  {printable(finding['key'])}"
        yield f"              {_because(finding)}"
    if rest:
        yield f"  ... and {rest:,} more; --format csv --output FILE lists them all"


def _markdown(reports: Sequence[Report]) -> Iterator[str]:
    for number, (document, findings) in enumerate(reports):
        yield "\n" if number else ""
        yield from (line + "\n" for line in _markdown_lines(document, findings))


def _markdown_lines(document: Document, findings: Rows) -> Iterator[str]:
    store, counts = document["store"], document["counts"]
    yield f"## Image audit {document['audit']}"
    yield ""
    yield f"- **Store:** {markdown(store['bucket'])}, region {markdown(store['region'])}, endpoint {markdown(store['endpoint'])}"
    yield f"- **When:** {document['started_at']} to {document['finished_at']}"
    yield f"- **How:** {document['strategy']} ({document['strategy_reason']}); {requests_line(document)}"
    yield f"- **Trust:** {document['trust']}"
    for reason in document["reasons"]:
        yield f"  - `{reason['id']}`: {plain_markdown(reason['fact'])} {plain_markdown(reason['hint'])}"
    yield ""
    yield "### What was found"
    yield ""
    yield "| verdict | records | meaning |"
    yield "| --- | ---: | --- |"
    for verdict, promise in PROMISES.items():
        if counts.get(verdict):
            yield f"| {verdict} | {counts[verdict]:,} | {promise} |"
    yield f"| all | {counts.get('records', 0):,} | |"
    yield ""
    for line in [*object_lines(document), *estimate_lines(document.get("estimate"))]:
        yield f"- {plain_markdown(line)}"
    for line in failed_read_lines(document.get("failed_reads")):
        yield f"- {plain_markdown(line.strip())}"
    why: Counter[tuple[str, str]] = Counter()
    head = [
        "### Each of them, and why",
        "",
        "| record | key | verdict | evidence |",
        "| --- | --- | --- | --- |",
    ]
    for finding in findings:
        yield from head
        head = []
        why[finding["verdict"], _because(finding, brief=True)] += 1
        yield (
            f"| {markdown(finding['record'])} | {markdown(finding['key'])} | {finding['verdict']} "
            f"| {plain_markdown(_because(finding))} |"
        )
    if why:
        yield ""
        yield "### Why"
        yield ""
        for (verdict, because), number in why.most_common():
            yield f"- {number:,} {verdict}: {plain_markdown(because)}"
        yield ""
    yield from _cleanup_summary(document.get("cleanup"))


def _cleanup_summary(cleanup: Sequence[Document] | None) -> Iterator[str]:
    yield "### What was done"
    yield ""
    if not cleanup:
        yield "Nothing was deleted: an audit only looks."
        return
    yield "| purge | state | deleted | cleared | kept | by | when |"
    yield "| --- | --- | ---: | ---: | ---: | --- | --- |"
    for purge in cleanup:
        yield (
            f"| {purge['purge']} | {purge['state']} | {purge['deleted']:,} | {purge['cleared']:,} "
            f"| {purge['kept']:,} | {plain_markdown(purge['by'])} | {purge['at'] or ''} |"
        )
    yield ""
    yield "### Before and after"
    yield ""
    for purge in cleanup:
        yield (
            f"- Purge {purge['purge']}: {purge['before']:,} records before, {purge['after']:,} after; "
            f"undo with `restore_purged {purge['purge']}`."
        )


def _because(finding: Document, *, brief: bool = False) -> str:
    """The reason and the evidence in one line."""
    reason = f"{printable(finding['reason'])}: " if finding.get("reason") else ""
    return f"{reason}{evidence_line(finding['evidence'], brief=brief)}"


def _first(rows: Rows, limit: int | None) -> tuple[list[Document], int]:
    shown: list[Document] = []
    rest = 0
    for row in rows:
        if limit is None or len(shown) < limit:
            shown.append(row)
        else:
            rest += 1
    return shown, rest
