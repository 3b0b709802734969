"""The images of a magazine after a bad day: what the screens of the admin are looked at, and shown, with.

Audits, purge and findings are real ones; only their dates are put back, and the audits in between are copies.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings

from imagesync.models import Audit, FailedRead, Finding, Image, Job, Notice, Purge, SetAsideMessage, Tombstone
from project.buckets import put_directly
from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, REGION, WRONG_REGION, draw_house
from tests.conftest import forget_default_storage, storages_at
from tests.django.helpers import run

MISSING_SO_FAR = (4, 4, 5, 5, 5, 7, 7, 8, 8, 8, 9, 9, 11, 11, 12, 12, 14, 14)
"""At the audits before the bad day."""
LOST = 57
TOLD = override_settings(
    IMAGESYNC={"NOTIFY": {"CHANNELS": ["email"]}},
    ADMINS=[("anna", "anna@example.com")],
    EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
)
TITLES = [
    f"{what} {when}"
    for what, when in product(
        ("Harbour", "Market", "Old mill", "Lighthouse", "Station", "Orchard", "Bridge", "Quarry"),
        ("at dawn", "in the rain", "from above", "by night", "in March", "after the storm", "with snow"),
    )
]
LONG = (
    f"imports/2024/from-the-old-system/{'a-very-long-folder-name/' * 9}scan-of-the-printed-page-0001.tiff.jpg"
)
HOSTILE = '"><img src=x onerror=alert(1)>\t.jpg'


def fill(s3: EmbeddedS3, now: datetime) -> None:
    """Some 560 images and twenty audits; the last three days before ``now`` were bad."""
    anna, ben = User.objects.get(username="anna"), User.objects.get(username="ben")
    s3.create_bucket(BUCKET, REGION)
    gone_before = [
        _image("portraits", number, now - timedelta(days=300 - number), ben) for number in range(9)
    ]
    kept = [
        _image(f"articles/{at:%Y/%m}", number, at, anna if number % 3 else ben)
        for number in range(1, 480)
        for at in [now - timedelta(days=400 * (1 - number / 480) + 4)]
    ]
    odd = [
        Image(file=LONG, title="Scan of the printed page", created_at=now - timedelta(days=600)),
        Image(file=f"imports/{HOSTILE}", title=HOSTILE, created_at=now - timedelta(days=599), owner=ben),
        Image(file="imports/Фотографии/Ёлка на площади.jpg", title="Ёлка на площади", owner=anna),
    ]
    Image.objects.bulk_create([*gone_before, *kept, *odd])
    _put([*kept, *odd])
    for number in (40, 41):  # other bytes than were stored
        Image.objects.filter(file=str(kept[number].file)).update(size_bytes=184_320)
    run("check_s3_images")
    run("purge_orphans", "--no-input")
    history(Audit.objects.latest(), now)
    purge = Purge.objects.get()
    purged_at = now - timedelta(days=20)
    Purge.objects.update(
        user=ben, planned_by="admin", planned_at=purged_at, started_at=purged_at, finished_at=purged_at
    )
    Tombstone.objects.update(purged_at=purged_at)
    run("restore_purged", str(purge.pk), "--no-input", "--id", Tombstone.objects.earliest("pk").record_label)
    Tombstone.objects.exclude(restored_at=None).update(
        restored_at=purged_at + timedelta(hours=3), restored_by="ben"
    )

    with TOLD, override_settings(STORAGES=storages_at(s3.url, bucket_name=BUCKET, region_name=WRONG_REGION)):
        forget_default_storage()
        run("check_s3_images")
    forget_default_storage()
    Audit.objects.filter(trust="untrustworthy").update(
        started_at=now - timedelta(hours=23),
        finished_at=now - timedelta(hours=23),
        user=anna,
        started_by="admin",
    )

    lost = [
        _image(f"articles/{now:%Y/%m}", 1000 + n, now - timedelta(days=3, minutes=7 * n), anna)
        for n in range(LOST)
    ]
    fresh = [
        _image(f"articles/{now:%Y/%m}", 2000 + n, now - timedelta(days=1, minutes=9 * n), ben)
        for n in range(24)
    ]
    Image.objects.bulk_create([*fresh[:8], *lost, *fresh[8:]])
    _put(fresh)
    for image in kept[100:440:25]:
        s3.delete(BUCKET, str(image.file))
    with TOLD:
        run("check_s3_images")
    ended = now - timedelta(minutes=38)
    last = Audit.objects.latest()
    Audit.objects.filter(pk=last.pk).update(
        started_at=ended - timedelta(seconds=4), finished_at=ended, user=anna, started_by="admin"
    )
    Finding.objects.filter(opened_by=last).update(opened_at=ended)
    Image.objects.filter(verdict="missing").update(missing_since=ended, verdict_at=ended)
    FailedRead.objects.create(
        content_type=ContentType.objects.get_for_model(Image),
        object_pk=str(Image.objects.latest("pk").pk),
        field="file",
        key=str(Image.objects.latest("pk").file),
        first_at=now - timedelta(hours=2),
        last_at=now - timedelta(minutes=3),
        times=41,
        code="NoSuchKey",
    )
    Notice.objects.update(state="sent", attempts=1, created_at=ended, sent_at=ended)
    _some_of_every_verdict(ended)
    _evidence_without_chance()
    Image.objects.update(updated_at=ended)
    SetAsideMessage.objects.create(
        queue="https://sqs.eu-north-1.amazonaws.com/123456789012/image-events",
        message_id="5fea7756-0ea4-451a-a703-a558b933e274",
        reason="no_event",
        body=b'{"Service":"a-message-of-somebody-else","Padding":"' + b"x" * 300 + b'"}',
        set_aside_at=ended,
    )
    Job.objects.create(
        kind="mark",
        user=anna,
        nonce="0" * 32,
        content_type=ContentType.objects.get_for_model(Image),
        fields=["imagesync.Image.file"],
        chosen_by="folder=articles/",
        records=540,
        created_at=now - timedelta(minutes=2),
        outcome={"written": 540},
    )


def history(first: Audit, now: datetime) -> None:
    """The audits of the three weeks before the bad day, one a day."""
    records = first.counts["records"]
    for day, missing in enumerate(MISSING_SO_FAR):
        at = now - timedelta(days=len(MISSING_SO_FAR) + 2 - day, minutes=38)
        copy = Audit.objects.get(pk=first.pk)
        copy.pk = None
        copy.started_at, copy.finished_at = at - timedelta(seconds=3), at
        copy.counts = {**first.counts, "missing": missing, "present": records - missing - 2}
        copy.started_by = "schedule"
        copy.save()
    Audit.objects.filter(pk=first.pk).update(
        started_at=now - timedelta(days=21, seconds=3),
        finished_at=now - timedelta(days=21),
        started_by="schedule",
    )


def _image(folder: str, number: int, at: datetime, owner: User) -> Image:
    title = TITLES[number % len(TITLES)]
    name = title.lower().replace(" ", "-")
    return Image(file=f"{folder}/{name}-{number:04}.jpg", title=title, created_at=at, owner=owner)


def _put(images: list[Image]) -> None:
    bodies = [draw_house(number) for number in range(24)]
    for number, image in enumerate(images):
        body = bodies[number % len(bodies)]
        put_directly(BUCKET, str(image.file), body)
        image.size_bytes, image.width, image.height = len(body), 480, 360
    Image.objects.bulk_update(images, ["size_bytes", "width", "height"], batch_size=200)


def _some_of_every_verdict(at: datetime) -> None:
    """What this store cannot say is written down, so that the list shows each."""
    newest = list(Image.objects.filter(verdict="present").order_by("-pk")[:6])
    for image, verdict in zip(
        newest[1:], ("recoverable", "archived", "denied", "unknown", "unchecked"), strict=True
    ):
        Image.objects.filter(pk=image.pk).update(verdict=verdict, verdict_at=at)


def _evidence_without_chance() -> None:
    """The server's random ids of requests, and the second in which they were sent, are no news in a picture."""
    for finding in Finding.objects.all():
        for evidence in (finding.first_evidence, finding.last_evidence):
            evidence |= {"request_id": "4442587FB7D0A2F9", "at": finding.opened_at.isoformat()}
        finding.save(update_fields=["first_evidence", "last_evidence"])
