"""Keys that people really have, the awkward ones by kind; and real image bytes."""

from __future__ import annotations

import io
import random
import unicodedata
from pathlib import PurePosixPath

from PIL import Image

SEED = 20261123
KEY_BYTES = 1024

# Every one is a name that django-storages maps to exactly that key: no "//", no leading "/", no "." or ".."
# segment, no backslash.
KINDS: dict[str, tuple[str, ...]] = {
    "spaces": ("with space.jpg", " leading.jpg", "trailing.jpg ", "two  spaces.jpg", " ", "in /between.jpg", "\u00a0.jpg"),
    "plus": ("plus+plus.jpg", "a+b c.jpg", "+1", "++"),
    "percent": ("percent%.jpg", "percent%20encoded.jpg", "slash%2Fencoded.jpg", "slash%2fencoded.jpg", "%25.jpg", "%00", "%zz", "%"),
    "quotes": ("single'.jpg", 'double".jpg', "back`tick.jpg", "\u201ccurly\u201d.jpg"),
    "markup": ("<b>.jpg", "a&b.jpg", "amp&amp;.jpg", "]]>.jpg", "<!--", "{{ name }}", "{% now %}"),
    "address": ("hash#fragment.jpg", "question?query=1.jpg", "a&b=c.jpg", "semi;colon.jpg", "a:b", "at@.jpg", "?versionId=null", "?uploads"),
    "shell": ("-rf", "$HOME", "~", "*", "(x)", "[y]", "{z}", "^", "|", "!", "$(true)", "a,b"),
    "spreadsheet": ("=cmd|1", "@sum", "-1+1", "+A1", "=1+1.jpg"),
    "composed": tuple(
        unicodedata.normalize(form, word)
        for word in ("caf\u00e9.jpg", "\u00c5ngstr\u00f6m.jpg", "\uac00.jpg")
        for form in ("NFC", "NFD")
    ),
    "scripts": (
        "\u65e5\u672c\u8a9e.jpg", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439.jpg",
        "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.jpg", "\u0130\u0131Ii.jpg", "stra\u00dfe.jpg", "strasse.jpg",
    ),
    "emoji": ("\U0001f600.png", "\U0001f469\u200d\U0001f4bb.png", "\u2764\ufe0f.png", "\u2764.png"),
    "unseen": ("\u202egpj.exe", "\u200b.jpg", "\ufeffbom.jpg", "\ue000.jpg", "\u2028.jpg", "\U0010ffff.jpg"),
    "lines": ("new\nline.jpg", "\n", "tab\t.jpg", "\t", "end of line\n"),
    "dots": (".hidden", "..dots.jpg", "...", "dir.d/.keep", "trailing.", "no extension", "a.b.c.", ".%2e"),
    "underscores": ("_under", "__two", "_"),
    "cases": ("UPPER.JPG", "upper.jpg", "Upper.jpg", "upper.JPG"),
    "neighbours": ("a", "aa", "a0", "a1", "a2", "dir", "dir-b", "dir/a", "dir/b", "dir0"),
    "words": ("null", "None", "0", "-0", "1e9", "true", "soap", "NaN"),
}  # fmt: skip

# XML 1.0 has no way to write these (and reads a carriage return as a newline). A server that sends them in
# the token of a truncated page, as Ceph RGW 16 does in spite of encoding-type=url, spoils that page; so they
# must not be the last key of one, and lie at the beginning of the bucket, closer together than a page.
NOT_IN_XML = (
    *(f"control {number:02x}{chr(number)}.jpg" for number in range(1, 32) if number not in (9, 10)),
    "\x01", "\x1b[31mred\x1b[0m.jpg", "\r\n.jpg", "\x7f.jpg", "\x85.jpg", "\x9f.jpg", "\ufffe.jpg", "\uffff.jpg",
)  # fmt: skip

LONG = tuple(
    f"long/{name}/"
    for name in ("ascii", "two bytes", "three bytes", "four bytes", "percent", "spaces", "segments")
)
_FILLING = dict(zip(LONG, ("x", "\u00e9", "\u8a9e", "\U0001f600", "%", " ", "s/"), strict=True))

PLACES = ("", "awkward/", *(f"uploads/2026/{month:02}/15/" for month in range(1, 13)))
"""Where each awkward name is put. Spread over the bucket, awkward keys end listing pages too."""


def kinds_of_keys() -> dict[str, list[str]]:
    """Every awkward key, by kind."""
    kinds = {
        kind: [place + name for place in (*PLACES, f"{kind}/") for name in names]
        for kind, names in KINDS.items()
    }
    kinds["not in XML"] = [f"awkward/{name}" for name in NOT_IN_XML]
    longest = [_filled(start, _FILLING[start]) for start in LONG]
    # they differ in the last of 1,024 bytes only
    kinds["1,024 bytes"] = longest + [longest[0][:-1] + last for last in "yz"]
    return kinds


def awkward_keys(number: int) -> list[str]:
    """``number`` distinct keys, always the same: the awkward ones first, then ordinary dated ones."""
    keys = list(dict.fromkeys(key for keys in kinds_of_keys().values() for key in keys))
    moments = random.Random(SEED)
    for serial in range(len(keys), number):
        month, day = moments.randrange(1, 13), moments.randrange(1, 29)
        keys.append(f"uploads/2026/{month:02}/{day:02}/img_{serial:05}_{moments.randrange(16**8):08x}.jpg")
    return keys[:number]


def is_exact(key: str) -> bool:
    """Whether ``key`` can be a stored name that no storage rewrites, and be a key at all."""
    return (
        0 < len(key.encode()) <= KEY_BYTES
        and not {"\0", "\\"} & set(key)
        and not key.startswith("/")
        and str(PurePosixPath(key)) == key
        and ".." not in key.split("/")
    )


def image_bytes(number: int) -> bytes:
    """A real picture of 8 by 8 points, another one for each number: a PNG, or each third time a JPEG."""
    picture = Image.new("RGB", (8, 8), (number >> 16 & 255, number >> 8 & 255, number & 255))
    output = io.BytesIO()
    if number % 3:
        picture.save(output, "PNG", compress_level=1)
    else:
        picture.save(output, "JPEG", comment=str(number).encode())  # colours this close come out the same
    return output.getvalue()


def _filled(start: str, filling: str) -> str:
    """``start`` filled up to exactly 1,024 bytes."""
    count, rest = divmod(KEY_BYTES - len(start.encode()), len(filling.encode()))
    if filling.endswith("/"):  # a key that ends in a slash names a folder
        count, rest = count - 1, rest + len(filling.encode())
    return start + filling * count + "_" * rest
