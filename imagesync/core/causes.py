"""What probably happened, from where and when the broken images are. A guess, and told as one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.verdicts import Verdict

MOST = 0.8
"""From this part on, what they have in common is worth telling."""

_BY_VERDICT = {
    Verdict.RECOVERABLE: (
        "delete_markers",
        "{number:,} more were deleted in a bucket that keeps versions.",
        "Nothing is lost: remove the delete markers, and find who deletes. debug_s3_image tells of each.",
    ),
    Verdict.ARCHIVED: (
        "archived",
        "{number:,} more were moved to a storage class that no browser can read.",
        "Look for a lifecycle rule of the bucket with a transition to GLACIER or DEEP_ARCHIVE.",
    ),
    Verdict.MISMATCHED: (
        "overwritten",
        "{number:,} more are there, and not what was stored: empty, or of another size or ETag.",
        "Look for a job that rewrites objects in place, or for uploads that broke off.",
    ),
}


def likely_causes(
    rise: Mapping[str, int], *, folders: Mapping[str, int], days: Mapping[str, int], sampled: int
) -> list[Diagnosis]:
    """What the change by verdict, and the folders and upload days of ``sampled`` missing records, have in common."""
    return [*_of_verdicts(rise), *_of_places(folders, sampled), *_of_days(days, sampled)]


def _of_verdicts(rise: Mapping[str, int]) -> Iterator[Diagnosis]:
    for verdict, (id, fact, hint) in _BY_VERDICT.items():
        if rise.get(verdict, 0) > 0:
            yield Diagnosis(id=id, fact=fact.format(number=rise[verdict]), hint=hint)


def _of_places(folders: Mapping[str, int], sampled: int) -> Iterator[Diagnosis]:
    for folder, number in folders.items():
        if folder and sampled > 1 and number >= MOST * sampled:
            yield Diagnosis(
                id="one_folder",
                fact=f"{100 * number / sampled:.0f} % of what is missing lies in one folder, {folder!a}.",
                hint="Look for what deletes there: a lifecycle rule with this prefix, a clean-up job, a folder that was "
                "moved.",
            )


def _of_days(days: Mapping[str, int], sampled: int) -> Iterator[Diagnosis]:
    for day, number in days.items():
        if sampled > 1 and number >= MOST * sampled:
            yield Diagnosis(
                id="one_day",
                fact=f"{100 * number / sampled:.0f} % of what is missing was uploaded on {day}.",
                hint="Look at what was deployed, imported or restored that day.",
            )
