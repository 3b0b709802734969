"""What the lists and pages of the admin show of one file: a picture, a verdict, a key, a size. Nothing asks S3."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagesync.core.verdicts import Verdict
from imagesync.placeholders import Placeholder, picture_of
from imagesync.reports import printable

KEY_SHOWN = 60
THUMBNAIL = 60
"""Pixels, of each side of the box that a thumbnail is fitted into."""

_WHY_NOT: dict[str, Any] = {
    Verdict.UNCHECKED: _("not looked at yet"),
    Verdict.MISMATCHED: _("not as recorded"),
    Verdict.AMBIGUOUS: _("no exact key"),
    Verdict.DENIED: _("access denied"),
    Verdict.UNKNOWN: _("could not look"),
}


def verdict_shown(verdict: str, reason: str = "") -> SafeString:
    """A verdict as a word, in its colour."""
    known = verdict if verdict in {one.value for one in Verdict} else "unknown"
    return format_html(
        '<span class="imagesync-verdict imagesync-{}"{}>{}</span>',
        known,
        format_html(' title="{}"', printable(reason)) if reason else "",
        printable(verdict),
    )


def thumbnail(file: Any, verdict: str) -> SafeString:
    """The picture where the object was seen, for the browser to fetch when it comes into view; else why not."""
    if verdict != Verdict.PRESENT:
        return _no_picture(verdict, why_no_picture(verdict))
    picture = picture_of(file, verdict=verdict)
    if picture.placeholder is not None:
        return _no_picture(verdict, picture.placeholder.word)
    return format_html(
        '<img class="imagesync-thumbnail" src="{}" alt="{}" width="{}" height="{}" loading="lazy" '
        'decoding="async" referrerpolicy="no-referrer">',
        picture.url,
        picture.name,
        THUMBNAIL,
        THUMBNAIL,
    )


def why_no_picture(verdict: str) -> str:
    """Few words: they stand where the picture would."""
    if verdict in set(Placeholder):
        return Placeholder(verdict).word
    return str(_WHY_NOT.get(verdict, verdict))


def _no_picture(verdict: str, word: Any) -> SafeString:
    return format_html(
        '<span class="imagesync-thumbnail imagesync-no-picture imagesync-{}">{}</span>', verdict, word
    )


def key_shown(key: str) -> SafeString:
    """The key with its middle cut out when it is long; whole in its title."""
    text = printable(key)
    short = text if len(text) <= KEY_SHOWN else f"{text[: KEY_SHOWN // 2]}…{text[-KEY_SHOWN // 2 :]}"
    return format_html('<span class="imagesync-key" title="{}">{}</span>', text, short)


def size_shown(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else filesizeformat(size_bytes)
