"""SQS over a real socket: what is received, deleted, refused; and what a refusal says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.queues import QueueSettings, lasts, parse_queue_settings, queue_failed
from imagesync.core.verdicts import Evidence
from imagesync.exceptions import QueueFailed, QueueRefused
from imagesync.storage.queue import SqsQueue
from imagesync.storage.store import ClientOptions
from project.embedded_s3 import EmbeddedS3
from tests.queues import RealQueue

OPTIONS = ClientOptions(connect_timeout=1, read_timeout=2, max_attempts=1)
AWS = "https://sqs.eu-north-1.amazonaws.com/123456789012/images"


def queue_at(url: str, **more: Any) -> SqsQueue:
    return SqsQueue.from_storage(storages["default"], QueueSettings(queue_url=url, **more), OPTIONS)


def test_queue__hands_out_and_deletes(s3: EmbeddedS3) -> None:
    there = RealQueue(s3, notified=False)
    there.send("one", "two")
    queue = queue_at(there.url)

    messages = queue.receive(wait_s=1)

    assert sorted(one.body for one in messages) == ["one", "two"]
    assert {one.times for one in messages} == {1}
    assert queue.receive(wait_s=0) == []  # hidden from others
    assert queue.delete(messages) == 2
    assert queue.delete([]) == 0
    assert there.messages() == 0
    assert not queue.sets_aside()
    assert queue.name.startswith("images-")


def test_queue__hands_out_again_what_was_not_deleted(s3: EmbeddedS3) -> None:
    there = RealQueue(s3, notified=False)
    there.send("one")
    queue = queue_at(there.url, visibility_timeout=timedelta(seconds=1))
    queue.receive(wait_s=1)

    (again,) = queue.receive(wait_s=5)

    assert (again.body, again.times) == ("one", 2)


def test_queue__that_sets_aside_itself_says_so(s3: EmbeddedS3) -> None:
    dead = RealQueue(s3, notified=False)
    policy = f'{{"deadLetterTargetArn": "{dead.arn}", "maxReceiveCount": 3}}'

    assert queue_at(RealQueue(s3, notified=False, RedrivePolicy=policy).url).sets_aside()


@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])
def test_refusal__names_the_line_to_add(s3: EmbeddedS3, action: str) -> None:
    there = RealQueue(s3, notified=False)
    there.send("one")
    queue, arn = queue_at(there.url), there.arn
    messages = queue.receive(wait_s=1)
    s3.denied[s3.access_key] = {action}
    asks: dict[str, Callable[[], Any]] = {
        "sqs:ReceiveMessage": lambda: queue.receive(wait_s=0),
        "sqs:DeleteMessage": lambda: queue.delete(messages),
        "sqs:GetQueueAttributes": queue.sets_aside,
    }

    with pytest.raises(QueueRefused) as refused:
        asks[action]()

    told = str(refused.value)
    assert '"Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]' in told
    assert f'"Resource": "{arn}"' in told


def test_queue__that_does_not_exist_is_named(s3: EmbeddedS3) -> None:
    with pytest.raises(QueueRefused, match="There is no queue 'nowhere'"):
        queue_at(f"{s3.url}/123456789012/nowhere").receive(wait_s=0)


def test_queue__that_does_not_answer_is_away(s3: EmbeddedS3) -> None:
    with pytest.raises(QueueFailed, match=r"No answer of SQS at http://127\.0\.0\.1:9 ") as away:
        queue_at("http://127.0.0.1:9/1/images").receive(wait_s=0)

    assert not isinstance(away.value, QueueRefused)


@pytest.mark.parametrize(
    ("code", "status", "is_lasting", "id", "told"),
    [
        ("RequestThrottled", 400, False, "queue_away", "asks to slow down"),
        ("ThrottlingException", 400, False, "queue_away", "asks to slow down"),
        ("ServiceUnavailable", 503, False, "queue_away", "No message is lost"),
        ("AccessDenied", 403, True, "queue_denied", "IAM policy"),
        ("InvalidClientTokenId", 403, True, "queue_denied", "credentials"),
        ("SignatureDoesNotMatch", 403, True, "queue_denied", "credentials"),
        ("NoCredentialsError", None, True, "queue_denied", "credentials"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, True, "no_queue", "no queue"),
        ("SomethingNew", 400, True, "queue_failed", "unexpected"),
    ],
)
def test_failure__says_what_to_do(
    code: str, status: int | None, is_lasting: bool, id: str, told: str
) -> None:
    evidence = Evidence(operation="ReceiveMessage", status=status, code=code)

    diagnosis = queue_failed(QueueSettings(queue_url=AWS), "eu-north-1", evidence)

    assert (lasts(evidence), diagnosis.id) == (is_lasting, id)
    assert told in f"{diagnosis.fact} {diagnosis.hint}"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (AWS, "eu-north-1"),
        ("https://sqs-fips.us-east-2.amazonaws.com/1/q", "us-east-2"),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1"),
        ("https://queue.amazonaws.com/1/q", "us-east-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("https://vpce-1a-x.sqs.eu-west-1.vpce.amazonaws.com/1/q", "eu-west-1"),
        ("http://127.0.0.1:9324/1/q", "of-the-store"),
    ],
)
def test_region__is_the_urls_or_the_stores(url: str, region: str) -> None:
    assert QueueSettings(queue_url=url).region_or("of-the-store") == region
    assert QueueSettings(queue_url=url, region="set").region_or("of-the-store") == "set"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ([], "a dictionary"),
        ({"URL": AWS}, "knows only"),
        ({"REGION": "eu-north-1"}, "QUEUE_URL is lacking"),
        ({"QUEUE_URL": "images"}, "QUEUE_URL is 'images'"),
        ({"QUEUE_URL": "https://key:secret@sqs.eu-north-1.amazonaws.com/1/q"}, "no user"),
        ({"QUEUE_URL": "http://host:port/1/q"}, "QUEUE_URL is"),
        ({"QUEUE_URL": AWS, "REGION": 1}, "REGION is 1"),
        ({"QUEUE_URL": AWS, "VISIBILITY_TIMEOUT": "13h"}, "12 hours"),
        ({"QUEUE_URL": AWS, "VISIBILITY_TIMEOUT": "soon"}, "duration"),
    ],
)
def test_settings__that_cannot_be_meant_are_refused(value: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as refused:
        parse_queue_settings(value)

    assert "secret" not in str(refused.value)


@given(url=st.text(max_size=60))
def test_settings__of_any_text_are_refused_or_have_a_host(url: str) -> None:
    try:
        settings = parse_queue_settings({"QUEUE_URL": url})
    except ValueError:
        return
    assert settings.endpoint.startswith(("http://", "https://"))
    assert settings.region_or("") != ""
