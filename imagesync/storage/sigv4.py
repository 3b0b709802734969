"""AWS Signature Version 4 of requests that differ in path and query only from one that botocore has signed.

botocore's signer takes longer than sending a small request and reading its answer; what it computes is the same for all of a pattern but
two hashes. The headers that are signed, the region and the payload's hash are taken from botocore's own request, and it is
only used when it makes of that request the signature that botocore made. ("Authenticating Requests: Using the
Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.)
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^,]+/[0-9]{8}/([^/,]+)/([^/,]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), "
    r"Signature=([0-9a-f]{64})"
)
_DATE, _TOKEN, _PAYLOAD = "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"


class Signatures:
    """Makes the headers of one request; threads may share it."""

    def __init__(self, signed: Mapping[str, str], *, region: str, service: str, payload: str) -> None:
        self._signed = {name: " ".join(value.split()) for name, value in signed.items()}
        self._scope = f"{region}/{service}/aws4_request"
        self._steps = (region, service, "aws4_request")
        self._payload = payload
        self._derived = (("", ""), hmac.new(b"", digestmod="sha256"))
        """((secret, day), with the key of that day): it is derived in four steps."""

    def headers(self, method: str, path: str, query: str, credentials: Any) -> dict[str, str]:
        """Those of one request, sent now. ``path`` and ``query`` are encoded, the query is sorted by name.

        ``credentials`` are botocore's, frozen.
        """
        return self.headers_at(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", method, path, query, credentials)

    def headers_at(self, moment: str, method: str, path: str, query: str, credentials: Any) -> dict[str, str]:
        given = {_DATE: moment, _PAYLOAD: self._payload}
        if credentials.token:
            given[_TOKEN] = credentials.token
        lines = sorted({**self._signed, **given}.items())
        names = ";".join([name for name, _value in lines])
        headers = "\n".join([f"{name}:{value}" for name, value in lines])
        request = f"{method}\n{path}\n{query}\n{headers}\n\n{names}\n{self._payload}"
        day = moment[:8]
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{day}/{self._scope}\n{sha256(request.encode()).hexdigest()}"
        keyed = self._keyed(credentials.secret_key, day).copy()
        keyed.update(to_sign.encode())
        signature = keyed.hexdigest()
        given["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{day}/{self._scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return given

    def _keyed(self, secret: str, day: str) -> hmac.HMAC:
        """To be copied. Unlike ``hmac.digest`` a copy keeps the interpreter's lock, which it costs more to get back."""
        secret_and_day, keyed = self._derived
        if secret_and_day != (secret, day):
            key = f"AWS4{secret}".encode()
            for step in (day, *self._steps):
                key = hmac.digest(key, step.encode(), "sha256")
            keyed = hmac.new(key, digestmod="sha256")
            self._derived = ((secret, day), keyed)
        return keyed


def signatures_like(
    headers: Mapping[str, str], method: str, path: str, query: str, credentials: Any
) -> Signatures | None:
    """Of a request that botocore has signed with ``credentials``; None when they are not what botocore makes of it.

    ``headers`` are all of the request's, names in lower case.
    """
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None or credentials is None:
        return None
    region, service, names, _signature = found.groups()
    signed = {name: headers.get(name, "") for name in names.split(";")}
    moment, payload = signed.pop(_DATE, ""), signed.pop(_PAYLOAD, "")
    signed.pop(_TOKEN, None)
    like = Signatures(signed, region=region, service=service, payload=payload)
    made = like.headers_at(moment, method, path, query, credentials)
    return like if hmac.compare_digest(made["authorization"], headers["authorization"]) else None
