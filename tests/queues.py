"""Queues of events: one on the embedded S3 that a bucket writes to, and one in memory that a test writes to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

from imagesync.storage.queue import MOST, QueueMessage
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION

_numbers = itertools.count(1)
ACCOUNT = "123456789012"
"""moto's."""
EVERYTHING = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]


class RealQueue:
    """A queue of its own on the embedded S3, at the other end of the bucket's notifications."""

    def __init__(self, s3: EmbeddedS3, *, notified: bool = True, **attributes: str) -> None:
        self.client = s3.queue_client(REGION)
        made = self.client.create_queue(QueueName=f"images-{next(_numbers)}", Attributes=attributes)
        self.url: str = made["QueueUrl"]
        if notified:
            where = {"QueueConfigurations": [{"QueueArn": self.arn, "Events": EVERYTHING}]}
            s3.client(REGION).put_bucket_notification_configuration(
                Bucket=BUCKET, NotificationConfiguration=where
            )
            self.client.purge_queue(QueueUrl=self.url)  # S3's test event

    @property
    def arn(self) -> str:
        return str(self._attributes("QueueArn")["QueueArn"])

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def written_to_by_topic(self, s3: EmbeddedS3, *, raw: bool) -> None:
        """The bucket writes to a topic of SNS, and that to the queue."""
        from moto.sns.models import sns_backends

        sns = sns_backends[ACCOUNT][REGION]
        topic = sns.create_topic(f"topic-{next(_numbers)}").arn
        subscription = sns.subscribe(topic, self.arn, "sqs").arn
        sns.set_subscription_attributes(subscription, "RawMessageDelivery", str(raw).lower())
        where = {"TopicConfigurations": [{"TopicArn": topic, "Events": EVERYTHING}]}
        s3.client(REGION).put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration=where
        )

    def written_to_by_bridge(self, s3: EmbeddedS3) -> None:
        """The bucket writes to EventBridge, and a rule there to the queue."""
        from moto.events.models import events_backends

        bridge = events_backends[ACCOUNT][REGION]
        rule = f"rule-{next(_numbers)}"
        bridge.put_rule(rule, event_pattern='{"source": ["aws.s3"]}')
        bridge.put_targets(rule, None, [{"Id": "queue", "Arn": self.arn}])
        s3.client(REGION).put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )

    def messages(self) -> int:
        """Those that wait, and those that are handed out and not deleted."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(number) for number in self._attributes(*names).values())

    def _attributes(self, *names: str) -> dict[str, Any]:
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        return dict(answer["Attributes"])


class MemoryQueue:
    """Hands each message out until it is deleted: once, and again whenever somebody waits for messages."""

    name = "memory"

    def __init__(self, *bodies: str, redrive: bool = False) -> None:
        self.waiting: dict[str, QueueMessage] = {}
        self.redrive = redrive
        self.hidden: set[str] = set()
        self.send(*bodies)

    def send(self, *bodies: str) -> None:
        for body in bodies:
            id = f"message-{next(_numbers)}"
            self.waiting[id] = QueueMessage(id=id, body=body, receipt=id, times=0)

    def sets_aside(self) -> bool:
        return self.redrive

    def receive(self, *, wait_s: int) -> list[QueueMessage]:
        if wait_s:
            self.hidden.clear()
        visible = [one for one in self.waiting.values() if one.id not in self.hidden]
        handed = [replace(one, times=one.times + 1) for one in visible[:MOST]]
        self.hidden.update(one.id for one in handed)
        self.waiting.update({one.id: one for one in handed})
        return handed

    def delete(self, messages: Sequence[QueueMessage]) -> int:
        return sum(self.waiting.pop(one.id, None) is not None for one in messages)


def event(key: str, name: str = "ObjectRemoved:Delete", bucket: str = BUCKET, *, quoted: bool = True) -> str:
    """One notification of S3's, as it stands in the queue."""
    where = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key) if quoted else key}}
    return json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": name, "s3": where}]})


def bridged(key: str, kind: str = "Object Deleted") -> str:
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": kind, "detail": detail})


def by_topic(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-north-1:1:t", "Message": body})
