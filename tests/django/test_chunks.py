"""Records in key order, by chunks, against one sorted list of everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from imagesync.models import Image
from imagesync.records import Chunk, Cursor, RecordChunks, Scope, Source
from imagesync.records.stream import base_rows
from tests.conftest import MakeSource
from tests.django.helpers import make_images
from tests.testapp.models import Child, Document, MaybeFile, Picture, Product, Sheet, TwoFiles

Place = tuple[str, str, Any]

pytestmark = pytest.mark.django_db

# their orders by byte, by UTF-16, by alphabet and without case all differ
HOSTILE = [
    "a", "A", "b", "B", "_", "-a", "a-b", "a b", " a", "a ", "ab", "a\n", "a\t", "\x01", "\x7f", "\x9b", "é", "e\u0301",
    "ß", "ss", "z", "Z", "0", "~", "%41", "a+b", "a'b", 'a"b', "a;--", "a\u200b", "\u202e", "\ufeffa", "\ud7ff",
    "\ue000", "\uffff", "\U0001f600", "\U0010ffff", "a//b", "/a", "..", "../a", "a/../b", "a/./b", "a\\b", "a/", "x" * 99,
]  # fmt: skip


def populate(dice: random.Random, number: int) -> None:
    """Records of every kind of model, whose names meet often."""
    names = [*HOSTILE, *(f"d/{n:02}" for n in range(20))]

    def some(many: int = number) -> list[str]:
        return [dice.choice(names) for _ in range(many)]

    make_images(*some(2 * number), "ü" * 512, "ü" * 511 + "y")
    Product.objects.bulk_create([Product(name="p", photo=name) for name in [*some(), "", ""]])
    Picture.objects.bulk_create([Picture(file=name) for name in some()])
    Document.objects.bulk_create([Document(document=name) for name in some()])
    TwoFiles.objects.bulk_create(
        [TwoFiles(file=a, thumbnail=b) for a, b in zip(some(), [*some(number - 2), "", ""], strict=True)]
    )
    MaybeFile.objects.bulk_create([MaybeFile(file=name) for name in [*some(), None, ""]])
    for name in some(number // 4):
        Child.objects.create(file=name, scan=dice.choice(names), caption="c")
    sheets = {dice.choice(["a", "B", "ä", "Z", "b", "-"]) * dice.randrange(1, 6) for _ in range(number)}
    Sheet.objects.bulk_create([Sheet(number=one, paper=dice.choice(names)) for one in sheets])


def everything(source: Source) -> list[Place]:
    places = []
    for target in source.targets:
        for pk, name in base_rows(target.model).values_list("pk", target.field.name):
            if name:
                places.append((source.store.identity.prefix + name, target.label, pk))
    return sorted(places, key=lambda place: (place[0].encode(), place[1], place[2]))


def places_of(chunks: Iterator[Chunk]) -> list[Place]:
    return [chunk.cursor(index) for chunk in chunks for index in range(len(chunk))]


@pytest.fixture
def dice() -> random.Random:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize("size", [1, 3, 50, 2000])
@pytest.mark.parametrize("location", ["", "media"])
def test_chunks__hold_every_record_once_in_byte_order(
    memory_source: MakeSource, dice: random.Random, size: int, location: str
) -> None:
    _store, source = memory_source(prefix=location)
    populate(dice, 12)

    chunks = list(RecordChunks(source, Scope(), size=size).between())

    assert places_of(iter(chunks)) == everything(source)
    assert all(0 < len(chunk) <= size * (len(source.targets) + 1) for chunk in chunks)


@pytest.mark.parametrize("location", ["", "media"])
def test_chunks__of_a_range_are_those_from_its_first_key_to_before_its_end(
    memory_source: MakeSource, dice: random.Random, location: str
) -> None:
    _store, source = memory_source(prefix=location)
    populate(dice, 12)
    whole = everything(source)

    for _ in range(40):
        prefix = source.store.identity.prefix
        edges = [prefix + dice.choice(HOSTILE), dice.choice(whole)[0], dice.choice(whole)[0] + "\x01"]
        first, end = "" if dice.random() < 0.2 else dice.choice(edges), dice.choice([None, *edges])
        chunks = RecordChunks(source, Scope(), size=dice.randrange(1, 9)).between(
            first_key=first, end_key=end
        )

        expected = [place for place in whole if first <= place[0] and (end is None or place[0] < end)]
        assert places_of(chunks) == expected, (first, end)


@pytest.mark.parametrize("size", [1, 4, 2000])
def test_chunks__behind_any_cursor_are_exactly_the_rest(
    memory_source: MakeSource, dice: random.Random, size: int
) -> None:
    _store, source = memory_source(prefix="media")
    populate(dice, 8)
    whole = everything(source)

    for index in range(0, len(whole), 1 if size == 4 else 5):
        key, label, pk = whole[index]
        after: Cursor = (key, label, pk if isinstance(pk, int) else str(pk))  # as a range's cursor holds it
        behind = places_of(RecordChunks(source, Scope(), size=size).between(after=after))
        assert behind == whole[index + 1 :], after


def test_chunks__behind_a_cursor_end_before_the_end_of_the_range(
    memory_source: MakeSource, dice: random.Random
) -> None:
    _store, source = memory_source()
    populate(dice, 8)
    whole = everything(source)

    for _ in range(30):
        first, last = sorted(dice.sample(range(len(whole)), 2))
        end = whole[last][0]
        chunks = RecordChunks(source, Scope(), size=3).between(first_key="", end_key=end, after=whole[first])

        assert places_of(chunks) == [place for place in whole[first + 1 :] if place[0] < end]


@pytest.mark.parametrize("size", [1, 5, 11, 100])
def test_chunks__of_one_key_that_fills_several(memory_source: MakeSource, size: int) -> None:
    _store, source = memory_source()
    make_images(*["a"] * 10, *["same"] * 25, *["z"] * 10)
    MaybeFile.objects.bulk_create([MaybeFile(file=name) for name in ["same"] * 12 + ["b"]])
    Document.objects.bulk_create([Document(document="same") for _ in range(11)])
    whole = everything(source)

    assert places_of(RecordChunks(source, Scope(), size=size).between()) == whole
    for index in range(0, len(whole), 1 if size == 5 else 6):
        key, label, pk = whole[index]
        behind = RecordChunks(source, Scope(), size=size).between(after=(key, label, str(pk)))
        assert places_of(behind) == whole[index + 1 :]


@pytest.mark.parametrize("prefix", ["media/d/0", "media/", "media/a", "", "media/\uffff", "media/x"])
def test_chunks__of_a_prefix_are_those_that_start_with_it(
    memory_source: MakeSource, dice: random.Random, prefix: str
) -> None:
    _store, source = memory_source(prefix="media")
    populate(dice, 10)
    within = [place for place in everything(source) if place[0].startswith(prefix)]

    assert places_of(RecordChunks(source, Scope(prefix=prefix), size=3).between()) == within
    for index in range(0, len(within), 7):
        behind = RecordChunks(source, Scope(prefix=prefix), size=3).between(after=within[index])
        assert places_of(behind) == within[index + 1 :]


def test_chunks__of_single_records_are_in_the_same_order(
    memory_source: MakeSource, dice: random.Random
) -> None:
    _store, source = memory_source(prefix="media")
    populate(dice, 8)
    labels = {target.label: target.model._meta.label for target in source.targets}
    drawn = dice.sample(everything(source), 30)
    scope = Scope(ids=tuple(sorted({(labels[label], str(pk)) for _key, label, pk in drawn})))

    whole = places_of(RecordChunks(source, scope, size=4).between())

    assert whole == [place for place in everything(source) if (labels[place[1]], str(place[2])) in scope.ids]
    for index in range(0, len(whole), 3):
        assert (
            places_of(RecordChunks(source, scope, size=4).between(after=whole[index])) == whole[index + 1 :]
        )


def test_chunk__makes_a_record_of_what_its_row_remembers(memory_source: MakeSource) -> None:
    store, source = memory_source()
    here = store.identity.fingerprint
    make_images("a", verdict="present", store=here)
    make_images("b", verdict="present", store="elsewhere", size_bytes=3)
    make_images("c//c", verdict="missing", etag="e")
    MaybeFile.objects.create(file="d")

    chunk, last = RecordChunks(source, Scope()).between()
    records = [*map(chunk.record, range(3)), last.record(0)]

    assert [(one.key, one.exact, one.verdict, one.store) for one in records] == [
        ("a", True, "present", here),
        ("b", True, "present", "elsewhere"),
        ("c//c", False, "missing", ""),
        ("d", True, "", ""),
    ]
    assert [one.expected and (one.expected.size_bytes, one.expected.etag) for one in records] == [
        (None, ""),
        (3, ""),
        (None, "e"),
        None,
    ]
    assert (list(chunk.odd), list(chunk.unmarked), list(chunk.expecting)) == ([2], [1, 2], [1, 2])


def test_chunks__of_an_empty_table_are_none(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    Image.objects.create(file="")

    assert list(RecordChunks(source, Scope()).between()) == []
    assert list(RecordChunks(source, Scope()).between(after=("a", "imagesync.Image.file", 5))) == []
    assert list(RecordChunks(source, Scope(ids=(("imagesync.Image", "7"),))).between()) == []
