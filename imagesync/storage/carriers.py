"""How a signed request is brought to the store: over sockets of our own, or by botocore's session where there is more
between than a certificate to check (a proxy, a certificate of the client's own)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from threading import Lock
from typing import Any, Protocol
from urllib.parse import urlsplit

from imagesync.storage.connections import Answer, Body, Connections, NotPlain
from imagesync.storage.pattern import PORTS


class Answered(Protocol):
    """A status and headers, names in lower case; one of the two methods brings the body, and may raise anything."""

    status: int
    headers: dict[str, str]

    def whole(self, most: int = ...) -> Body: ...

    def first_byte(self) -> bytes: ...


class Carrier(Protocol):
    """Threads may share it."""

    def ask(self, method: str, origin: str, target: str, headers: Mapping[str, str]) -> Answered:
        """``headers`` are complete and signed. May raise anything."""
        ...


def carrier_for(config: Any, endpoint: str, verify: bool | str) -> Carrier:
    """``config`` is the client's; ``verify`` as boto3 takes it."""
    from botocore.utils import get_environ_proxies

    proxies = get_environ_proxies(endpoint) if config.proxies is None else config.proxies
    if config.client_cert or proxies.get(urlsplit(endpoint).scheme):
        return _Session(config, proxies, verify)
    return _Sockets(config, verify)


class _Sockets:
    def __init__(self, config: Any, verify: bool | str) -> None:
        self._config = config
        self._verify = verify
        self._origins: dict[str, Connections] = {}
        self._lock = Lock()

    def ask(self, method: str, origin: str, target: str, headers: Mapping[str, str]) -> Answer:
        connections = self._origins.get(origin)
        if connections is None:
            with self._lock:
                connections = self._origins.setdefault(origin, self._connections(origin))
        return connections.ask(method, target, headers.items())

    def _connections(self, origin: str) -> Connections:
        parts = urlsplit(origin)
        if "@" in parts.netloc or not parts.netloc.isascii():
            raise NotPlain("a host of another kind")
        return Connections(
            parts.hostname or "",
            parts.port or PORTS[parts.scheme],
            context=_context(self._verify) if parts.scheme == "https" else None,
            connect_timeout=self._config.connect_timeout,
            read_timeout=self._config.read_timeout,
            most_kept=self._config.max_pool_connections,
        )


def _context(verify: bool | str) -> ssl.SSLContext:
    """The standard library's own, with the authorities that botocore believes."""
    from botocore import httpsession

    path_of: Any = httpsession.get_cert_path  # its stubs know no files of certificates
    if verify:
        return ssl.create_default_context(cafile=path_of(verify))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Session:
    """botocore's own, which knows proxies."""

    def __init__(self, config: Any, proxies: Any, verify: bool | str) -> None:
        from botocore.httpsession import URLLib3Session

        session: Any = URLLib3Session  # its stubs know neither files of certificates nor two timeouts
        self._session = session(
            verify=verify,
            proxies=proxies,
            proxies_config=config.proxies_config,
            client_cert=config.client_cert,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
        )

    def ask(self, method: str, origin: str, target: str, headers: Mapping[str, str]) -> _OfSession:
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=method, url=f"{origin}{target}", headers=headers, stream_output=True)
        return _OfSession(self._session.send(request.prepare()))


class _OfSession:
    def __init__(self, answer: Any) -> None:
        self.status: int = answer.status_code
        self.headers: dict[str, str] = {name.lower(): value for name, value in answer.raw.headers.items()}
        self._raw = answer.raw

    def whole(self, most: int = 0) -> bytes:
        if not most:
            return b"".join(self._raw.stream())
        body = bytes(self._raw.read(most + 1))
        if len(body) > most:
            self._raw.close()
            raise NotPlain("a long body")
        self._raw.release_conn()
        return body

    def first_byte(self) -> bytes:
        byte = bytes(self._raw.read(1))
        if self.headers.get("content-length") == "1":
            self._raw.release_conn()
        else:
            self._raw.close()
        return byte
