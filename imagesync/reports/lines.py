"""Single lines that several reports have: what was asked and answered, of which store, with how many requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagesync.core.cost import told
from imagesync.reports.escaping import printable

Document = Mapping[str, Any]


def evidence_line(evidence: Document, *, brief: bool = False) -> str:
    """The evidence in one line: what was asked, what came back."""
    if not evidence.get("operation"):
        return "nobody asked S3"
    status = evidence.get("status")
    answer = f"HTTP {status}" if status else "no answer"
    line = f"{evidence['operation']} -> {answer} {evidence.get('code', '')}".rstrip()
    if evidence.get("versions"):
        line += f", versions: {evidence['versions']}"
    if not brief and evidence.get("request_id"):
        line += f", request {evidence['request_id']}"
    if not brief and evidence.get("at"):
        line += f", {evidence['at'][:19]}Z"
    return printable(line)


def where_line(store: Document) -> str:
    region = f" ({store['region']})" if store["region"] else ""
    return printable(f"s3://{store['bucket']}/{store['prefix']}{region}")


def requests_line(document: Document) -> str:
    made = ", ".join(f"{number:,} {kind}" for kind, number in sorted(document["requests"].items()) if number)
    return f"requests: {made or 'none'}{_cost(document.get('cost'))}"


def _cost(cost: Document | None) -> str:
    """In brackets; nothing where requests are free."""
    return f" ({told(cost['amount'], cost['currency'])})" if cost and cost["amount"] else ""


def object_lines(document: Document) -> Iterator[str]:
    """What the store holds beside the records, in one line; nothing where objects were asked for one by one."""
    if document.get("unreferenced"):
        yield f"{document['unreferenced']:,} objects have no record"
    elif document.get("saw_all_objects") is False and document["strategy"] != "head":
        yield "not every object was looked at, so those without a record were not counted"


def estimate_lines(estimate: Document | None) -> Iterator[str]:
    """What a sample says about all records, in one line."""
    if estimate is None:
        return
    yield (
        f"Of all {estimate['population']:,} records, between {estimate['records_low']:,} and {estimate['records_high']:,} are "
        f"missing ({100 * estimate['low']:.2f} to {100 * estimate['high']:.2f} %, with "
        f"{100 * estimate['confidence']:.0f} % confidence)"
    )
