"""What Prometheus is told: the figures, their format, what they cost, and who may read them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.checks import run_checks
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from imagesync.metrics import gauges, metrics_view, register_collector
from imagesync.metrics.figures import COUNTED_NOW
from imagesync.models import Audit, AuditRange, Finding, Freshness, Image, Job, Purge, Slice
from imagesync.records import find_sources
from imagesync.records.targets import content_type_of
from imagesync.reports import Gauge, exposition
from imagesync.reports.prometheus import CONTENT_TYPE
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import STORE, an_audit, make_images, run

pytestmark = pytest.mark.django_db

TOKEN = "0123456789abcdef-token"
ALL_AT_ONCE = 9
"""Queries of one scrape, whatever there is to tell."""


def read(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Metric -> labels -> value, by Prometheus' own reference parser."""
    return {
        family.name: {tuple(sorted(one.labels.items())): one.value for one in family.samples}
        for family in text_string_to_metric_families(text)
    }


def told() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    return read("".join(exposition(gauges())))


def values(found: dict[tuple[tuple[str, str], ...], float], label: str) -> dict[str, float]:
    return {dict(labels)[label]: value for labels, value in found.items()}


def test_metrics__after_a_real_audit_and_a_purge(s3: EmbeddedS3) -> None:
    make_images(*(f"{number}.jpg" for number in range(12)))
    for number in range(9):
        s3.put(BUCKET, f"{number}.jpg")
    assert run("check_s3_images")[0] == 3

    before = told()
    assert run("purge_orphans", "--no-input", "--max-ratio", "1")[0] == 0
    after = told()

    audit = Audit.objects.get()
    assert values(before["imagesync_audit_records"], "verdict")["missing"] == 3
    assert values(before["imagesync_audit_records"], "verdict")["present"] == 9
    assert values(before["imagesync_orphans"], "field")["imagesync.Image.file"] == 3
    assert values(before["imagesync_orphans"], "field")["testapp.Product.photo"] == 0
    assert values(before["imagesync_last_audit_requests"], "kind") == audit.requests
    assert values(before["imagesync_last_audit_trust"], "trust") == {
        "trustworthy": 1,
        "degraded": 0,
        "untrustworthy": 0,
    }
    assert values(before["imagesync_store_info"], "bucket") == {BUCKET: 1}
    assert "imagesync_last_purge_records" not in before
    assert values(after["imagesync_orphans"], "field")["imagesync.Image.file"] == 0
    assert values(after["imagesync_last_purge_records"], "outcome") == {"deleted": 3, "cleared": 0, "kept": 0}
    assert ".jpg" not in "".join(exposition(gauges()))


def test_metrics__before_the_first_audit_there_is_no_age() -> None:
    found = told()

    assert set(found) == {"imagesync_jobs"}
    assert values(found["imagesync_jobs"], "state") == {"waiting": 0, "running": 0}


def test_metrics__an_untrustworthy_audit_does_not_make_orphans_vanish() -> None:
    an_audit(counts={"missing": 5, "present": 7}, ago=timedelta(hours=3))
    an_audit("untrustworthy", counts={"missing": 0, "present": 0}, ago=timedelta(hours=1))

    found = told()

    assert values(found["imagesync_audit_records"], "verdict")["missing"] == 5
    assert values(found["imagesync_last_audit_trust"], "trust")["untrustworthy"] == 1
    [age] = found["imagesync_last_trustworthy_audit_age_seconds"].values()
    assert math.isclose(age, 3 * 3600, abs_tol=60)
    assert set(found["imagesync_last_audit_duration_seconds"].values()) == {90}


def test_metrics__a_part_of_the_records_is_no_audit_of_everything() -> None:
    an_audit(full_scope=False)

    assert "imagesync_last_trustworthy_audit_age_seconds" not in told()


def test_metrics__a_store_that_is_no_longer_named_is_history() -> None:
    an_audit(fingerprint="old", bucket="left-behind", ago=timedelta(days=30))
    an_audit(alias="no such storage", fingerprint="other", bucket="gone")
    an_audit()

    assert values(told()["imagesync_store_info"], "bucket") == {BUCKET: 1}


def test_metrics__backlog_and_waiting_jobs() -> None:
    an_audit()
    running = an_audit(
        state="running", finished_at=None, trust="", lease_until=timezone.now() + timedelta(minutes=1)
    )
    dead = an_audit(
        state="running",
        finished_at=None,
        trust="",
        scope_key="x",
        lease_until=timezone.now() - timedelta(minutes=1),
    )
    for audit, states in ((running, ("done", "pending", "pending")), (dead, ("pending",))):
        for number, state in enumerate(states):
            AuditRange.objects.create(audit=audit, number=number, state=state)
    for number in range(2):
        Job.objects.create(kind="check", nonce=str(number), content_type=content_type_of(Image))

    found = told()

    assert set(found["imagesync_audits_running"].values()) == {1}
    assert set(found["imagesync_audit_ranges_pending"].values()) == {3}
    assert values(found["imagesync_jobs"], "state")["waiting"] == 2


@pytest.mark.parametrize(("ago", "behind"), [(timedelta(days=6), 0), (timedelta(days=9), 2 * 86400)])
def test_metrics__with_freshness_how_far_behind_it_is(ago: timedelta, behind: float) -> None:
    now = timezone.now()
    an_audit()
    fresh = Freshness.objects.create(
        fingerprint=STORE, began_at=now - timedelta(days=60), reads_upto=now, uploads_upto=now
    )
    for looked_at, records in ((now - ago, 1), (now, 3)):
        Slice.objects.create(freshness=fresh, looked_at=looked_at, finished_at=looked_at, records=records)

    assert "imagesync_freshness_ratio" not in told()
    with override_settings(IMAGESYNC={"FRESHNESS": "7d"}):
        found = told()

    [told_behind] = found["imagesync_freshness_behind_seconds"].values()
    assert math.isclose(told_behind, behind, abs_tol=60)
    assert set(found["imagesync_freshness_ratio"].values()) == {0.75 if behind else 1.0}


def test_metrics__slices_alone_tell_trust_and_freshness_and_never_pass_for_an_audit_of_everything() -> None:
    now = timezone.now()
    audit = an_audit("degraded", full_scope=False, scope={"first_key": "m"}, requests={"LIST": 3})
    findings_of_one_field(audit, 3)
    fresh = Freshness.objects.create(fingerprint=STORE, reads_upto=now, uploads_upto=now)
    Slice.objects.create(freshness=fresh, looked_at=now, finished_at=now, records=3)
    of_everything = {
        "imagesync_last_audit_timestamp_seconds",
        "imagesync_last_trustworthy_audit_timestamp_seconds",
        "imagesync_last_trustworthy_audit_age_seconds",
        "imagesync_last_audit_duration_seconds",
        "imagesync_last_audit_requests",
        "imagesync_audit_records",
    }

    assert not told().get("imagesync_store_info")
    with override_settings(IMAGESYNC={"FRESHNESS": "7d"}):
        found = told()

    assert len(found["imagesync_store_info"]) == 1
    assert set(found["imagesync_freshness_behind_seconds"].values()) == {0}
    assert values(found["imagesync_last_audit_trust"], "trust")["degraded"] == 1
    assert values(found["imagesync_orphans"], "field")["imagesync.Image.file"] == 3
    assert not [name for name in of_everything if found.get(name)]


def test_metrics__very_many_orphans_are_counted_now_where_slices_are_newer_than_the_last_audit() -> None:
    audit = an_audit(figures={"fields": {"imagesync.Image.file": {"records": 9000, "missing": 8000}}})
    findings_of_one_field(audit, COUNTED_NOW + 1)
    an_audit(full_scope=False, scope={"first_key": "m"})

    with override_settings(IMAGESYNC={"FRESHNESS": "7d"}):
        found = told()["imagesync_orphans"]

    assert values(found, "field")["imagesync.Image.file"] == COUNTED_NOW + 1


def test_metrics__labels_are_escaped() -> None:
    gauge = Gauge("imagesync_test", 'a "help"\nof two lines \\')
    gauge.add(1.5, store='a"b\\c\nd', other="ä")
    an_audit(prefix='x"\n\\\x1b[31m', bucket=BUCKET)

    assert read("".join(exposition([gauge]))) == {
        "imagesync_test": {(("other", "ä"), ("store", 'a"b\\c\nd')): 1.5}
    }
    [labels] = told()["imagesync_store_info"]
    assert "\x1b" not in dict(labels)["prefix"]


def findings_of_one_field(audit: Audit, number: int) -> None:
    Finding.objects.bulk_create(
        Finding(
            fingerprint=STORE,
            content_type=content_type_of(Image),
            object_pk=str(one),
            field="file",
            key=f"{one}.jpg",
            verdict="missing",
            opened_by=audit,
            opened_at=timezone.now(),
            settled=True,
        )
        for one in range(number)
    )


def test_metrics__cost_the_same_whatever_there_is(django_assert_max_num_queries: Any) -> None:
    audits = [an_audit(ago=timedelta(days=number)) for number in range(30)]
    findings_of_one_field(audits[0], COUNTED_NOW)
    Purge.objects.create(fingerprint=STORE, state="done", finished_at=timezone.now())

    with django_assert_max_num_queries(ALL_AT_ONCE):
        found = told()

    assert sum(found["imagesync_orphans"].values()) == COUNTED_NOW


@pytest.mark.parametrize(
    ("figures", "orphans"),
    [({"fields": {"imagesync.Image.file": {"records": 9000, "missing": 8000}}}, 8000), ({}, COUNTED_NOW + 1)],
)
def test_metrics__many_orphans_are_those_that_the_audit_counted(
    figures: dict[str, Any], orphans: int
) -> None:
    findings_of_one_field(an_audit(figures=figures), COUNTED_NOW + 1)

    assert values(told()["imagesync_orphans"], "field")["imagesync.Image.file"] == orphans


def test_collector__adds_ours_to_the_pages_of_a_site() -> None:
    registry = CollectorRegistry(auto_describe=True)
    register_collector(registry)
    an_audit(counts={"missing": 5})

    found = read(generate_latest(registry).decode())

    assert found == read("".join(exposition(gauges()))) | {name: {} for name in found if not found[name]} | {
        "imagesync_last_trustworthy_audit_age_seconds": found["imagesync_last_trustworthy_audit_age_seconds"]
    }
    assert set(found) == {gauge.name for gauge in gauges()}


@pytest.mark.django_db(databases=[])
def test_collector__is_registered_without_a_database() -> None:
    registry = CollectorRegistry(auto_describe=True)
    register_collector(registry)

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        register_collector(registry)


def test_command__writes_a_file_for_the_textfile_collector(s3: EmbeddedS3, tmp_path: Any) -> None:
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "a.jpg")
    path = tmp_path / "imagesync.prom"

    code, out, _err = run("check_s3_images", "--format", "prometheus", "--output", str(path))

    found = read(path.read_text())
    assert (code, out) == (3, "")
    assert values(found["imagesync_audit_records"], "verdict")["missing"] == 1
    assert "imagesync_last_trustworthy_audit_timestamp_seconds" in found
    # an age that is written down does not grow
    assert "imagesync_last_trustworthy_audit_age_seconds" not in found


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ä", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
    ],
)
def test_view__opens_to_the_token(rf: RequestFactory, header: str | None, status: int) -> None:
    headers = {} if header is None else {"Authorization": header}

    with override_settings(IMAGESYNC={"METRICS_TOKEN": TOKEN}):
        response = metrics_view(rf.get("/metrics", headers=headers))

    assert response.status_code == status
    if status == 200:
        assert response["Content-Type"] == CONTENT_TYPE
        assert "no-store" in response["Cache-Control"]
    else:
        assert "imagesync_" not in response.content.decode()
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer ", "Bearer", "Bearer None"])
def test_view__without_a_token_set_no_token_opens_it(rf: RequestFactory, header: str) -> None:
    assert metrics_view(rf.get("/metrics", headers={"Authorization": header})).status_code == 401


@pytest.mark.parametrize(
    ("staff", "allowed", "status"), [(True, True, 200), (True, False, 401), (False, True, 401)]
)
def test_view__opens_to_staff_who_may_see_audits(
    client: Client, staff: bool, allowed: bool, status: int
) -> None:
    user = User.objects.create_user("somebody", is_staff=staff)
    if allowed:
        user.user_permissions.add(Permission.objects.get(codename="view_audit"))
    client.force_login(user)

    assert client.get("/imagesync/metrics").status_code == status


def test_view__is_closed_to_everybody_else(client: Client, rf: RequestFactory) -> None:
    request = rf.get("/metrics")
    request.user = AnonymousUser()

    assert metrics_view(request).status_code == 401
    assert client.get("/imagesync/metrics").status_code == 401
    assert client.post("/imagesync/metrics").status_code == 405


@pytest.mark.parametrize("token", ["short", "with spaces in between", 17, None, "ä" * 20])
def test_token__a_bad_one_is_a_system_check_that_does_not_repeat_it(token: Any) -> None:
    with override_settings(IMAGESYNC={"METRICS_TOKEN": token}):
        [problem] = [one for one in run_checks(tags=["imagesync"]) if one.id == "imagesync.E001"]

    assert "METRICS_TOKEN" in problem.msg
    assert str(token) not in problem.msg


def test_figures__are_of_the_store_that_the_project_names(s3: EmbeddedS3) -> None:
    """Every field of the project appears, so that an alert is resolved by a nought and not by silence."""
    make_images("a.jpg")
    run("check_s3_images")

    labels = {target.label for source in find_sources() for target in source.targets}
    assert set(values(told()["imagesync_orphans"], "field")) == labels
