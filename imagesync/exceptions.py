"""Every error that imagesync raises.

::

    ImageSyncError
    ├── CannotLook            the store could not be reached, looked at or believed      exit 4
    │   ├── ListingBroken     a listing page contradicts what was asked, or itself
    │   │   └── NotInByteOrder    ... by nothing but the order of its keys
    │   └── QueueFailed       the queue of events could not be asked
    │       └── QueueRefused      ... and cannot be until somebody changes something
    ├── UploadNotVerified     a file was stored, and is not known to be what was sent
    ├── PurgeRefused          a safety rail stopped a whole purge                        exit 4
    ├── AlreadyRunning        another audit or purge of the same thing holds the lease   exit 1
    ├── SelectionChanged      what was confirmed is not what the list finds any more     exit 1
    ├── NoQueue               nothing is set up that carries out work in the background  exit 1
    ├── NotSorted             a listing could not be put in order on this machine's disk exit 1
    ├── NothingMatches        the scope names no record, field, store, audit or purge    exit 1
    └── InvalidRequest        a value that cannot be understood or is out of range       exit 2

Mistakes in the settings are Django's ``ImproperlyConfigured``, outside this tree on purpose: no
``except ImageSyncError`` may swallow one.
"""

from __future__ import annotations


class ImageSyncError(Exception):
    """Something imagesync was asked to do could not be done; the message says what to do next."""


class CannotLook(ImageSyncError):
    """The store could not be reached, looked at or believed, so nothing was concluded."""


class ListingBroken(CannotLook):
    """A listing page contradicts what was asked, or itself; what it lacks means nothing.

    ``reason`` is the reason code that records in the unlisted range are given.
    """

    def __init__(self, message: str, *, reason: str = "listing_broken") -> None:
        super().__init__(message)
        self.reason = reason


class NotInByteOrder(ListingBroken):
    """A listing page is good but for the order of its keys: the store lists in another one, or ignores StartAfter."""


class QueueFailed(CannotLook):
    """The queue that S3's events arrive in could not be asked; ``diagnosis`` is its id (docs/diagnoses.md)."""

    def __init__(self, id: str, fact: str, hint: str) -> None:
        super().__init__(f"{fact} {hint}")
        self.diagnosis = id
        self.fact = fact
        self.hint = hint


class QueueRefused(QueueFailed):
    """The queue does not exist or refuses; asking again without a change is of no use."""


class UploadNotVerified(ImageSyncError):
    """A file was handed to the store, and a look at it did not show what was sent.

    Raised before the record is written. The object is left as it is. ``reason`` is one of
    ``UploadProblem`` or the id of a diagnosis (docs/uploads.md); ``name`` is what the storage called it.
    """

    def __init__(self, reason: str, fact: str, hint: str, *, name: str) -> None:
        super().__init__(f"{fact} {hint}")
        self.reason = reason
        self.fact = fact
        self.hint = hint
        self.name = name


class PurgeRefused(ImageSyncError):
    """A safety rail stopped a whole purge before anything was touched.

    ``id``, ``fact`` and ``hint`` are those of the rail's diagnosis (docs/safety-rails.md).
    """

    def __init__(self, id: str, fact: str, hint: str) -> None:
        super().__init__(f"{fact} {hint}")
        self.id = id
        self.fact = fact
        self.hint = hint


class AlreadyRunning(ImageSyncError):
    """Another process is doing this already and its lease has not expired."""


class SelectionChanged(ImageSyncError):
    """A confirmed selection has other records by now, so nothing was done with any of them."""


class NoQueue(ImageSyncError):
    """Work was to be handed to another process, and neither django-q2 nor ``IMAGESYNC["ENQUEUE"]`` is there."""


class NotSorted(ImageSyncError):
    """A listing that comes in another order could not be sorted on this machine's disk: it is full, or fails.

    It says nothing about the store. The audit is interrupted and can be resumed.
    """


class NothingMatches(ImageSyncError):
    """What was named does not exist, so there is nothing to look at."""


class InvalidRequest(ImageSyncError):
    """A value could not be understood, or lies outside of what is allowed."""
