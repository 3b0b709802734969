"""Every record is looked at within FRESHNESS, by small audits of the stalest keys; with time made up."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync import tasks
from imagesync.conf import app_settings
from imagesync.core.freshness import SPREAD, covers_everything, slice_of
from imagesync.exceptions import NotInByteOrder
from imagesync.freshness import keep, keep_fresh
from imagesync.models import Audit, Finding, Freshness, Image
from imagesync.records import Scope, Source
from imagesync.records.slices import stored_slices
from tests.conftest import MakeSource
from tests.django.freshening import RECORDS, WEEK, pass_time, told, world
from tests.django.helpers import LONG_AGO, audited, make_images, verdicts
from tests.testapp.models import Document

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_slices")]


def findings() -> set[tuple[str, str, str]]:
    return set(Finding.objects.open().values_list("object_pk", "key", "verdict"))


def test_keep_fresh__after_one_period_every_record_was_looked_at_by_slices(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source)

    audits = pass_time(source, clock, WEEK)

    assert set(verdicts().values()) == {"present", "missing"}
    assert sum(verdict == "missing" for verdict in verdicts().values()) == len(range(0, RECORDS, 30))
    document = told(source)
    assert (document["share"], document["never_looked_at"], document["behind_s"]) == (1.0, 0, 0)
    assert 3 <= len(audits) <= 9
    assert {audit.full_scope for audit in audits} == {False}
    assert all(audit.trust == Audit.Trust.TRUSTWORTHY for audit in audits)
    assert max(audit.counts["records"] for audit in audits) <= 2 * keep.SLICE_RECORDS
    # spread evenly, not in a burst
    assert len({audit.started_at for audit in audits}) == len(audits)
    assert max(later.started_at - one.started_at for one, later in pairwise(audits)) <= WEEK / 2


def test_keep_fresh__finds_what_an_audit_of_everything_finds_at_about_its_price(
    memory_source: MakeSource, clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "SLICE_RECORDS", 6_000)
    monkeypatch.setattr("imagesync.audit.claim.LEAST_RECORDS", 1_500)
    store, source = world(memory_source, 12_000)
    before = store.requests
    pass_time(source, clock, WEEK * SPREAD, every=timedelta(hours=8))
    by_slices, cost = findings(), store.requests - before

    Finding.objects.all().delete()
    before = store.requests
    audited(source)
    whole = store.requests - before

    assert by_slices == findings()
    assert len(by_slices) == 400
    prices = app_settings().prices
    assert prices.of(cost) <= 1.5 * prices.of(whole), (cost, whole)


def test_keep_fresh__what_is_deleted_meanwhile_is_found_within_the_time(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    gone = [f"{number % 7}/{number:05}.jpg" for number in range(1, RECORDS, 43)]
    deleted_at = timezone.now()
    for name in gone:
        store.delete(name)

    pass_time(source, clock, WEEK)

    missing = Image.objects.filter(file__in=gone)
    assert {image.verdict for image in missing} == {"missing"}
    assert all(image.verdict_at - deleted_at <= WEEK for image in missing if image.verdict_at)
    assert told(source)["share"] == 1.0


def test_keep_fresh__slices_follow_the_records(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    freshness = Freshness.objects.get()
    before = len(stored_slices(freshness))
    many = [f"3/{number:05}-new.jpg" for number in range(250)]
    make_images(*many)
    for name in many:
        store.put(name)
    Image.objects.filter(file__startswith="6/").delete()
    Image.objects.filter(file__startswith="5/").delete()

    pass_time(source, clock, WEEK)

    slices = stored_slices(freshness)
    assert covers_everything(slices)
    assert len(slices) > before
    assert max(one.records for one in slices) <= 2 * keep.SLICE_RECORDS
    assert sum(one.records for one in slices) == Image.objects.count()
    assert sum(one.present for one in slices) == Image.objects.filter(verdict="present").count()
    assert not Image.objects.filter(verdict="unchecked").exists()


def test_keep_fresh__several_fields_and_a_location_in_one_bucket(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source, 300, prefix="media")
    Document.objects.bulk_create([Document(document=f"3/{number:05}.pdf") for number in range(150)])
    for number in range(1, 150):
        store.put(f"media/3/{number:05}.pdf")

    audits = pass_time(source, clock, WEEK)

    assert len(audits) > 3
    assert told(source)["records"] == 450
    by_slices = findings()
    Finding.objects.all().delete()
    audited(source)
    assert by_slices == findings()
    assert len(by_slices) == 11


def test_keep_fresh__canaries_speak_for_the_whole_store_whatever_part_was_looked_at_last(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    """Else a folder that is deleted would look like a bucket that was emptied, and the other way round."""
    store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    one = Image.objects.filter(verdict="present")[0]
    last = audited(source, Scope(ids=(("imagesync.Image", str(one.pk)),)))
    slices = stored_slices(Freshness.objects.get())

    drawn = {slice_of(slices, key) for _label, _pk, key in last.canaries}

    assert len(last.canaries) == app_settings().canaries
    assert len(drawn) > 1
    assert [str(pk) for _label, pk, _key in last.canaries].count(str(one.pk)) == 1
    newest = max(slices, key=lambda each: each.looked_at or LONG_AGO)
    for _label, _pk, key in last.canaries:
        if newest.holds(key):
            store.delete(key)
    assert audited(source, Scope(ids=(("imagesync.Image", str(one.pk)),))).reasons == []


def test_keep_fresh__with_nothing_to_do_costs_two_queries(memory_source: MakeSource) -> None:
    """The database's time, and everything else."""
    _store, source = world(memory_source, 300)
    keep_fresh(source)
    ContentType.objects.clear_cache()

    with CaptureQueriesContext(connection) as queries:
        outcome = keep_fresh(source)

    assert outcome.audits == []
    assert len(queries) == 2, [one["sql"] for one in queries]


def test_keep_fresh__an_audit_of_everything_counts_for_all_slices(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source)
    keep_fresh(source)
    clock.shift(timedelta(days=3))
    audited(source)
    clock.shift(timedelta(hours=1))
    late = keep_fresh(source)

    assert told(source)["share"] == 1.0
    assert len(late.audits) == 0, "nothing is due: it was all looked at an hour ago"
    audits = pass_time(source, clock, WEEK)
    assert told(source)["share"] == 1.0
    assert 3 <= len(audits) <= 9, "spread again, not a burst"


def test_keep_fresh__a_new_field_makes_everything_stale(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source, 600)
    fewer = Source(store=source.store, targets=source.targets[:1], workers=2)
    pass_time(fewer, clock, WEEK)
    assert told(source)["share"] == 1.0

    keep_fresh(source)

    assert told(source)["share"] < 0.8


def test_keep_fresh__begins_no_further_slice_when_its_time_is_up(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    clock.shift(WEEK * 2)

    assert len(keep_fresh(source, seconds=-1).audits) <= 1
    assert told(source)["behind_s"] > 0
    assert len(keep_fresh(source).audits) >= 1
    assert told(source)["behind_s"] == 0


def test_keep_fresh__a_store_that_does_not_list_in_byte_order_is_looked_at_whole(
    memory_source: MakeSource, clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = world(memory_source, 300)

    def disorderly(*_args: Any, **_options: Any) -> Any:
        raise NotInByteOrder("The listing is not in byte order: 'a' came after 'b'.")

    monkeypatch.setattr("imagesync.audit.requests.list_page", disorderly)

    noticed, *audits = keep_fresh(source).audits
    audits += pass_time(source, clock, 2 * WEEK, every=timedelta(hours=12))

    assert (noticed.full_scope, noticed.in_order) == (False, False)
    assert [audit.full_scope for audit in audits] == [True] * len(audits)
    assert 2 <= len(audits) <= 3
    document = told(source)
    assert (document["in_order"], document["slices"], document["share"]) == (False, 1, 1.0)
    assert not Image.objects.filter(verdict="unchecked").exists()


def test_keep_fresh__is_off_unless_asked_for(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    with override_settings(IMAGESYNC={}):
        with pytest.raises(ImproperlyConfigured, match="FRESHNESS"):
            keep_fresh(source)
        assert tasks.keep_fresh() == [{"skipped": 'IMAGESYNC["FRESHNESS"] is not set.'}]
    assert not Freshness.objects.exists()


@pytest.mark.parametrize(
    ("value", "within"),
    [("7d", WEEK), ("12h", timedelta(hours=12)), (timedelta(days=2), timedelta(days=2)), (None, None)],
)
def test_setting__is_a_duration(value: object, within: timedelta | None) -> None:
    with override_settings(IMAGESYNC={"FRESHNESS": value}):
        assert app_settings().freshness == within


@pytest.mark.parametrize("value", ["5m", "0d", "soon", 7, "-1d"])
def test_setting__refuses_what_no_schedule_could_keep(value: object) -> None:
    with (
        override_settings(IMAGESYNC={"FRESHNESS": value}),
        pytest.raises(ImproperlyConfigured, match="FRESHNESS"),
    ):
        app_settings()
