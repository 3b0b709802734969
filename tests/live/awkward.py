"""Ten thousand keys that people really have, the awkward ones first; and real image bytes."""

from __future__ import annotations

import random
import struct
import zlib

AWKWARD = [
    "with space.jpg", " leading space.jpg", "trailing space.jpg ", "two  spaces.jpg", "plus+plus.jpg", "a+b c.jpg",
    "percent%.jpg", "percent%20encoded.jpg", "slash%2Fencoded.jpg", "%25.jpg", "quote'.jpg", 'double".jpg', "back`tick.jpg",
    "angle<b>.jpg", "amp&amp;.jpg", "semi;colon.jpg", "hash#fragment.jpg", "question?query=1.jpg", "a&b=c.jpg", "at@.jpg",
    "=cmd|1.jpg", "-rf", "+1", "@x", "$HOME", "~", "*", "(x)", "[y]", "{z}", "^", "|", "a,b", "a:b", "!",
    "caf\u00e9.jpg", "cafe\u0301.jpg", "\u00c5ngstr\u00f6m.jpg", "A\u030angstro\u0308m.jpg", "\uac00.jpg", "\u1100\u1161.jpg",
    "\u65e5\u672c\u8a9e.jpg", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439.jpg", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.jpg",
    "\U0001f600.png", "\U0001f469\u200d\U0001f4bb.png", "\ufe0f.png", "\u202egpj.exe", "\u200b.jpg", "\ufeffbom.jpg", "\uffff.jpg",
    "new\nline.jpg", "tab\t.jpg", "return\r.jpg", "escape\x1b[31m.jpg", "bell\x07.jpg", "del\x7f.jpg", "unit\x1f.jpg", "one\x01.jpg",
    ".hidden", "..dots.jpg", "...", "dir.d/.keep", "trailing.", "no extension", "UPPER.JPG", "upper.jpg", "Upper.jpg",
    "a", "aa", "aaa", "a0", "a1", "dir/a", "dir/b", "dir", "dir-b", "dir0",
    "soap", "null", "None", "0", "-0", "1e9", "true",
]  # fmt: skip


def awkward_keys(number: int) -> list[str]:
    """``number`` distinct keys: the awkward ones, some at the limit of 1,024 bytes, then ordinary ones."""
    keys = [f"awkward/{key}" for key in AWKWARD]
    keys += [
        _filled("long/ascii-", "x"),
        _filled("long/latin-", "\u00e9"),
        _filled("long/emoji-", "\U0001f600"),
    ]
    keys += [keys[-3][:-1] + last for last in "yz"]  # they differ in the last of 1,024 bytes only
    moments = random.Random(20261123)
    number_of_day = 0
    while len(keys) < number:
        number_of_day += 1
        month, day = moments.randrange(1, 13), moments.randrange(1, 29)
        keys.append(
            f"uploads/2026/{month:02}/{day:02}/img_{number_of_day:05}_{moments.randrange(16**8):08x}.jpg"
        )
    return keys[:number]


def _filled(start: str, character: str) -> str:
    """``start`` filled up to exactly 1,024 bytes."""
    width = len(character.encode())
    count, rest = divmod(1024 - len(start.encode()), width)
    return start + "_" * rest + character * count


def png(number: int) -> bytes:
    """A real PNG of 8 by 8 points, another one for each number."""
    rows = b"".join(
        b"\0"
        + bytes(
            (number * 7 + row * 31 + column * channel * 3) % 256
            for column in range(8)
            for channel in (1, 2, 3)
        )
        for row in range(8)
    )
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    note = b"number\0" + str(number).encode()
    parts = [(b"IHDR", header), (b"tEXt", note), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
