"""Requests that botocore has built, signed and sent once, sent again for another page or key without it.

botocore spends milliseconds of the interpreter on each request, whatever the number of threads. What it spends them on
(endpoint, addressing, headers) is the same for every page of a bucket, so its first request is kept as a pattern, by its
public events; the later ones are signed as it signs (sigv4.py), with credentials as fresh as its own. Only plain good answers
are taken. Everything else is None here, and the caller asks botocore, which knows retries, redirects and errors.
tests/storage/test_direct.py holds both ways against each other.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from imagesync.storage.carriers import Answered, Carrier, carrier_for
from imagesync.storage.connections import Body
from imagesync.storage.pattern import Pattern, Signing, pattern_of, sorted_query
from imagesync.storage.plain import says_no_such_key, tells_of_a_size, tells_of_an_object

PATIENCE = 3
"""After so many answers in a row that were not taken, a store is not asked directly ..."""
PAUSE = 200
"""... for so many requests: it would only be asked twice each time."""

_SMALL = 16_384
_METHODS = {"ListObjectsV2": "GET", "GetObject": "GET", "HeadObject": "HEAD"}


@dataclass(frozen=True, slots=True)
class Direct:
    """An answer: what botocore's would be before it is parsed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Body
    region: str
    """That the request was signed for."""


class DirectCalls:
    """Of one client and bucket; threads may share it. ``verify`` as boto3 takes it."""

    def __init__(self, client: Any, *, bucket: str, verify: bool | str) -> None:
        self._config = client.meta.config
        self._bucket = bucket
        self._endpoint: str = client.meta.endpoint_url
        self._verify = verify
        self._patterns: dict[str, Pattern] = {}
        self._this_thread = threading.local()
        self._carrier: Carrier | None = None
        self._lock = threading.Lock()
        self._not_taken: Counter[str] = Counter()
        self._to_skip: Counter[str] = Counter()
        for operation in _METHODS:
            client.meta.events.register(f"before-sign.s3.{operation}", self._note_signing)
            client.meta.events.register_last(f"before-send.s3.{operation}", self._note_sent)

    # --- learning ---------------------------------------------------------------------------------------

    def learn(self, operation: str, given: Mapping[str, Any] | None, *, key: str = "") -> None:
        """Keep the request that this thread's last call of botocore sent; the call was answered well."""
        if operation in self._patterns or given is None:
            return
        sent: Any = getattr(self._this_thread, "sent", None)
        if sent is None:
            return
        pattern = pattern_of(
            sent,
            getattr(self._this_thread, "signing", Signing({}, {})),
            method=_METHODS[operation],
            given=given,
            key=key,
            endpoint=self._endpoint,
            bucket=self._bucket,
        )
        if pattern is not None:
            self._patterns[operation] = pattern

    def _note_signing(self, request: Any, **event: Any) -> None:
        self._this_thread.signing = Signing(request.context.get("signing", {}), event)

    def _note_sent(self, request: Any, **_event: Any) -> None:
        self._this_thread.sent = request

    # --- asking -----------------------------------------------------------------------------------------

    def page(
        self, given: Mapping[str, Any] | None, *, prefix: str, start_after: str, token: str, max_keys: int
    ) -> Direct | None:
        """A page's answer, whatever it is; None when there is none and botocore is to be asked."""
        pattern = self._usable("ListObjectsV2", given)
        if pattern is None or not _has_bytes(prefix + start_after + token):
            return None
        query = {**pattern.query, "prefix": prefix, "max-keys": str(max_keys)}
        for name, value in (("start-after", start_after), ("continuation-token", token)):
            query.pop(name, None)
            if value:
                query[name] = value
        answer = self._sent(pattern, pattern.place, sorted_query(query.items()), _whole)
        if answer is None:
            self.taken("ListObjectsV2", False)
        return answer

    def first_byte(self, given: Mapping[str, Any] | None, key: str) -> Direct | None:
        """The answer to a ranged GET when it is plain: there, or NoSuchKey; None when botocore is to be asked."""
        return self._object("GetObject", given, key, _little, _is_plain_byte)

    def head(self, given: Mapping[str, Any] | None, key: str) -> Direct | None:
        """The answer to a HEAD when it is plain: there, or 404, which proves nothing; None when botocore is to be asked."""
        return self._object("HeadObject", given, key, _whole, _is_plain_head)

    def _object(
        self,
        operation: str,
        given: Mapping[str, Any] | None,
        key: str,
        read: Callable[[Answered], Body],
        is_plain: Callable[[Direct], bool],
    ) -> Direct | None:
        pattern = self._usable(operation, given)
        if pattern is None or not _is_plain_path(key) or not _has_bytes(key):
            return None
        answer = self._sent(pattern, f"{pattern.place}/{quote(key, safe='/~')}", "", read)
        found = answer if answer is not None and is_plain(answer) else None
        self.taken(operation, found is not None)
        return found

    def taken(self, operation: str, whether: bool) -> None:
        """Tell whether a direct answer was of use."""
        with self._lock:
            self._not_taken[operation] = 0 if whether else self._not_taken[operation] + 1
            if self._not_taken[operation] >= PATIENCE:
                self._to_skip[operation], self._not_taken[operation] = PAUSE, 0
                self._patterns.pop(operation, None)  # it may have aged: the next good answer teaches anew

    def _usable(self, operation: str, given: Mapping[str, Any] | None) -> Pattern | None:
        pattern = self._patterns.get(operation)
        if pattern is None or pattern.given != given:
            return None
        with self._lock:
            if self._to_skip[operation]:
                self._to_skip[operation] -= 1
                return None
        return pattern

    def _sent(
        self, pattern: Pattern, path: str, query: str, read: Callable[[Answered], Body]
    ) -> Direct | None:
        try:
            headers = pattern.signed(path, query)
            target = f"{path}?{query}" if query else path
            answer = self._carried_by().ask(pattern.method, pattern.origin, target, headers)
            body = read(answer)
        except Exception:  # noqa: BLE001 - botocore is asked then, and what it says is the answer
            return None
        return Direct(answer.status, answer.headers, body, pattern.region)

    def _carried_by(self) -> Carrier:
        if self._carrier is None:
            with self._lock:
                if self._carrier is None:
                    self._carrier = carrier_for(self._config, self._endpoint, self._verify)
        return self._carrier


def _whole(answer: Answered) -> Body:
    return answer.whole()


def _little(answer: Answered) -> bytes:
    """Of an object its first byte, as it was asked for, also of a server that ignores Range; else a small document."""
    return answer.first_byte() if answer.status in (200, 206) else bytes(answer.whole(_SMALL))


def _is_plain_byte(answer: Direct) -> bool:
    body = bytes(answer.body)
    if answer.status in (200, 206):
        return tells_of_an_object(answer.headers, body)
    return answer.status == 404 and not _has_checksum(answer.headers) and says_no_such_key(body)


def _is_plain_head(answer: Direct) -> bool:
    return answer.status == 404 or (answer.status == 200 and tells_of_a_size(answer.headers))


def _is_plain_path(key: str) -> bool:
    """Without what a URL's path may be rewritten for on its way; a single slash at its end is kept everywhere."""
    around = f"/{key.removesuffix('/')}/"
    return not any(odd in around for odd in ("//", "/./", "/../"))


def _has_checksum(headers: Mapping[str, str]) -> bool:
    """Whether botocore would hold the body against a checksum."""
    return any(name.startswith("x-amz-checksum-") for name in headers)


def _has_bytes(text: str) -> bool:
    """Whether it can be sent at all; a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
