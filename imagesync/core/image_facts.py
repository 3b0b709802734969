"""What was seen of one image: all that a conclusion (core/conclusion.py) rests on."""

from __future__ import annotations

from dataclasses import dataclass

from imagesync.core.diagnosis import Diagnosis, Place
from imagesync.core.nearmiss import Slip
from imagesync.core.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A near miss that is there."""

    key: str
    slip: Slip
    name: str = ""
    """As a record of this storage would name it; empty when it cannot."""
    records: tuple[str, ...] = ()
    """Labels of the records that name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What stands behind an absence where versions are kept."""

    told: str = ""
    """As the store told it: ``found``, ``none``, ``denied``, ``not_offered``, ``failed``; empty: not asked."""
    markers: tuple[str, ...] = ()
    """Ids of the delete markers above the newest version, newest first."""
    version: str = ""
    """Id of the newest version; empty when there is none."""
    more: bool = False
    """Whether there are versions that were not seen."""
    older: bool = False
    """Whether there are versions below the newest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the conclusion depends on."""

    place: Place
    key: str
    verdict: Verdict
    reason: str = ""
    answer: str = ""
    """What S3 said, such as ``404 NoSuchKey``."""
    unfit: Diagnosis | None = None
    """Why the store cannot be believed."""
    records: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    """Records whose own mark says that an object which is there is not, or the other way round."""
    purged: tuple[tuple[int, str], ...] = ()
    """(purge, record) of records with this key that were purged and not restored."""
    found: tuple[Found, ...] = ()
    hidden: Hidden = Hidden()
    browsed: bool = False
    """Whether a browser's request for the site's URL was made."""
    url_problem: Diagnosis | None = None
    """Why a browser does not get the object by that URL."""
