"""Every record is looked at within FRESHNESS, by small audits of the stalest keys; with time made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from imagesync import tasks
from imagesync.audit import open_audit
from imagesync.conf import app_settings
from imagesync.core.freshness import SPREAD, covers_everything, slice_of
from imagesync.core.ranges import just_before
from imagesync.exceptions import ListingBroken, NotInByteOrder
from imagesync.freshness import accounts, freshness_of, keep, keep_fresh, urgent
from imagesync.models import Audit, FailedRead, Finding, Freshness, Image, Slice
from imagesync.purge.basis import basis_of
from imagesync.records import Scope, Source
from imagesync.records.slices import stored_slices
from imagesync.reports import freshness_lines
from imagesync.storage.listing import list_page
from imagesync.storage.memory import MemoryStore
from tests.django.helpers import audited, make_images, verdicts
from tests.testapp.models import Document

pytestmark = pytest.mark.django_db

MakeSource = Callable[..., tuple[MemoryStore, Source]]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
RECORDS = 300


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(keep, "SLICE_RECORDS", 100)
    monkeypatch.setattr("imagesync.audit.claim.LEAST_RECORDS", 60)
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FRESHNESS": "7d"}
    settings.SESSION_COOKIE_AGE = 10**7  # weeks go by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    monkeypatch.setattr("imagesync.models.leases._database_now", lambda _model: timezone.now())
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def world(memory_source: MakeSource, records: int = RECORDS, **options: Any) -> tuple[MemoryStore, Source]:
    """``records`` images and objects, of which every hundredth object is gone."""
    store, source = memory_source(**options)
    names = [f"{number % 7}/{number:05}.jpg" for number in range(records)]
    make_images(*names)
    for number, name in enumerate(names):
        if number % 30:
            store.put(source.store.identity.prefix + name)
    return store, source


def pass_time(
    source: Source,
    clock: time_machine.Coordinates,
    during: timedelta,
    *,
    every: timedelta = timedelta(hours=4),
) -> list[Audit]:
    """What the schedule does meanwhile."""
    audits: list[Audit] = []
    end = timezone.now() + during
    while timezone.now() < end:
        outcome = keep_fresh(source)
        audits += outcome.audits
        clock.shift(every)
    return audits


def findings() -> set[tuple[str, str, str]]:
    return set(Finding.objects.open().values_list("object_pk", "key", "verdict"))


def told(source: Source) -> dict[str, Any]:
    document = freshness_of(source.store.identity.fingerprint)
    assert document is not None
    return document


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
    newest = max(slices, key=lambda each: each.looked_at or START)
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


def test_keep_fresh__failed_reads_and_new_images_go_first(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, timedelta(hours=4))
    unseen = Image.objects.filter(verdict="unchecked").order_by("-file")
    broken, later = unseen[0], unseen[1]
    store.delete(broken.file.name)
    fingerprint_of_source(broken, source)
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


def fingerprint_of_source(image: Image, source: Source) -> None:
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
    fingerprint_of_source(image, source)
    clock.shift(timedelta(minutes=5))

    audits = pass_time(source, clock, WEEK, every=timedelta(hours=4))

    explicit = [audit for audit in audits if audit.scope.get("ids")]
    assert 1 <= len(explicit) <= accounts.TRIES + 1
    assert told(source)["share"] == 1.0


def test_keep_fresh__an_untrustworthy_look_does_not_count_and_is_not_repeated_at_once(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    assert told(source)["share"] == 1.0
    before = verdicts()
    store.fail("HeadBucket", 500, "InternalError")

    clock.shift(WEEK)

    audits = pass_time(source, clock, timedelta(hours=12), every=timedelta(minutes=10))

    assert {audit.trust for audit in audits} == {"untrustworthy"}
    assert 5 <= len(audits) <= 9, "a store that is down is left alone for longer and longer"
    document = told(source)
    assert document["failures"] == len(audits)
    assert document["behind_s"] > 0
    assert document["share"] < 0.5
    assert verdicts() == before

    store.answer("HeadBucket", None, None)
    pass_time(source, clock, timedelta(days=1))
    assert told(source)["share"] == 1.0, "faster when behind"


def test_keep_fresh__one_slice_whose_listing_breaks_off_stays_stale_and_holds_no_other_up(
    memory_source: MakeSource, clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    freshness = Freshness.objects.get()
    bad = stored_slices(freshness)[1]
    whole = list_page

    def broken(store: Any, *, start_after: str, **options: Any) -> Any:
        if just_before(bad.first_key) <= start_after < just_before(bad.end_key or ""):
            raise ListingBroken("The listing contradicts itself.")
        return whole(store, start_after=start_after, **options)

    monkeypatch.setattr("imagesync.audit.requests.list_page", broken)
    audits = pass_time(source, clock, WEEK + timedelta(days=1))

    untrusted = {audit.trust for audit in audits}
    assert untrusted == {"trustworthy", "untrustworthy"}
    stale = [one for one in stored_slices(freshness) if timezone.now() - (one.looked_at or START) > WEEK]
    assert [(one.first_key, one.looked_at) for one in stale] == [(bad.first_key, bad.looked_at)]
    assert stale[0].failed_at is not None
    assert told(source)["behind_s"] > 0
    assert basis_of(source) is None


def test_keep_fresh__an_emptied_bucket_is_a_collapse_in_every_slice(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    for key in list(store._keys):
        store.delete(key)

    audits = pass_time(source, clock, WEEK)

    assert {audit.trust for audit in audits} == {"degraded"}
    assert {audit.reasons[0]["id"] for audit in audits} == {"collapse"}
    assert not any(one.sound for one in stored_slices(Freshness.objects.get()))


def test_keep_fresh__a_slice_that_somebody_paused_waits_and_one_that_was_cancelled_is_begun_anew(
    memory_source: MakeSource, clock: time_machine.Coordinates
) -> None:
    _store, source = world(memory_source)
    keep_fresh(source)
    clock.shift(WEEK / 2)
    done = Audit.objects.latest()
    freshness = Freshness.objects.get()
    scope = Scope(first_key=stored_slices(freshness)[-1].first_key)
    slice_ = open_audit(source, scope)
    freshness.audit = slice_
    freshness.save()

    Audit.objects.filter(pk=slice_.pk).update(state=Audit.State.PAUSED, lease_owner="", lease_until=None)
    paused = keep_fresh(source)
    assert paused.audits == []
    assert paused.skipped.startswith(f"Audit {slice_.pk} is paused;")

    Audit.objects.filter(pk=slice_.pk).update(state=Audit.State.CANCELLED)
    assert keep_fresh(source).audits == []
    assert told(source)["failures"] == 1
    clock.shift(timedelta(minutes=6))
    [new, *_more] = keep_fresh(source).audits
    assert new.pk not in (done.pk, slice_.pk)
    assert told(source)["failures"] == 0


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


def test_dashboard__says_how_fresh_the_records_are_where_they_are_kept_so(
    memory_source: MakeSource, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    _store, source = world(memory_source, 300)
    pass_time(source, clock, timedelta(days=2))
    address = reverse("admin:imagesync_audit_changelist")

    page = admin_client.get(address).content.decode()

    sentence = next(freshness_lines(told(source)))
    assert "records were looked at within 7 d" in sentence
    assert f"<li>{sentence}</li>" in page
    assert "the next look is due 2026-03-0" in page
    with override_settings(IMAGESYNC={}):
        assert "FRESHNESS" not in admin_client.get(address).content.decode()


def shown(admin_client: Client) -> tuple[str, str]:
    """The dashboard's standing, and the page."""
    page = admin_client.get(reverse("admin:imagesync_audit_changelist")).content.decode()
    found = re.search(r'imagesync-is-\w+">([^<]+)<', page)
    assert found is not None
    return found[1], page


def test_dashboard__is_told_by_slices_where_no_audit_of_everything_is_newer(
    memory_source: MakeSource, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    store, source = world(memory_source)
    for image in Image.objects.all():
        store.put(image.file.name)
    keep_fresh(source)
    assert shown(admin_client)[0] == "looked at in part"
    pass_time(source, clock, WEEK)
    assert not Audit.objects.filter(full_scope=True).exists()

    standing, page = shown(admin_client)
    assert standing == "healthy"
    assert re.search(r"<dt>Missing</dt><dd>0\s", page)
    assert "are told by these slices" in page
    with override_settings(IMAGESYNC={}):
        assert shown(admin_client)[0] == "never audited"

    for image in Image.objects.all()[:2]:
        store.delete(image.file.name)
    pass_time(source, clock, WEEK)
    standing, page = shown(admin_client)
    assert standing == "needs attention"
    assert re.search(r"<dt>Missing</dt><dd>2\s", page)

    clock.shift(2 * WEEK)
    standing, page = shown(admin_client)
    assert standing == "stale"
    assert "not looked at within FRESHNESS" in page


def test_dashboard__an_audit_of_everything_tells_it_until_slices_are_newer_or_it_is_old(
    memory_source: MakeSource, clock: time_machine.Coordinates, admin_client: Client
) -> None:
    store, source = world(memory_source)
    for image in Image.objects.all():
        store.put(image.file.name)
    pass_time(source, clock, WEEK)
    audited(source)

    standing, page = shown(admin_client)
    assert standing == "healthy"
    assert "are told by these slices" not in page
    keep_fresh(source)
    clock.shift(timedelta(hours=25))
    standing, page = shown(admin_client)
    assert standing == "healthy"
    assert "are told by these slices" in page

    Slice.objects.filter(pk=Slice.objects.order_by("pk")[0].pk).update(sound=False)
    assert shown(admin_client)[0] == "needs attention"


def test_dashboard__of_slices_asks_as_often_for_many_as_for_few(
    memory_source: MakeSource,
    clock: time_machine.Coordinates,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _store, source = world(memory_source)
    pass_time(source, clock, WEEK)
    shown(admin_client)
    with CaptureQueriesContext(connection) as few:
        assert re.search(r"<dt>Missing</dt><dd>10\s", shown(admin_client)[1])
    freshness = Freshness.objects.get()
    Slice.objects.bulk_create(
        Slice(freshness=freshness, first_key=f"z{one:03}", end_key=f"z{one + 1:03}", looked_at=timezone.now())
        for one in range(200)
    )
    monkeypatch.setattr("imagesync.admin.dashboard.COUNTED_NOW", 9)
    with CaptureQueriesContext(connection) as many:
        assert "<dt>Missing</dt><dd>more than 9" in shown(admin_client)[1]

    assert len(many) == len(few)


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
