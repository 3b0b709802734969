"""Messages that cannot be read: left to the queue's own redrive policy where it has one, else kept in a table of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from imagesync import logs
from imagesync.core.events import Unreadable
from imagesync.models import SetAsideMessage
from imagesync.storage.queue import QueueMessage

MOST_KEPT = 200
"""Further ones stay in the queue until somebody has looked at these and deleted them."""
MOST_BYTES = 1024 * 1024
"""Of one message: what SQS takes at most ("SQS message quotas", SQS Developer Guide)."""
_OF_A_SUBSCRIPTION = ("Type", "MessageId", "TopicArn", "Timestamp")


def keep(queue: str, messages: Sequence[tuple[QueueMessage, Unreadable]]) -> list[QueueMessage]:
    """Keep messages in the table; those that are in it now, and may leave the queue. One twice is kept once."""
    rows = [
        SetAsideMessage(queue=queue, message_id=one.id, reason=why.value, body=body)
        for one, why in messages
        if len(body := _body(one, why)) <= MOST_BYTES
    ]
    room = MOST_KEPT - SetAsideMessage.objects.count() if rows else 0
    SetAsideMessage.objects.bulk_create(rows[: max(room, 0)], ignore_conflicts=True)
    kept = SetAsideMessage.objects.filter(queue=queue, message_id__in=[one.message_id for one in rows])
    ids = set(kept.values_list("message_id", flat=True))
    if len(ids) < len(messages):
        left = len(messages) - len(ids)
        text = (
            f"{left} unreadable messages of queue {queue} stay in it: {MOST_KEPT} are kept already. "
            "Look at these in the admin and delete them, or give the queue a redrive policy"
        )
        logs.of_queue("messages_not_kept", text, level=logging.ERROR, queue=queue, messages=left)
    return [one for one, _why in messages if one.id in ids]


def _body(message: QueueMessage, why: Unreadable) -> bytes:
    text = message.body
    if why is Unreadable.SUBSCRIPTION:  # whoever has its token can confirm it
        document = json.loads(text)
        text = json.dumps({name: document[name] for name in _OF_A_SUBSCRIPTION if name in document})
    return text.encode("utf-8", "surrogatepass")
