"""A storage and a name that it just stored -> what S3 holds there, compared with what was sent.

One HEAD, by the storage's own client: its region, bucket, credentials, timeouts and attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import storages

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.upload_problems import contested, differing, name_rewritten, nothing_sent, unanswered
from imagesync.core.uploaded import Comparison, Held, Outcome, compare
from imagesync.core.verdicts import Evidence
from imagesync.exceptions import UploadNotVerified
from imagesync.storage.answers import evidence_of, evidence_of_error
from imagesync.storage.client import identity_of
from imagesync.storage.contract import StoreIdentity
from imagesync.storage.names import exact_key, location_prefix, own_mapping
from imagesync.storage.sending import REPEATED, Sending, Watch, checksums_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A verified upload: what S3 said that it holds."""

    name: str
    """As the storage returned it, and as the record keeps it."""
    bucket: str
    key: str
    size_bytes: int | None
    etag: str
    store: str
    """Fingerprint."""
    outcome: Outcome
    """How far the comparison went: ``content``, ``size`` or ``presence``."""
    by: str
    """What decided: the name of a checksum, ``md5`` (the ETag), or ``size``."""


def verify(storage: Any, name: str, content: Any, watch: Watch) -> Receipt:
    """Look at what was just stored as ``name``. Raises UploadNotVerified."""
    client = storage.bucket.meta.client
    prefix = location_prefix(storage.location) or ""
    identity = identity_of(client, _alias_of(storage), storage.bucket_name, prefix)
    place = identity.place
    key = _key_of(storage, name)
    if key is None:
        raise _refusal(name_rewritten(place, name), name)
    sendings = watch.completed(storage.bucket_name, key)
    if len({repr(one.sent()) for one in sendings}) > 1:
        raise _refusal(contested(place, key), name)
    sending = sendings[-1] if sendings else None
    evidence, held = _head(
        client, storage, name, sending, bucket=storage.bucket_name, key=key, checksums=watch.hashing
    )
    if held is None:
        raise _refusal(unanswered(place, key, evidence), name)
    sent = sending.sent() if sending else None
    found = compare(sent, held)
    if found.outcome is Outcome.DIFFERS:
        raise _refusal(differing(place, key, found), name)
    if sent is not None and sent.size_bytes == 0 and (size := _size_of(content)):
        raise _refusal(nothing_sent(place, key, size), name)
    return _receipt(name, key, identity, held, found)


def _key_of(storage: Any, name: str) -> str | None:
    mapping = own_mapping(storage)
    return exact_key(storage.location, name) if mapping is None else mapping(name)


def _receipt(name: str, key: str, identity: StoreIdentity, held: Held, found: Comparison) -> Receipt:
    return Receipt(
        name=name,
        bucket=identity.bucket,
        key=key,
        size_bytes=held.size_bytes,
        etag=held.etag,
        store=identity.fingerprint,
        outcome=found.outcome,
        by=found.by,
    )


def _refusal(problem: Diagnosis, name: str) -> UploadNotVerified:
    return UploadNotVerified(problem.id, problem.fact, problem.hint, name=name)


def _head(
    client: Any,
    storage: Any,
    name: str,
    sending: Sending | None,
    *,
    bucket: str,
    key: str,
    checksums: bool,
) -> tuple[Evidence, Held | None]:
    """The answer to one HEAD; no Held for any answer but 200.

    Checksums are asked for except of an object encrypted with KMS, where that needs kms:Decrypt
    ("HeadObject", ChecksumMode).
    """
    answered: Mapping[str, Any] = (sending.answer if sending else None) or {}
    parameters = sending.parameters if sending else _parameters_of(storage, name)
    if checksums and not _is_kms(answered):
        parameters = {**parameters, "ChecksumMode": "ENABLED"}
    try:
        answer = client.head_object(Bucket=bucket, Key=key, **parameters)
    except Exception as error:  # noqa: BLE001 - whatever S3's side does is an outcome, named by its class
        return evidence_of_error("HeadObject", error), None
    evidence = evidence_of("HeadObject", answer)
    encrypted = any(_is_kms(one) or one.get("SSECustomerAlgorithm") for one in (parameters, answered, answer))
    held = Held(
        size_bytes=evidence.size_bytes,
        etag=evidence.etag,
        checksums=checksums_in(answer),
        checksum_type=str(answer.get("ChecksumType", "")),
        etag_is_md5=not encrypted and not bucket.endswith("--x-s3"),
    )
    return evidence, held


def _is_kms(answer: Mapping[str, Any]) -> bool:
    return str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")


def _parameters_of(storage: Any, name: str) -> dict[str, Any]:
    given = storage.get_object_parameters(name)
    return {one: given[one] for one in REPEATED if one in given}


def _alias_of(storage: Any) -> str:
    """The alias in STORAGES that the storage was made by, for hints; ``default`` when none is like it."""
    kind = storage.__class__  # through Django's lazy default_storage too
    entries: Mapping[str, Any] = storages.backends  # the stubs take the entries for storages
    for alias, entry in entries.items():
        options = entry.get("OPTIONS", {}).items()
        if entry["BACKEND"] == f"{kind.__module__}.{kind.__qualname__}" and all(
            getattr(storage, name, None) == value for name, value in options
        ):
            return str(alias)
    return "default"


def _size_of(content: Any) -> int | None:
    """What the content says of its own size; a stream may not know it."""
    try:
        return int(content.size)
    except (AttributeError, OSError, TypeError, ValueError):
        return None
