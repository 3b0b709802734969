"""The report on one image. ``documents`` are ``imagesync.image/1``; several stores may hold the same key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from imagesync.reports.escaping import printable
from imagesync.reports.lines import evidence_line, requests_line, where_line

IMAGE_FORMATS = ("text", "json")
MOST_VERSIONS = 10
MOST_HISTORY = 10
MOST_RECORDS = 20

Document = Mapping[str, Any]


def write_images(out: TextIO, format: str, documents: Sequence[Document]) -> None:
    """Write one document as it is, or several as ``imagesync.images/1``."""
    if format == "json":
        whole = documents[0] if len(documents) == 1 else _several(documents)
        out.write(json.dumps(whole, indent=1) + "\n")
        return
    for number, document in enumerate(documents):
        out.write("\n" if number else "")
        out.writelines(line + "\n" for line in _text_lines(document))


def _several(documents: Sequence[Document]) -> Document:
    return {"schema": "imagesync.images/1", "images": list(documents)}


def _text_lines(document: Document) -> Iterator[str]:
    reason = f" ({document['reason']})" if document["reason"] else ""
    yield f"{printable(document['key'])}"
    yield f"  in {where_line(document['store'])}: {document['verdict']}{printable(reason)}"
    yield f"  {printable(document['conclusion']['sentence'])}"
    yield ""
    yield from _answers(document)
    yield from _versions(document["versions"])
    yield from _beside(document["beside"], document["key"])
    yield from _near_misses(document["near_misses"])
    yield from _url(document["url"])
    yield from _records(document)
    yield from _history(document["history"])
    yield f"  {requests_line(document)}"


def _answers(document: Document) -> Iterator[str]:
    fit = document["preflight"]
    region = f", bucket in {fit['bucket_region']}" if fit["bucket_region"] else ""
    if fit["fit"]:
        yield printable(f"  store       fit to be believed; versioning {fit['versioning']}{region}")
    for reason in fit["reasons"]:
        yield f"  store       {reason['id']}: {printable(reason['fact'])}"
        yield f"              -> {printable(reason['hint'])}"
    for label, evidence in (("HEAD", document["head"]), ("GET", document["get"])):
        if evidence is None:
            yield f"  {label:<12}not asked"
            continue
        size = f", {_size(evidence['size_bytes'])}" if "size_bytes" in evidence else ""
        stored = f", class {evidence['storage_class']}" if "storage_class" in evidence else ""
        marker = ", a delete marker" if _is_marked(evidence) else ""
        yield f"  {label:<12}{evidence_line(evidence)}{size}{printable(stored)}{marker}"


def _is_marked(evidence: Document) -> bool:
    told: str = evidence.get("headers", {}).get("x-amz-delete-marker", "false")
    return told.lower() != "false"


def _versions(versions: Document | None) -> Iterator[str]:
    if versions is None:
        return
    if versions["told"] != "found":
        yield f"  versions    {versions['told']} ({evidence_line(versions['evidence'], brief=True)})"
        return
    entries = versions["entries"]
    label = "versions"
    for one in entries[:MOST_VERSIONS]:
        kind = "delete marker" if one["is_delete_marker"] else _size(one["size_bytes"])
        latest = ", the latest" if one["is_latest"] else ""
        when = f", {one['last_modified'][:19]}Z" if one["last_modified"] else ""
        yield f"  {label:<12}{printable(one['id']) or '(no id)'}  {kind}{when}{latest}"
        label = ""
    if len(entries) > MOST_VERSIONS or versions["more"]:
        yield f"              ... and more; --format json has the first {len(entries)}"


def _beside(beside: Document | None, key: str) -> Iterator[str]:
    if beside is None:
        return
    where = printable(beside["directory"]) or "the bucket's root"
    if beside["failure"]:
        yield f"  beside it   {where}: {printable(beside['failure'])}"
    elif not beside["objects"]:
        yield f"  beside it   nothing under {where}"
    else:
        part = "" if beside["complete"] else ", of which a part was listed"
        yield f"  beside it   under {where}{part}"
    for one in beside["objects"]:
        itself = "> " if one["key"] == key else "  "
        yield f"            {itself}{printable(one['key'])}  {_size(one['size_bytes'])}"


def _near_misses(near_misses: Sequence[Document]) -> Iterator[str]:
    if not near_misses:
        return
    there = [one for one in near_misses if one["verdict"] in ("present", "mismatched", "archived")]
    unclear = [one for one in near_misses if one["verdict"] in ("denied", "unknown")]
    more = f", {len(unclear)} without a clear answer" if unclear else ""
    yield f"  near misses {len(near_misses)} asked for, {len(there)} there{more}"
    for one in there:
        named = f"; named by {_some(one['records'])}"
        yield f"              {printable(one['key'])}  {one['verdict']}: {one['what']}{printable(named)}"


def _some(records: Sequence[str]) -> str:
    """A default picture may be named by every row of a table."""
    more = len(records) - MOST_RECORDS
    return (", ".join(records[:MOST_RECORDS]) or "no record") + (f" and {more:,} more" if more > 0 else "")


def _url(url: Document | None) -> Iterator[str]:
    if url is None:
        yield "  site's URL  none: the storage has no name for this key"
        return
    if url["error"]:
        yield f"  site's URL  none: {printable(url['error'])}"
        return
    signed = {"none": "not signed", "cloudfront": "signed for CloudFront"}.get(
        url["signature"], f"signature {url['signature']}"
    )
    region = f" for {url['region']}" if url["region"] else ""
    answer = f"HTTP {url['status']} {url['code']}".rstrip() if url["status"] else f"no answer {url['code']}"
    more = f", {url['content_type']}" if url["content_type"] else ""
    more += f", to {url['redirected_to']}" if url["redirected_to"] else ""
    told = f"{url['scheme']} {url['host']}, {signed}{region}: a browser gets {answer}{more}"
    yield f"  site's URL  {printable(told)}"


def _records(document: Document) -> Iterator[str]:
    label = "records"
    for one in document["records"][:MOST_RECORDS]:
        marked = f", marked {one['remembers']['verdict']}" if one["remembers"]["verdict"] else ""
        reason = f" ({one['reason']})" if one["reason"] else ""
        told = f"{one['record']} {one['field']}: {one['verdict']}{reason}{marked}"
        yield f"  {label:<12}{printable(told)}"
        label = ""
    if not document["records"]:
        yield "  records     none names this key"
    if len(document["records"]) > MOST_RECORDS:
        more = len(document["records"]) - MOST_RECORDS
        yield f"              ... and {more:,} more; --format json names them all"
    for one in document["failed_reads"]:
        code = f" ({one['code']})" if one["code"] else ""
        told = f"{one['record']} {one['field']}: reported since {one['first_at'][:19]}Z{code}, the last at {one['last_at'][:19]}Z"
        yield f"  not read    {printable(told)}"
    for one in document["purged"]:
        told = f"{one['record']} {one['field']}, purge {one['purge']}, {one['purged_at'][:19]}Z"
        yield f"  purged      {printable(told)}"


def _history(history: Sequence[Document]) -> Iterator[str]:
    label = "history"
    for one in history[:MOST_HISTORY]:
        reason = f" ({one['reason']})" if one["reason"] else ""
        opened = f"since {one['opened_at'][:19]}Z{_audit(one['opened_by'])}"
        closed = f" until {one['closed_at'][:19]}Z{_audit(one['closed_by'])}" if one["closed_at"] else ""
        told = f"{one['record']} {one['field']}: {one['verdict']}{reason} {opened}{closed}"
        yield f"  {label:<12}{printable(told)}"
        label = ""
    if not history:
        yield "  history     no audit ever found fault with it"
    if len(history) > MOST_HISTORY:
        yield f"              ... and {len(history) - MOST_HISTORY} earlier; --format json has them"


def _audit(number: int | None) -> str:
    return f" (audit {number})" if number is not None else ""


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "size not told"
    return "1 byte" if size_bytes == 1 else f"{size_bytes:,} bytes"
