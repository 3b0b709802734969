"""What a storage really sends while it saves a file: seen at its own client, through botocore's events.

The content that was handed in need not be what leaves: storages compress, resize and encode. So the bodies of
PutObject and UploadPart are measured, each as it is handed to the client, and the answer is kept. Keys and
parameters are those of the request, whatever the storage made of the name. "Extensibility guide" of the boto3
documentation describes the events.
"""

from __future__ import annotations

import hashlib
import io
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from imagesync.core.uploaded import Piece, Sent
from imagesync.storage.contract import clean_etag

# What a HEAD must repeat of an upload ("HeadObject", request headers).
REPEATED = (
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "SSECustomerKeyMD5",
    "RequestPayer",
    "ExpectedBucketOwner",
)
CHECKSUMS = {
    "ChecksumCRC32": "crc32",
    "ChecksumCRC32C": "crc32c",
    "ChecksumCRC64NVME": "crc64nvme",
    "ChecksumSHA1": "sha1",
    "ChecksumSHA256": "sha256",
    "ChecksumSHA512": "sha512",
}
_CHUNK = 1024 * 1024


@dataclass(eq=False)
class Sending:
    """One PutObject, or one multipart upload, on its way."""

    bucket: str
    key: str
    upload_id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)
    """Those that a HEAD of the object must repeat; a key of SSE-C among them, so never shown."""
    pieces: dict[int, Piece] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None
    """Of PutObject or CompleteMultipartUpload; None until it succeeded."""

    def sent(self) -> Sent:
        answer = self.answer or {}
        return Sent(
            pieces=tuple(piece for _number, piece in sorted(self.pieces.items())),
            multipart=bool(self.upload_id),
            etag=clean_etag(answer.get("ETag")),
            checksums=checksums_in(answer),
            checksum_type=str(answer.get("ChecksumType", "")),
        )


def checksums_in(answer: Mapping[str, Any]) -> dict[str, str]:
    """Algorithm -> base64, as far as we know the algorithm."""
    return {name: str(answer[member]) for member, name in CHECKSUMS.items() if answer.get(member)}


class Watch:
    """What was sent through one client since this watch began."""

    def __init__(self, *, hashing: bool) -> None:
        self.hashing = hashing
        self._lock = threading.Lock()
        self._seen: list[Sending] = []

    def completed(self, bucket: str, key: str) -> list[Sending]:
        """The uploads of this key that S3 took, in the order in which they began."""
        with self._lock:
            return [
                one for one in self._seen if (one.bucket, one.key) == (bucket, key) and one.answer is not None
            ]

    def multipart(self, bucket: str, key: str, upload_id: str) -> Sending:
        with self._lock:
            for one in self._seen:
                if one.upload_id == upload_id and one.key == key:
                    return one
            self._seen.append(Sending(bucket=bucket, key=key, upload_id=upload_id))
            return self._seen[-1]

    def single(self, bucket: str, key: str) -> Sending:
        with self._lock:
            self._seen.append(Sending(bucket=bucket, key=key))
            return self._seen[-1]


class _Desk:
    """The handlers of one process: they pass on what they see to the watches that are open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Watch] = []

    @contextmanager
    def watching(self, storage: Any, *, hashing: bool) -> Iterator[Watch]:
        handlers: dict[str, Callable[..., None]] = {
            "provide-client-params.s3.PutObject": self._put,
            "provide-client-params.s3.UploadPart": self._part,
            "provide-client-params.s3.CompleteMultipartUpload": self._complete,
            "after-call.s3.PutObject": self._answered,
            "after-call.s3.CompleteMultipartUpload": self._answered,
        }
        watch = Watch(hashing=hashing)
        with (
            self._lock
        ):  # two threads that come first together would make two buckets, and one would be unwatched
            client = storage.bucket.meta.client
            for event, handler in handlers.items():  # once per client: threads share it
                client.meta.events.register(event, handler, unique_id=f"imagesync-{event}")
            self._open.append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._open.remove(watch)

    def _watches(self) -> list[Watch]:
        with self._lock:
            return list(self._open)

    def _put(self, params: dict[str, Any], context: dict[str, Any], **_event: Any) -> None:
        watches = self._watches()
        piece = _measured(params, watches)
        sendings = [watch.single(params["Bucket"], params["Key"]) for watch in watches]
        self._note(sendings, 1, piece, params, context)

    def _part(self, params: dict[str, Any], context: dict[str, Any], **_event: Any) -> None:
        watches = self._watches()
        piece = _measured(params, watches)
        sendings = [watch.multipart(params["Bucket"], params["Key"], params["UploadId"]) for watch in watches]
        self._note(sendings, params["PartNumber"], piece, params, context)

    def _complete(self, params: dict[str, Any], context: dict[str, Any], **_event: Any) -> None:
        context["imagesync_sendings"] = [
            watch.multipart(params["Bucket"], params["Key"], params["UploadId"]) for watch in self._watches()
        ]

    @staticmethod
    def _note(
        sendings: list[Sending],
        number: int,
        piece: Piece | None,
        params: Mapping[str, Any],
        context: dict[str, Any],
    ) -> None:
        for sending in sendings:
            if piece is not None:
                sending.pieces[number] = piece
            sending.parameters |= {name: params[name] for name in REPEATED if name in params}
        context["imagesync_sendings"] = sendings

    @staticmethod
    def _answered(
        http_response: Any, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any
    ) -> None:
        if http_response.status_code < 300:
            for sending in context.get("imagesync_sendings", ()):
                sending.answer = parsed


_desk = _Desk()
watching = _desk.watching


def _measured(params: Mapping[str, Any], watches: list[Watch]) -> Piece | None:
    if not watches:
        return None
    hashing = any(watch.hashing for watch in watches)
    return measure(params.get("Body", b""), algorithm=params.get("ChecksumAlgorithm", ""), hashing=hashing)


def measure(body: Any, *, algorithm: str, hashing: bool) -> Piece:
    """The size of a body, and its digests when they are wanted; the body stands where it stood afterwards."""
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, (bytes, bytearray)):
        body = io.BytesIO(body)
    try:
        start = body.tell()
        body.seek(start)
    except (AttributeError, OSError, ValueError):  # a stream: it can be read once, and that is the client's
        return Piece(size_bytes=None)
    if not hashing:
        body.seek(0, 2)
        size = body.tell() - start
        body.seek(start)
        return Piece(size_bytes=size)
    digests = _Digests(algorithm)
    size = 0
    while chunk := body.read(_CHUNK):
        size += len(chunk)
        digests.update(chunk)
    body.seek(start)
    return Piece(size_bytes=size, digests=digests.finished())


class _Digests:
    """MD5 for the ETag, CRC32 because botocore sends it unasked, and the one that the storage asked for."""

    def __init__(self, algorithm: str) -> None:
        self._hashes: dict[str, Any] = {"md5": hashlib.md5(usedforsecurity=False)}
        name = algorithm.lower()
        if name in ("sha1", "sha256", "sha512"):
            self._hashes[name] = hashlib.new(name, usedforsecurity=False)
        self._crcs: dict[str, tuple[Callable[[bytes, int], int], int]] = {
            known: (function, size) for known, function, size in _crc_functions(name)
        }
        self._registers = dict.fromkeys(self._crcs, 0)

    def update(self, data: bytes) -> None:
        for one in self._hashes.values():
            one.update(data)
        for name, (function, _size) in self._crcs.items():
            self._registers[name] = function(data, self._registers[name])

    def finished(self) -> dict[str, bytes]:
        found = {name: one.digest() for name, one in self._hashes.items()}
        for name, (_function, size) in self._crcs.items():
            found[name] = self._registers[name].to_bytes(size, "big")
        return found


def _crc_functions(name: str) -> list[tuple[str, Callable[[bytes, int], int], int]]:
    """CRC32C and CRC64NVME only where botocore itself can compute them (its extra ``crt``), and fast."""
    known: list[tuple[str, Callable[[bytes, int], int], int]] = [("crc32", zlib.crc32, 4)]
    try:
        from awscrt import checksums
    except ImportError:
        return known
    known.append(("crc64nvme", checksums.crc64nvme, 8))
    return [*known, ("crc32c", checksums.crc32c, 4)] if name == "crc32c" else known
