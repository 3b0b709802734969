"""The queue that S3's events arrive in: SQS, asked with the credentials of a field's storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from django.core.exceptions import ImproperlyConfigured

from imagesync.core.queues import QueueSettings, lasts, queue_failed
from imagesync.exceptions import QueueFailed, QueueRefused
from imagesync.storage.answers import evidence_of_error
from imagesync.storage.client import ClientOptions

MOST = 10
"""Messages that SQS hands out, or deletes, at once ("ReceiveMessage", Amazon SQS API reference)."""
LONGEST_WAIT_S = 20
"""Of a long poll (the same)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    id: str
    body: str
    receipt: str
    """What it can be deleted by, until it is handed out again."""
    times: int
    """How often it was handed out by now, this time included."""


class EventQueue(Protocol):
    """What a watch asks of a queue. Raises QueueRefused when asking again is of no use, QueueFailed otherwise."""

    @property
    def name(self) -> str: ...

    def sets_aside(self) -> bool:
        """Whether the queue itself moves what is handed out too often to another queue (a redrive policy)."""
        ...

    def receive(self, *, wait_s: int) -> list[QueueMessage]:
        """Up to ``MOST`` messages, which nobody else is given for a while; waits up to ``wait_s`` for the first."""
        ...

    def delete(self, messages: Sequence[QueueMessage]) -> int:
        """Take messages out of the queue; how many of them. The others are handed out again."""
        ...


class SqsQueue:
    """Making one sends no request."""

    def __init__(self, client: Any, settings: QueueSettings) -> None:
        self._client = client
        self._settings = settings

    @classmethod
    def from_storage(cls, storage: Any, settings: QueueSettings, options: ClientOptions) -> SqsQueue:
        """With the storage's credentials, proxies and certificates. Raises ImproperlyConfigured."""
        import boto3
        from botocore.config import Config

        region = settings.region_or(storage.region_name or "")
        config = Config(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout + LONGEST_WAIT_S,
            retries={"mode": "standard", "total_max_attempts": options.max_attempts},
            proxies=storage.client_config.proxies,
            user_agent_extra="imagesync",
        )
        try:
            if storage.session_profile:  # it takes precedence, as in django-storages
                session = boto3.Session(profile_name=storage.session_profile)
            else:
                session = boto3.Session(storage.access_key, storage.secret_key, storage.security_token)
            client = session.client(
                "sqs",
                region_name=region,
                endpoint_url=settings.endpoint,
                verify=storage.verify,
                config=config,
            )
        except Exception as error:
            raise ImproperlyConfigured(
                f"No SQS client can be made for IMAGESYNC['EVENTS'] ({type(error).__name__}). Check its QUEUE_URL and "
                "REGION, and the storage's session_profile and credentials."
            ) from error
        return cls(client, settings)

    @property
    def name(self) -> str:
        return self._settings.name

    def sets_aside(self) -> bool:
        answer = self._ask(
            "GetQueueAttributes",
            lambda: self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"]),
        )
        return bool(answer.get("Attributes", {}).get("RedrivePolicy"))

    def receive(self, *, wait_s: int) -> list[QueueMessage]:
        answer = self._ask(
            "ReceiveMessage",
            lambda: self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MOST,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=int(self._settings.visibility_timeout.total_seconds()),
                AttributeNames=["ApproximateReceiveCount"],  # its newer name is unknown to older clients
            ),
        )
        return [_message(one) for one in answer.get("Messages", ())]

    def delete(self, messages: Sequence[QueueMessage]) -> int:
        deleted = 0
        for start in range(0, len(messages), MOST):
            some = messages[start : start + MOST]
            entries = [{"Id": str(place), "ReceiptHandle": one.receipt} for place, one in enumerate(some)]
            answer = self._ask(
                "DeleteMessage",
                partial(self._client.delete_message_batch, QueueUrl=self._url, Entries=entries),
            )
            deleted += len(answer.get("Successful", ()))
        return deleted

    @property
    def _url(self) -> str:
        return self._settings.queue_url

    def _ask(self, operation: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            evidence = evidence_of_error(operation, error)
            told = queue_failed(self._settings, self._client.meta.region_name, evidence)
            raise (QueueRefused if lasts(evidence) else QueueFailed)(told.id, told.fact, told.hint) from error


def _message(one: dict[str, Any]) -> QueueMessage:
    return QueueMessage(
        id=one["MessageId"],
        body=one["Body"],
        receipt=one["ReceiptHandle"],
        times=int(one.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
    )
