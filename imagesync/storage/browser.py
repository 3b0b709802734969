"""What a visitor's browser gets from the URL that the site hands out: one plain HTTP request, without the
application's credentials, cookies or proxies, and without following a redirect.

Every API call may work while every one of these URLs fails: signed by Signature Version 2, for another region, or
for a host that redirects ("Authenticating Requests: Using Query Parameters", Amazon S3 API reference).
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import SplitResult, parse_qs, urlsplit

from urllib3.util import parse_url

from imagesync.storage.contract import clean_code, clean_region

MAX_BODY_BYTES = 64 * 1024
_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9._:-]{1,64})\s*</Code>")
_SCOPE = re.compile(r"[^/]+/[0-9]{8}/([^/]+)/s3/aws4_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What may be told of a URL; never the URL itself, which is a bearer token when it is signed."""

    host: str
    """With its port, when that is not the scheme's own."""
    scheme: str
    signature: str
    """``v4``, ``v2``, ``cloudfront`` or ``none``."""
    region: str
    """Of a version 4 signature's scope; empty otherwise."""

    def to_dict(self) -> dict[str, str]:
        return {"host": self.host, "scheme": self.scheme, "signature": self.signature, "region": self.region}


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsed:
    """The answer to one such request, or the lack of one."""

    address: Address
    status: int | None = None
    """HTTP status; None when no answer arrived."""
    code: str = ""
    """S3's error code from the body, or the class name of the exception when there was no answer."""
    redirected_to: str = ""
    """The host that a redirect names."""
    content_type: str = ""

    @property
    def loads(self) -> bool:
        """Whether a browser would have something to show (416 is the answer of an empty object)."""
        return self.status in (200, 206)


def address_of(url: str) -> Address:
    """Take a URL apart. Raises ValueError for one that is not absolute http or https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not _host(parts):
        raise ValueError("the URL is not an absolute one of http or https")
    query = parse_qs(parts.query, keep_blank_values=True)
    return Address(host=_host(parts), scheme=parts.scheme, signature=_signature(query), region=_region(query))


def browse(url: str, *, timeout: float = 10.0) -> Browsed:
    """Ask for the first byte of ``url`` as a browser would; ``timeout`` (seconds) bounds the whole of it.

    A browser resolves ``.`` and ``..`` in the path before it asks; so does this. Raises ValueError like
    ``address_of``; anything that goes wrong on the way is an outcome.
    """
    address = address_of(url)
    target = _target(url)
    until = time.monotonic() + timeout
    connection = _connection(address, timeout)
    # the socket's own timeout starts anew with each byte that comes
    watchdog = threading.Timer(timeout, _cut_off, [connection])
    watchdog.start()
    try:
        connection.request("GET", target, headers=_HEADERS)
        response = connection.getresponse()
        body = _body(response, until) if response.status >= 400 else b""
        return _browsed(address, response, body)
    except (
        OSError,
        http.client.HTTPException,
        UnicodeError,
    ) as error:  # UnicodeError: a host that DNS cannot name
        name = type(error).__name__ if time.monotonic() < until else "TimeoutError"
        return Browsed(address=address, code=clean_code(name))
    finally:
        watchdog.cancel()
        connection.close()


def _target(url: str) -> str:
    try:
        return parse_url(url).request_uri
    except ValueError:  # its text holds the URL
        raise ValueError("the URL is not one that can be asked for") from None


def _cut_off(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


_HEADERS = {"Range": "bytes=0-0", "Accept": "image/*,*/*;q=0.8", "User-Agent": "Mozilla/5.0 (imagesync)"}


def _connection(address: Address, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(f"{address.scheme}://{address.host}")
    host = parts.hostname or ""
    if address.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout)
    return http.client.HTTPSConnection(
        host, parts.port, timeout=timeout, context=ssl.create_default_context()
    )


def _body(response: http.client.HTTPResponse, until: float) -> bytes:
    """The beginning of the body, as far as it comes; a server that dribbles does not hold us."""
    body = b""
    try:
        while len(body) < MAX_BODY_BYTES and time.monotonic() < until:
            piece = response.read1(4096)
            if not piece:
                break
            body += piece
    except (OSError, http.client.HTTPException):
        return body  # the status stands
    return body


def _browsed(address: Address, response: http.client.HTTPResponse, body: bytes) -> Browsed:
    code = _CODE.search(body)
    return Browsed(
        address=address,
        status=response.status,
        code=code[1].decode("ascii") if code else "",
        redirected_to=_redirected_to(response.headers),
        content_type=_content_type(response.headers),
    )


def _redirected_to(headers: Message) -> str:
    try:
        return _host(urlsplit(headers.get("Location", "")))
    except ValueError:
        return ""


def _content_type(headers: Message) -> str:
    told = headers.get("Content-Type", "").partition(";")[0].strip()
    return told if re.fullmatch(r"[A-Za-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}", told) else ""


def _host(parts: SplitResult) -> str:
    """Host and port, without user information; empty when it is no host's name."""
    host = (parts.hostname or "").lower()
    if not re.fullmatch(r"[a-z0-9._:-]{1,253}", host):
        return ""
    named = f"[{host}]" if ":" in host else host
    return named if parts.port is None else f"{named}:{parts.port}"


def _signature(query: Mapping[str, list[str]]) -> str:
    if "X-Amz-Signature" in query:
        return "v4"
    if "AWSAccessKeyId" in query and "Signature" in query:
        return "v2"
    return "cloudfront" if "Key-Pair-Id" in query else "none"


def _region(query: Mapping[str, list[str]]) -> str:
    scope = _SCOPE.fullmatch(query.get("X-Amz-Credential", [""])[0])
    return clean_region(scope[1]) if scope else ""
