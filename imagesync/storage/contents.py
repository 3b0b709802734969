"""The objects of a listing page: as botocore parsed them, or cut out of the page's bytes.

A page of 1,000 keys costs botocore two XML parsers and 1,000 timestamps. The entries are all alike, so one regular
expression reads their keys; sizes, ETags and classes are read when somebody asks. Anything that is not plain (an entry
of another shape, a character that XML would treat, an element of the frame that is not known) is left to botocore.
tests/storage/test_contents.py holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from imagesync.core.classify import ARCHIVE_CLASSES
from imagesync.storage.connections import Body
from imagesync.storage.contract import clean_code, clean_etag

PLAIN = "PlainEntries"
"""Where a page that was read from its bytes holds its objects."""

_BEGIN, _END = b"<Contents>", b"</Contents>"
# printable ASCII but for & < >: what XML neither treats nor refuses. Here and below nothing is tried again with less
# ("*+"): what follows never matches what was taken, and remembering where to go back to takes a tenth of the time
_TEXT = rb"[ -%'-;=?-~]*+"
_FIRST_ENTRY = re.compile(rb"<Contents>((?:<([A-Za-z]+)>[^<>]*</\2>)+)</Contents>")
_ELEMENT = re.compile(rb"<([A-Za-z]+)>")
SPACE = rb"[ \t\r\n]*"  # what XML calls white space; \s is more
DECLARATION = (
    rb"(?:<\?xml version=(?:\"1\.0\"|'1\.0')(?: encoding=(?:\"(?:UTF-8|utf-8)\"|'(?:UTF-8|utf-8)'))?"
    rb"(?: standalone=(?:\"(?:yes|no)\"|'(?:yes|no)'))? ?\?>" + SPACE + rb")?"
)
_FRAME = re.compile(
    DECLARATION
    + rb"<ListBucketResult(?: xmlns=\"[A-Za-z0-9:/._-]+\")?>((?:"
    + SPACE
    + rb"<([A-Za-z]+)(?:/>|>"
    + _TEXT
    + rb"</\2>))+"
    + SPACE
    + rb")</ListBucketResult>"
    + SPACE
)
_FRAME_ELEMENT = re.compile(rb"<([A-Za-z]+)(?:/>|>(" + _TEXT + rb")</)")
_FRAME_KNOWN = {
    b"Name", b"Prefix", b"StartAfter", b"ContinuationToken", b"NextContinuationToken", b"KeyCount", b"MaxKeys",
    b"EncodingType", b"IsTruncated",
}  # fmt: skip
_CUT_OUT = b"<Contents/>"
"""Stands in the frame where the entries were, so that they lie between its elements and not within one."""
_SEPARATOR = b"<"  # no text of an entry has it


class ListedObject(NamedTuple):
    key: str
    size_bytes: int | None
    etag: str
    storage_class: str


class PlainEntries:
    """The entries of a page, ``<Contents>…</Contents>`` side by side, all of one plain shape."""

    def __init__(
        self, entries: memoryview, names: tuple[bytes, ...], keys: list[str], *, ordinary: bool
    ) -> None:
        self._entries = entries
        self._names = names
        self.keys = keys
        self.ordinary = ordinary
        """Whether every object can be read as it is: none is empty, none must be restored from an archive first."""

    @cached_property
    def objects(self) -> list[ListedObject]:
        if not self.keys:
            return []
        read = tuple(name for name in self._names if name in _READ)
        rows = _shape(self._names, read).findall(self._entries)
        columns = dict(zip(read, zip(*rows, strict=True), strict=True))
        nothing = [""] * len(rows)
        return list(
            map(
                ListedObject,
                self.keys,
                map(int, columns[b"Size"]),
                _etags(columns[b"ETag"]) if b"ETag" in columns else nothing,
                _classes(columns[b"StorageClass"]) if b"StorageClass" in columns else nothing,
            )
        )


def plain_page(body: Body) -> dict[str, Any] | None:
    """A page as botocore would parse it, its objects as PLAIN; None when the bytes are not plain enough."""
    begin, end = body.find(_BEGIN), body.rfind(_END)
    if begin < 0 or end < begin:
        entries, bare = memoryview(b""), body[:]
    else:
        end += len(_END)
        entries, bare = memoryview(body)[begin:end], _CUT_OUT.join((body[:begin], body[end:]))
    frame = _FRAME.fullmatch(bare)
    if frame is None:
        return None
    found = _FRAME_ELEMENT.findall(frame[1])
    told = {name: text.decode("ascii") for name, text in found}
    if (
        len(told) < len(found)
        or set(told) - (_FRAME_KNOWN | {b"Contents"} if entries else _FRAME_KNOWN)
        or told.get(b"IsTruncated") not in ("true", "false")
    ):
        return None
    if told.get(b"EncodingType", "url") != "url":
        return None
    url_encoded = b"EncodingType" in told
    plain = plain_entries(entries, url_encoded=url_encoded)
    if plain is None:
        return None
    page: dict[str, Any] = {"IsTruncated": told[b"IsTruncated"] == "true", PLAIN: plain}
    for name in ("Name", "NextContinuationToken"):
        if name.encode() in told:
            page[name] = told[name.encode()]
    if b"Prefix" in told:
        page["Prefix"] = unquote_plus(told[b"Prefix"]) if url_encoded else told[b"Prefix"]
    if not all(re.fullmatch("[0-9]{1,9}", told.get(number, "0")) for number in (b"KeyCount", b"MaxKeys")):
        return None
    if b"KeyCount" in told:
        page["KeyCount"] = int(told[b"KeyCount"])
    return page


def plain_entries(entries: memoryview, *, url_encoded: bool) -> PlainEntries | None:
    """The entries, when they all have one plain shape, side by side with nothing between; else None."""
    if not entries:
        return PlainEntries(entries, (b"Key", b"Size"), [], ordinary=True)
    first = _FIRST_ENTRY.match(entries)
    if first is None:
        return None
    names = tuple(_ELEMENT.findall(first[1]))
    if len(set(names)) < len(names) or not {b"Key", b"Size"} <= set(names):
        return None
    # what stands between the entries that have the shape must be nothing: so no byte is unaccounted for
    pieces = _shape(names, (b"Key",), ordinary=True).split(entries)
    ordinary = not any(pieces[::2])
    if not ordinary:
        pieces = _shape(names, (b"Key",)).split(entries)
        if any(pieces[::2]):
            return None
        ordinary = _is_ordinary(bytes(entries))
    column = pieces[1::2]
    return PlainEntries(entries, names, _keys(column, url_encoded=url_encoded), ordinary=ordinary)


def _is_ordinary(entries: bytes) -> bool:
    return b"<Size>0" not in entries and not any(f">{name}<".encode() in entries for name in ARCHIVE_CLASSES)


def keys_of(page: Mapping[str, Any]) -> list[str]:
    """The keys of a parsed page, however they were read. A key that is none is an empty one."""
    plain: PlainEntries | None = page.get(PLAIN)
    return plain.keys if plain is not None else [one.key for one in objects_of(page)]


def objects_of(page: Mapping[str, Any]) -> Sequence[ListedObject]:
    """The objects of a parsed page, however they were read."""
    plain: PlainEntries | None = page.get(PLAIN)
    if plain is not None:
        return plain.objects
    return [
        ListedObject(
            entry["Key"] if isinstance(entry.get("Key"), str) else "",
            _size(entry.get("Size")),
            clean_etag(entry.get("ETag")),
            clean_code(entry.get("StorageClass")),
        )
        for entry in page.get("Contents", ())
    ]


def _size(told: object) -> int | None:
    """No object has a size of more digits; what is told in its place is unknown."""
    return told if isinstance(told, int) and abs(told) < 10**18 else None


def is_ordinary(page: Mapping[str, Any]) -> bool:
    """Whether every object of a parsed page can be read as it is."""
    plain: PlainEntries | None = page.get(PLAIN)
    if plain is not None:
        return plain.ordinary
    return all(one.size_bytes != 0 and one.storage_class not in ARCHIVE_CLASSES for one in objects_of(page))


_READ = (b"Key", b"Size", b"ETag", b"StorageClass")


@lru_cache(maxsize=64)
def _shape(names: tuple[bytes, ...], read: tuple[bytes, ...], *, ordinary: bool = False) -> re.Pattern[bytes]:
    """Entries with these elements, each once and in this order; ``read`` are captured.

    ``ordinary``: only those that are of the commonest class and not empty.
    """
    texts = {**_TEXTS, **_ORDINARY} if ordinary else _TEXTS
    elements = b""
    for name in names:
        text = texts.get(name, _TEXT)
        elements += b"<%b>%b</%b>" % (name, b"(%b)" % text if name in read else text, name)
    return re.compile(_BEGIN + elements + _END)


_DAY = rb"(?>(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_LEAP_DAY = rb"[12][0-9](?:0[48]|[2468][048]|[13579][26])-02-29"  # of centuries botocore tells
_TEXTS = {
    b"Size": rb"(?:0|[1-9][0-9]{0,17}+)",
    b"ETag": rb"(?:&quot;|\")?+[!#-%'-;=?-~]{0,128}+(?:&quot;|\")?+",
    # botocore refuses a page with a time that is none
    b"LastModified": rb"(?>[12][0-9]{3}-" + _DAY + rb"|" + _LEAP_DAY + rb")"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6}+)?+Z",
}
_ORDINARY = {b"Size": rb"[1-9][0-9]{0,17}+", b"StorageClass": rb"STANDARD"}


def _keys(column: Sequence[bytes], *, url_encoded: bool) -> list[str]:
    joined = _SEPARATOR.join(column).decode("ascii")
    keys = joined.split("<")
    if not url_encoded or not ("%" in joined or "+" in joined):
        return keys
    return [unquote_plus(key) for key in keys]


def _etags(column: Sequence[bytes]) -> list[str]:
    joined = _SEPARATOR.join(column).replace(b"&quot;", b'"').decode("ascii")
    return (
        [clean_etag(one) for one in joined.split("<")]
        if "W/" in joined
        else joined.replace('"', "").split("<")
    )


def _classes(column: Sequence[bytes]) -> list[str]:
    """There are few, so each is cleaned once."""
    known = {one: clean_code(one.decode("ascii")) for one in set(column)}
    return [known[one] for one in column]
