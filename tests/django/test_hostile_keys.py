"""Keys that attack whoever reads them, and names that are no text: whole, escaped, harmless, never the end."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection

from imagesync.audit import finding_rows
from imagesync.models import Audit, Finding, Image
from imagesync.records import Scope
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.helpers import audited, make_images, run

HOSTILE = {
    "html": "<script>alert(1)</script>.jpg",
    "attribute": 'x" onerror="alert(1).jpg',
    "template": "{{ settings.SECRET_KEY }}{% now 'Y' %}.jpg",
    "formula": "=cmd|' /C calc'!A0.jpg",
    "formula behind a plus": "+1+1.jpg",
    "formula behind an at": "@SUM(1+1).jpg",
    "escape": "\x1b[2J\x1b[31mred.jpg",
    "title of the terminal": "\x1b]0;owned\x07.jpg",
    "tab": "\ttab.jpg",
    "c1 control": "a\x9b31mb.jpg",
    "bidi": "photo\u202egpj.exe",
    "zero width": "a\u200bb\ufeff.jpg",
    "line separators": "a\u2028b\u2029c.jpg",
    "percent": "%s%d%n %(key)s {0}.jpg",
    "pipe and star": "a | b * c ` d.jpg",
    "astral": "\U0001f600.jpg",
    "decomposed": "u\u0308.jpg",
    "1,024 bytes": "ü" * 510 + ".jpg",
}
HARMFUL = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x200B, 0xFEFF, 0x2028, 0x2029)]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hostile(s3: EmbeddedS3) -> Any:
    s3.put(BUCKET, "there.jpg")
    make_images("there.jpg", *HOSTILE.values())
    return s3


@pytest.mark.parametrize("format", ["text", "markdown", "csv"])
def test_report__shows_hostile_keys_escaped(hostile: Any, format: str) -> None:
    code, out, err = run("check_s3_images", "--format", format, "--limit", "100")

    assert code == 3
    for text in (out, err):
        assert not [one for one in HARMFUL if one in text.replace("\r\n", "").replace("\n", "")]
    assert out.count(".jpg") + out.count("gpj.exe") >= len(HOSTILE)


def test_report__as_csv_starts_no_cell_with_a_formula(hostile: Any) -> None:
    _code, out, _err = run("check_s3_images", "--format", "csv")

    cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]

    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")]


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_report__as_json_has_every_hostile_key_whole(hostile: Any, format: str) -> None:
    _code, out, _err = run("check_s3_images", "--format", format)

    lines = [json.loads(line) for line in (out.splitlines() if format == "ndjson" else [out])]
    findings = lines[0]["findings"] if format == "json" else lines
    assert {one["key"] for one in findings if "key" in one} == set(HOSTILE.values())


def test_plan__shows_hostile_keys_escaped_and_as_json_whole(hostile: Any) -> None:
    _code, text, err = run("purge_orphans", "--dry-run", "--max-ratio", "1")
    _code, document, _err = run("purge_orphans", "--dry-run", "--max-ratio", "1", "--format", "json")

    for told in (text, err):
        assert not [one for one in HARMFUL if one in told.replace("\n", "")]
    plan = json.loads(document)
    # the error document of a key with an escape character is no XML, so nothing is proven of that key
    unproven = {key for key in HOSTILE.values() if "\x1b" in key}
    assert {one["key"] for one in (*plan["delete"], *plan["keep"])} == set(HOSTILE.values()) - unproven


def test_admin__shows_hostile_keys_escaped(hostile: Any, admin_client: Any) -> None:
    run("check_s3_images")
    audit = Audit.objects.get()

    for path in ("image/", "finding/", f"audit/{audit.pk}/change/"):
        page = admin_client.get(f"/admin/imagesync/{path}").content.decode()
        assert "<script>alert(1)" not in page
        assert 'onerror="alert(1)' not in page
        assert "\u202e" not in page or path == "image/"  # the field's own text, escaped as HTML


# -- names that are no text --------------------------------------------------------------------------------

only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="only SQLite stores bytes that are no text"
)


def spoil(image: Image, name: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE imagesync_image SET file = CAST(%s AS TEXT) WHERE id = %s", [name, image.pk])


@only_sqlite
@pytest.mark.parametrize("strategy", ["list", "head"])
def test_audit__reports_a_name_that_is_no_text_and_goes_on(s3: EmbeddedS3, strategy: str) -> None:
    from imagesync.records import find_sources

    for key in ("a.jpg", "z.jpg", "é.jpg"):
        s3.put(BUCKET, key)
    rows = make_images("a.jpg", "1", "2", "3", "m.jpg", "z.jpg", "é.jpg")
    spoil(rows[1], b"\x80first.jpg")
    spoil(rows[2], b"b\xff.jpg")
    spoil(rows[3], "\U0001f600".encode() + b"\xfe.jpg")
    source = find_sources(fields=["imagesync.Image.file"])[0]

    first = audited(source, strategy=strategy)
    again = audited(source, strategy=strategy)

    for audit in (first, again):
        assert audit.counts["records"] == 7
        assert {one["key"]: one["reason"] for one in finding_rows(audit)} == {
            "\\x80first.jpg": "unsendable_key",
            "b\\xff.jpg": "unsendable_key",
            "m.jpg": "",
            "\U0001f600\\xfe.jpg": "unsendable_key",
        }
    assert not Finding.objects.filter(opened_by=again).exists(), "nothing changed, so nothing is new"


@only_sqlite
def test_audit__of_one_record_whose_name_is_no_text(s3: EmbeddedS3) -> None:
    from imagesync.records import find_sources

    (row,) = make_images("1")
    spoil(row, b"b\xff.jpg")

    audit = audited(find_sources()[0], Scope(ids=(("imagesync.Image", str(row.pk)),)))

    assert [one["reason"] for one in finding_rows(audit)] == ["unsendable_key"]


@only_sqlite
def test_purge__goes_on_beside_a_name_that_is_no_text(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    rows = make_images("a.jpg", "1", "m.jpg")
    spoil(rows[1], b"b\xff.jpg")

    code, _out, err = run("purge_orphans", "--no-input", "--max-ratio", "1")

    assert code == 0, err
    assert set(Image.objects.values_list("pk", flat=True)) == {rows[0].pk, rows[1].pk}


@only_sqlite
def test_doctor__goes_on_beside_a_name_that_is_no_text(s3: EmbeddedS3) -> None:
    s3.put(BUCKET, "a.jpg")
    rows = make_images("a.jpg", "1")
    spoil(rows[1], b"b\xff.jpg")

    _code, out, err = run("imagesync_doctor")

    assert "An object of imagesync.Image.file answers GetObject." in out, err


@only_sqlite
def test_resume__right_behind_a_name_that_is_no_text_of_a_model_with_a_uuid(s3: EmbeddedS3) -> None:
    from imagesync.records import RecordChunks, find_sources
    from tests.testapp.models import Document

    document = Document.objects.create(document="1")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_document SET document = CAST(%s AS TEXT)", [b"b\xff.jpg"])
    source = find_sources()[0]
    (chunk,) = RecordChunks(source, Scope()).between()
    record = chunk.record(0)

    behind = RecordChunks(source, Scope()).between(after=(record.key, record.target.label, str(document.pk)))

    assert not record.readable
    assert list(behind) == []


def test_debug__of_a_pk_that_is_no_text_is_wrong_usage(s3: EmbeddedS3) -> None:
    code, _out, err = run("debug_s3_image", "--id", "sessions.Session:\udcff")

    assert code == 2
    assert "no Unicode" in err
