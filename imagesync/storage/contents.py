"""The objects of a listing page, cut out of its bytes before botocore parses the page.

A page of 1,000 keys costs botocore two XML parsers and 1,000 timestamps; what is asked of it here is the frame: bucket,
prefix, token, whether there is more. The entries are all alike, so one regular expression reads them. Anything that is
not plain (an entry of another shape, a character that XML would treat, bytes that are no ASCII) is left to botocore, in
the same request. tests/storage/test_contents.py holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from imagesync.storage.contract import clean_code, clean_etag

CUT = "ListedObjects"
"""Where the parsed page holds the objects that were cut out of it."""

_BEGIN, _END = b"<Contents>", b"</Contents>"
_FIRST_ENTRY = re.compile(rb"<Contents>((?:<([A-Za-z]+)>[^<>]*</\2>)+)</Contents>")
_ELEMENT = re.compile(rb"<([A-Za-z]+)>")
# what an XML parser would change or refuse, beside the five entities that are counted
_CONTROLS = bytes((*range(0x20), 0x7F))
_SEPARATOR = b"<"  # no text of an entry has it
_PLAIN_ETAGS = re.compile(rb"[0-9a-f<-]*")
_ENTITIES = {b"&quot;": b'"', b"&apos;": b"'", b"&lt;": b"<", b"&gt;": b">", b"&amp;": b"&"}


class ListedObject(NamedTuple):
    key: str
    size_bytes: int | None
    etag: str
    storage_class: str


def cut_contents(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_event: Any
) -> None:
    """Handles botocore's event ``before-parse.s3.ListObjectsV2``: take the plain entries out of a good page."""
    if response_dict["status_code"] != 200:
        return
    body: bytes = response_dict["body"]
    begin, end = body.find(_BEGIN), body.rfind(_END)
    if begin < 0 or end < begin:
        return
    end += len(_END)
    frame = body[:begin] + body[end:]
    objects = plain_objects(body[begin:end], url_encoded=b"<EncodingType>url</EncodingType>" in frame)
    if objects is not None:
        response_dict["body"] = frame
        customized_response_dict[CUT] = objects


def objects_of(page: Mapping[str, Any]) -> Sequence[ListedObject]:
    """The objects of a parsed page, however they were read. A key that is none is an empty one."""
    cut: Sequence[ListedObject] | None = page.get(CUT)
    if cut is not None:
        return cut
    return [
        ListedObject(
            entry["Key"] if isinstance(entry.get("Key"), str) else "",
            entry.get("Size"),
            clean_etag(entry.get("ETag")),
            clean_code(entry.get("StorageClass")),
        )
        for entry in page.get("Contents", ())
    ]


def plain_objects(entries: bytes, *, url_encoded: bool) -> list[ListedObject] | None:
    """The objects of ``<Contents>…</Contents>`` side by side; None when the bytes are not plain enough."""
    first = _FIRST_ENTRY.match(entries)
    if first is None or not entries.isascii() or len(entries.translate(None, _CONTROLS)) != len(entries):
        return None
    names = tuple(_ELEMENT.findall(first[1]))
    if len(set(names)) < len(names) or not {b"Key", b"Size", b"ETag", b"StorageClass"} <= set(names):
        return None
    rows = _shape(names).findall(entries)
    tags = len(rows) * 2 * (len(names) + 1)
    if entries.count(b"<") != tags or entries.count(b">") != tags or not _has_only_entities(entries):
        return None  # something is there that the expression did not read
    order = [name for name in names if name in _READ]
    columns = dict(zip(order, zip(*rows, strict=True), strict=True))
    return list(
        map(
            ListedObject,
            _keys(columns[b"Key"], url_encoded=url_encoded),
            map(int, columns[b"Size"]),
            _etags(columns[b"ETag"]),
            _classes(columns[b"StorageClass"]),
        )
    )


_READ = (b"Key", b"Size", b"ETag", b"StorageClass")


@lru_cache(maxsize=64)
def _shape(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Entries with these elements, each once and in this order."""
    elements = b"".join(_element(name) for name in names)
    return re.compile(_BEGIN + elements + _END)


def _element(name: bytes) -> bytes:
    if name == b"Size":
        return rb"<Size>([0-9]{1,18})</Size>"
    text = rb"([^<>]*)" if name in _READ else rb"[^<>]*"
    return b"<%b>%b</%b>" % (name, text, name)


def _has_only_entities(entries: bytes) -> bool:
    ampersands = entries.count(b"&")
    if ampersands in (0, entries.count(b"&quot;")):  # those around the ETags
        return True
    return ampersands == sum(entries.count(entity) for entity in _ENTITIES)


def _keys(column: Sequence[bytes], *, url_encoded: bool) -> list[str]:
    keys = _texts(column)
    return [_unquoted(key) for key in keys] if url_encoded else keys


def _unquoted(key: str) -> str:
    if "%" in key:
        return unquote_plus(key)
    return key.replace("+", " ") if "+" in key else key


def _etags(column: Sequence[bytes]) -> list[str]:
    joined = _SEPARATOR.join(column).replace(b"&quot;", b"")
    if _PLAIN_ETAGS.fullmatch(joined):
        return joined.decode("ascii").split("<")
    return [clean_etag(text) for text in _texts(column)]


def _classes(column: Sequence[bytes]) -> list[str]:
    """There are few, so each is cleaned once."""
    known = {one: clean_code(_without_entities(one).decode("ascii")) for one in set(column)}
    return [known[one] for one in column]


def _texts(column: Sequence[bytes]) -> list[str]:
    """Each as text, entities undone."""
    joined = _SEPARATOR.join(column)
    if b"&" not in joined:
        return joined.decode("ascii").split("<")
    return [_without_entities(one).decode("ascii") for one in column]


def _without_entities(text: bytes) -> bytes:
    if b"&" in text:
        for entity, character in _ENTITIES.items():  # the ampersand last, so that nothing is undone twice
            text = text.replace(entity, character)
    return text
