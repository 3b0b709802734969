"""What a page shows for a file: the file, or a placeholder that says why there is none.

It is decided from what the record, or a finding, says already. S3 is never asked, and neither is the
database: see ``imagesync.records.prefetch_verdicts`` for models that remember no verdict themselves.
"""

from __future__ import annotations

import posixpath
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext, gettext_lazy

from imagesync.core.verdicts import Reason, Verdict
from imagesync.reports import printable
from imagesync.storage.urls import url_of

NOTED = "_imagesync_noted"
"""Where ``prefetch_verdicts`` leaves (verdict, reason) by field name, in an instance's ``__dict__``."""

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Placeholder(StrEnum):
    """Why there is no picture. ``missing``, ``recoverable`` and ``archived`` are verdicts."""

    MISSING = "missing"
    RECOVERABLE = "recoverable"
    ARCHIVED = "archived"
    EMPTY = "empty"
    """``mismatched``, because the object has no bytes."""
    NO_ADDRESS = "no-address"
    """The record names no file, or one that no URL leads to."""

    @property
    def url(self) -> str:
        """A static SVG file: fine under ``img-src 'self'``, where ``data:`` is not."""
        return static(f"imagesync/placeholder-{self.value}.svg")

    @property
    def glyph(self) -> str:
        """The path that is drawn, in a box of 96 by 96."""
        return GLYPHS[self]

    @property
    def word(self) -> str:
        """Shown under the glyph: few letters, since the box may be small."""
        return str(_WORDS[self])

    def sentence(self, name: str) -> str:
        return str(_SENTENCES[self]) % {"name": name} if name else gettext("There is no file.")


_FRAME = "M20 16h56a4 4 0 0 1 4 4v36a4 4 0 0 1-4 4H20a4 4 0 0 1-4-4V20a4 4 0 0 1 4-4z"
GLYPHS = {
    Placeholder.MISSING: f"{_FRAME}M38 28l20 20M58 28L38 48",
    Placeholder.RECOVERABLE: f"{_FRAME}M38 34h14a7 7 0 0 1 0 14H40M44 27l-7 7 7 7",
    Placeholder.ARCHIVED: "M16 18h64v12H16zM21 30h54v30H21zM40 40h16",
    Placeholder.EMPTY: _FRAME,
    Placeholder.NO_ADDRESS: f"{_FRAME}M40 38h16",
}
_WORDS = {
    Placeholder.MISSING: gettext_lazy("gone"),
    Placeholder.RECOVERABLE: gettext_lazy("deleted"),
    Placeholder.ARCHIVED: gettext_lazy("archived"),
    Placeholder.EMPTY: gettext_lazy("empty"),
    Placeholder.NO_ADDRESS: gettext_lazy("no file"),
}
_SENTENCES = {
    Placeholder.MISSING: gettext_lazy('The file of "%(name)s" is gone.'),
    Placeholder.RECOVERABLE: gettext_lazy('The file of "%(name)s" was deleted and can be brought back.'),
    Placeholder.ARCHIVED: gettext_lazy('The file of "%(name)s" is archived and cannot be shown now.'),
    Placeholder.EMPTY: gettext_lazy('The file of "%(name)s" is empty.'),
    Placeholder.NO_ADDRESS: gettext_lazy('There is no file for "%(name)s".'),
}
_BY_VERDICT: dict[str, Placeholder] = {
    Verdict.MISSING: Placeholder.MISSING,
    Verdict.RECOVERABLE: Placeholder.RECOVERABLE,
    Verdict.ARCHIVED: Placeholder.ARCHIVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a record says of one of its files without asking anybody.

    A model tells it by a method ``what_is_known(field_name) -> Known | None``, as ``AbstractImage`` does.
    """

    verdict: str = Verdict.UNCHECKED.value
    reason: str = ""
    name: str = ""
    """What people call it; a part of the file's name when empty."""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a page shows for one file."""

    name: str
    """Harmless in any text, to be escaped for HTML."""
    url: str
    """Of the object; empty when there is a placeholder instead."""
    placeholder: Placeholder | None
    width: int | None
    """In pixels, as far as the record remembers."""
    height: int | None

    @property
    def url_or_placeholder(self) -> str:
        return self.url if self.placeholder is None else self.placeholder.url

    @property
    def placeholder_text(self) -> str:
        """What happened, in a sentence; empty when nothing did."""
        return "" if self.placeholder is None else self.placeholder.sentence(self.name)


NOTHING = Picture(name="", url="", placeholder=Placeholder.NO_ADDRESS, width=None, height=None)
"""What a page shows where there is no record."""


def picture_of(file: Any, *, verdict: str | None = None, name: str = "") -> Picture:
    """Decide what is shown for a ``FieldFile``.

    A file is hidden only when a look has established that no browser could load it: ``missing``,
    ``recoverable``, ``archived``, or empty. All other verdicts, ``unknown`` and ``denied`` among them, are no
    reason to hide a picture that may be there (docs/placeholders.md).

    ``verdict`` overrides what the record says, unless it is empty (ValueError when it is none); ``name`` is what the text calls it.
    """
    known = known_of(file)
    hidden = _hidden(Verdict(verdict), "") if verdict else _hidden(known.verdict, known.reason)
    url = "" if hidden else url_of(file)
    if not url:
        hidden = hidden or Placeholder.NO_ADDRESS
    return Picture(
        name=harmless(name or known.name) or _name_of(file),
        url=url,
        placeholder=hidden,
        width=known.width,
        height=known.height,
    )


def url_or_placeholder(file: Any, *, verdict: str | None = None) -> str:
    """The URL of a ``FieldFile``, or of a static SVG when no browser could load it."""
    return picture_of(file, verdict=verdict).url_or_placeholder


def placeholder_text(file: Any, *, verdict: str | None = None, name: str = "") -> str:
    """Why there is a placeholder, for ``alt``; empty when there is none."""
    return picture_of(file, verdict=verdict, name=name).placeholder_text


def harmless(text: str) -> str:
    """``text`` with what moves a cursor or turns the direction of a whole line escaped.

    Joiners and marks that real names in Persian, Hindi or emoji are written with stay as they are.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return printable(character)
    return character


def known_of(file: Any) -> Known:
    """What is known of a ``FieldFile``. The record's own word first: it is taken back when a file is replaced, a finding only by an audit."""
    field_name = file.field.name
    tell = getattr(file.instance, "what_is_known", None)
    own: Known | None = tell(field_name) if tell is not None else None
    noted = file.instance.__dict__.get(NOTED, {}).get(field_name)
    if noted is None:
        return own or Known()
    verdict, reason = noted
    if own is None:
        return Known(verdict=verdict, reason=reason)
    if own.verdict != verdict:
        return own
    return Known(verdict=verdict, reason=reason, name=own.name, width=own.width, height=own.height)


def _hidden(verdict: str, reason: str) -> Placeholder | None:
    if verdict == Verdict.MISMATCHED and reason == Reason.EMPTY_OBJECT:
        return Placeholder.EMPTY
    return _BY_VERDICT.get(verdict)


def _name_of(file: Any) -> str:
    """The last part of its name; keys are chosen by strangers."""
    return printable(posixpath.basename(file.name or "")) or f"#{file.instance.pk}"
