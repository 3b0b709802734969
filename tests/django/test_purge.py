from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.utils import timezone

from imagesync.core.plans import Limits
from imagesync.core.verdicts import Evidence
from imagesync.exceptions import AlreadyRunning, PurgeRefused
from imagesync.models import Audit, Finding, Image, Purge, Tombstone
from imagesync.purge import execute as execution
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings
from imagesync.purge.restore import execute_restore, preview_restore, restorable
from imagesync.purge.tally import Tally
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import age_findings, audited, make_images, plan
from tests.testapp.models import Album, Contract, Cover, Document, Product, ProductImage, TwoFiles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half(four_of_seven: tuple[MemoryStore, Source]) -> tuple[MemoryStore, Source]:
    """Four present, three missing, audited."""
    audited(four_of_seven[1])
    return four_of_seven


def left() -> list[str]:
    return sorted(Image.objects.values_list("file", flat=True))


def why_kept(purge: Purge) -> dict[str, str]:
    return {entry["key"]: entry["why"] for entry in purge.plan["keep"]}


def test_purge__deletes_what_is_proven_missing_and_keeps_a_tombstone(half: Any) -> None:
    _store, source = half

    purge = execute_plan(plan(source), source)

    assert left() == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert purge.counts == {"planned": 3, "deleted": 3, "cleared": 0, "kept": 0}
    assert {stone.key for stone in Tombstone.objects.all()} == {"x.jpg", "y.jpg", "z.jpg"}
    assert all(stone.evidence["code"] == "NoSuchKey" for stone in Tombstone.objects.all())
    assert not Finding.objects.open().exists()


def test_purge__a_plan_is_executed_once(half: Any) -> None:
    _store, source = half
    purge = execute_plan(plan(source), source)

    with pytest.raises(AlreadyRunning, match="executed once"):
        execute_plan(purge, source)


def test_purge__an_object_that_came_back_keeps_its_record(half: Any) -> None:
    store, source = half
    purge = plan(source)
    store.put("y.jpg")

    execute_plan(purge, source)

    assert "y.jpg" in left()
    assert why_kept(purge) == {"y.jpg": "it is present now"}


def test_purge__stores_what_it_kept_also_when_the_database_refused_the_batch_once(
    half: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = half
    purge = plan(source)
    store.put("x.jpg")
    write, refusals = Tally.write, [IntegrityError("a deferred constraint")]

    def refused_once(tally: Tally) -> None:
        write(tally)
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(Tally, "write", refused_once)
    execute_plan(purge, source)

    purge.refresh_from_db()
    assert purge.counts == {"planned": 3, "deleted": 2, "cleared": 0, "kept": 1}
    assert why_kept(purge) == {"x.jpg": "it is present now"}


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (403, "AccessDenied", "denied"),
        (503, "SlowDown", "throttled"),
        (404, "NoSuchBucket", "no_bucket"),
        (404, "", "bare_404"),
        (None, "ReadTimeoutError", "timed_out"),
    ],
)
def test_purge__anything_but_no_such_key_keeps_the_record(
    half: Any, status: int | None, code: str, why: str
) -> None:
    store, source = half
    purge = plan(source)
    store.fail("GetObject", status, code, key="y.jpg")

    execute_plan(purge, source)

    assert left() == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "y.jpg"]
    assert why in why_kept(purge)["y.jpg"]


def test_purge__a_store_that_turns_unfit_during_it_stops_it(
    half: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "BATCH", 1)
    store, source = half
    purge = plan(source)
    answers = iter([Evidence(operation="HeadBucket", status=200)] * 2)
    store.head_bucket = lambda: next(answers, Evidence(operation="HeadBucket", status=404, code="404"))

    with pytest.raises(PurgeRefused, match="Deleted so far: 1"):
        execute_plan(purge, source)

    purge.refresh_from_db()
    assert purge.state == "interrupted"
    assert len(left()) == 6
    assert Tombstone.objects.count() == 1


def test_purge__a_store_unfit_after_the_looks_deletes_nothing(half: Any) -> None:
    store, source = half
    purge = plan(source)
    answers = iter([Evidence(operation="HeadBucket", status=200)])
    store.head_bucket = lambda: next(answers, Evidence(operation="HeadBucket", status=404, code="404"))

    with pytest.raises(PurgeRefused):
        execute_plan(purge, source)

    assert len(left()) == 7
    assert not Tombstone.objects.exists()


def test_purge__versioning_that_is_switched_on_between_the_looks_and_the_check_keeps_the_batch(
    half: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for versions, and by now one may lie under a delete marker that the server does not tell of."""
    monkeypatch.setattr(execution, "BATCH", 1)
    store, source = half
    purge = plan(source)
    answers = iter(["off", "off"])
    monkeypatch.setattr(store, "versioning", lambda: next(answers, "enabled"))

    execute_plan(purge, source)

    why = (
        "the bucket's versioning was off when it was looked at and is enabled now; the next purge looks anew"
    )
    assert why_kept(purge) == {"y.jpg": why}
    assert purge.counts == {"planned": 3, "deleted": 2, "cleared": 0, "kept": 1}


@pytest.mark.parametrize(
    ("before", "after"), [("enabled", "suspended"), ("unknown", "off"), ("enabled", "off")]
)
def test_purge__versioning_that_changes_where_versions_were_asked_for_keeps_nothing(
    half: Any, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    store, source = half
    purge = plan(source)
    answers = iter([before])
    monkeypatch.setattr(store, "versioning", lambda: next(answers, after))

    assert execute_plan(purge, source).counts["deleted"] == 3


def test_purge__a_name_changed_since_the_audit_keeps_the_record(half: Any) -> None:
    _store, source = half
    purge = plan(source)
    Image.objects.filter(file="y.jpg").update(file="new.jpg")

    execute_plan(purge, source)

    assert "new.jpg" in left()
    assert why_kept(purge)["y.jpg"] == "its stored name changed since the audit"
    again = plan(source)
    assert why_kept(again)["y.jpg"] == "its stored name changed since the audit"


def test_purge__a_record_protected_by_a_relation_stays(half: Any) -> None:
    _store, source = half
    Contract.objects.create(image=Image.objects.get(file="y.jpg"))

    purge = execute_plan(plan(source), source)

    assert "y.jpg" in left()
    assert "testapp.Contract" in why_kept(purge)["y.jpg"]


def test_purge__young_records_stay(half: Any) -> None:
    _store, source = half
    Image.objects.filter(file="y.jpg").update(created_at=timezone.now())

    purge = plan(source)

    assert "grace period" in why_kept(purge)["y.jpg"]
    assert purge.counts["planned"] == 2
    assert plan(source, grace_period=timedelta(0)).counts["planned"] == 3


def test_purge__cascades_go_along_and_come_back_row_for_row(half: Any) -> None:
    _store, source = half
    orphan = Image.objects.get(file="y.jpg")
    product = Product.objects.create(name="house")
    ProductImage.objects.create(image=orphan, product=product, position=1)
    album = Album.objects.create(title="album")
    album.images.add(orphan, Image.objects.get(file="a.jpg"))
    cover = Cover.objects.create(image=orphan, title="cover")
    before = dump()
    purge = plan(source, max_ratio=1.0)
    [entry] = [one for one in purge.plan["delete"] if one["key"] == "y.jpg"]
    assert entry["cascades"] == {"testapp.Album_images": 1, "testapp.Cover": 1, "testapp.ProductImage": 1}

    execute_plan(purge, source)
    cover.refresh_from_db()
    assert cover.image_id is None
    assert not ProductImage.objects.exists()

    outcome = execute_restore(purge, restorable(purge), restored_by="test")
    assert (len(outcome.records), outcome.conflicts, outcome.notes) == (3, [], [])
    assert dump() == before


def dump() -> dict[str, Any]:
    marks = {"verdict", "verdict_at", "missing_since"}
    return {
        model.__name__: [
            {name: value for name, value in row.items() if name not in marks}
            for row in model._base_manager.order_by("pk").values()
        ]
        for model in (Image, Product, ProductImage, Album, Album.images.through, Cover)
    }


def test_restore__conflicts_are_reported_and_nothing_is_overwritten(half: Any) -> None:
    _store, source = half
    purge = execute_plan(plan(source), source)
    taken = Tombstone.objects.get(key="y.jpg").object_pk
    Image.objects.create(pk=taken, file="somebody-elses.jpg")

    shown = preview_restore(purge, restorable(purge))
    assert len(shown.records) == 2
    assert Image.objects.count() == 5
    outcome = execute_restore(purge, restorable(purge), restored_by="test")

    assert [stone.key for stone, _conflicts in outcome.conflicts] == ["y.jpg"]
    assert Image.objects.get(pk=taken).file.name == "somebody-elses.jpg"
    assert len(restorable(purge)) == 1


def test_restore__starts_again_as_unchecked_and_is_not_purged_unattended_again(half: Any) -> None:
    _store, source = half
    purge = execute_plan(plan(source), source)
    execute_restore(purge, restorable(purge), restored_by="test")
    assert set(
        Image.objects.filter(file__in=["x.jpg", "y.jpg", "z.jpg"]).values_list("verdict", flat=True)
    ) == {"unchecked"}

    audited(source)
    age_findings(timedelta(days=30))

    assert plan(source).counts["planned"] == 3
    unattended = plan(source, unattended=True)
    assert unattended.counts["planned"] == 0
    assert set(why_kept(unattended).values()) == {"it was restored before, so only people may purge it again"}


def test_purge__unattended_needs_two_audits_apart(half: Any) -> None:
    _store, source = half
    assert "no two audits" in why_kept(plan(source, unattended=True))["y.jpg"]
    age_findings(timedelta(hours=25))

    assert plan(source, unattended=True).counts["planned"] == 3


def test_purge__where_the_same_address_leads_to_an_empty_store_deletes_nothing(half: Any) -> None:
    """The store is fit there and confirms each absence; of what the audit saw present there is nothing either."""
    store, source = half
    purge = plan(source)
    assert purge.state == "planned"
    for image in Image.objects.all():
        store.delete(image.file.name)

    with pytest.raises(PurgeRefused) as refused:
        execute_plan(purge, source)

    assert refused.value.id == "collapse"
    purge.refresh_from_db()
    assert (purge.state, purge.counts["deleted"]) == ("interrupted", 0)
    assert Image.objects.count() == 7


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (403, "AccessDenied"), (None, "ReadTimeoutError")]
)
def test_purge__where_nothing_is_and_one_look_failed_deletes_nothing(
    half: Any, status: int | None, code: str
) -> None:
    """One that could not be looked at is no sign that this is the store of the audit."""
    store, source = half
    purge = plan(source)
    for image in Image.objects.all():
        store.delete(image.file.name)
    store.fail("HeadObject", status, code, key="a.jpg")
    store.fail("GetObject", status, code, key="a.jpg")

    with pytest.raises(PurgeRefused, match="3 are gone, 1 could not be looked at") as refused:
        execute_plan(purge, source)

    assert refused.value.id == "not_seen_again"
    purge.refresh_from_db()
    assert (purge.state, purge.counts["deleted"]) == ("interrupted", 0)
    assert Image.objects.count() == 7


def test_purge__goes_on_when_one_of_those_seen_present_is_seen_again(half: Any) -> None:
    store, source = half
    purge = plan(source)
    store.delete("a.jpg")
    store.fail("HeadObject", 503, "SlowDown", key="b.jpg")
    store.fail("GetObject", 503, "SlowDown", key="b.jpg")
    store.put("c.jpg", size_bytes=0)
    store.delete("d.jpg")

    assert execute_plan(purge, source).counts["deleted"] == 3


def test_purge__of_an_audit_that_kept_no_canaries_deletes_nothing_unless_they_are_off(
    half: Any, settings: Any
) -> None:
    _store, source = half
    purge, second = plan(source), plan(source)
    Audit.objects.update(canaries=[])
    purge.refresh_from_db()
    second.refresh_from_db()

    with pytest.raises(PurgeRefused, match="kept none of the records") as refused:
        execute_plan(purge, source)

    assert refused.value.id == "not_seen_again"
    assert Image.objects.count() == 7
    settings.IMAGESYNC = {**settings.IMAGESYNC, "CANARIES": 0}
    assert execute_plan(second, source).counts["deleted"] == 3


@pytest.mark.parametrize("all_missing", ["", "BUCKET"])
def test_purge__whose_audit_was_removed_deletes_nothing(half: Any, all_missing: str) -> None:
    store, source = half
    bucket = source.store.identity.bucket
    purge = plan(source, **({"all_missing": bucket} if all_missing else {}))
    Audit.objects.all().delete()
    purge.refresh_from_db()
    for image in Image.objects.all():
        store.delete(image.file.name)

    with pytest.raises(PurgeRefused, match="was removed since") as refused:
        execute_plan(purge, source)

    assert refused.value.id == "audit_gone"
    assert Image.objects.count() == 7


def test_purge__rails_refuse_before_anything_is_touched(half: Any) -> None:
    _store, source = half
    Image.objects.filter(file__in=["a.jpg", "b.jpg"]).delete()
    make_images("w.jpg", "v.jpg")
    audited(source)

    purge = plan(source)

    assert purge.state == "refused"
    assert purge.refused is not None
    assert purge.refused["id"] == "max_ratio"
    with pytest.raises(PurgeRefused):
        execute_plan(purge, source)
    assert Image.objects.count() == 7


def test_purge__a_collapse_needs_the_buckets_name(half: Any) -> None:
    store, source = half
    for key in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        store.delete(key)
    audited(source)

    assert plan(source).refused["id"] == "collapse"
    assert plan(source, all_missing="wrong").refused["id"] == "wrong_bucket_typed"
    lifted = plan(source, all_missing="memory")
    assert lifted.refused is None
    assert execute_plan(lifted, source).counts["deleted"] == 7


def test_purge__one_at_a_time_and_a_dead_one_is_taken_for_dead(half: Any) -> None:
    _store, source = half
    first, second = plan(source), plan(source)
    Purge.objects.filter(pk=first.pk).update(
        state="running",
        lease_owner="somebody",
        lease_until=timezone.now() + timedelta(seconds=60),
        started_at=timezone.now(),
    )
    with pytest.raises(PurgeRefused, match="Another purge"):
        execute_plan(second, source)
    assert plan(source).refused["id"] == "purge_running"

    Purge.objects.filter(pk=first.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert execute_plan(second, source).counts["deleted"] == 3
    first.refresh_from_db()
    assert first.state == "interrupted"


def test_purge__a_lost_lease_rolls_the_batch_back(half: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _store, source = half
    purge = plan(source)
    honest = execution.look_all

    def stolen(*args: Any, **kwargs: Any) -> Any:
        yield from honest(*args, **kwargs)
        Purge.objects.filter(pk=purge.pk).update(lease_owner="a thief")

    monkeypatch.setattr(execution, "look_all", stolen)

    with pytest.raises(AlreadyRunning):
        execute_plan(purge, source)

    assert len(left()) == 7
    assert not Tombstone.objects.exists()


def test_purge__the_policy_decides(memory_source: MakeSource, settings: Any) -> None:
    settings.IMAGESYNC = {
        **settings.IMAGESYNC,
        "FIELDS": {
            "testapp.Product.photo": "clear",
            "testapp.Document.document": "report",
            "testapp.TwoFiles.file": {"policy": "delete", "age_field": "uploaded_at"},
        },
    }
    store, source = memory_source()
    make_images(*(f"{number}.jpg" for number in range(10)))
    for number in range(10):
        store.put(f"{number}.jpg")
    old = timezone.now() - timedelta(days=9)
    product = Product.objects.create(name="house", photo="gone-photo.jpg")
    Document.objects.create(document="gone.pdf")
    young = TwoFiles.objects.create(file="gone-young.jpg", uploaded_at=timezone.now())
    both = TwoFiles.objects.create(file="gone-file.jpg", thumbnail="there.jpg", uploaded_at=old)
    store.put("there.jpg")
    audited(source)
    age_findings(timedelta(hours=2))

    purge = plan(source)

    assert [(one["key"], one["action"]) for one in purge.plan["delete"]] == [("gone-photo.jpg", "clear")]
    why = why_kept(purge)
    assert why["gone.pdf"] == 'the policy of its field is "report"'
    assert "grace period" in why["gone-young.jpg"]
    assert "TwoFiles.thumbnail, names an object that is not proven missing" in why["gone-file.jpg"]

    execute_plan(purge, source)
    product.refresh_from_db()
    assert product.photo.name == ""
    execute_restore(purge, restorable(purge), restored_by="test")
    product.refresh_from_db()
    assert product.photo.name == "gone-photo.jpg"

    store.delete("there.jpg")
    audited(source)
    age_findings(timedelta(hours=2))
    assert "gone-file.jpg" in [one["key"] for one in plan(source).plan["delete"]]
    execute_plan(plan(source), source)
    assert not TwoFiles.objects.filter(pk=both.pk).exists()
    assert TwoFiles.objects.filter(pk=young.pk).exists()


def test_purge__another_file_that_comes_back_keeps_the_record(
    memory_source: MakeSource, settings: Any
) -> None:
    settings.IMAGESYNC = {**settings.IMAGESYNC, "FIELDS": {"testapp.TwoFiles.file": "delete"}}
    store, source = memory_source()
    make_images("1.jpg", "2.jpg", "3.jpg")
    for number in range(1, 4):
        store.put(f"{number}.jpg")
    TwoFiles.objects.create(file="f.jpg", thumbnail="t.jpg")
    audited(source)
    purge = plan(source, grace_period=timedelta(0))
    assert [one["key"] for one in purge.plan["delete"]] == ["f.jpg"]
    store.put("t.jpg")

    execute_plan(purge, source)

    assert TwoFiles.objects.count() == 1
    assert "not proven missing" in why_kept(purge)["f.jpg"]


def test_purge__a_blocking_receiver_keeps_the_record(half: Any, settings: Any) -> None:
    from django.db.models.signals import post_delete

    _store, source = half
    path = f"{__name__}.{receiver.__qualname__}"
    post_delete.connect(receiver, sender=Image)
    try:
        assert path in plan(source).plan["receivers"]
        settings.IMAGESYNC = {**settings.IMAGESYNC, "BLOCKING_RECEIVERS": [path]}
        assert plan(source).counts["planned"] == 0
    finally:
        post_delete.disconnect(receiver, sender=Image)


def receiver(**kwargs: Any) -> None:
    """A project's own post_delete receiver."""


def test_limits__come_from_the_settings(settings: Any) -> None:
    settings.IMAGESYNC = {
        "MAX_PURGE_RATIO": "5%",
        "MAX_PURGE_FREE": 7,
        "GRACE_PERIOD": "3d",
        "AUDIT_MAX_AGE": "2h",
    }

    assert limits_from_settings() == Limits(
        max_ratio=0.05, max_free=7, grace_period=timedelta(days=3), audit_max_age=timedelta(hours=2)
    )


def test_purge__rests_on_the_newest_audit_even_if_that_is_not_to_be_believed(half: Any) -> None:
    store, source = half
    store.fail("HeadBucket", 404, "404")
    audited(source)
    store.answer("HeadBucket", None, None)

    assert plan(source).refused["id"] == "audit_untrustworthy"
    assert Audit.objects.count() == 2


def test_migrations__are_complete() -> None:
    call_command("makemigrations", "imagesync", check=True, dry_run=True, verbosity=0)
