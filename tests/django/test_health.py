"""Whether the audits themselves are alive, as a function and for django-health-check."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.urls import path
from django.utils import timezone
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView

from imagesync.health import audit_troubles
from imagesync.health_checks import ImagesAudited
from imagesync.models import Audit, Freshness, Slice
from tests.conftest import BUCKET
from tests.django.helpers import STORE, an_audit

pytestmark = pytest.mark.django_db

urlpatterns = [
    path(
        "health/",
        HealthCheckView.as_view(checks=[("imagesync.health_checks.ImagesAudited", {"max_age": "2h"})]),
    )
]


def test_troubles__none_after_a_trustworthy_audit() -> None:
    an_audit(ago=timedelta(hours=25))

    assert audit_troubles() == []


def test_troubles__a_storage_that_was_never_audited() -> None:
    assert audit_troubles() == ["Storage 'default' was never audited."]


def test_troubles__the_limit_is_that_of_the_notices_or_given() -> None:
    an_audit(ago=timedelta(hours=30))

    [trouble] = audit_troubles()
    assert "30 h old; the limit is 26 h" in trouble
    assert audit_troubles(timedelta(hours=31)) == []
    with override_settings(IMAGESYNC={"NOTIFY": {"OVERDUE_AFTER": "31h"}}):
        assert audit_troubles() == []


def test_troubles__an_untrustworthy_audit_says_why_and_names_no_bucket() -> None:
    an_audit(ago=timedelta(hours=1))
    an_audit("untrustworthy", reasons=[{"id": "wrong_region", "fact": f"The bucket {BUCKET}", "hint": ""}])

    [trouble] = audit_troubles()

    assert "wrong_region" in trouble
    assert BUCKET not in trouble


def test_troubles__a_degraded_audit_is_none_but_does_not_count_as_trustworthy() -> None:
    an_audit("degraded")

    assert audit_troubles() == ["No audit of storage 'default' was trustworthy yet."]


def test_troubles__a_part_of_the_records_is_no_audit_of_everything() -> None:
    an_audit(full_scope=False)

    assert "never audited" in audit_troubles()[0]


@pytest.mark.parametrize(("ago", "troubles"), [(timedelta(days=6), 0), (timedelta(days=8), 1)])
def test_troubles__with_freshness_its_promise_counts(ago: timedelta, troubles: int) -> None:
    now = timezone.now()
    an_audit(ago=timedelta(days=30))
    fresh = Freshness.objects.create(
        fingerprint=STORE, began_at=now - timedelta(days=60), reads_upto=now, uploads_upto=now
    )
    Slice.objects.create(freshness=fresh, looked_at=now - ago, finished_at=now - ago, records=10, sound=True)

    with override_settings(IMAGESYNC={"FRESHNESS": "7d"}):
        found = audit_troubles()

    assert len(found) == troubles, found
    assert all("within 7 d" in trouble for trouble in found)


def test_troubles__slices_alone_are_no_alarm_until_they_cannot_be_believed() -> None:
    now = timezone.now()
    fresh = Freshness.objects.create(fingerprint=STORE, reads_upto=now, uploads_upto=now)
    a_slice = an_audit(full_scope=False, scope={"end_key": "m"})
    for first, end in (("", "m"), ("m", None)):
        Slice.objects.create(
            freshness=fresh, first_key=first, end_key=end, looked_at=now, finished_at=now, sound=True
        )

    assert audit_troubles() == ["Storage 'default' was never audited."]
    with override_settings(IMAGESYNC={"FRESHNESS": "7d"}):
        assert audit_troubles() == []
        Slice.objects.filter(first_key="m").update(sound=False)
        assert audit_troubles() == []
        Slice.objects.update(sound=False)
        assert audit_troubles() == ["No slice of storage 'default' could be fully believed at its last look."]
        a_slice.trust = "untrustworthy"
        a_slice.reasons = [{"id": "wrong_region", "fact": "", "hint": ""}]
        a_slice.save()
        assert "The last audit of storage 'default' is untrustworthy (wrong_region)." in audit_troubles()


def test_check__fails_with_the_troubles() -> None:
    an_audit(ago=timedelta(hours=3))

    ImagesAudited().run()
    ImagesAudited(max_age=timedelta(hours=4)).run()
    with pytest.raises(ServiceUnavailable, match="3 h old; the limit is 2 h"):
        ImagesAudited(max_age="2h").run()
    assert ImagesAudited(max_age="2h").labels == {"check": "ImagesAudited", "max_age": "2h"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.django.test_health")
def test_check__on_the_page_of_a_site(client: Any) -> None:
    an_audit(ago=timedelta(hours=1))
    healthy = client.get("/health/?format=json")
    Audit.objects.update(finished_at=timezone.now() - timedelta(hours=5))
    sick = client.get("/health/?format=json")

    assert (healthy.status_code, sick.status_code) == (200, 500)
    [(name, told)] = json.loads(sick.content).items()
    assert "ImagesAudited" in name
    assert "5 h old" in told
