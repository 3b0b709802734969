"""The merge join: two key-ordered streams in, what each side lacks out.

Records come in key order and may repeat a key (several records may share one object). The listing is
strictly ascending. The order of both is checked, never trusted: a stream that goes backwards would make
keys look absent that are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class HasKey(Protocol):
    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=HasKey)
O = TypeVar("O", bound=HasKey)  # noqa: E741 - the object side


class OutOfOrder(ValueError):
    """A stream that must ascend did not; ``side`` is ``records`` or ``listing``."""

    def __init__(self, side: str, before: str, after: str) -> None:
        super().__init__(f"{side}: {after!a} came after {before!a}")
        self.side = side


@dataclass(frozen=True, slots=True)
class Matched(Generic[R, O]):
    """A record and the object that it names."""

    record: R
    object: O


@dataclass(frozen=True, slots=True)
class Unlisted(Generic[R]):
    """A record whose key the listing lacks. A candidate, never a conclusion."""

    record: R


@dataclass(frozen=True, slots=True)
class Unnamed(Generic[O]):
    """An object that no record names."""

    object: O


def compare(records: Iterable[R], listing: Iterable[O]) -> Iterator[Matched[R, O] | Unlisted[R] | Unnamed[O]]:
    """Join ``records`` and ``listing`` on their key.

    Yields in key order: each record exactly once, as ``Matched`` or ``Unlisted``, and each listed object
    that no record names, once, as ``Unnamed``. Raises OutOfOrder.
    """
    listed = iter(_ascending(listing))
    current = next(listed, None)
    named: str | None = None  # key of the last record; records may repeat it, so its object stays current

    for record in records:
        key = record.key
        if named is not None and key < named:
            raise OutOfOrder("records", named, key)
        while current is not None and current.key < key:
            if current.key != named:
                yield Unnamed(current)
            current = next(listed, None)
        named = key
        if current is not None and current.key == key:
            yield Matched(record, current)
        else:
            yield Unlisted(record)

    while current is not None:
        if current.key != named:
            yield Unnamed(current)
        current = next(listed, None)


def _ascending(listing: Iterable[O]) -> Iterator[O]:
    before: str | None = None
    for entry in listing:
        if before is not None and entry.key <= before:
            raise OutOfOrder("listing", before, entry.key)
        before = entry.key
        yield entry
