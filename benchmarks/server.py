"""A static S3 server that is never the limit: one bucket whose pages are slices of a file made beforehand.

    python -m benchmarks.server FOLDER [--latency-ms 80] [--port 0]

prints its port and ends with its standard input. It answers what an audit asks: ListObjectsV2 (prefix, StartAfter,
continuation tokens, max-keys, encoding-type), HeadBucket, GetBucketVersioning (off), GET and HEAD of an object, and
``GET /-/requests``: how many of each it has answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

BUCKET = "bench"
REGION = "eu-north-1"

_ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;9bb58f26192e4ba00f01e2e7b136bbd8&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass>"
    "</Contents>"
)
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{}</Name><Prefix>{}</Prefix>{}'
    "<KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys>{}<IsTruncated>{}</IsTruncated>"
)


def write_bucket(folder: Path, keys: Iterable[str]) -> int:
    """Write the bucket's pages for ``keys``, which ascend. Returns how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    entry_ends, key_ends = array("Q", [0]), array("Q", [0])
    with (folder / "entries").open("wb") as entries, (folder / "keys").open("wb") as names:
        for number, key in enumerate(keys):
            raw = key.encode()
            entry = _ENTRY.format(quote(key, safe="/~"), 10_000 + number % 1000).encode()
            entries.write(entry)
            names.write(raw)
            entry_ends.append(entry_ends[-1] + len(entry))
            key_ends.append(key_ends[-1] + len(raw))
    for name, ends in (("entry-ends", entry_ends), ("key-ends", key_ends)):
        with (folder / name).open("wb") as file:
            ends.tofile(file)
    return len(key_ends) - 1


class Bucket:
    def __init__(self, folder: Path) -> None:
        self.entries = memoryview(_mapped(folder / "entries"))
        self.keys = memoryview(_mapped(folder / "keys"))
        self.entry_ends = memoryview(_mapped(folder / "entry-ends")).cast("Q")
        self.key_ends = memoryview(_mapped(folder / "key-ends")).cast("Q")
        self.number = len(self.key_ends) - 1

    def key(self, index: int) -> bytes:
        return bytes(self.keys[self.key_ends[index] : self.key_ends[index + 1]])

    def first_behind(self, key: bytes) -> int:
        """The place of the first key greater than ``key``."""
        low, high = 0, self.number
        while low < high:
            middle = (low + high) // 2
            if self.key(middle) <= key:
                low = middle + 1
            else:
                high = middle
        return low

    def holds(self, key: bytes) -> bool:
        place = self.first_behind(key)
        return place > 0 and self.key(place - 1) == key

    def page(self, asked: dict[str, str]) -> tuple[bytes, memoryview, bytes]:
        prefix = asked.get("prefix", "").encode()
        after = asked.get("continuation-token", "") or asked.get("start-after", "")
        begin = self.first_behind(unquote(after).encode())
        if prefix:
            begin = max(begin, self.first_behind(prefix[:-1] + bytes([prefix[-1] - 1]) + b"\xff" * 8))
            while begin < self.number and self.key(begin) < prefix:
                begin += 1
        most = int(asked.get("max-keys", "1000"))
        stop = min(begin + most, self.number)
        if prefix:
            while stop > begin and not self.key(stop - 1).startswith(prefix):
                stop -= 1
        more = stop < self.number and self.key(stop).startswith(prefix)
        token = (
            f"<NextContinuationToken>{escape(quote(self.key(stop - 1)))}</NextContinuationToken>"
            if more
            else ""
        )
        head = _HEAD.format(
            BUCKET,
            quote(prefix, safe="/~"),
            token,
            stop - begin,
            most,
            "<EncodingType>url</EncodingType>",
            str(more).lower(),
        )
        slice_ = self.entries[self.entry_ends[begin] : self.entry_ends[stop]]
        return head.encode(), slice_, b"</ListBucketResult>"


def _mapped(path: Path) -> bytes | mmap.mmap:
    if not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Connection(asyncio.Protocol):
    def __init__(self, bucket: Bucket, latency: float, answered: Counter[str]) -> None:
        self.bucket = bucket
        self.latency = latency
        self.answered = answered
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            method, target = head.split(b" ", 2)[:2]
            answer = self.answer(method.decode(), target.decode())
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.write, answer)
            else:
                self.write(answer)

    def write(self, answer: bytes) -> None:
        self.transport.write(answer)  # type: ignore[attr-defined]

    def answer(self, method: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if path == "/-/requests":
            return _answer(200, json.dumps(self.answered).encode())
        _, bucket, key = (*path.split("/", 2), "")[:3]
        if bucket != BUCKET:
            self.answered["other"] += 1
            return _error(404, "NoSuchBucket")
        if key:
            self.answered[method] += 1
            return self.object(method, unquote(key).encode())
        if "versioning" in asked:
            self.answered["VERSIONING"] += 1
            return _answer(200, b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')
        if method == "HEAD":
            self.answered["HEAD_BUCKET"] += 1
            return _answer(200, b"", length=0)
        self.answered["LIST"] += 1
        head, entries, tail = self.bucket.page(asked)
        return b"".join((*_head(200, len(head) + len(entries) + len(tail)), head, entries, tail))

    def object(self, method: str, key: bytes) -> bytes:
        if not self.bucket.holds(key):
            return _error(404, "NoSuchKey") if method == "GET" else _answer(404, b"", length=0)
        etag = b'ETag: "9bb58f26192e4ba00f01e2e7b136bbd8"\r\n'
        if method == "HEAD":
            return _answer(200, b"", length=10_000, more=etag)
        return _answer(206, b"x", more=etag + b"Content-Range: bytes 0-0/10000\r\n")


_STATUS = {200: b"OK", 206: b"Partial Content", 404: b"Not Found"}


def _head(status: int, length: int, more: bytes = b"") -> tuple[bytes, ...]:
    return (
        b"HTTP/1.1 %d %b\r\nContent-Type: application/xml\r\nx-amz-request-id: BENCH\r\nx-amz-bucket-region: %b\r\n"
        b"%bContent-Length: %d\r\n\r\n" % (status, _STATUS[status], REGION.encode(), more, length),
    )


def _answer(status: int, body: bytes, *, length: int | None = None, more: bytes = b"") -> bytes:
    return b"".join((*_head(status, len(body) if length is None else length, more), body))


def _error(status: int, code: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>x</Message></Error>'
    return _answer(status, body.encode())


async def serve(folder: Path, latency: float, port: int) -> None:
    loop = asyncio.get_running_loop()
    bucket, answered = Bucket(folder), Counter[str]()
    server = await loop.create_server(lambda: Connection(bucket, latency, answered), "127.0.0.1", port)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    # the one who started it holds the other end: it cannot outlive him
    loop.add_reader(sys.stdin.fileno(), lambda: ended.set() if not os.read(sys.stdin.fileno(), 1) else None)
    await ended.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A static S3 server for benchmarks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(options.folder, options.latency_ms / 1000, options.port))


if __name__ == "__main__":
    main()
