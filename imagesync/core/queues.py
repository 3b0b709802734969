"""Where S3's events wait (``IMAGESYNC["EVENTS"]``), and what to say of a queue that does not answer as it should."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from imagesync.core.classify import failure_reason
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.values import parse_duration, parse_names
from imagesync.core.verdicts import Evidence, Reason

ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""All that a watch may do with a queue."""
LONGEST_HIDDEN = timedelta(hours=12)  # "Amazon SQS visibility timeout", SQS Developer Guide

# sqs.REGION, sqs-fips.REGION, vpce-ID.sqs.REGION.vpce, and the older REGION.queue and queue ("SQS endpoints and
# quotas", AWS General Reference)
_AWS_HOST = re.compile(
    r"(?:(?:[^.]+\.)?sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)(?:\.vpce)?|(?:(?P<old_region>[a-z0-9-]+)\.)?queue)"
    r"\.amazonaws\.com(?:\.cn)?"
)
_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_REFUSED = (
    "AccessDeniedException",
    "KmsAccessDenied",
    "KMS.AccessDeniedException",
    "UnrecognizedClientException",
)
_UNKNOWN_KEY = ("InvalidClientTokenId", "UnrecognizedClientException")
_THROTTLED = ("RequestThrottled", "KmsThrottled", "OverLimit")
_CREDENTIALS = (Reason.BAD_CREDENTIALS, Reason.NO_CREDENTIALS, Reason.EXPIRED_CREDENTIALS)
_FOR_A_WHILE = (Reason.THROTTLED, Reason.TIMED_OUT, Reason.UNREACHABLE, Reason.SERVER_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """``IMAGESYNC["EVENTS"]``. Credentials are those of a storage, as everywhere."""

    queue_url: str = ""
    region: str = ""
    """Only where the URL does not name it and it is not the storage's."""
    endpoint_url: str = ""
    """Only where requests go to another host than the URL's (a VPC endpoint)."""
    storage: str = ""
    """Alias in STORAGES whose credentials are used; empty: the first one that a file field uses."""
    visibility_timeout: timedelta = timedelta(minutes=2)
    """How long a message that was received is hidden from others: longer than a batch takes."""

    @property
    def endpoint(self) -> str:
        parts = urlsplit(self.queue_url)
        return self.endpoint_url or f"{parts.scheme}://{parts.netloc}"

    @property
    def name(self) -> str:
        return urlsplit(self.queue_url).path.rstrip("/").rpartition("/")[2]

    def region_or(self, of_storage: str) -> str:
        return self.region or _region_in(self.queue_url) or of_storage or "us-east-1"


def parse_queue_settings(value: Any) -> QueueSettings:
    """The value of ``IMAGESYNC["EVENTS"]``. Raises ValueError with what is wrong."""
    given = parse_names(value, QueueSettings)
    hidden = parse_duration(given.pop("visibility_timeout", QueueSettings().visibility_timeout))
    if not timedelta(seconds=1) <= hidden <= LONGEST_HIDDEN:
        raise ValueError("VISIBILITY_TIMEOUT is from 1 second to 12 hours")
    for name, text in given.items():
        if not isinstance(text, str):
            raise ValueError(f"{name.upper()} is {text!r}; a text is expected")
    for name in ("queue_url", "endpoint_url"):
        url = given.get(name)
        if url and "@" in url:  # credentials are the storage's; in a URL they would be printed
            raise ValueError(f"{name.upper()} names no user: credentials are the storage's")
        if url and not _is_url(url):
            raise ValueError(
                f'{name.upper()} is {url!r}; write one such as "https://sqs.eu-north-1.amazonaws.com/123456789012/images"'
            )
    if value and not given.get("queue_url"):
        raise ValueError("QUEUE_URL is lacking")
    return QueueSettings(visibility_timeout=hidden, **given)


def lasts(evidence: Evidence) -> bool:
    """Whether asking again, unchanged, would be answered alike."""
    return evidence.code not in _THROTTLED and failure_reason(evidence) not in _FOR_A_WHILE


def queue_failed(queue: QueueSettings, region: str, evidence: Evidence) -> Diagnosis:
    """What is wrong with the queue, and what to change."""
    answer = f"{evidence.operation}: {_answer(evidence)}"
    reason = failure_reason(evidence)
    if evidence.code in _GONE:
        return Diagnosis(
            id="no_queue",
            fact=f"There is no queue {queue.name!a} at {queue.endpoint} ({answer}).",
            hint=f"Check IMAGESYNC['EVENTS']['QUEUE_URL'] and its region ({region}).",
        )
    if evidence.code in _UNKNOWN_KEY or reason in _CREDENTIALS:
        return Diagnosis(
            id="queue_denied",
            fact=f"SQS does not accept the storage's credentials ({answer}).",
            hint="Check the storage's access key or role, or name another storage in IMAGESYNC['EVENTS']['STORAGE'].",
        )
    if evidence.code in _REFUSED or reason is Reason.ACCESS_DENIED:
        return Diagnosis(
            id="queue_denied",
            fact=f"SQS refuses the application at queue {queue.name!a} ({answer}).",
            hint=f"Add to its IAM policy: {json.dumps(queue_statement(queue, region))}",
        )
    if evidence.code in _THROTTLED or reason in _FOR_A_WHILE:
        slow = evidence.code in _THROTTLED or reason is Reason.THROTTLED
        return Diagnosis(
            id="queue_away",
            fact=f"{'SQS asks to slow down' if slow else 'No answer of SQS'} at {queue.endpoint} ({answer}).",
            hint="No message is lost. Try again later; check the network and QUEUE_URL when it lasts.",
        )
    return Diagnosis(
        id="queue_failed",
        fact=f"SQS gave an unexpected answer at queue {queue.name!a} ({answer}).",
        hint=f"Check IMAGESYNC['EVENTS']['QUEUE_URL'] and its region ({region}).",
    )


def queue_statement(queue: QueueSettings, region: str) -> dict[str, Any]:
    """The line of an IAM policy that lets a watch do its work."""
    account = urlsplit(queue.queue_url).path.strip("/").partition("/")[0]
    partition = (
        "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    )
    arn = f"arn:{partition}:sqs:{region}:{account}:{queue.name}"
    return {"Effect": "Allow", "Action": list(ACTIONS), "Resource": arn}


def _answer(evidence: Evidence) -> str:
    return f"HTTP {evidence.status} {evidence.code}".strip() if evidence.status else evidence.code


def _region_in(url: str) -> str:
    host = _AWS_HOST.fullmatch((urlsplit(url).hostname or "").lower())
    if host is None:
        return ""
    return host["region"] or host["old_region"] or "us-east-1"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        return False
