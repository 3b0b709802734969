"""The commands against an S3 behind a real socket: exit codes, the JSON contract, bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from django.test import override_settings

from imagesync.audit import open_audit
from imagesync.core.verdicts import Verdict
from imagesync.management.base import by_command
from imagesync.models import Audit, Image, Purge, Tombstone
from imagesync.records import Scope, find_sources
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import make_images, run, the_incident, verdicts
from tests.django.test_killed import let_leases_run_out

pytestmark = pytest.mark.django_db(transaction=True)

AUDIT_KEYS = {
    "schema", "audit", "started_at", "finished_at", "complete", "scope", "trust", "reasons", "store", "strategy",
    "requests", "counts", "findings",
}  # fmt: skip


@pytest.fixture
def half(s3: EmbeddedS3) -> EmbeddedS3:
    """Twelve records, six objects."""
    return the_incident(s3)


def test_check__json_keeps_the_contract(half: EmbeddedS3) -> None:
    code, out, _err = run("check_s3_images", "--format", "json")

    document = json.loads(out)
    assert code == 3
    assert set(document) >= AUDIT_KEYS
    assert document["schema"] == "imagesync.audit/1"
    assert document["complete"] is True
    assert document["trust"] == "trustworthy"
    assert list(document["store"]) == ["alias", "bucket", "region", "endpoint", "prefix", "fingerprint"]
    assert document["store"]["region"] == "eu-north-1"
    assert set(document["counts"]) == {"records", *Verdict}
    assert (document["counts"]["present"], document["counts"]["missing"]) == (6, 6)
    assert [one["key"] for one in document["findings"]] == [
        f"images/{number:02}.jpg" for number in range(1, 12, 2)
    ]
    first = document["findings"][0]
    assert {"record", "field", "key", "verdict", "evidence"} <= set(first)
    assert first["record"] == f"imagesync.Image:{Image.objects.get(file=first['key']).pk}"
    assert (first["evidence"]["operation"], first["evidence"]["code"]) == ("GetObject", "NoSuchKey")


@pytest.mark.parametrize("format", ["text", "ndjson", "csv", "markdown"])
def test_check__every_format_names_every_missing_key(half: EmbeddedS3, format: str) -> None:
    code, out, _err = run("check_s3_images", "--format", format)

    assert code == 3
    for number in range(1, 12, 2):
        assert f"images/{number:02}.jpg" in out


def test_check__csv_holds_nothing_that_a_spreadsheet_executes(s3: EmbeddedS3) -> None:
    make_images("=cmd|1", "+1", "-1", "@x", "plain.jpg")

    _code, out, _err = run("check_s3_images", "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["key"] for row in rows] == ["'+1", "'-1", "'=cmd|1", "'@x", "plain.jpg"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_check__hostile_keys_stay_on_their_line(s3: EmbeddedS3) -> None:
    make_images("a\nb\x1b[31m.jpg", "\u202egpj.exe", "|pipe`tick`<b>.jpg")

    _code, out, _err = run("check_s3_images")
    _code, table, _err = run("check_s3_images", "--format", "markdown")

    assert "\x1b" not in out + table
    assert "\u202e" not in out + table
    assert r"a\nb\x1b[31m.jpg" in out
    rows = [line for line in table.splitlines() if line.startswith("| `imagesync.Image:")]
    assert len(rows) == 3  # (moto answers a newline with a foreign 404, so that one is unknown)


def test_check__wrong_region_concludes_nothing_and_names_the_line_to_change(half: EmbeddedS3) -> None:
    with override_settings(STORAGES=storages_at(half.url, region_name="us-east-1")):
        forget_default_storage()
        code, out, err = run("check_s3_images", "--format", "json")
        purge_code, _out, _err = run("purge_orphans", "--no-input")
    document = json.loads(out)

    assert (code, purge_code) == (4, 4)
    assert document["trust"] == "untrustworthy"
    assert set(document["counts"].values()) == {0}
    assert document["findings"] == []
    assert document["reasons"][0]["id"] == "wrong_region"
    assert 'AWS_S3_REGION_NAME = "eu-north-1"' in document["reasons"][0]["hint"]
    assert "eu-north-1" in err
    assert set(verdicts().values()) == {"unchecked"}
    assert Image.objects.count() == 12


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bucket_name": "no-such-bucket"}, "no_bucket"),
        ({"access_key": "AKIANOBODY0000000000"}, "bad_credentials"),
        ({"secret_key": "wrong"}, "bad_credentials"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "unreachable"),
    ],
)
def test_check__a_wrong_setting_is_one_clear_reason(
    half: EmbeddedS3, options: dict[str, str], reason: str
) -> None:
    with override_settings(STORAGES=storages_at(half.url, **options)):
        forget_default_storage()
        code, out, _err = run("check_s3_images", "--format", "json")

    document = json.loads(out)
    assert code == 4
    assert document["reasons"][0]["id"] == reason
    assert document["reasons"][0]["hint"]
    assert "wrong" not in out or reason != "bad_credentials"
    assert set(verdicts().values()) == {"unchecked"}


def test_check__under_a_location_keys_are_whole(s3: EmbeddedS3) -> None:
    make_images("a.jpg", "b.jpg")
    s3.put(BUCKET, "media/a.jpg")
    s3.put(BUCKET, "b.jpg")  # beside the location: not what the record names
    with override_settings(STORAGES=storages_at(s3.url, location="media")):
        forget_default_storage()
        code, out, _err = run("check_s3_images", "--format", "json")

    document = json.loads(out)
    assert code == 3
    assert document["store"]["prefix"] == "media/"
    assert [one["key"] for one in document["findings"]] == ["media/b.jpg"]
    assert document["unreferenced"] == 0


def test_check__without_list_permission_nothing_is_missing(half: EmbeddedS3) -> None:
    half.denied[half.access_key] = {"s3:ListBucket"}

    code, out, _err = run("check_s3_images", "--format", "json")

    document = json.loads(out)
    assert code == 4
    assert document["reasons"][0]["id"] == "list_denied"
    assert '"Action": "s3:ListBucket"' in document["reasons"][0]["hint"]
    assert document["counts"]["missing"] == 0


def test_check__sends_no_head_per_record(half: EmbeddedS3) -> None:
    _code, out, _err = run("check_s3_images", "--format", "json")

    requests = json.loads(out)["requests"]
    assert requests["HEAD"] == 0
    assert (requests["GET"], requests["LIST"]) == (6 + 2, 1 + 2)


@pytest.mark.parametrize(
    ("arguments", "records"),
    [
        (["--key", "images/01.jpg", "--key", "images/02.jpg"], 2),
        (["--prefix", "images/0"], 10),
        (["--sample", "5"], 5),
        (["--field", "imagesync.Image.file"], 12),
        (["--storage", "default"], 12),
        (["--strategy", "head"], 12),
        (["--no-mark"], 12),
    ],
)
def test_check__scope(half: EmbeddedS3, arguments: list[str], records: int) -> None:
    code, out, _err = run("check_s3_images", "--format", "json", "--fail-on", "none", *arguments)

    document = json.loads(out)
    assert (code, document["counts"]["records"]) == (0, records)
    assert document["counts"]["missing"] == len(document["findings"])


def test_check__ids_by_label_and_bare(half: EmbeddedS3) -> None:
    first, second = Image.objects.order_by("file")[:2]

    _code, out, _err = run(
        "check_s3_images", "--format", "json", "--id", str(first.pk), "--id", f"imagesync.Image:{second.pk}"
    )

    document = json.loads(out)
    assert (document["counts"]["present"], document["counts"]["missing"]) == (1, 1)
    assert document["strategy"] == "head"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--key", "x" * 1025], 2, "1 to 1,024 bytes"),
        (["--key", ""], 2, "1 to 1,024 bytes"),
        (["--key", "a\0b"], 2, "NUL"),
        (["--key", "images/\udcff"], 2, "not valid Unicode"),
        (["--id", "shop.Nothing:1"], 1, "there is no model"),
        (["--id", "imagesync.Image:banana"], 2, "not a primary key"),
        (["--id", "99999"], 1, "nothing to look at"),
        (["--field", "imagesync.Image.nothing"], 1, "not a file field on S3"),
        (["--storage", "nowhere"], 1, "no storage 'nowhere'"),
        (["--sample", "0"], 2, "from 1 on"),
        (["--sample", "-3"], 2, "from 1 on"),
        (["--fail-on", "banana"], 2, "verdicts"),
        (["--adopt", "banana"], 2, "fingerprint"),
        (["--resume", "99"], 1, "no audit 99"),
        (["--resume"], 1, "nothing to resume"),
        (["--workers", "0"], 2, "--workers"),
        (["--limit", "-1"], 2, "--limit"),
        (["--prefix", "nowhere/"], 1, "nothing to look at"),
    ],
)
def test_check__bad_input_is_one_sentence(
    half: EmbeddedS3, arguments: list[str], code: int, sentence: str
) -> None:
    # as one word, as a shell would hand over an empty or hostile value
    joined = [f"{arguments[0]}={arguments[1]}"] if len(arguments) == 2 else arguments
    got, out, err = run("check_s3_images", *joined)

    assert (got, out) == (code, "")
    assert sentence in err
    assert err.count("\n") <= 1
    assert set(verdicts().values()) == {"unchecked"}


@pytest.mark.parametrize(
    "option",
    [
        "--no-mark",
        "--prefix=images/",
        "--id=1",
        "--key=images/00.jpg",
        "--field=imagesync.Image.file",
        "--storage=default",
        "--sample=2",
        "--strategy=head",
        "--adopt=0123456789abcdef",
    ],
)
def test_check__resume_refuses_what_was_said_when_the_audit_began(half: EmbeddedS3, option: str) -> None:
    audit = open_audit(find_sources()[0], Scope())

    code, out, err = run("check_s3_images", "--resume", str(audit.pk), option)

    assert (code, out) == (2, "")
    assert f"--resume and {option.partition('=')[0]} exclude each other" in err
    audit.refresh_from_db()
    assert not audit.complete
    assert set(verdicts().values()) == {"unchecked"}


def test_check__resume_takes_what_is_about_this_run(half: EmbeddedS3) -> None:
    audit = open_audit(find_sources()[0], Scope())
    let_leases_run_out()

    code, out, _err = run(
        "check_s3_images", "--resume", str(audit.pk), "--workers=2", "--format=json", "--fail-on=none"
    )

    assert (code, json.loads(out)["counts"]["missing"]) == (0, 6)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--max-ratio", "2"], 2, "not a ratio"),
        (["--max-ratio", "nan"], 2, "not a ratio"),
        (["--grace", "banana"], 2, "not a duration"),
        (["--grace", "999999999w"], 2, "longer than a hundred years"),
        (["--grace", "40000d"], 2, "longer than a hundred years"),
        (["--max-delete", "-1"], 2, "--max-delete"),
        (["--audit", "99"], 1, "no audit 99"),
    ],
)
def test_purge__bad_input_is_one_sentence(
    half: EmbeddedS3, arguments: list[str], code: int, sentence: str
) -> None:
    got, _out, err = run("purge_orphans", "--no-input", f"{arguments[0]}={arguments[1]}")

    assert got == code
    assert sentence in err
    assert Image.objects.count() == 12


def test_purge__dry_run_json_keeps_the_contract(half: EmbeddedS3) -> None:
    code, out, _err = run("purge_orphans", "--dry-run", "--format", "json")

    document = json.loads(out)
    assert code == 0
    assert {"schema", "purge", "audit", "dry_run", "executed", "refused", "delete", "keep", "counts"} <= set(
        document
    )
    assert document["schema"] == "imagesync.purge/1"
    assert (document["dry_run"], document["executed"], document["refused"]) == (True, False, None)
    assert document["counts"] == {"planned": 6, "deleted": 0, "cleared": 0, "kept": 0}
    assert {"record", "key", "action", "cascades"} <= set(document["delete"][0])
    assert Image.objects.count() == 12
    assert not Tombstone.objects.exists()


def test_purge__then_clean_then_restore(half: EmbeddedS3) -> None:
    before = list(Image.objects.order_by("pk").values())
    code, out, _err = run("purge_orphans", "--no-input", "--format", "json")
    document = json.loads(out)
    assert (code, document["executed"]) == (0, True)
    assert document["counts"] == {"planned": 6, "deleted": 6, "cleared": 0, "kept": 0}
    assert Image.objects.count() == 6

    code, out, _err = run("check_s3_images", "--format", "json")
    assert (code, json.loads(out)["counts"]["missing"]) == (0, 0)

    code, out, _err = run("restore_purged", "--no-input", "--format", "json")
    assert (code, json.loads(out)["counts"]) == (0, {"restored": 6, "conflicts": 0})
    after = list(Image.objects.order_by("pk").values())
    own = {"verdict", "verdict_at", "missing_since", "store"}
    assert [{k: v for k, v in row.items() if k not in own} for row in after] == [
        {k: v for k, v in row.items() if k not in own} for row in before
    ]
    assert Image.objects.filter(verdict="unchecked").count() == 6
    assert len(half.keys_in(BUCKET)) == 6

    code, _out, err = run("restore_purged", "--no-input")
    assert code == 1
    assert "anything to restore" in err


def test_purge__without_a_terminal_and_without_no_input_deletes_nothing(
    half: EmbeddedS3, monkeypatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("6\n"))

    code, _out, err = run("purge_orphans")

    assert code == 1
    assert "no terminal" in err
    assert Image.objects.count() == 12


@pytest.mark.parametrize(("typed", "left"), [("6\n", 6), ("yes\n", 12), ("5\n", 12), ("", 12)])
def test_purge__asks_for_the_number(half: EmbeddedS3, monkeypatch, typed: str, left: int) -> None:
    terminal = io.StringIO(typed)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)

    code, _out, _err = run("purge_orphans")

    assert code == (0 if left == 6 else 1)
    assert Image.objects.count() == left


def test_purge__an_empty_plan_is_done_without_asking(s3: EmbeddedS3) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")

    code, _out, _err = run("purge_orphans")

    assert code == 0
    assert Image.objects.count() == 1


def test_output__is_written_whole_or_not_at_all(half: EmbeddedS3, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("the one before")

    code, out, _err = run("check_s3_images", "--format", "json", "--output", str(target))
    assert (code, out) == (3, "")
    assert json.loads(target.read_text())["counts"]["missing"] == 6

    code, _out, err = run("check_s3_images", "--format", "json", "--output", "/dev/full")
    assert code == 1
    assert "could not be written" in err
    number = Audit.objects.first().pk
    assert f"--resume {number}" in err
    code, out, _err = run("check_s3_images", "--format", "json", "--resume", str(number))
    assert (code, json.loads(out)["audit"]) == (3, number)

    code, _out, err = run("check_s3_images", "--output", str(tmp_path / "no" / "such" / "folder"))
    assert code == 1


@override_settings(IMAGESYNC={"GRACE_PEROID": "1h"})
def test_settings__a_misspelt_name_is_e001_with_a_suggestion(s3: EmbeddedS3) -> None:
    code, _out, err = run("check_s3_images", skip_checks=False)

    assert code == 1
    assert "GRACE_PERIOD" in err


def test_purge__state_is_kept_with_who_and_when(half: EmbeddedS3) -> None:
    run("purge_orphans", "--no-input")

    purge = Purge.objects.get()
    assert (purge.state, purge.counts["deleted"]) == ("done", 6)
    assert purge.planned_by == by_command()
    assert purge.started_at is not None
    assert purge.finished_at is not None
    assert purge.tombstones.count() == 6


def test_markdown__tells_found_why_done_before_and_after(half: EmbeddedS3) -> None:
    run("purge_orphans", "--no-input")
    number = Audit.objects.first().pk

    _code, out, _err = run("check_s3_images", "--resume", str(number), "--format", "markdown")

    for heading in (
        "What was found",
        "Each of them, and why",
        "### Why",
        "What was done",
        "Before and after",
    ):
        assert heading in out
    assert "12 records before, 6 after" in out
