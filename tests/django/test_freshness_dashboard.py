"""What the admin's dashboard tells where slices keep the records fresh."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from imagesync.freshness import keep_fresh
from imagesync.models import Audit, Freshness, Image, Slice
from imagesync.reports import freshness_lines
from tests.conftest import MakeSource
from tests.django.freshening import WEEK, pass_time, told, world
from tests.django.helpers import audited

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_slices")]


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
