"""What was sent against what S3 holds: the same, another, or as far as can be told.

Sources: "Checking object integrity" and "Common response headers" (ETag) in the Amazon S3 documentation, and
the HeadObject, PutObject and CompleteMultipartUpload pages of its API reference.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imagesync.core.crc import CRCS

ETAG = "etag"
MD5 = "md5"
_HASHES = frozenset({MD5, "sha1", "sha256", "sha512"})
_MD5_ETAG = re.compile(r"[0-9a-f]{32}")
_PARTS_ETAG = re.compile(r"[0-9a-f]{32}-([0-9]{1,5})")
_PARTS = re.compile(r"-[0-9]{1,5}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The body of one PutObject or UploadPart."""

    size_bytes: int | None
    """None for a stream whose length nobody could ask for."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """By the names of S3's checksums, and ``md5``; empty when only sizes are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One upload as it left, and what S3 answered to it."""

    pieces: tuple[Piece, ...]
    multipart: bool = False
    etag: str = ""
    """As the answer to the upload told it, without quotes."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """As the answer to the upload told them: what S3 made of the bytes that it took."""
    checksum_type: str = ""

    @property
    def size_bytes(self) -> int | None:
        sizes = [piece.size_bytes for piece in self.pieces]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a HEAD of the object answered."""

    size_bytes: int | None
    etag: str = ""
    """Without quotes."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Algorithm -> base64, with ``-N`` behind that of N parts."""
    checksum_type: str = ""
    """``FULL_OBJECT``, ``COMPOSITE``, or empty when the server does not say."""
    etag_is_md5: bool = True
    """False where S3 documents that it isn't: SSE-KMS, SSE-C, directory buckets."""


class Outcome(StrEnum):
    SAME_CONTENT = "content"
    """A checksum says that the bytes are those that were sent."""
    SAME_SIZE = "size"
    """The size is right; about the bytes nothing could be told, or nobody asked."""
    THERE = "presence"
    """The object is there; nothing was seen of the upload that it could be compared with."""
    DIFFERS = "differs"
    """It is certainly not what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    outcome: Outcome
    by: str = ""
    """What decided: ``size``, ``etag``, or the name of a checksum."""
    sent: str = ""
    held: str = ""
    """The two values that differ."""


def compare(sent: Sent | None, held: Held) -> Comparison:
    """Everything that can be compared must agree; one value that differs outweighs all that agree.

    Some servers repeat the checksum that they were sent without looking at the bytes, so an agreeing
    checksum does not excuse another ETag.
    """
    if sent is None:
        return Comparison(outcome=Outcome.THERE)
    if None not in (sent.size_bytes, held.size_bytes) and sent.size_bytes != held.size_bytes:
        return _differs("size", str(sent.size_bytes), str(held.size_bytes))
    agreed = ""
    for name, ours, theirs in _comparable(sent, held):
        if ours != theirs:
            return _differs(name, ours, theirs)
        agreed = agreed or name
    if _answers_are_of_two_objects(sent.etag, held.etag):
        return _differs(ETAG, sent.etag, held.etag)
    if agreed:
        return Comparison(outcome=Outcome.SAME_CONTENT, by=agreed)
    if None in (sent.size_bytes, held.size_bytes):
        return Comparison(outcome=Outcome.THERE)
    return Comparison(outcome=Outcome.SAME_SIZE, by="size")


def _differs(by: str, sent: str, held: str) -> Comparison:
    return Comparison(outcome=Outcome.DIFFERS, by=by, sent=sent, held=held)


def _comparable(sent: Sent, held: Held) -> Iterator[tuple[str, str, str]]:
    """(what, ours, theirs) for every value of S3's that we can make of the bytes ourselves.

    What the upload was answered with counts where the object of now is certainly that one. So an object
    encrypted with KMS is compared without kms:Decrypt.
    """
    yield from _checksums(sent, held.checksums, held.checksum_type)
    if sent.etag and sent.etag == held.etag:
        yield from _checksums(sent, sent.checksums, sent.checksum_type)
    etag = _md5_etag(sent)
    if etag and held.etag_is_md5 and _same_shape(etag, held.etag):
        yield MD5, etag, held.etag


def _checksums(sent: Sent, theirs: Mapping[str, str], checksum_type: str) -> Iterator[tuple[str, str, str]]:
    for name, told in sorted(theirs.items()):
        ours = _possible_checksums(sent, name, told, checksum_type)
        if ours:
            yield name, told if told in ours else ours[0], told


def _possible_checksums(sent: Sent, name: str, told: str, checksum_type: str) -> list[str]:
    """What ``told`` must be one of. Empty: that checksum cannot be had from the pieces.

    S3 tells whether a checksum is of the whole or of the parts, and puts ``-N`` behind the latter ("Checking
    object integrity"); moto does neither, so then it may be either.
    """
    whole, parts = full_checksum(sent, name), composite_checksum(sent, name)
    if _PARTS.search(told):
        possible = [parts]
    elif checksum_type == "FULL_OBJECT" or not sent.multipart:
        possible = [whole]
    elif checksum_type == "COMPOSITE":
        possible = [_PARTS.sub("", parts)]
    elif whole and parts:
        possible = [whole, _PARTS.sub("", parts)]
    else:  # it may be of the kind that we cannot make
        possible = []
    return [one for one in possible if one]


def full_checksum(sent: Sent, name: str) -> str:
    """The checksum of the whole object in base64, or empty when it cannot be had from the pieces."""
    digests = _digests(sent, name)
    if not digests:
        return ""
    if len(digests) == 1:
        return _base64(digests[0])
    crc = CRCS.get(name)
    if crc is None:
        return ""
    whole = 0
    for digest, piece in zip(digests, sent.pieces, strict=True):
        whole = crc.joined(whole, int.from_bytes(digest, "big"), piece.size_bytes or 0)
    return _base64(whole.to_bytes(crc.size_bytes, "big"))


def composite_checksum(sent: Sent, name: str) -> str:
    """The checksum of the parts' checksums in base64, with ``-N``; empty when it cannot be had."""
    digests = _digests(sent, name)
    if not digests or not sent.multipart:
        return ""
    joined = b"".join(digests)
    if name in CRCS:
        outer = CRCS[name].of(joined).to_bytes(CRCS[name].size_bytes, "big")
    elif name in _HASHES:
        outer = hashlib.new(name, joined, usedforsecurity=False).digest()
    else:
        return ""
    return f"{_base64(outer)}-{len(digests)}"


def _md5_etag(sent: Sent) -> str:
    """The ETag that S3 makes of MD5s: of one body, or of the parts' MD5s with ``-N``. Empty: not known."""
    digests = _digests(sent, MD5)
    if not digests:
        return ""
    if not sent.multipart:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _digests(sent: Sent, name: str) -> list[bytes]:
    found = [piece.digests[name] for piece in sent.pieces if name in piece.digests]
    return found if len(found) == len(sent.pieces) else []


def _same_shape(one: str, other: str) -> bool:
    """Whether two ETags can be of the same kind; a gateway may have others than S3's."""
    if _MD5_ETAG.fullmatch(one) and _MD5_ETAG.fullmatch(other):
        return True
    first, second = _PARTS_ETAG.fullmatch(one), _PARTS_ETAG.fullmatch(other)
    return bool(first and second and first[1] == second[1])


def _answers_are_of_two_objects(answered: str, held: str) -> bool:
    """Whether the ETag that the upload was answered with is certainly not the object's now."""
    return _same_shape(answered, held) and answered != held


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
