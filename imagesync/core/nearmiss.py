"""Near misses of a key: the keys that people and programs write when they mean this one.

A key is opaque and two keys that look alike are two objects ("Creating object key names", S3 User Guide), so
each of these is a guess that must be asked for. Pure: keys in, keys out.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from imagesync.core.ranges import key_is_sendable

MAX_NEAR_MISSES = 40


class Slip(StrEnum):
    """What makes the other key another one."""

    CASE = "case"
    """Upper and lower case, of the whole key, the file's name or its extension."""
    UNICODE_FORM = "unicode_form"
    """Composed and decomposed letters (NFC and NFD): the same on a screen, other bytes."""
    PLUS_AND_SPACE = "plus_and_space"
    """A plus sign where the other has a space."""
    QUOTED = "quoted"
    """One of the two is quoted for a URL."""
    LOCATION = "location"
    """The storage's location is doubled, or lacking."""
    SLASHES = "slashes"
    """Slashes doubled, leading, or written as backslashes."""
    WHITESPACE = "whitespace"
    """A space or a line end before or behind the key."""
    ENCODED_TWICE = "encoded_twice"
    """One of the two went through an encoding once too often."""
    SPELLING = "spelling"
    """Several of these at once."""


SENTENCES: dict[Slip, str] = {
    Slip.CASE: "the two differ in upper and lower case",
    Slip.UNICODE_FORM: "the two differ in the form of an accented letter (NFC and NFD)",
    Slip.PLUS_AND_SPACE: "one has a plus sign where the other has a space",
    Slip.QUOTED: "one of the two is quoted for a URL",
    Slip.LOCATION: "the storage's location is doubled in one of the two, or lacking",
    Slip.SLASHES: "the two differ in their slashes",
    Slip.WHITESPACE: "one of the two has white space before or behind it",
    Slip.ENCODED_TWICE: "one of the two was encoded once too often",
    Slip.SPELLING: "the two differ in spelling only",
}


@dataclass(frozen=True, slots=True)
class NearMiss:
    key: str
    slip: Slip


def near_misses(key: str, prefix: str = "") -> tuple[NearMiss, ...]:
    """At most ``MAX_NEAR_MISSES`` other keys, likeliest first, each sendable and named once.

    ``prefix`` is the store's: empty, or ending in a slash.
    """
    found: dict[str, Slip] = {}
    for slip, guess in _guesses(key, prefix):
        if guess != key and "\0" not in guess and key_is_sendable(guess):  # no database text holds a NUL
            found.setdefault(guess, slip)
    return tuple(NearMiss(guess, slip) for guess, slip in found.items())[:MAX_NEAR_MISSES]


def alike(key: str, others: Iterable[str]) -> Iterator[NearMiss]:
    """Those of ``others`` that differ from ``key`` in spelling only: what no list of guesses would reach."""
    wanted = _folded(key)
    for other in others:
        if other != key and _folded(other) == wanted:
            yield NearMiss(other, Slip.SPELLING)


def _guesses(key: str, prefix: str) -> Iterator[tuple[Slip, str]]:
    yield from ((Slip.LOCATION, guess) for guess in _other_locations(key, prefix))
    yield from ((Slip.CASE, guess) for guess in _other_cases(key, prefix))
    for form in ("NFC", "NFD"):
        yield Slip.UNICODE_FORM, unicodedata.normalize(form, key)
    yield Slip.PLUS_AND_SPACE, key.replace("+", " ")
    yield Slip.PLUS_AND_SPACE, key.replace(" ", "+")
    yield from ((Slip.QUOTED, guess) for guess in _quotings(key))
    yield from ((Slip.SLASHES, guess) for guess in _other_slashes(key, prefix))
    yield from ((Slip.WHITESPACE, guess) for guess in _other_ends(key, prefix))
    yield from ((Slip.ENCODED_TWICE, guess) for guess in _other_encodings(key))


def _other_locations(key: str, prefix: str) -> Iterator[str]:
    if not prefix:
        return
    yield prefix + key
    if key.startswith(prefix):
        yield key[len(prefix) :]


def _other_cases(key: str, prefix: str) -> Iterator[str]:
    """Of the extension, of the file's name, of all but the location, and of everything."""
    stem, dot, extension = key.rpartition(".")
    if dot and "/" not in extension:
        yield from (stem + dot + other for other in (extension.lower(), extension.upper(), extension.title()))
    folder, slash, name = key.rpartition("/")
    yield from (folder + slash + other for other in (name.lower(), name.upper()))
    location = prefix if key.startswith(prefix) else ""
    rest = key[len(location) :]
    yield from (location + other for other in (rest.lower(), rest.upper()))
    yield from (key.lower(), key.upper())


def _quotings(key: str) -> Iterator[str]:
    yield from (unquote(key, errors="strict") for key in _decodable(key))
    yield from (unquote_plus(key, errors="strict") for key in _decodable(key))
    try:
        yield quote(key, safe="/")
        yield quote_plus(key, safe="/")
        yield quote(key, safe="")
    except UnicodeEncodeError:  # a lone surrogate, which nothing can send
        return


def _decodable(key: str) -> Iterator[str]:
    try:
        unquote(key, errors="strict")
    except UnicodeDecodeError:  # its escapes are not UTF-8, so nobody wrote them for this key
        return
    yield key


def _other_slashes(key: str, prefix: str) -> Iterator[str]:
    yield re.sub("/{2,}", "/", key)
    yield key.replace("\\", "/")
    yield key.lstrip("/")
    yield f"/{key}"
    if prefix and key.startswith(prefix):
        yield f"{prefix}/{key[len(prefix) :]}"
    folder, slash, name = key.rpartition("/")
    if slash:
        yield f"{folder}//{name}"
    yield f"{key}/"
    yield key.rstrip("/")


def _other_ends(key: str, prefix: str) -> Iterator[str]:
    yield key.strip()
    yield key.rstrip()
    yield from (key + end for end in (" ", "\n", "\r\n", "\r", "\t"))
    location = prefix if key.startswith(prefix) else ""
    rest = key[len(location) :]
    yield from (location + rest.strip(), f"{location} {rest}")


def _other_encodings(key: str) -> Iterator[str]:
    for wrongly_read_as in ("latin-1", "cp1252"):
        with contextlib.suppress(UnicodeError):
            yield key.encode().decode(wrongly_read_as)
        with contextlib.suppress(UnicodeError):
            yield key.encode(wrongly_read_as).decode()


def _folded(key: str) -> str:
    """What is left of a key when case, form, quoting, white space and repeated slashes do not count."""
    plain = unicodedata.normalize("NFKC", unquote_plus(key)).casefold()
    return re.sub("[/\\\\]+", "/", re.sub(r"\s+", " ", plain)).strip(" /")
