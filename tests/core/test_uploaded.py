from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.diagnosis import Place
from imagesync.core.upload_problems import differing
from imagesync.core.uploaded import Comparison, Held, Outcome, Piece, Sent, compare


def digests(data: bytes) -> dict[str, bytes]:
    return {
        "md5": hashlib.md5(data).digest(),
        "crc32": zlib.crc32(data).to_bytes(4, "big"),
        "sha256": hashlib.sha256(data).digest(),
    }


def piece(data: bytes, *, hashed: bool = True) -> Piece:
    return Piece(size_bytes=len(data), digests=digests(data) if hashed else {})


def sent_of(*parts: bytes, multipart: bool = False, hashed: bool = True, **answer: Any) -> Sent:
    return Sent(pieces=tuple(piece(one, hashed=hashed) for one in parts), multipart=multipart, **answer)


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32(data: bytes) -> str:
    return b64(zlib.crc32(data).to_bytes(4, "big"))


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def parts_etag(*parts: bytes) -> str:
    joined = b"".join(hashlib.md5(one).digest() for one in parts)
    return f"{hashlib.md5(joined).hexdigest()}-{len(parts)}"


def parts_crc32(*parts: bytes) -> str:
    return f"{crc32(b''.join(zlib.crc32(one).to_bytes(4, 'big') for one in parts))}-{len(parts)}"


A, B, AB = b"aaaa", b"bbb", b"aaaabbb"
ONE = sent_of(A)
TWO = sent_of(A, B, multipart=True)
KMS = "0" * 32
"""An ETag that looks like an MD5 and is none."""

CASES: list[tuple[str, Sent | None, Held, Outcome, str]] = [
    ("nothing seen", None, Held(size_bytes=4), Outcome.THERE, ""),
    ("size alone", ONE, Held(size_bytes=4), Outcome.SAME_SIZE, "size"),
    ("shorter", ONE, Held(size_bytes=3), Outcome.DIFFERS, "size"),
    ("longer", ONE, Held(size_bytes=5), Outcome.DIFFERS, "size"),
    ("empty", ONE, Held(size_bytes=0), Outcome.DIFFERS, "size"),
    ("size not told", ONE, Held(size_bytes=None), Outcome.THERE, ""),
    (
        "a stream of unknown size",
        Sent(pieces=(Piece(size_bytes=None),)),
        Held(size_bytes=4),
        Outcome.THERE,
        "",
    ),
    ("md5", ONE, Held(size_bytes=4, etag=md5(A)), Outcome.SAME_CONTENT, "md5"),
    ("another md5", ONE, Held(size_bytes=4, etag=md5(B)), Outcome.DIFFERS, "md5"),
    ("kms", ONE, Held(size_bytes=4, etag=KMS, etag_is_md5=False), Outcome.SAME_SIZE, "size"),
    ("an opaque etag", ONE, Held(size_bytes=4, etag="v2.xyz"), Outcome.SAME_SIZE, "size"),
    ("an upper-case etag", ONE, Held(size_bytes=4, etag=md5(A).upper()), Outcome.SAME_SIZE, "size"),
    ("crc32", ONE, Held(size_bytes=4, checksums={"crc32": crc32(A)}), Outcome.SAME_CONTENT, "crc32"),
    ("another crc32", ONE, Held(size_bytes=4, checksums={"crc32": crc32(B)}), Outcome.DIFFERS, "crc32"),
    (
        "a checksum that was repeated unseen",
        ONE,
        Held(size_bytes=4, etag=md5(B), checksums={"crc32": crc32(A)}),
        Outcome.DIFFERS,
        "md5",
    ),
    (
        "a checksum that we cannot make",
        ONE,
        Held(size_bytes=4, checksums={"crc64nvme": "AAAAAAAAAAA="}),
        Outcome.SAME_SIZE,
        "size",
    ),
    (
        "sha256",
        ONE,
        Held(
            size_bytes=4, checksums={"sha256": b64(hashlib.sha256(A).digest())}, checksum_type="FULL_OBJECT"
        ),
        Outcome.SAME_CONTENT,
        "sha256",
    ),
    ("etag of parts", TWO, Held(size_bytes=7, etag=parts_etag(A, B)), Outcome.SAME_CONTENT, "md5"),
    ("parts swapped", TWO, Held(size_bytes=7, etag=parts_etag(B, A)), Outcome.DIFFERS, "md5"),
    ("other parts", TWO, Held(size_bytes=7, etag=parts_etag(A, A, A)), Outcome.SAME_SIZE, "size"),
    ("md5 of the whole", TWO, Held(size_bytes=7, etag=md5(AB)), Outcome.SAME_SIZE, "size"),
    (
        "crc32 of the whole",
        TWO,
        Held(size_bytes=7, checksums={"crc32": crc32(AB)}, checksum_type="FULL_OBJECT"),
        Outcome.SAME_CONTENT,
        "crc32",
    ),
    (
        "crc32 of the parts",
        TWO,
        Held(size_bytes=7, checksums={"crc32": parts_crc32(A, B)}, checksum_type="COMPOSITE"),
        Outcome.SAME_CONTENT,
        "crc32",
    ),
    (
        "crc32 of the parts, kind not told",
        TWO,
        Held(size_bytes=7, checksums={"crc32": parts_crc32(A, B)}),
        Outcome.SAME_CONTENT,
        "crc32",
    ),
    (
        "crc32 of the parts, neither kind nor number told",
        TWO,
        Held(size_bytes=7, checksums={"crc32": parts_crc32(A, B).removesuffix("-2")}),
        Outcome.SAME_CONTENT,
        "crc32",
    ),
    (
        "crc32 of the parts, told to be of the whole",
        TWO,
        Held(
            size_bytes=7,
            checksums={"crc32": parts_crc32(A, B).removesuffix("-2")},
            checksum_type="FULL_OBJECT",
        ),
        Outcome.DIFFERS,
        "crc32",
    ),
    (
        "crc32 of neither",
        TWO,
        Held(size_bytes=7, checksums={"crc32": crc32(b"aaaabbc")}),
        Outcome.DIFFERS,
        "crc32",
    ),
    (
        "sha256 of the whole cannot be had from parts",
        TWO,
        Held(
            size_bytes=7,
            checksums={"sha256": b64(hashlib.sha256(AB).digest())},
            checksum_type="FULL_OBJECT",
        ),
        Outcome.SAME_SIZE,
        "size",
    ),
    (
        "kms, by the answer to the upload",
        replace(ONE, etag=KMS, checksums={"crc32": crc32(A)}),
        Held(size_bytes=4, etag=KMS, etag_is_md5=False),
        Outcome.SAME_CONTENT,
        "crc32",
    ),
    (
        "kms, and the answer was about other bytes",
        replace(ONE, etag=KMS, checksums={"crc32": crc32(B)}),
        Held(size_bytes=4, etag=KMS, etag_is_md5=False),
        Outcome.DIFFERS,
        "crc32",
    ),
    (
        "kms, and another object now",
        replace(ONE, etag=KMS, checksums={"crc32": crc32(A)}),
        Held(size_bytes=4, etag="1" * 32, etag_is_md5=False),
        Outcome.DIFFERS,
        "etag",
    ),
    (
        "sizes only, and another object now",
        sent_of(A, hashed=False, etag=md5(A)),
        Held(size_bytes=4, etag=md5(B)),
        Outcome.DIFFERS,
        "etag",
    ),
    (
        "sizes only",
        sent_of(A, hashed=False, etag=md5(A)),
        Held(size_bytes=4, etag=md5(A)),
        Outcome.SAME_SIZE,
        "size",
    ),
    (
        "a gateway that answers with an etag of parts and keeps one of the whole",
        replace(TWO, etag=parts_etag(A, B)),
        Held(size_bytes=7, etag=md5(AB)),
        Outcome.SAME_SIZE,
        "size",
    ),
]


@pytest.mark.parametrize(
    ("sent", "held", "outcome", "by"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_compare__table(sent: Sent | None, held: Held, outcome: Outcome, by: str) -> None:
    found = compare(sent, held)

    assert (found.outcome, found.by) == (outcome, by)
    assert (found.sent != found.held) == (outcome is Outcome.DIFFERS)


parts = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5)
kinds = st.sampled_from(["etag", "FULL_OBJECT", "COMPOSITE", "", "all"])


def told_of(pieces: list[bytes], multipart: bool, kind: str) -> Held:
    """What an honest S3 tells of an object made of these parts."""
    whole = b"".join(pieces)
    etag = parts_etag(*pieces) if multipart else md5(whole)
    checksum = parts_crc32(*pieces) if multipart and kind in ("COMPOSITE", "") else crc32(whole)
    return Held(
        size_bytes=len(whole),
        etag=etag if kind in ("etag", "all") else "",
        checksums={} if kind == "etag" else {"crc32": checksum},
        checksum_type="" if kind == "etag" else "FULL_OBJECT" if kind == "all" else kind,
    )


@given(parts, st.booleans(), kinds)
def test_compare__what_an_honest_store_holds_is_verified(
    pieces: list[bytes], multipart: bool, kind: str
) -> None:
    pieces = pieces if multipart else [b"".join(pieces)]
    kind = kind if multipart or kind != "COMPOSITE" else "FULL_OBJECT"

    found = compare(sent_of(*pieces, multipart=multipart), told_of(pieces, multipart, kind))

    assert found.outcome is Outcome.SAME_CONTENT


@given(parts, parts, st.booleans(), kinds)
def test_compare__other_bytes_are_never_verified(
    pieces: list[bytes], others: list[bytes], multipart: bool, kind: str
) -> None:
    if not multipart:
        pieces, others = [b"".join(pieces)], [b"".join(others)]
        kind = kind if kind != "COMPOSITE" else "FULL_OBJECT"
    if b"".join(pieces) == b"".join(others):
        return

    found = compare(sent_of(*pieces, multipart=multipart), told_of(others, multipart, kind))

    assert found.outcome is not Outcome.SAME_CONTENT


@given(parts, st.integers(min_value=0, max_value=200), st.booleans())
def test_compare__another_size_always_differs(pieces: list[bytes], size: int, hashed: bool) -> None:
    sent = sent_of(*pieces, multipart=True, hashed=hashed)

    found = compare(sent, Held(size_bytes=size, etag=parts_etag(*pieces)))

    assert (found.outcome is Outcome.DIFFERS) == (size != sent.size_bytes)


def test_differing__has_nothing_to_say_of_what_is_the_same() -> None:
    place = Place(alias="default", bucket="b", region="", endpoint="", prefix="")

    with pytest.raises(ValueError, match="no difference"):
        differing(place, "k", Comparison(outcome=Outcome.SAME_SIZE))
