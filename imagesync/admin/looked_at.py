"""What a closer look brought (``imagesync.image/1``), as the page shows it: every foreign text harmless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from imagesync.admin.columns import verdict_shown
from imagesync.core.verdicts import Verdict
from imagesync.reports import printable
from imagesync.reports.lines import evidence_line, requests_line, where_line

Document = Mapping[str, Any]
MOST_VERSIONS = 10
MOST_RECORDS = 20
THERE = (Verdict.PRESENT, Verdict.MISMATCHED, Verdict.ARCHIVED)


def looked_at(document: Document) -> dict[str, Any]:
    near = document["near_misses"]
    there = [one for one in near if one["verdict"] in THERE]
    return {
        "key": printable(document["key"]),
        "where": where_line(document["store"]),
        "verdict": verdict_shown(document["verdict"], document["reason"]),
        "outcome": document["conclusion"]["outcome"],
        "conclusion": printable(document["conclusion"]["sentence"]),
        "answers": list(_answers(document)),
        "unfit": [_printable(reason) for reason in document["preflight"]["reasons"]],
        "url": _url(document["url"]),
        "asked_for": len(near),
        "near_misses": [_near(one) for one in there],
        "unclear": sum(one["verdict"] in (Verdict.DENIED, Verdict.UNKNOWN) for one in near),
        "versions": _versions(document["versions"]),
        "beside": _beside(document),
        "records": [_record(one) for one in document["records"][:MOST_RECORDS]],
        "more_records": max(0, len(document["records"]) - MOST_RECORDS),
        "requests": requests_line(document),
    }


def _answers(document: Document) -> Iterator[tuple[str, str]]:
    for label, evidence in (("HEAD", document["head"]), ("GET", document["get"])):
        if evidence is None:
            yield label, _("not asked")
            continue
        size = f", {filesizeformat(evidence['size_bytes'])}" if "size_bytes" in evidence else ""
        stored = f", {evidence['storage_class']}" if "storage_class" in evidence else ""
        yield label, evidence_line(evidence) + printable(size + stored)


def _url(url: Document | None) -> dict[str, Any]:
    if url is None:
        return {"error": _("The storage has no address for this key.")}
    if url["error"]:
        return {"error": _("No address can be made: %(why)s.") % {"why": printable(url["error"])}}
    answer = f"HTTP {url['status']} {url['code']}" if url["status"] else _("no answer") + f" {url['code']}"
    return {
        "host": printable(f"{url['scheme']}://{url['host']}"),
        "signature": "" if url["signature"] == "none" else printable(url["signature"]),
        "region": printable(url["region"]),
        "answer": printable(answer.strip()),
        "content_type": printable(url["content_type"]),
        "redirected_to": printable(url["redirected_to"]),
        "loads": url["loads"],
    }


def _near(one: Document) -> dict[str, Any]:
    return {
        "key": printable(one["key"]),
        "verdict": verdict_shown(one["verdict"]),
        "what": one["what"],
        "records": printable(", ".join(one["records"][:MOST_RECORDS])),
    }


def _versions(versions: Document | None) -> dict[str, Any] | None:
    if versions is None:
        return None
    if versions["told"] != "found":
        return {"told": f"{versions['told']} ({evidence_line(versions['evidence'], brief=True)})"}
    entries = [
        {
            "id": printable(one["id"] or "-"),
            "what": _("delete marker") if one["is_delete_marker"] else filesizeformat(one["size_bytes"]),
            "at": printable((one["last_modified"] or "")[:19]),
            "is_latest": one["is_latest"],
        }
        for one in versions["entries"][:MOST_VERSIONS]
    ]
    return {"entries": entries, "more": versions["more"] or len(versions["entries"]) > MOST_VERSIONS}


def _beside(document: Document) -> dict[str, Any] | None:
    beside = document["beside"]
    if beside is None:
        return None
    return {
        "directory": printable(beside["directory"]),
        "failure": printable(beside["failure"]),
        "complete": beside["complete"],
        "objects": [
            {
                "key": printable(one["key"]),
                "size": filesizeformat(one["size_bytes"]),
                "itself": one["key"] == document["key"],
            }
            for one in beside["objects"]
        ],
    }


def _record(one: Document) -> dict[str, Any]:
    return {
        "record": printable(one["record"]),
        "field": one["field"],
        "verdict": verdict_shown(one["verdict"], one["reason"]),
        "marked": one["remembers"]["verdict"],
    }


def _printable(reason: Document) -> dict[str, str]:
    return {"fact": printable(reason["fact"]), "hint": printable(reason["hint"])}
