"""Which answers to a ranged GET and to a HEAD are plain enough to be understood without botocore, exactly as it would.

Whatever is not is left to it: it knows the rest of HTTP, of XML and of S3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from imagesync.storage.contents import DECLARATION, SPACE

_TEXT = rb"(?:[ -%'-;=?-~\x80-\xff]|&(?:amp|lt|gt|quot|apos);)*"  # S3 names the key, of whatever script
_ERROR = re.compile(
    DECLARATION
    + rb"<Error>((?:"
    + SPACE
    + rb"<([A-Za-z][A-Za-z0-9]*)>"
    + _TEXT
    + rb"</\2>)+"
    + SPACE
    + rb")</Error>"
    + SPACE
)
_LENGTH = re.compile("[1-9][0-9]{0,17}")
_NUMBER = re.compile("[0-9]{1,18}")
_WHEN = re.compile(
    "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [12][0-9]{3} "
    "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
_WHEN_ISO = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_READ_BY_BOTOCORE: tuple[tuple[str, re.Pattern[str], Callable[[str], object]], ...] = (
    ("last-modified", _WHEN, parsedate_to_datetime),
    (
        "expires",
        re.compile(f"{_WHEN.pattern}|0|-1"),
        str,
    ),  # it leaves alone what is no time, but not all of it
    ("x-amz-object-lock-retain-until-date", _WHEN_ISO, datetime.fromisoformat),
    ("x-amz-object-lock-event-hold-duration-days", _NUMBER, int),
    ("x-amz-object-lock-event-hold-duration-years", _NUMBER, int),
    ("x-amz-missing-meta", _NUMBER, int),
    ("x-amz-tagging-count", _NUMBER, int),
    ("x-amz-mp-parts-count", _NUMBER, int),
)
"""Headers of GetObject and HeadObject that botocore makes times and numbers of; it refuses the whole answer when it cannot."""


def says_no_such_key(body: bytes) -> bool:
    """Whether a body is S3's error document with exactly this code, plain enough to be read by an expression."""
    document = _ERROR.fullmatch(body)
    return (
        document is not None
        and document[1].count(b"<Code>NoSuchKey</Code>") == 1
        and document[1].count(b"<Code>") == 1
        and b"<Region>" not in document[1]
        and (body.isascii() or _is_text(body))
    )


def _is_text(body: bytes) -> bool:
    """Whether XML takes the bytes for text: UTF-8, and without the two characters that XML does not allow above ASCII."""
    try:
        return not {"\ufffe", "\uffff"} & set(body.decode())
    except UnicodeDecodeError:
        return False


def tells_of_an_object(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 200 or 206 is of an object with bytes, the first of which came; ``headers`` in lower case."""
    return (
        bool(body) and _LENGTH.fullmatch(headers.get("content-length", "")) is not None and _are_read(headers)
    )


def tells_of_a_size(headers: Mapping[str, str]) -> bool:
    """Whether the 200 to a HEAD is of a whole object, with bytes or without; ``headers`` in lower case."""
    return (
        _NUMBER.fullmatch(headers.get("content-length", "")) is not None
        and "content-range" not in headers  # some versions of botocore read it
        and _are_read(headers)
    )


def _are_read(headers: Mapping[str, str]) -> bool:
    return all(_is_read(headers[name], how, read) for name, how, read in _READ_BY_BOTOCORE if name in headers)


def _is_read(value: str, pattern: re.Pattern[str], read: Callable[[str], object]) -> bool:
    if pattern.fullmatch(value) is None:
        return False
    try:
        read(value)
    except ValueError:  # the 30th of February
        return False
    return True
