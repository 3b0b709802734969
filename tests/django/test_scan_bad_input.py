"""What a listing, a table and their changes under an audit can be like at their worst."""

from __future__ import annotations

from typing import Any

import pytest

from imagesync.audit import claim
from imagesync.models import Finding, Image
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, verdicts
from tests.django.scanning import NAMES, OF_AUDIT, Page, each_page, filled, missing

pytestmark = pytest.mark.django_db


# -- a listing that lies, or does not end --------------------------------------------------------------------


def broken_off(audit: Any, *, present: int) -> None:
    """Nothing behind the fault is missing, and the audit says why it stopped."""
    assert audit.trust == "untrustworthy"
    assert audit.reasons[0]["id"] == "listing_broken"
    assert (audit.counts["records"], audit.counts["present"]) == (2_500, present)
    assert audit.counts["unknown"] == 2_500 - present - audit.counts["missing"]
    assert missing() <= {*NAMES[:5]}
    assert not audit.saw_all_objects


@pytest.mark.parametrize("strategy", ["auto", "list"])
def test_audit__of_empty_pages_for_ever_ends(memory_source: MakeSource, strategy: str) -> None:
    store, source = filled(memory_source)

    def empty(asked: dict[str, Any], page: Page, number: int) -> None:
        page |= {"Contents": [], "KeyCount": 0, "IsTruncated": True, "NextContinuationToken": str(number)}

    each_page(store, empty)

    audit = audited(source, strategy=strategy)

    broken_off(audit, present=0)
    assert "does not end" in audit.reasons[0]["fact"]
    assert audit.requests["LIST"] < 200


@pytest.mark.parametrize("period", [1, 2, 3])
def test_audit__of_a_token_that_comes_back_ends(memory_source: MakeSource, period: int) -> None:
    store, source = filled(memory_source)
    honest = store.list_page
    seen: list[Any] = []

    def again(**asked: Any) -> Any:
        if asked.get("max_keys", OF_AUDIT) < OF_AUDIT:
            return honest(**asked)
        number = int(asked["token"] or "0") % period
        answer = honest(**{**asked, "token": "", "start_after": NAMES[number * 600]})
        answer.page.update({"IsTruncated": True, "NextContinuationToken": str(number + 1)})  # type: ignore[attr-defined]
        seen.append(asked)
        return answer

    store.list_page = again  # type: ignore[method-assign]

    audit = audited(source, strategy="list")

    assert audit.trust == "untrustworthy"
    assert audit.reasons[0]["id"] == "listing_broken"
    assert audit.counts["records"] == 2_500
    assert missing() <= {*NAMES[:5]}
    assert len(seen) < 20


@pytest.mark.parametrize("strategy", ["auto", "list"])
def test_audit__of_a_store_in_another_order_whose_listing_breaks_off_concludes_nothing(
    memory_source: MakeSource, strategy: str
) -> None:
    store, source = filled(memory_source)

    def reversed_and_foreign(asked: dict[str, Any], page: Page, number: int) -> None:
        page["Contents"].reverse()
        if asked.get("token"):
            page["Name"] = "another"

    each_page(store, reversed_and_foreign)

    audit = audited(source, strategy=strategy)

    assert audit.complete
    broken_off(audit, present=0)
    assert missing() == set()


def test_audit__of_a_store_that_ignores_the_prefix_concludes_nothing(memory_source: MakeSource) -> None:
    store, source = memory_source(prefix="media")
    make_images("a.jpg", "b.jpg")
    for key in ("another/a.jpg", "media/a.jpg", "zoo/b.jpg"):
        store.put(key)
    honest = store.list_page

    def everything(**asked: Any) -> Any:
        if asked.get("max_keys", OF_AUDIT) < OF_AUDIT:
            return honest(**asked)
        answer = honest(**{**asked, "prefix": "", "start_after": ""})
        answer.page["Prefix"] = asked["prefix"]  # type: ignore[index]
        return answer

    store.list_page = everything  # type: ignore[method-assign]

    audit = audited(source)

    assert audit.trust == "untrustworthy"
    assert audit.counts["unknown"] == 2
    assert missing() == set()


def test_audit__of_a_store_that_ignores_max_keys_and_sends_all_is_fine(memory_source: MakeSource) -> None:
    store, source = filled(memory_source)
    honest = store.list_page
    store.list_page = lambda **asked: honest(**{**asked, "max_keys": 10_000})  # type: ignore[method-assign]

    audit = audited(source, strategy="list")

    assert audit.trust == "trustworthy"
    assert missing() == {*NAMES[:5], *NAMES[-5:]}


@pytest.mark.parametrize("page_size", [1, 7, 999])
def test_audit__of_a_store_with_short_pages_is_fine(memory_source: MakeSource, page_size: int) -> None:
    store, source = memory_source()
    make_images(*NAMES[:60])
    for name in NAMES[3:57]:
        store.put(name)
    honest = store.list_page
    store.list_page = lambda **asked: honest(**{**asked, "max_keys": page_size})  # type: ignore[method-assign]

    for strategy in ("auto", "list"):
        assert audited(source, strategy=strategy).counts["missing"] == 6
    assert missing() == {*NAMES[:3], *NAMES[57:60]}


# -- ranges and keys at their edges --------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
@pytest.mark.parametrize("names", [[], ["m"], ["m"] * 3, ["l", "m"]], ids=len)
def test_audit__of_ranges_with_hardly_a_record(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch, names: list[str], strategy: str
) -> None:
    store, source = memory_source()
    for key in ("a", "m", "z"):
        store.put(key)
    make_images(*names)
    monkeypatch.setattr(claim, "LEAST_RECORDS", 1)
    monkeypatch.setattr(claim, "split_keys", lambda *_asked: ["b", "c", "m", "n", "zz"])

    audit = audited(source, strategy=strategy)

    assert (audit.trust, audit.counts["records"]) == ("trustworthy", len(names))
    assert verdicts() == {name: "present" if name == "m" else "missing" for name in names}
    if strategy == "list":
        assert (audit.saw_all_objects, audit.unreferenced) == (True, 2 if names else 3)


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
@pytest.mark.parametrize("there", [True, False])
def test_audit__of_very_many_records_with_one_key(
    memory_source: MakeSource, strategy: str, there: bool
) -> None:
    store, source = memory_source()
    make_images(*["same.jpg"] * 3_000, "other.jpg")
    store.put("other.jpg")
    if there:
        store.put("same.jpg")

    audit = audited(source, strategy=strategy)

    assert audit.counts["present" if there else "missing"] == 3_000 + there
    assert set(Image.objects.filter(file="same.jpg").values_list("verdict", flat=True)) == {
        "present" if there else "missing"
    }
    assert Finding.objects.open().count() == (0 if there else 3_000)


@pytest.mark.parametrize("strategy", ["auto", "list", "head"])
def test_audit__of_keys_that_differ_in_their_last_byte_or_fill_the_limit(
    memory_source: MakeSource, strategy: str
) -> None:
    store, source = memory_source()
    ends = ["a", "b", "\x01", "\x7f", "~", "z"]
    names = ["x" * 1023 + end for end in ends]
    names += ["\U0001f600" * 255 + "\ue000" + end for end in ends]
    names += ["é" * 511 + end for end in ("é", "è", "ê")] + ["k" + end for end in "\x01\x02éè"]
    make_images(*names)
    for name in names[::2]:
        store.put(name)

    audit = audited(source, strategy=strategy)

    assert audit.trust == "trustworthy"
    assert missing() == set(names[1::2])
