"""What goes before the stalest slice: images that visitors could not read, and new ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from imagesync.freshness import accounts, keep_fresh, urgent
from imagesync.models import FailedRead, Image
from imagesync.records import Source
from tests.conftest import MakeSource
from tests.django.freshening import WEEK, pass_time, told, world
from tests.django.helpers import make_images

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_slices")]


def test_keep_fresh__failed_reads_and_new_images_go_first(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, timedelta(hours=4))
    unseen = Image.objects.filter(verdict="unchecked").order_by("-file")
    broken, later = unseen[0], unseen[1]
    store.delete(broken.file.name)
    report_failed_read(broken, source)
    uploaded = make_images("z/new.jpg", created_at=timezone.now())[0]
    clock.shift(timedelta(minutes=5))

    outcome = keep_fresh(source)

    broken.refresh_from_db()
    uploaded.refresh_from_db()
    later.refresh_from_db()
    assert outcome.audits[0].scope.keys() == {"ids"}
    assert outcome.audits[0].counts["records"] == 2
    assert (broken.verdict, uploaded.verdict, later.verdict) == ("missing", "missing", "unchecked")
    assert not FailedRead.objects.exists()
    clock.shift(timedelta(minutes=5))
    assert keep_fresh(source).audits == []


def report_failed_read(image: Image, source: Source) -> None:
    """A report as a view's, by hand: the memory store's key is the name."""
    target = next(one for one in source.targets if one.label == "imagesync.Image.file")
    FailedRead.objects.create(
        content_type=target.content_type,
        object_pk=str(image.pk),
        field="file",
        key=image.file.name,
        first_at=timezone.now(),
        last_at=timezone.now(),
    )


def test_keep_fresh__more_urgent_ones_than_fit_take_several_slices_and_are_not_repeated(
    memory_source: MakeSource, clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urgent, "MOST_AT_ONCE", 20)
    store, source = world(memory_source, 300)
    keep_fresh(source)
    clock.shift(timedelta(minutes=5))
    for number in range(50):
        make_images(
            f"new/{number}.jpg", created_at=timezone.now() - timedelta(minutes=4) + timedelta(seconds=number)
        )
        store.put(f"new/{number}.jpg")

    outcome = keep_fresh(source)

    assert [audit.counts["records"] for audit in outcome.audits] == [20, 20, 10]
    assert Image.objects.filter(file__startswith="new/", verdict="present").count() == 50


def test_keep_fresh__records_that_never_were_looked_at_do_not_jump_the_queue(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source)

    outcome = keep_fresh(source)

    assert [audit.scope.get("ids") for audit in outcome.audits] == [None]


def test_keep_fresh__a_report_that_cannot_be_looked_at_does_not_hold_the_others_up(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source, 600)
    keep_fresh(source)
    image = Image.objects.filter(verdict="unchecked").order_by("-file")[0]
    store.delete(image.file.name)  # so no listing names it, and no look at it tells anything
    store.fail("GetObject", 403, "AccessDenied", key=image.file.name)
    store.fail("HeadObject", 403, "", key=image.file.name)
    report_failed_read(image, source)
    clock.shift(timedelta(minutes=5))

    audits = pass_time(source, clock, WEEK, every=timedelta(hours=4))

    explicit = [audit for audit in audits if audit.scope.get("ids")]
    assert 1 <= len(explicit) <= accounts.TRIES + 1
    assert told(source)["share"] == 1.0
