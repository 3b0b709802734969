"""A request that botocore has built, signed and sent, as a pattern for others of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from imagesync.storage.sigv4 import Signatures, signatures_like

PORTS = {"http": 80, "https": 443}
_OF_ONE_REQUEST = (
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
)
_SIGNATURES = ("s3v4", "v4")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A request that was answered well."""

    method: str
    origin: str
    """Scheme, host and port."""
    place: str
    """The path, without the key of an object."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    auth: Callable[[], Any] | None
    """Makes botocore's signer of the moment; None for requests without signature."""
    signatures: Signatures | None
    """The same signatures in a fraction of the time; None where only botocore can make them."""
    region: str
    given: Mapping[str, Any]
    """The storage's own parameters of the call: the headers hold for nothing else."""

    def signed(self, path: str, query: str = "") -> Mapping[str, str]:
        """The headers of one request. ``query`` is sorted by name. Raises what botocore raises for want of credentials."""
        if self.auth is None:
            return self.headers
        auth = self.auth()
        if self.signatures is not None and auth.credentials is not None:
            return {**self.headers, **self.signatures.headers(self.method, path, query, auth.credentials)}
        from botocore.awsrequest import AWSRequest

        url = f"{self.origin}{path}?{query}" if query else f"{self.origin}{path}"
        request = AWSRequest(method=self.method, url=url, headers=self.headers)
        auth.add_auth(request)
        return dict(request.headers.items())


@dataclass(frozen=True, slots=True)
class Signing:
    """What botocore's event before signing tells."""

    context: Mapping[str, Any]
    event: Mapping[str, Any]


def pattern_of(
    sent: Any,
    signing: Signing,
    *,
    method: str,
    given: Mapping[str, Any],
    key: str,
    endpoint: str,
    bucket: str,
) -> Pattern | None:
    """None for a request that is no pattern for other keys, or signed in a way of its own."""
    from botocore import UNSIGNED

    context, event = signing.context, signing.event
    version = event.get("signature_version")
    if sent.method != method or "request_credentials" in context or "identity_cache" in context:
        return None
    if version is not UNSIGNED and version not in _SIGNATURES:
        return None
    region = "" if version is UNSIGNED else str(context.get("region") or event["region_name"])
    name = context.get("signing_name") or event["signing_name"]
    signer = event["request_signer"]

    def auth() -> Any:
        return signer.get_auth_instance(name, region, version)

    parts = urlsplit(sent.url)
    path = f"/{quote(key, safe='/~')}" if key else ""
    if not parts.path.endswith(path) or parts.fragment or (key and parts.query):
        return None
    place = parts.path.removesuffix(path)
    if not _is_of_the_bucket(parts.netloc, place, endpoint=endpoint, bucket=bucket):
        return None
    headers = {"Host": _host(parts), **_texts(sent.headers)}
    query = parse_qsl(parts.query, keep_blank_values=True)
    signatures = None
    if version == "s3v4":
        as_signed = {name.lower(): text for name, text in headers.items()}
        signatures = signatures_like(as_signed, method, parts.path, sorted_query(query), auth().credentials)
    return Pattern(
        method=method,
        origin=f"{parts.scheme}://{parts.netloc}",
        place=place,
        query=dict(query),
        # the host too, else the signer finds it out of the URL, twice a request
        headers={name: text for name, text in headers.items() if name.lower() not in _OF_ONE_REQUEST},
        auth=None if version is UNSIGNED else auth,
        signatures=signatures,
        region=region,
        given=given,
    )


def sorted_query(parameters: Iterable[tuple[str, str]]) -> str:
    """S3 signs the query sorted by name ("Create a canonical request"); sent like that, it is signed as it is."""
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters)
    return "&".join([f"{name}={value}" for name, value in encoded])


def _is_of_the_bucket(host: str, place: str, *, endpoint: str, bucket: str) -> bool:
    """Whether a URL without its key is that of every key: a handler of the project's own may send each one to
    another place, and what is absent there says nothing."""
    root = urlsplit(endpoint).path.rstrip("/")
    if host.startswith(f"{bucket}.") or bucket.startswith("arn:"):
        return place.rstrip("/") == root
    return place.rstrip("/") == f"{root}/{bucket}"


def _host(parts: SplitResult) -> str:
    """As http.client writes it, and the signer: without user and without the scheme's own port."""
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    return name if parts.port in (None, PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def _texts(headers: Any) -> dict[str, str]:
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
        if name.lower() != "host"
    }
