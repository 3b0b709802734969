"""What was seen of one image -> a conclusion: one sentence that ends with the next step.

Pure: the choice is a table of questions in the order in which an answer settles the matter. Ids are stable
and documented (docs/commands.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.image_facts import Facts
from imagesync.core.nearmiss import SENTENCES
from imagesync.core.shell import shell_word
from imagesync.core.verdicts import Reason, Verdict


class Outcome(StrEnum):
    HEALTHY = "healthy"
    """The object is there and a browser gets it."""
    ATTENTION = "attention"
    """Somebody has something to do."""
    NOT_BELIEVED = "not_believed"
    """The store, or this key in it, could not be looked at; nothing follows."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    id: str
    outcome: Outcome
    sentence: str

    def to_dict(self) -> dict[str, str]:
        return {"id": self.id, "outcome": self.outcome.value, "sentence": self.sentence}


def conclude(facts: Facts) -> Conclusion:
    if facts.unfit is not None:
        return Conclusion(
            "store_unfit",
            Outcome.NOT_BELIEVED,
            f"Nothing is concluded, because the store cannot be believed: {_clauses(facts.unfit)}.",
        )
    return _BY_VERDICT[facts.verdict](facts)


def worst(conclusions: Sequence[Conclusion]) -> Outcome:
    """The outcome of several: could not look beats attention beats healthy."""
    outcomes = {one.outcome for one in conclusions}
    order = (Outcome.NOT_BELIEVED, Outcome.ATTENTION, Outcome.HEALTHY)
    return next((one for one in order if one in outcomes), Outcome.HEALTHY)


def _clauses(diagnosis: Diagnosis) -> str:
    """Its fact and its hint as parts of one sentence."""
    return re.sub(r"\.(?= [A-Z])", ";", f"{diagnosis.fact} {diagnosis.hint}").rstrip(".")


def _attention(id: str, fact: str, step: str) -> Conclusion:
    return Conclusion(id, Outcome.ATTENTION, f"{fact}: {step}.")


def _could_not_look(id: str, fact: str, step: str) -> Conclusion:
    return Conclusion(id, Outcome.NOT_BELIEVED, f"{fact}: {step}.")


def _present(facts: Facts) -> Conclusion:
    if facts.url_problem is not None:
        return Conclusion(
            facts.url_problem.id,
            Outcome.ATTENTION,
            f"The object is there, but visitors do not see it: {_clauses(facts.url_problem)}.",
        )
    there = "The object is there and a browser gets it" if facts.browsed else "The object is there"
    if facts.outdated:
        return Conclusion(
            "mark_outdated",
            Outcome.HEALTHY,
            f"{there}, only the mark on {_some(facts.outdated)} is out of date: "
            f"manage.py check_s3_images --id {shell_word(facts.outdated[0], 'RECORD')} renews it.",
        )
    if facts.purged and not facts.records:
        purge, record = facts.purged[0]
        return _attention(
            "record_purged",
            f"{there}, but its record {record} was purged",
            f"manage.py restore_purged {purge} --id {shell_word(record, 'RECORD')} puts it back",
        )
    if not facts.records:
        return Conclusion(
            "present_unnamed",
            Outcome.HEALTHY,
            f"{there}, but no record names it: nothing to do for visitors.",
        )
    return Conclusion("present", Outcome.HEALTHY, f"{there}: nothing to do.")


def _mismatched(facts: Facts) -> Conclusion:
    if facts.reason == Reason.EMPTY_OBJECT:
        fact = "The object is there, but it is empty"
    elif facts.reason == Reason.SIZE_DIFFERS:
        fact = "The object is there, but its size is not the one that the record remembers"
    else:
        fact = "The object is there, but its ETag is not the one that the record remembers"
    step = "look at both, then upload the right file again or save the record anew"
    if facts.hidden.older:
        step = "compare it with its older versions, and upload the right file again"
    return _attention("mismatched", fact, step)


def _archived(facts: Facts) -> Conclusion:
    return _attention(
        "archived",
        "The object is there, but in a storage class that must be restored before anybody can read it",
        f"aws s3api restore-object --bucket {facts.place.bucket} --key {shell_word(facts.key)} "
        "--restore-request Days=7, and keep lifecycle rules off this prefix",
    )


def _recoverable(facts: Facts) -> Conclusion:
    hidden = facts.hidden
    if hidden.version and hidden.markers:
        marker = hidden.markers[0] or "ID"
        others = ", ".join(one or "ID" for one in hidden.markers[1:])
        many = f", and likewise {others}" if others else ""
        return _attention(
            "delete_marker",
            f"A delete marker hides version {hidden.version}",
            f"bring it back by removing the marker, with aws s3api delete-object --bucket {facts.place.bucket} "
            f"--key {shell_word(facts.key)} --version-id {marker}{many}",
        )
    if hidden.told == "found" and not hidden.version and not hidden.more:
        return _attention(
            "only_delete_markers",
            "The object is gone and only delete markers are left of it, so there is no version to bring back",
            "restore the file from a backup and upload it again",
        )
    return _attention(
        "delete_marker_unseen",
        "A delete marker hides the object, but its versions could not be seen whole",
        "allow s3:ListBucketVersions and look again, or use aws s3api list-object-versions "
        f"--bucket {facts.place.bucket} --prefix {shell_word(facts.key)}",
    )


def _missing(facts: Facts) -> Conclusion:
    gone = f"The object is gone ({facts.answer} from a healthy store)"
    if facts.found:
        return _near_miss(facts, gone)
    if not facts.records:
        return _attention(
            "missing_unnamed",
            f"{gone} and no record names it",
            "check how the key is spelled and compare it with what lies beside it",
        )
    return _attention(
        "missing",
        f"{gone} and nothing like it is there",
        f"restore the file from a backup under this key, or have {_some(facts.records)} removed by an audit and "
        "purge_orphans",
    )


def _near_miss(facts: Facts, gone: str) -> Conclusion:
    near = facts.found[0]
    fact = f"{gone}, but {_quoted(near.key)} is there: {SENTENCES[near.slip]}"
    if near.records:
        step = f"{_some(near.records)} names that object already, so find out which record is right"
    elif facts.records and near.name:
        step = f"if it is the same picture, set the file of {_some(facts.records)} to {_quoted(near.name)}"
    elif facts.records:
        step = "copy the object to the key that the record names, or correct the storage's location"
    else:
        step = "no record names either, so ask for the other key"
    return Conclusion("near_miss", Outcome.ATTENTION, f"{fact}; {step}.")


def _ambiguous(facts: Facts) -> Conclusion:
    fact = "The stored name does not map to one exact key, so absence cannot be proven"
    near = next((one for one in facts.found if one.name), facts.found[0] if facts.found else None)
    if near is None:
        return _attention(
            "ambiguous",
            fact,
            f"give {_some(facts.records)} a name without //, ., .. and backslash, or, where the storage's class makes keys "
            "of names in its own way, look the object up by the key that it makes",
        )
    step = f"set the file of {_some(facts.records)} to {_quoted(near.name)}"
    if not near.name:
        step = (
            f"copy the object to a key that the storage can name, and have {_some(facts.records)} name that"
        )
    return _attention(
        "ambiguous", f"{fact}, but {_quoted(near.key)} is there", f"if it is the same picture, {step}"
    )


def _denied(facts: Facts) -> Conclusion:
    return _attention(
        "denied",
        f"S3 refuses to say whether the object is there ({facts.answer})",
        "allow the application s3:GetObject (and kms:Decrypt for encrypted objects) on this key, then look again",
    )


def _unknown(facts: Facts) -> Conclusion:
    if facts.reason == Reason.WRITTEN_ELSEWHERE:
        return _attention(
            "written_elsewhere",
            f"The object is not in this store ({facts.answer}), but {_some(facts.records)} was last seen in another one",
            "point the storage at the store it was written to, or say with check_s3_images --adopt that the bucket "
            "moved here",
        )
    if facts.reason == Reason.UNSENDABLE_KEY:
        return _attention(
            "unsendable",
            "The key cannot be sent to S3 (it is longer than 1,024 bytes, or not valid Unicode)",
            f"give {_some(facts.records)} a name that can",
        )
    if facts.reason == Reason.STORE_UNFIT_AFTERWARDS:
        return _could_not_look(
            "store_unfit_afterwards",
            "The store was fit before this look and is not any more, so nothing is concluded",
            "mend it (imagesync_doctor says what), then look again",
        )
    told = f" ({facts.answer})" if facts.answer else ""
    return _could_not_look(
        "could_not_look",
        f"The object could not be looked at, because of {facts.reason}{told}, so nothing is concluded",
        "look again later; if it stays so, imagesync_doctor tells more",
    )


_BY_VERDICT = {
    Verdict.PRESENT: _present,
    Verdict.MISMATCHED: _mismatched,
    Verdict.ARCHIVED: _archived,
    Verdict.RECOVERABLE: _recoverable,
    Verdict.MISSING: _missing,
    Verdict.AMBIGUOUS: _ambiguous,
    Verdict.DENIED: _denied,
    Verdict.UNKNOWN: _unknown,
    Verdict.UNCHECKED: _unknown,
}


def _some(records: Sequence[str]) -> str:
    if not records:
        return "the record"
    return records[0] if len(records) == 1 else f"{records[0]} (and {len(records) - 1:,} more)"


def _quoted(text: str) -> str:
    return f'"{text}"'
