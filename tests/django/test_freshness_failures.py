"""Slices whose look failed, broke off, was paused or cancelled: they stay stale, and hold no other up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from imagesync.audit import open_audit
from imagesync.core.ranges import just_before
from imagesync.exceptions import ListingBroken
from imagesync.freshness import keep_fresh
from imagesync.models import Audit, Freshness
from imagesync.purge.basis import basis_of
from imagesync.records import Scope
from imagesync.records.slices import stored_slices
from imagesync.storage.listing import list_page
from tests.conftest import MakeSource
from tests.django.freshening import WEEK, pass_time, told, world
from tests.django.helpers import LONG_AGO, verdicts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_slices")]


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
    stale = [one for one in stored_slices(freshness) if timezone.now() - (one.looked_at or LONG_AGO) > WEEK]
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
