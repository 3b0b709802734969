"""Audits look first at what visitors could not read, say what they found, and end the reports that they answered."""

from __future__ import annotations

import io
import json
import shlex
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from imagesync.audit import audit_document, carry_out, failed_reads, finding_rows, open_audit
from imagesync.core.verdicts import Evidence
from imagesync.models import Audit, FailedRead, Image
from imagesync.records import Scope, find_sources, report_failed_read
from imagesync.records.named import owner_of
from imagesync.reports import write_audits
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, MakeSource
from tests.django.helpers import audited, client_error, make_images, only, run, verdicts
from tests.testapp.models import Document, Product

# a report is written after the transaction under way, so these tests must not be one
pytestmark = pytest.mark.django_db(transaction=True)


def text_of(audit: Audit, format: str = "text") -> str:
    out = io.StringIO()
    write_audits(out, format, [(audit_document(audit), finding_rows(audit))])
    return out.getvalue()


def found(audit: Audit) -> dict[str, str]:
    """Key -> verdict of the failed reads that an audit looked at first."""
    audit.refresh_from_db()
    return {entry["key"]: entry["verdict"] for entry in audit.failed_reads["records"]}


def test_audit__looks_first_at_what_was_reported(s3: EmbeddedS3) -> None:
    *_, last = make_images(*(f"{number}.jpg" for number in range(5)), "z.jpg")
    s3.put(BUCKET, "0.jpg")
    report_failed_read(last)
    s3.requests.clear()

    audit = audited(find_sources()[0], strategy="head")

    keys = [
        (method, path.rpartition("/")[2])
        for method, path, _query, _status in s3.requests
        if path.endswith(".jpg")
    ]
    assert keys[0] == ("GET", "z.jpg")
    assert {key for _method, key in keys} == {*(f"{number}.jpg" for number in range(5)), "z.jpg"}
    assert found(audit) == {"z.jpg": "missing"}
    assert verdicts()["z.jpg"] == "missing"


def test_audit__reports_what_it_found_and_a_hint_for_what_is_there(memory_source: MakeSource) -> None:
    store, source = memory_source()
    images = make_images("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    for key in ("c.jpg", "d.jpg"):
        store.put(key)
    for image in images[:3]:
        report_failed_read(image, error=client_error("AccessDenied"))

    audit = audited(source)

    text = text_of(audit)
    assert "  3 reported failed reads: 2 missing, 1 present\n" in text
    hint = f"imagesync.Image:{images[2].pk} is present, yet visitors could not read it (AccessDenied): run debug_s3_image c.jpg"
    assert hint in text
    assert text.count("yet visitors") == 1
    document = json.loads(text_of(audit, "json"))["failed_reads"]
    assert (document["looked_at"], document["counts"]) == (3, {"missing": 2, "present": 1})
    assert {entry["key"]: entry["code"] for entry in document["records"]} == dict.fromkeys(
        ("a.jpg", "b.jpg", "c.jpg"), "AccessDenied"
    )
    assert "- 3 reported failed reads: 2 missing, 1 present" in text_of(audit, "markdown")
    assert audit.counts["records"] == 4


def test_audit__says_nothing_where_nothing_was_reported(memory_source: MakeSource) -> None:
    store, source = memory_source()
    make_images("a.jpg")
    store.put("a.jpg")

    assert "failed read" not in text_of(audited(source))


@pytest.mark.parametrize(
    "key", ["$(reboot).jpg", "-rf", "a\x1b[31m.jpg", "it's; rm.jpg", "\u202egpj.exe", "a\\b.jpg", "a|b`c.jpg"]
)
def test_audit__a_hostile_key_in_the_hint_is_harmless_to_read_and_to_paste(
    key: str, memory_source: MakeSource
) -> None:
    store, source = memory_source()
    (image,) = make_images(key)
    store.put(key)
    report_failed_read(image)

    text = text_of(audited(source))

    assert not {"\x1b", "\u202e"} & set(text)
    if key == "a\\b.jpg":
        assert "1 reported failed read: 1 ambiguous" in text
        return
    command = text.partition("run ")[2].splitlines()[0]
    as_it_stands = key.isprintable() and not key.startswith("-")
    argument = [key] if as_it_stands else ["--id", f"imagesync.Image:{image.pk}"]
    assert shlex.split(command) == ["debug_s3_image", *argument]


def test_report__is_over_when_an_audit_has_judged_its_record(memory_source: MakeSource) -> None:
    store, source = memory_source()
    gone, there, deleted = make_images("gone.jpg", "there.jpg", "deleted.jpg")
    store.put("there.jpg")
    for image in (gone, there, deleted):
        report_failed_read(image)
    deleted.delete()

    audited(source)

    assert not FailedRead.objects.exists()


def test_report__stays_when_its_record_could_not_be_looked_at(memory_source: MakeSource) -> None:
    store, source = memory_source()
    gone, denied, _there = make_images("gone.jpg", "denied.jpg", "there.jpg")
    store.put("there.jpg")
    store.fail("GetObject", 403, "AccessDenied", key="denied.jpg")
    for image in (gone, denied):
        report_failed_read(image)

    audit = audited(source)

    assert found(audit) == {"gone.jpg": "missing", "denied.jpg": "denied"}
    assert [one.key for one in FailedRead.objects.all()] == ["denied.jpg"]


def test_report__stays_when_it_came_again_while_the_audit_ran(memory_source: MakeSource) -> None:
    store, source = memory_source()
    again, _there = make_images("again.jpg", "there.jpg")
    store.put("there.jpg")
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        report_failed_read(again)
    audit = open_audit(source, Scope())
    report_failed_read(again)

    carry_out(audit, source)

    assert FailedRead.objects.get().times == 2


@pytest.mark.parametrize(
    ("scope", "judged"),
    [
        (Scope(prefix="b/"), {"b/2.jpg"}),
        (Scope(keys=("a/1.jpg",)), {"a/1.jpg"}),
        (Scope(fields=("testapp.Product.photo",)), {"b/3.jpg"}),
        (Scope(), {"a/1.jpg", "b/2.jpg", "b/3.jpg"}),
    ],
    ids=["prefix", "key", "field", "all"],
)
def test_audit__of_a_part_looks_at_and_ends_the_reports_of_that_part(
    scope: Scope, judged: set[str], memory_source: MakeSource
) -> None:
    store, source = memory_source()
    images = make_images("a/1.jpg", "b/2.jpg")
    product = Product.objects.create(name="chair", photo="b/3.jpg")
    for image in images:
        report_failed_read(image)
    report_failed_read(product, "photo")
    for key in ("a/1.jpg", "b/2.jpg", "b/3.jpg"):
        store.put(key)
    if scope.prefix:
        judged = judged | {"b/3.jpg"}
    if scope.fields:
        source = only(source, *scope.fields)

    audit = audited(source, scope)

    assert set(found(audit)) == judged
    assert {one.key for one in FailedRead.objects.all()} == {"a/1.jpg", "b/2.jpg", "b/3.jpg"} - judged


def test_audit__of_a_single_record_by_pk_looks_at_its_report_alone(memory_source: MakeSource) -> None:
    store, source = memory_source()
    document = Document.objects.create(document="d/1.pdf")
    other = Document.objects.create(document="d/2.pdf")
    store.put("d/1.pdf")
    for one in (document, other):
        report_failed_read(one, "document")

    audit = audited(source, Scope(ids=(("testapp.Document", str(document.pk)),)))

    assert found(audit) == {"d/1.pdf": "present"}
    assert [one.key for one in FailedRead.objects.all()] == ["d/2.pdf"]


def test_audit__does_not_look_first_at_a_file_that_was_replaced_since(memory_source: MakeSource) -> None:
    store, source = memory_source()
    (image,) = make_images("old.jpg")
    report_failed_read(image)
    Image.objects.update(file="new.jpg")
    store.put("new.jpg")

    audit = audited(source)

    assert found(audit) == {}
    assert "yet visitors" not in text_of(audit)
    assert not FailedRead.objects.exists()


def test_audit__looks_at_a_bounded_number_first_the_newest(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_reads, "LOOKED_AT_FIRST", 3)
    store, source = memory_source()
    for number, image in enumerate(make_images(*(f"{number}.jpg" for number in range(6)))):
        store.put(f"{number}.jpg")
        with time_machine.travel(timezone.now() - timedelta(hours=number + 1)):
            report_failed_read(image)

    audit = audited(source)

    assert set(found(audit)) == {"0.jpg", "1.jpg", "2.jpg"}
    assert not FailedRead.objects.exists()


def test_audit__an_unfit_store_looks_at_nothing_and_ends_no_report(memory_source: MakeSource) -> None:
    store, source = memory_source()
    (image,) = make_images("a.jpg")
    report_failed_read(image)
    store.fail("HeadBucket", 404, "404")

    audit = audited(source)

    assert (audit.trust, audit.failed_reads) == ("untrustworthy", {})
    assert verdicts() == {"a.jpg": "unchecked"}
    assert FailedRead.objects.count() == 1


def test_audit__a_store_unfit_afterwards_believes_no_absence_here_either(memory_source: MakeSource) -> None:
    store, source = memory_source()
    gone, there = make_images("gone.jpg", "there.jpg")
    store.put("there.jpg")
    for image in (gone, there):
        report_failed_read(image)
    answers = iter([store.head_bucket()])
    store.head_bucket = lambda: next(answers, Evidence(operation="HeadBucket", status=404, code="404"))  # type: ignore[method-assign]

    audit = audited(source)

    assert found(audit) == {"gone.jpg": "unknown", "there.jpg": "present"}
    assert audit.failed_reads["counts"] == {"present": 1, "unknown": 1}
    assert FailedRead.objects.count() == 2


def test_audit__where_everything_is_gone_ends_no_report(memory_source: MakeSource) -> None:
    store, source = memory_source()
    images = make_images("a.jpg", "b.jpg")
    for key in ("a.jpg", "b.jpg"):
        store.put(key)
    audited(source)
    for key in ("a.jpg", "b.jpg"):
        store.delete(key)
    report_failed_read(images[0])

    audit = audited(source)

    assert audit.reasons[0]["id"] == "collapse"
    assert found(audit) == {"a.jpg": "missing"}
    assert FailedRead.objects.count() == 1


def test_audit__of_another_store_than_the_last_one_ends_no_report(memory_source: MakeSource) -> None:
    first, source = memory_source()
    product = Product.objects.create(name="chair", photo="chair.jpg")
    other = Product.objects.create(name="table", photo="table.jpg")
    for key in ("chair.jpg", "table.jpg"):
        first.put(key)
    audited(source)
    second, source = memory_source(bucket="another")
    second.put("chair.jpg")
    for one in (product, other):
        report_failed_read(one, "photo")

    audit = audited(source)

    assert "store_changed" in {reason["id"] for reason in audit.reasons}
    assert found(audit) == {"chair.jpg": "present", "table.jpg": "missing"}
    assert FailedRead.objects.count() == 2


def test_audit__absence_of_a_record_of_another_store_stays_unknown(memory_source: MakeSource) -> None:
    store, source = memory_source()
    elsewhere, _there = make_images("elsewhere.jpg", "there.jpg")
    store.put("there.jpg")
    Image.objects.filter(pk=elsewhere.pk).update(store="0123456789abcdef", verdict="present")
    report_failed_read(elsewhere)

    audit = audited(source)

    assert found(audit) == {"elsewhere.jpg": "unknown"}
    assert verdicts()["elsewhere.jpg"] == "present"


def test_command__tells_the_failed_reads(s3: EmbeddedS3) -> None:
    gone, _there = make_images("gone.jpg", "there.jpg")
    s3.put(BUCKET, "there.jpg")
    report_failed_read(gone)

    _code, out, _err = run("check_s3_images")

    assert "1 reported failed read: 1 missing" in out


def test_audit__a_report_whose_pk_is_of_an_older_schema_does_not_end_it(s3: EmbeddedS3) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")
    owner, now = owner_of(Document, "document"), timezone.now()
    FailedRead.objects.create(
        content_type=owner.content_type, object_pk="17", field="document", key="x.jpg", first_at=now, last_at=now
    )  # fmt: skip

    code, _out, err = run("check_s3_images")

    assert code == 0, err
