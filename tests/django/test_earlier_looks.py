"""What was looked at earlier never counts over what was looked at later, whoever looked, and whenever it settles."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imagesync.audit import book, carry_out, open_audit, resume_audit
from imagesync.models import Audit, Finding, Image
from imagesync.purge.basis import latest_audit
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source
from imagesync.storage.memory import MemoryStore
from tests.django.beside import marked, missing, once_after, once_before
from tests.django.helpers import audited, verdicts

pytestmark = pytest.mark.django_db(transaction=True)

FourOfSeven = tuple[MemoryStore, Source]


def the_record(name: str) -> Scope:
    return Scope(ids=(("imagesync.Image", str(Image.objects.get(file=name).pk)),))


SEEN_AGAIN = {
    "the record alone": the_record,
    "its key": lambda name: Scope(keys=(name,)),
    "a stretch of keys": lambda name: Scope(first_key=name, end_key=f"{name}0"),
    "a folder": lambda name: Scope(prefix=name[:1]),
    "everything": lambda _name: Scope(fields=("imagesync.Image.file",)),
}


def interrupted(source: Source, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """An audit of everything that compared all, and whose process died before anything was settled."""
    audit = open_audit(source, Scope())

    def dies() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        once_before(patched, book.Book, "settle", dies)
        with pytest.raises(KeyboardInterrupt):
            carry_out(audit, source)
    return Audit.objects.get(pk=audit.pk)


@pytest.mark.parametrize("strategy", ["list", "head"])
@pytest.mark.parametrize("scope", SEEN_AGAIN)
def test_audit__does_not_settle_what_another_one_saw_again_meanwhile(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch, scope: str, strategy: str
) -> None:
    store, source = four_of_seven
    audit = open_audit(source, Scope())

    def comes_back() -> None:
        store.put("x.jpg")
        narrow = SEEN_AGAIN[scope]("x.jpg")
        audited(source, narrow, strategy="head" if narrow.is_explicit else strategy)

    once_before(monkeypatch, book.Book, "settle", comes_back)
    carry_out(audit, source)

    assert (missing(), marked()) == (["y.jpg", "z.jpg"], ["y.jpg", "z.jpg"])
    assert verdicts()["x.jpg"] == "present"


def test_audit__that_is_resumed_does_not_settle_what_a_later_one_saw_again(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = four_of_seven
    audit = interrupted(source, monkeypatch)
    ago = timedelta(days=3)
    Audit.objects.update(started_at=audit.started_at - ago)
    for finding in Finding.objects.all():
        Finding.objects.filter(pk=finding.pk).update(opened_at=finding.opened_at - ago)
    for name in ("x.jpg", "y.jpg", "z.jpg"):
        store.put(name)
    audited(source)

    carry_out(resume_audit(audit, source), source)

    assert (missing(), marked()) == ([], [])
    store.delete("x.jpg")
    newest = latest_audit(source)
    assert newest is not None
    assert make_plan(source, newest, limits=limits_from_settings(unattended=True)).counts["planned"] == 0


def test_audit__does_not_settle_over_what_a_later_one_found_and_settled(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was missing, then it was stored without its bytes."""
    store, source = four_of_seven
    audit = interrupted(source, monkeypatch)
    store.put("x.jpg", size_bytes=0)
    audited(source)
    store.delete("x.jpg")
    Finding.objects.filter(opened_by=audit, key="x.jpg").delete()  # the note is as if it had come too late
    late = Finding.objects.filter(opened_by=audit).first()
    assert late is not None
    late.pk, late.key, late.object_pk = None, "x.jpg", str(Image.objects.get(file="x.jpg").pk)
    late.save()

    carry_out(resume_audit(audit, source), source)

    assert missing() == ["y.jpg", "z.jpg"]
    assert list(Finding.objects.open().filter(key="x.jpg").values_list("verdict", flat=True)) == [
        "mismatched"
    ]
    assert verdicts()["x.jpg"] == "mismatched"


def test_audit__does_settle_over_what_an_earlier_one_found(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = four_of_seven
    store.put("x.jpg", size_bytes=0)
    audited(source)
    store.delete("x.jpg")

    carry_out(resume_audit(interrupted(source, monkeypatch), source), source)

    assert missing() == ["x.jpg", "y.jpg", "z.jpg"]
    assert Finding.objects.open().count() == 3


def test_audit__removes_nothing_that_another_one_saw_after_its_own_page(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object goes between page and note, and another audit that saw it go is interrupted."""
    store, source = four_of_seven
    others: list[Audit] = []
    slow = open_audit(source, Scope(fields=("imagesync.Image.file",)))

    def goes() -> None:
        store.delete("a.jpg")
        others.append(interrupted(source, monkeypatch))

    once_before(monkeypatch, book.Book, "note", goes)
    carry_out(slow, source)
    assert verdicts()["a.jpg"] == "present"
    carry_out(resume_audit(others[0], source), source)

    assert missing() == ["a.jpg", "x.jpg", "y.jpg", "z.jpg"]


def test_audit__that_cannot_look_removes_nothing_of_another(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = four_of_seven
    audit = interrupted(source, monkeypatch)
    store.fail("GetObject", 503, "SlowDown", key="x.jpg")
    audited(source)
    store.answer("GetObject", "x.jpg", None)

    carry_out(resume_audit(audit, source), source)

    assert missing() == ["x.jpg", "y.jpg", "z.jpg"]


def test_audit__that_others_overtook_settles_the_rest_in_one_go(
    four_of_seven: FourOfSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that were interrupted one behind the other, and a third that saw one of the files again."""
    store, source = four_of_seven
    first = interrupted(source, monkeypatch)
    second = open_audit(source, Scope(prefix="x"))
    once_after(monkeypatch, book.Book, "note", lambda: store.put("x.jpg"))
    carry_out(second, source)
    assert missing() == ["x.jpg"]
    audited(source, the_record("x.jpg"))

    again = carry_out(resume_audit(first, source), source)

    assert again.state == "finished"
    assert (missing(), marked()) == (["y.jpg", "z.jpg"], ["y.jpg", "z.jpg"])
