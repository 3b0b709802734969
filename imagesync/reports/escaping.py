"""Keys are chosen by strangers: what each medium must never get raw."""

from __future__ import annotations

import unicodedata
from typing import Any

# Cells that a spreadsheet runs as a formula (OWASP, "CSV Injection"), and the quote itself, so that a
# leading quote can be taken off again without doubt.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# Control, format (bidi overrides, zero width), surrogate, private, unassigned; line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: Any) -> str:
    """``text`` for a terminal: whole, with everything that moves a cursor or hides escaped as in Python."""
    return "".join(_visible(character) for character in str(text))


def _visible(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if unicodedata.category(character) in _UNPRINTABLE:
        return character.encode("unicode_escape").decode()
    return character


def cell(value: Any) -> str:
    """``value`` for CSV: a text that a spreadsheet would execute gets a leading apostrophe."""
    if value is None:
        return ""
    text = printable(value) if isinstance(value, str) else str(value)
    return "'" + text if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text


def markdown(text: Any) -> str:
    """``text`` for a Markdown table cell, as code that no renderer interprets."""
    shown = printable(text).replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else ""


def plain_markdown(text: Any) -> str:
    """A sentence of ours with foreign names in it, for running Markdown text."""
    shown = printable(text)
    for character in "<>|*[]`":
        shown = shown.replace(character, "\\" + character)
    return shown
