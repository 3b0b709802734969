"""Key order and key ranges.

S3 lists keys in the order of their UTF-8 bytes ("Listing object keys programmatically", S3 User Guide).
Python compares strings by code point, which is the same order for every string that UTF-8 can encode.
"""

from __future__ import annotations

MAX_KEY_BYTES = 1024  # "Creating object key names", S3 User Guide
_LAST = 0x10FFFF


def _next_character(character: str) -> str:
    code = ord(character) + 1
    return chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)  # UTF-8 has no surrogates


def _previous_character(character: str) -> str:
    code = ord(character) - 1
    return chr(0xD7FF if 0xD800 <= code <= 0xDFFF else code)


def prefix_end(prefix: str) -> str | None:
    """The least string that is greater than every string starting with ``prefix``.

    None when there is none (the empty prefix, or nothing but U+10FFFF): the range is open.
    """
    head = prefix.rstrip(chr(_LAST))
    return head[:-1] + _next_character(head[-1]) if head else None


def just_before(key: str) -> str:
    """A string less than ``key``, so close that listing after it starts at, or hardly before, ``key``.

    ``StartAfter`` is exclusive, so this is how a listing is made to include ``key``. Whoever uses it
    must still drop what is listed before ``key``: there is no greatest string below another one.
    """
    head, last = key[:-1], key[-1:]
    if last in ("", "\0"):
        return head
    close = head + _previous_character(last)
    return close + chr(_LAST) if len((close + chr(_LAST)).encode()) <= MAX_KEY_BYTES else close


def key_is_sendable(key: str) -> bool:
    """Whether S3 could hold this key: not empty, at most 1,024 bytes of UTF-8, no lone surrogate."""
    try:
        return 0 < len(key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False
