"""A client of our own, made from a field's storage by public API, with our timeouts and attempts."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import Storage

from imagesync.core.site_advice import addressing_unknown, signature_unknown
from imagesync.storage.contract import StoreIdentity, fingerprint

if TYPE_CHECKING:
    from botocore.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    connect_timeout: float = 5.0
    """Seconds."""
    read_timeout: float = 20.0
    """Seconds."""
    max_attempts: int = 4
    """How often one request is sent, the first time included."""
    workers: int = 8
    """How many requests are under way at once (see ``and_a_few_more``); the connection pool is large enough for them."""
    client_factory: Callable[[Storage, Config], Any] | None = None


def and_a_few_more(workers: int) -> int:
    """As many small requests as may be under way at once while nothing else is: 20 canaries on 16 workers are waited
    for once, not twice."""
    return workers + workers // 4


def client_of(storage: Any, alias: str, options: ClientOptions) -> Any:
    """The low-level client of the storage, rebuilt from its own construction with our options merged in.

    The config that the storage made of its addressing and signature settings is what we merge into: it
    ignores those settings when it is given a config (storages/backends/s3.py, __init__). The config is set on
    the rebuilt storage, not handed to its construction, so that subclasses with a signature of their own and
    those with the (deprecated) ``config`` attribute get it too. Raises ImproperlyConfigured.
    """
    try:
        client = _client(storage, options)
    except ImproperlyConfigured:
        raise
    except Exception as error:
        raise ImproperlyConfigured(_sentence(storage, alias, error)) from error
    signature = client.meta.config.signature_version
    if isinstance(signature, str) and not knows_signature(signature):  # botocore says so at the first request
        unknown = signature_unknown(alias, signature)
        raise ImproperlyConfigured(f"{unknown.fact} {unknown.hint}")
    return client


def knows_signature(version: str) -> bool:
    """Whether botocore signs with it. Asks botocore only about unusual ones: the system checks import no boto3."""
    if version in ("s3v4", "s3"):
        return True
    from botocore.auth import AUTH_TYPE_MAPS

    return version in AUTH_TYPE_MAPS


@contextlib.contextmanager
def making(alias: str) -> Iterator[None]:
    """Around what makes a storage. Raises ImproperlyConfigured for a setting that botocore refuses already there."""
    try:
        yield
    except _refused_addressing() as error:
        unknown = addressing_unknown(alias, error.kwargs.get("s3_addressing_style"))
        raise ImproperlyConfigured(f"{unknown.fact} {unknown.hint}") from error


def client_for_lab(storage: Any, url: str, *, region: str, options: ClientOptions) -> Any:
    """A client as ``client_of`` makes it, but for the fault lab at ``url``.

    Addressing, signature and everything else are the storage's; its credentials, profile and proxies are not
    used. Raises ImproperlyConfigured.
    """
    from botocore.config import Config

    def factory(storage: Any, config: Config) -> Any:
        _path, args, kwargs = storage.deconstruct()
        rebuilt = storage.__class__(*args, **kwargs)
        # S3's other hosts (accelerated, dual-stack) are no way to the lab, and botocore refuses them beside an endpoint
        given: Any = config
        hosts: Any = {**(given.s3 or {}), "use_accelerate_endpoint": False, "use_dualstack_endpoint": False}
        rebuilt.client_config = config.merge(Config(proxies={}, s3=hosts))
        rebuilt.endpoint_url, rebuilt.region_name = url, region
        rebuilt.access_key, rebuilt.secret_key = "AKIAIMAGESYNCLAB", "worth-nothing"
        rebuilt.security_token = rebuilt.session_profile = None
        return rebuilt.connection.meta.client

    return client_of(storage, "the fault lab", replace(options, client_factory=factory))


def verification_of(storage: Any) -> bool | str:
    """What the storage's client holds a server's certificate against: True, False, or a file of certificates.

    In botocore's order (endpoint.py, session.py): the storage's own setting, AWS_CA_BUNDLE or the profile's
    ``ca_bundle``, REQUESTS_CA_BUNDLE. A client of a factory may know better; then a direct request fails, and the
    client is asked.
    """
    if storage.verify is not None:
        return storage.verify  # type: ignore[no-any-return]
    from botocore.session import Session

    # without its handlers: reading a setting needs none of the hundred
    session = Session(profile=storage.session_profile, include_builtin_handlers=False)
    bundle = session.get_config_variable("ca_bundle")
    return bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True


def account_of(storage: Any) -> tuple[Any, Any]:
    """Whose requests a storage's are, as far as its settings say: to compare, and never to be told.

    Two without an access key and a profile have those of the machine, which are the same.
    """
    return storage.access_key, storage.session_profile


def identity_of(client: Any, alias: str, bucket: str, prefix: str) -> StoreIdentity:
    endpoint = without_user(client.meta.endpoint_url).partition("?")[0].partition("#")[0]
    try:
        known_by = fingerprint(endpoint, bucket, prefix)
    except ValueError as error:  # a port that is no number, brackets that do not close
        raise ImproperlyConfigured(
            f'AWS_S3_ENDPOINT_URL (or "endpoint_url" in STORAGES["{alias}"]["OPTIONS"]) is {endpoint!a}, which is no '
            'URL: write one such as "https://s3.example.com", or nothing for AWS.'
        ) from error
    return StoreIdentity(
        alias=alias,
        bucket=bucket,
        region=client.meta.region_name or "",
        endpoint=endpoint,
        prefix=prefix,
        fingerprint=known_by,
    )


def _config(storage: Any, options: ClientOptions) -> Config:
    from botocore.config import Config

    merged: Config = storage.client_config.merge(
        Config(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            retries={"mode": "standard", "total_max_attempts": options.max_attempts},
            max_pool_connections=max(and_a_few_more(options.workers), 10),
            user_agent_extra="imagesync",
        )
    )
    return merged


def _client(storage: Any, options: ClientOptions) -> Any:
    config = _config(storage, options)
    if options.client_factory is not None:
        return options.client_factory(storage, config)
    _path, args, kwargs = storage.deconstruct()
    rebuilt = storage.__class__(*args, **kwargs)
    rebuilt.client_config = config
    return rebuilt.connection.meta.client


def _refused_addressing() -> Any:
    """botocore's error; a function, so that it is imported only where something was raised."""
    from botocore.exceptions import InvalidS3AddressingStyleError

    return InvalidS3AddressingStyleError


def _sentence(storage: Any, alias: str, error: Exception) -> str:
    """Which setting is wrong, its value, and what to write instead."""
    from botocore.exceptions import InvalidRegionError, ProfileNotFound

    options = f'in STORAGES["{alias}"]["OPTIONS"]'
    if isinstance(error, ProfileNotFound):
        return (
            f'AWS_S3_SESSION_PROFILE (or "session_profile" {options}) is {storage.session_profile!a}, which is no '
            "profile of this machine: write one of ~/.aws/config, or give an access key instead."
        )
    if isinstance(error, InvalidRegionError):
        return (
            f'AWS_S3_REGION_NAME (or "region_name" {options}) is {storage.region_name!a}, which cannot be a '
            'region: write one such as "eu-north-1".'
        )
    if isinstance(error, ValueError) and storage.endpoint_url and "endpoint" in str(error).lower():
        return (
            f'AWS_S3_ENDPOINT_URL (or "endpoint_url" {options}) is {without_user(storage.endpoint_url)!a}, which is '
            'no URL: write one such as "https://s3.example.com", or nothing for AWS.'
        )
    return (
        f"No S3 client can be made of storage {alias!r} ({type(error).__name__}: {without_user(str(error))}). Check "
        f"region_name, endpoint_url, session_profile and credentials {options}."
    )


def without_user(text: str) -> str:
    """A URL, or a text with URLs in it, without user names and passwords."""
    return re.sub(r"//[^/?#\s]*@", "//", text)
