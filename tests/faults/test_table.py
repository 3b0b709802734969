"""Every answer of the fault lab, over a real socket, through botocore: judged as the table says, by hand."""

from __future__ import annotations

import io
import json
from collections import Counter
from functools import partial

import pytest
from django.core.files.storage import default_storage

from imagesync.core import classify
from imagesync.core.verdicts import Evidence, Reason, Verdict
from imagesync.reports import printable, write_self_tests
from imagesync.selftest.document import self_test_document
from imagesync.selftest.row import Row
from imagesync.selftest.run import Judged, self_test
from imagesync.selftest.table import TABLE, rows_of
from imagesync.storage.direct import DirectCalls
from project.embedded_s3 import EmbeddedS3
from tests.django.helpers import run
from tests.storage.scripted import storage_of

LOCATION = "media/2026"


@pytest.fixture(scope="module")
def judged() -> dict[str, Judged]:
    """The whole table, played once, with a location as most sites have one."""
    return {one.row.id: one for one in self_test(storage_of("http://127.0.0.1:9", location=LOCATION))}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_answer__is_judged_as_the_table_says(row: Row, judged: dict[str, Judged]) -> None:
    one = judged[row.id]

    assert (one.judged, one.reason) == (row.judged, row.reason)
    assert one.is_safe


def test_table__is_judged_alike_when_every_request_is_left_to_botocore(
    judged: dict[str, Judged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above, the check of the store teaches how to ask directly, so that the answers come to direct requests first."""
    monkeypatch.setattr(DirectCalls, "learn", lambda *_args, **_options: None)
    rows = [row for row in rows_of("GET") if "silence" not in row.id and "slowly" not in row.id]

    for one in self_test(storage_of("http://127.0.0.1:9", location=LOCATION), rows):
        directly = judged[one.row.id]
        assert (one.judged, one.reason) == (directly.judged, directly.reason), one.row.id


def test_table__plays_all_it_promises(judged: dict[str, Judged], capsys: pytest.CaptureFixture[str]) -> None:
    played = Counter(one.row.operation for one in judged.values())
    deletable = [one.row.id for one in judged.values() if one.deletable and one.row.operation == "GET"]
    with capsys.disabled():
        print(
            f"\nfault lab: {played.total()} answers played ({dict(played)}); a record is deletable by {deletable}"
        )

    assert played.total() >= 120
    assert set(deletable) == {row.id for row in TABLE if row.proves_absence}
    assert set(Verdict) - {one.judged for one in judged.values()} == {"unchecked", "ambiguous"}


def test_table__every_reason_that_an_answer_can_have_is_in_it() -> None:
    of_no_answer = {
        Reason.LISTING_BROKEN,
        Reason.WRITTEN_ELSEWHERE,
        Reason.STORE_UNFIT_AFTERWARDS,
        Reason.NAME_REWRITTEN,
        Reason.SIZE_DIFFERS,
        Reason.ETAG_DIFFERS,
        Reason.NO_CREDENTIALS,
        Reason.CLIENT_SETTINGS,
    }

    assert set(Reason) - of_no_answer == {Reason(row.reason) for row in TABLE if row.reason}


def test_self_test__notices_a_judge_that_believes_a_bare_404(monkeypatch: pytest.MonkeyPatch) -> None:
    def credulous(answer: Evidence, expected: object = None) -> tuple[Verdict, str]:
        if answer.status == 404:
            return Verdict.MISSING, ""
        return classify.classify_get(answer)

    monkeypatch.setattr("imagesync.storage.probe.classify_get", credulous)
    rows = [row for row in rows_of("GET") if " 404" in row.id]

    unsafe = {one.row.id for one in self_test(storage_of("http://127.0.0.1:9"), rows) if not one.is_safe}

    assert "GET 404 HTML" in unsafe
    assert "GET 404 NoSuchBucket" in unsafe
    assert not unsafe & {row.id for row in rows if row.proves_absence}


def test_self_test__is_of_the_projects_own_storage(s3: object) -> None:
    """The site's real storage makes the client; its address and credentials are not used."""
    (one,) = self_test(default_storage, [TABLE[0]])

    assert one.as_documented


def test_report__shows_every_answer_and_that_none_is_unsafe(judged: dict[str, Judged]) -> None:
    out = io.StringIO()
    document = self_test_document("default", judged.values())

    write_self_tests(out, "text", [document])

    text = out.getvalue()
    assert all(printable(row.id) in text for row in TABLE)
    assert "None of the others makes a record deletable." in text
    assert "UNSAFE" not in text
    assert document["counts"] == {
        "played": len(TABLE),
        "differing": 0,
        "unsafe": 0,
        "deletable": document["counts"]["deletable"],
    }


def test_report__shouts_when_an_answer_is_unsafe() -> None:
    row = rows_of("HEAD_BUCKET")[-1]
    out = io.StringIO()

    write_self_tests(out, "text", [self_test_document("default", [Judged(row, "fit", "", deletable=True)])])

    assert "UNSAFE: 1 other answers" in out.getvalue()


@pytest.mark.django_db
def test_command__plays_the_table_with_the_projects_settings_and_asks_s3_nothing(s3: EmbeddedS3) -> None:
    s3.requests.clear()

    code, out, _err = run("imagesync_doctor", "--self-test", "--format", "json")

    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "imagesync.selftest/1"
    assert document["counts"]["played"] == len(TABLE)
    assert document["counts"]["unsafe"] == document["counts"]["differing"] == 0
    assert not s3.requests


@pytest.mark.django_db
def test_command__fails_when_an_answer_is_not_judged_as_documented(
    s3: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "imagesync.storage.probe.classify_get", lambda answer, expected: (Verdict.MISSING, "")
    )
    monkeypatch.setattr(
        "imagesync.management.commands.imagesync_doctor.self_test", partial(self_test, rows=TABLE[:20])
    )

    code, out, err = run("imagesync_doctor", "--self-test")

    assert code == 3
    assert "UNSAFE" in out
    assert "Do not purge" in err
