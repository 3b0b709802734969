"""A store made from a FileField's own storage, by public API: region, bucket, endpoint, credentials and
addressing are django-storages' settings and nothing else's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, Storage
from django.utils.functional import LazyObject, empty

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import (
    ListingAnswer,
    Store,
    StoreIdentity,
    clean_code,
    clean_headers,
    fingerprint,
)
from imagesync.storage.names import exact_key, location_prefix

if TYPE_CHECKING:
    from botocore.config import Config

# What django-storages itself passes on reads (storages/backends/s3.py, _filter_download_params), as far
# as HEAD and GET of one object take it.
_READ_PARAMETERS = (
    "RequestPayer",
    "ExpectedBucketOwner",
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "SSECustomerKeyMD5",
)
_BUCKET_PARAMETERS = ("RequestPayer", "ExpectedBucketOwner")

__all__ = ["ClientOptions", "ListingAnswer", "S3Store", "Store", "StoreIdentity", "fingerprint", "is_s3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    connect_timeout: float = 5.0
    """Seconds."""
    read_timeout: float = 20.0
    """Seconds."""
    max_attempts: int = 4
    """How often one request is sent, the first time included."""
    workers: int = 8
    """How many requests are under way at once; the connection pool is as large."""
    client_factory: Callable[[Storage, Config], Any] | None = None


def is_s3(storage: Any) -> bool:
    """Whether a field's storage is django-storages' S3. Imports it only when it could be."""
    storage = _unwrapped(storage)
    if isinstance(storage, FileSystemStorage):
        return False
    if not any(base.__module__.startswith("storages.") for base in type(storage).__mro__):
        return False
    from storages.backends.s3 import S3Storage

    return isinstance(storage, S3Storage)


def _unwrapped(storage: Any) -> Any:
    """The storage behind Django's lazy ``default_storage``."""
    if isinstance(storage, LazyObject):
        if storage._wrapped is empty:
            storage._setup()
        return storage._wrapped
    return storage


class S3Store:
    """Asks S3 with one low-level client, which threads may share. Making one sends no request."""

    def __init__(
        self,
        client: Any,
        *,
        alias: str,
        bucket: str,
        location: str,
        parameters: Callable[[str], Mapping[str, Any]] = lambda key: {},
    ) -> None:
        endpoint = _without_user(client.meta.endpoint_url)
        prefix = location_prefix(location)
        if prefix is None:
            raise ImproperlyConfigured(
                f"The location {location!r} of storage {alias!r} is rewritten by django-storages, so no key can be "
                'told exactly. Write it without leading slash, "." and "..".'
            )
        self._client = client
        self._location = location
        self._parameters = parameters
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._identity = StoreIdentity(
            alias=alias,
            bucket=bucket,
            region=client.meta.region_name or "",
            endpoint=endpoint,
            prefix=prefix,
            fingerprint=fingerprint(endpoint, bucket, prefix),
        )

    @classmethod
    def from_storage(cls, storage: Any, *, alias: str, options: ClientOptions | None = None) -> S3Store:
        """The store of a field's storage. Raises ImproperlyConfigured when no client can be made of it."""
        storage = _unwrapped(storage)
        if not storage.bucket_name:
            raise ImproperlyConfigured(f"Storage {alias!r} names no bucket: set AWS_STORAGE_BUCKET_NAME.")
        return cls(
            _client_of(storage, alias, options or ClientOptions()),
            alias=alias,
            bucket=storage.bucket_name,
            location=storage.location,
            parameters=storage.get_object_parameters,
        )

    @property
    def identity(self) -> StoreIdentity:
        return self._identity

    @property
    def requests(self) -> Counter[str]:
        with self._lock:
            return Counter(self._requests)

    def key_for(self, name: str) -> str | None:
        return exact_key(self._location, name)

    def name_for(self, key: str) -> str | None:
        prefix = self._identity.prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    def head(self, key: str) -> Evidence:
        evidence, _answer = self._ask(
            "HEAD", "HeadObject", "head_object", Key=key, **self._read_parameters(key)
        )
        return evidence

    def get(self, key: str) -> Evidence:
        evidence, _answer = self._ask(
            "GET", "GetObject", "get_object", Key=key, Range="bytes=0-0", **self._read_parameters(key)
        )
        return evidence

    def versions_of(self, key: str) -> str:
        evidence, answer = self._ask(
            "VERSIONS",
            "ListObjectVersions",
            "list_object_versions",
            Prefix=key,
            MaxKeys=2,
            **self._bucket_parameters(),
        )
        if answer is not None:
            entries = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
            return "found" if any(entry.get("Key") == key for entry in entries) else "none"
        if evidence.status == 403:
            return "denied"
        if evidence.status in (405, 501) or evidence.code in ("NotImplemented", "MethodNotAllowed"):
            return "not_offered"
        return "failed"

    def head_bucket(self) -> Evidence:
        evidence, _answer = self._ask("HEAD_BUCKET", "HeadBucket", "head_bucket", **self._owner())
        return evidence

    def versioning(self) -> str:
        _evidence, answer = self._ask(
            "VERSIONING", "GetBucketVersioning", "get_bucket_versioning", **self._owner()
        )
        if answer is None:
            return "unknown"
        return {"Enabled": "enabled", "Suspended": "suspended", None: "off"}.get(
            answer.get("Status"), "unknown"
        )

    def list_page(
        self, *, prefix: str, start_after: str = "", token: str = "", max_keys: int = 1000
    ) -> ListingAnswer:
        optional = {"StartAfter": start_after, "ContinuationToken": token}
        evidence, answer = self._ask(
            "LIST",
            "ListObjectsV2",
            "list_objects_v2",
            Prefix=prefix,
            MaxKeys=max_keys,
            **{name: value for name, value in optional.items() if value},
            **self._bucket_parameters(),
        )
        return ListingAnswer(evidence=evidence, page=answer)

    def _ask(self, kind: str, operation: str, method: str, **parameters: Any) -> tuple[Evidence, Any]:
        """One call, as evidence, and its parsed answer when it was a success."""
        with self._lock:
            self._requests[kind] += 1
        try:
            answer = getattr(self._client, method)(Bucket=self._identity.bucket, **parameters)
            body = answer.get("Body")
            if body is not None:
                with body:
                    body.read(1)  # a server that ignores Range would send the whole object
        except Exception as error:  # noqa: BLE001 - whatever S3's side does is an outcome, classified by its name
            return _from_error(operation, error), None
        return _from_answer(operation, answer), answer

    def _read_parameters(self, key: str) -> dict[str, Any]:
        given = self._parameters(key)
        return {name: given[name] for name in _READ_PARAMETERS if name in given}

    def _bucket_parameters(self) -> dict[str, Any]:
        given = self._parameters(self._identity.prefix)
        return {name: given[name] for name in _BUCKET_PARAMETERS if name in given}

    def _owner(self) -> dict[str, Any]:
        owner = self._bucket_parameters().get("ExpectedBucketOwner")
        return {"ExpectedBucketOwner": owner} if owner else {}


def _client_of(storage: Any, alias: str, options: ClientOptions) -> Any:
    """A client of our own: the storage rebuilt from its own construction, with our timeouts merged in.

    Giving ``client_config`` makes django-storages ignore its addressing and signature settings
    (storages/backends/s3.py, __init__), so the config that the storage made of them is what we merge into.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config: Config = storage.client_config.merge(
        Config(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            retries={"mode": "standard", "total_max_attempts": options.max_attempts},
            max_pool_connections=max(options.workers, 10),
            user_agent_extra="imagesync",
        )
    )
    try:
        if options.client_factory is not None:
            return options.client_factory(storage, config)
        _path, args, kwargs = storage.deconstruct()
        rebuilt = type(storage)(*args, **{**kwargs, "client_config": config})
        return rebuilt.connection.meta.client
    except (BotoCoreError, ValueError) as error:
        raise ImproperlyConfigured(
            f"No S3 client can be made of storage {alias!r} ({type(error).__name__}: {error}). Check its region_name, "
            "endpoint_url, session_profile and credentials."
        ) from error


def _from_answer(operation: str, answer: Mapping[str, Any]) -> Evidence:
    metadata = answer.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    return Evidence(
        operation=operation,
        status=metadata.get("HTTPStatusCode"),
        request_id=clean_code(metadata.get("RequestId")),
        headers=clean_headers(headers),
        size_bytes=_size(answer),
        etag=str(answer.get("ETag", "")).strip('"')[:128],
        storage_class=clean_code(answer.get("StorageClass", "")),
    )


def _size(answer: Mapping[str, Any]) -> int | None:
    """The object's whole size: of a ranged answer it stands behind the slash of Content-Range."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    if total.isdigit():
        return int(total)
    length = answer.get("ContentLength")
    return length if isinstance(length, int) else None


def _from_error(operation: str, error: Exception) -> Evidence:
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):  # others have no answer to speak of
        return Evidence(operation=operation, code=clean_code(type(error).__name__))
    metadata = error.response.get("ResponseMetadata", {})
    details: Mapping[str, Any] = error.response.get("Error", {})
    headers = clean_headers(metadata.get("HTTPHeaders", {}))
    region = clean_code(details.get("Region"))
    if region:  # some servers name it in the body only
        headers.setdefault("x-amz-bucket-region", region)
    return Evidence(
        operation=clean_code(error.operation_name) or operation,
        status=metadata.get("HTTPStatusCode"),
        code=clean_code(details.get("Code")),
        request_id=clean_code(metadata.get("RequestId")),
        headers=headers,
    )


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
