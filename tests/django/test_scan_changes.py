"""A bucket, a table and credentials that change under an audit."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from imagesync.audit import carry_out, finding_rows, open_audit
from imagesync.core.verdicts import Evidence
from imagesync.models import Finding, Image
from imagesync.records import RecordChunks, Scope
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images
from tests.django.scanning import NAMES, Page, each_page, filled, missing

pytestmark = pytest.mark.django_db


# -- a world that changes under the audit --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
def test_audit__of_objects_that_come_and_go_calls_none_missing_that_is_there(
    memory_source: MakeSource, strategy: str
) -> None:
    store, source = filled(memory_source, gone=300)

    def comes_and_goes(asked: dict[str, Any], page: Page, number: int) -> None:
        for name in (*NAMES[:300:2], *NAMES[-300::2]):
            store.put(name)  # came behind the page that lacks them
        for name in NAMES[1_200:1_400]:
            store.delete(name)

    each_page(store, comes_and_goes)
    store.put("0")

    audit = audited(source, strategy=strategy)

    assert audit.trust == "trustworthy"
    assert not missing() & set(store._objects)
    assert audit.counts["records"] == 2_500
    assert audit.counts["present"] + audit.counts["missing"] == 2_500


def test_audit__of_records_that_come_go_and_are_renamed_marks_none_wrongly(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagesync.audit.comparing.RecordChunks", partial(RecordChunks, size=500))
    store, source = filled(memory_source)
    store.put("new.jpg")
    steps = [
        lambda: Image.objects.filter(file=NAMES[1]).update(file="z-later.jpg"),  # met, then met again
        lambda: Image.objects.filter(file=NAMES[2]).update(file=NAMES[100]),  # to one that is there
        lambda: Image.objects.filter(file__in=NAMES[2_000:2_100]).delete(),
        lambda: make_images("00000.a", "new.jpg", "zz-gone.jpg"),
    ]

    audit = open_audit(source, Scope(), strategy="list")

    class Changing:
        def begin(self, *_told: Any) -> None: ...
        def advance(self, _done: int, **_more: int) -> None:
            if steps:
                steps.pop(0)()

    monkeypatch.setattr("imagesync.audit.scan.MOST_TO_WRITE", 1)
    carry_out(audit, source, Changing())  # type: ignore[arg-type]

    assert not steps
    assert audit.trust == "trustworthy"
    there = {row["file"]: row["verdict"] for row in Image.objects.values("file", "verdict")}
    assert not [name for name, verdict in there.items() if verdict == "missing" and name in store._objects]
    assert (
        Finding.objects.open().values("object_pk", "field").distinct().count()
        == Finding.objects.open().count()
    )

    settled = audited(source, strategy="list")

    assert {one["key"] for one in finding_rows(settled)} == set(
        Image.objects.values_list("file", flat=True)
    ) - set(store._objects)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"])
def test_audit__of_credentials_that_end_in_the_middle_calls_nothing_missing(
    memory_source: MakeSource, code: str
) -> None:
    store, source = filled(memory_source)
    refused = Evidence(operation="", status=403, code=code)

    def ends(asked: dict[str, Any], page: Page, number: int) -> None:
        if asked.get("token"):
            for operation in ("ListObjectsV2", "GetObject", "HeadObject", "HeadBucket"):
                store.answer(operation, None, refused)

    each_page(store, ends)

    audit = audited(source, strategy="list")

    assert audit.trust == "untrustworthy"
    assert audit.counts["missing"] == 0
    assert missing() == set()
    assert not Finding.objects.open().filter(verdict="missing").exists()
