"""The conclusion about one image: what was seen -> one sentence with the next step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.conclusion import Conclusion, Outcome, conclude, worst
from imagesync.core.diagnosis import DIAGNOSES, Diagnosis, Place
from imagesync.core.image_facts import Facts, Found, Hidden
from imagesync.core.nearmiss import Slip
from imagesync.core.shell import shell_word
from imagesync.core.verdicts import Reason, Verdict

COMMANDS_PAGE = Path(__file__).resolve().parent.parent.parent / "docs/commands.md"
PLACE = Place(
    alias="default", bucket="b", region="eu-north-1", endpoint="https://s3.amazonaws.com", prefix="media/"
)
REFUSED = Diagnosis(
    id="url_refused",
    fact="A browser that asks b.s3.amazonaws.com gets HTTP 400. The URL is signed for us-east-1.",
    hint='Set AWS_S3_REGION_NAME = "eu-north-1".',
)
UNFIT = Diagnosis(id="wrong_region", fact="The bucket is in eu-north-1.", hint="Set AWS_S3_REGION_NAME.")
RECORD = ("imagesync.Image:5",)


def found(key: str = "media/x.JPG", **changes: Any) -> tuple[Found, ...]:
    return (Found(**{"key": key, "slip": Slip.CASE, "name": key.removeprefix("media/"), **changes}),)


HEALTHY, ATTENTION, NOT_BELIEVED = Outcome.HEALTHY, Outcome.ATTENTION, Outcome.NOT_BELIEVED
PRESENT: dict[str, Any] = {"verdict": Verdict.PRESENT, "records": RECORD, "browsed": True}
GONE: dict[str, Any] = {"verdict": Verdict.MISSING, "records": RECORD, "answer": "404 NoSuchKey"}
HIDDEN: dict[str, Any] = {"verdict": Verdict.RECOVERABLE, "records": RECORD, "answer": "404 NoSuchKey"}
UNKNOWN: dict[str, Any] = {"verdict": Verdict.UNKNOWN, "records": RECORD}
EMPTY: dict[str, Any] = {"verdict": Verdict.MISMATCHED, "reason": Reason.EMPTY_OBJECT}

# what was seen, the conclusion's id and outcome, and words that its sentence must hold
TABLE: list[tuple[dict[str, Any], str, Outcome, tuple[str, ...]]] = [
    (PRESENT, "present", HEALTHY, ("The object is there and a browser gets it: nothing to do.",)),
    (PRESENT | {"browsed": False}, "present", HEALTHY, ("The object is there: nothing to do.",)),
    (PRESENT | {"records": ()}, "present_unnamed", HEALTHY, ("no record names it",)),
    (PRESENT | {"outdated": RECORD}, "mark_outdated", HEALTHY, ("check_s3_images --id imagesync.Image:5",)),
    (PRESENT | {"records": (), "purged": ((3, "imagesync.Image:5"),)}, "record_purged", ATTENTION,
     ("restore_purged 3 --id imagesync.Image:5",)),
    (PRESENT | {"purged": ((3, "imagesync.Image:4"),)}, "present", HEALTHY, ()),
    # the URL that the site hands out
    (PRESENT | {"url_problem": REFUSED}, "url_refused", ATTENTION,
     ("visitors do not see it", "gets HTTP 400", 'Set AWS_S3_REGION_NAME = "eu-north-1"')),
    # there, but
    (EMPTY, "mismatched", ATTENTION, ("empty",)),
    (EMPTY | {"reason": Reason.SIZE_DIFFERS}, "mismatched", ATTENTION, ("its size",)),
    (EMPTY | {"reason": Reason.ETAG_DIFFERS}, "mismatched", ATTENTION, ("its ETag",)),
    (EMPTY | {"hidden": Hidden(told="found", version="v", older=True)}, "mismatched", ATTENTION, ("older versions",)),
    ({"verdict": Verdict.ARCHIVED}, "archived", ATTENTION, ("restore-object --bucket b --key media/x.jpg",)),
    # absent
    (GONE, "missing", ATTENTION, ("404 NoSuchKey from a healthy store", "imagesync.Image:5")),
    (GONE | {"records": ()}, "missing_unnamed", ATTENTION, ("no record names it",)),
    (GONE | {"found": found()}, "near_miss", ATTENTION,
     ('"media/x.JPG" is there', "upper and lower case", 'set the file of imagesync.Image:5 to "x.JPG"')),
    (GONE | {"found": found(records=("shop.Photo:1",))}, "near_miss", ATTENTION, ("shop.Photo:1 names that object",)),
    (GONE | {"found": found("x.jpg", name="", slip=Slip.LOCATION)}, "near_miss", ATTENTION, ("location",)),
    (GONE | {"found": found(), "records": ()}, "near_miss", ATTENTION, ("no record names either",)),
    (HIDDEN | {"hidden": Hidden(told="found", markers=("m1",), version="v1")}, "delete_marker", ATTENTION,
     ("A delete marker hides version v1", "--key media/x.jpg --version-id m1.")),
    (HIDDEN | {"hidden": Hidden(told="found", markers=("m2", "m1"), version="v1")}, "delete_marker", ATTENTION,
     ("--version-id m2", "likewise m1")),
    (HIDDEN | {"hidden": Hidden(told="found", markers=("m1",))}, "only_delete_markers", ATTENTION, ("backup",)),
    (HIDDEN | {"hidden": Hidden(told="found", markers=("m1",), more=True)}, "delete_marker_unseen", ATTENTION, ()),
    (HIDDEN | {"hidden": Hidden(told="denied")}, "delete_marker_unseen", ATTENTION, ("s3:ListBucketVersions",)),
    # neither
    ({"verdict": Verdict.AMBIGUOUS, "records": RECORD}, "ambiguous", ATTENTION, ("imagesync.Image:5",)),
    ({"verdict": Verdict.AMBIGUOUS, "records": RECORD, "found": found()}, "ambiguous", ATTENTION, ('to "x.JPG"',)),
    ({"verdict": Verdict.AMBIGUOUS, "records": RECORD, "found": found("media//x.jpg", name="")}, "ambiguous",
     ATTENTION, ('"media//x.jpg" is there', "copy the object")),
    ({"verdict": Verdict.DENIED, "answer": "403 AccessDenied"}, "denied", ATTENTION, ("s3:GetObject",)),
    (UNKNOWN | {"reason": Reason.WRITTEN_ELSEWHERE}, "written_elsewhere", ATTENTION, ("--adopt",)),
    (UNKNOWN | {"reason": Reason.UNSENDABLE_KEY}, "unsendable", ATTENTION, ("1,024",)),
    (UNKNOWN | {"reason": Reason.STORE_UNFIT_AFTERWARDS}, "store_unfit_afterwards", NOT_BELIEVED, ("not any more",)),
    (UNKNOWN | {"reason": Reason.THROTTLED, "answer": "503 SlowDown"}, "could_not_look", NOT_BELIEVED,
     ("throttled", "503 SlowDown")),
    (UNKNOWN | {"reason": "wrong_region", "unfit": UNFIT}, "store_unfit", NOT_BELIEVED,
     ("Nothing is concluded", "eu-north-1; Set AWS_S3_REGION_NAME.")),
    (GONE | {"unfit": UNFIT, "found": found()}, "store_unfit", NOT_BELIEVED, ()),
]  # fmt: skip


def about(**seen: Any) -> Facts:
    return Facts(**{"place": PLACE, "key": "media/x.jpg", **seen})


@pytest.mark.parametrize(
    ("seen", "id", "outcome", "words"),
    TABLE,
    ids=[f"{id}-{number}" for number, (_, id, *_rest) in enumerate(TABLE)],
)
def test_conclude(seen: dict[str, Any], id: str, outcome: Outcome, words: tuple[str, ...]) -> None:
    conclusion = conclude(about(**seen))

    assert (conclusion.id, conclusion.outcome) == (id, outcome)
    assert all(word in conclusion.sentence for word in words), conclusion.sentence
    assert conclusion.sentence.endswith(".")
    assert not re.search(r"\. [A-Z]", conclusion.sentence), "one sentence"


def test_conclude__every_conclusion_is_in_the_table_and_documented() -> None:
    page = COMMANDS_PAGE.read_text().split("| conclusion | means |")[1].split("\n\n")[0]
    documented = set(
        re.findall(r"`([a-z0-9_]+)`", "".join(re.findall(r"^\| (.*?) \|", page, flags=re.MULTILINE)))
    )

    assert documented - set(DIAGNOSES) == {id for _seen, id, *_rest in TABLE} - set(DIAGNOSES)
    assert {id for id in documented if id.startswith("url_")} == {
        id for id in DIAGNOSES if id.startswith("url_")
    }


def test_slips__are_documented() -> None:
    page = COMMANDS_PAGE.read_text().split("| slip | the near miss |")[1].split("\n\n")[0]

    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, flags=re.MULTILINE)) == set(Slip)


@given(
    st.builds(
        Facts,
        place=st.just(PLACE),
        key=st.text(min_size=1),
        verdict=st.sampled_from(Verdict),
        reason=st.sampled_from(["", *Reason]),
        unfit=st.sampled_from([None, UNFIT]),
        records=st.sampled_from([(), RECORD]),
        found=st.sampled_from([(), found(), found("k", name="")]),
        browsed=st.booleans(),
        url_problem=st.sampled_from([None, REFUSED]),
    )
)
def test_conclude__only_an_object_that_is_there_in_a_fit_store_is_healthy(facts: Facts) -> None:
    conclusion = conclude(facts)

    if facts.unfit is not None:
        assert conclusion.outcome is Outcome.NOT_BELIEVED
    if conclusion.outcome is Outcome.HEALTHY:
        assert facts.verdict is Verdict.PRESENT
        assert facts.url_problem is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("images/a.jpg", "images/a.jpg"),
        ("a b'c.jpg", "'a b'\"'\"'c.jpg'"),
        ("$(rm -rf ~).jpg", "'$(rm -rf ~).jpg'"),
        ("a\nb", "KEY"),
        ("a\x1b[31m", "KEY"),
        ("\u202egpj.exe", "KEY"),
        ("a\\b", "KEY"),
        ("-rf", "KEY"),
        ("file:///etc/passwd", "KEY"),
        ("fileb://x", "KEY"),
    ],
)
def test_shell_word__is_safe_to_copy_or_a_placeholder(text: str, word: str) -> None:
    assert shell_word(text) == word


def test_worst__could_not_look_beats_attention_beats_healthy() -> None:
    healthy, attention, unfit = (Conclusion("", outcome, "") for outcome in Outcome)

    assert worst([healthy, healthy]) is Outcome.HEALTHY
    assert worst([healthy, attention]) is Outcome.ATTENTION
    assert worst([attention, unfit, healthy]) is Outcome.NOT_BELIEVED
