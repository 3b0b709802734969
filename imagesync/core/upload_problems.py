"""Why an upload could not be verified -> a reason, a fact, and what to do."""

from __future__ import annotations

import json
from enum import StrEnum

from imagesync.core.diagnosis import Diagnosis, Place, bucket_arn, failed_call
from imagesync.core.uploaded import Comparison, Outcome
from imagesync.core.verdicts import Evidence

SETTING = 'IMAGESYNC["VERIFY_UPLOADS"]'


class UploadProblem(StrEnum):
    """Reasons of ``UploadNotVerified`` besides the diagnoses of a store (docs/uploads.md)."""

    SIZE_DIFFERS = "size_differs"
    """The object has another size than what was sent."""
    CONTENT_DIFFERS = "content_differs"
    """The object has the right size and other bytes."""
    REPLACED = "replaced"
    """S3 took the upload, and the object is another one now."""
    NOTHING_SENT = "nothing_sent"
    """The file has bytes and none of them was sent."""
    VANISHED = "vanished"
    """The upload was answered with success, and the object with 404."""
    DENIED = "denied"
    """S3 does not let these credentials look at what they wrote."""
    CONTESTED = "contested"
    """Two uploads of this process wrote the key at the same time."""
    NAME_REWRITTEN = "name_rewritten"
    """The stored name does not map to one exact key."""


def differing(place: Place, key: str, found: Comparison) -> Diagnosis:
    """What to say of an object that is not what was sent. ``found`` is an ``Outcome.DIFFERS``."""
    if found.outcome is not Outcome.DIFFERS:
        raise ValueError(f"{found.outcome} is no difference")
    where = _where(place, key)
    again = "Nothing was written to the database, and the object was left as it is. Upload the file again"
    if found.by == "size":
        return Diagnosis(
            id=UploadProblem.SIZE_DIFFERS,
            fact=f"S3 holds {found.held} bytes as {where}; {found.sent} were sent.",
            hint=f"{again}; a text file as bytes, since a storage may count its characters. If it happens again look for a "
            "proxy or gateway between the application and S3.",
        )
    if found.by == "etag":
        return Diagnosis(
            id=UploadProblem.REPLACED,
            fact=f"S3 answered the upload of {where} with ETag {found.sent}, and a HEAD of it with {found.held}.",
            hint=f'{again}; another upload wrote the same key. Give "file_overwrite": False in '
            f'STORAGES["{place.alias}"]["OPTIONS"], so that each file has a key of its own.',
        )
    return Diagnosis(
        id=UploadProblem.CONTENT_DIFFERS,
        fact=f"The bytes that S3 holds as {where} are not those that were sent: {found.by} {found.held} instead of "
        f"{found.sent}.",
        hint=f"{again}; if it happens again look for a proxy or gateway that changes them. If the store's ETags are no "
        f'MD5 of the content, although they look like it, set {SETTING} = "size".',
    )


def unanswered(place: Place, key: str, evidence: Evidence) -> Diagnosis:
    """What to say when the HEAD of a key just written did not answer 200."""
    where = _where(place, key)
    if evidence.operation == "HeadObject" and evidence.status == 404:
        return Diagnosis(
            id=UploadProblem.VANISHED,
            fact=f"The upload of {where} succeeded, and a HEAD of it right afterwards was answered with 404.",
            hint="Nothing was written to the database. Check endpoint_url, and look for whoever deletes objects as "
            "they come; then upload the file again.",
        )
    if evidence.operation == "HeadObject" and evidence.status == 403:
        statement = {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"{bucket_arn(place)}/{place.prefix}*",
        }
        return Diagnosis(
            id=UploadProblem.DENIED,
            fact=f"The upload of {where} could not be verified: S3 took it, and does not let the application look at it "
            "(403).",
            hint=f"Add to the application's IAM policy: {json.dumps(statement)} - or, where it may only write, set "
            f"{SETTING} = False.",
        )
    told = failed_call(place, evidence)
    return Diagnosis(
        id=told.id, fact=f"The upload of {where} could not be verified. {told.fact}", hint=told.hint
    )


def nothing_sent(place: Place, key: str, size_bytes: int) -> Diagnosis:
    return Diagnosis(
        id=UploadProblem.NOTHING_SENT,
        fact=f"S3 holds no byte as {_where(place, key)}, since none was sent; the file has {size_bytes}.",
        hint="The file had been read to its end before it was saved. Open it again, or seek(0), and save it again.",
    )


def contested(place: Place, key: str) -> Diagnosis:
    return Diagnosis(
        id=UploadProblem.CONTESTED,
        fact=f"Two uploads of this process wrote {_where(place, key)} at the same time, and only one of them is there.",
        hint=f'Upload the file again. Give "file_overwrite": False in STORAGES["{place.alias}"]["OPTIONS"], so that '
        "each file has a key of its own.",
    )


def name_rewritten(place: Place, name: str) -> Diagnosis:
    return Diagnosis(
        id=UploadProblem.NAME_REWRITTEN,
        fact=f"The storage returned the name {name!a}, which does not map to one exact key of bucket "
        f'"{place.bucket}", so what was stored cannot be looked up.',
        hint="Have the storage return the name as it stored it: without //, leading slash, . or .. and backslash.",
    )


def _where(place: Place, key: str) -> str:
    return f'{key!a} in bucket "{place.bucket}"'
