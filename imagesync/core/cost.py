"""What requests cost, and what an audit will cost at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

PAGE = 1000
"""Keys on a full listing page ("ListObjectsV2", Amazon S3 API reference)."""
BREAK_EVEN_IN_TIME = 12.0
"""Without prices: about so many probes take a store as long as one page."""
_LISTS = ("LIST", "VERSIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Of a thousand requests; the defaults are those of S3 Standard in us-east-1 ("Amazon S3 pricing", requests)."""

    list: float = 0.005
    get: float = 0.0004
    currency: str = "USD"

    @property
    def break_even(self) -> float:
        """How many records a page must hold for listing it to cost no more than asking for each."""
        return self.list / self.get if self.get else BREAK_EVEN_IN_TIME

    def of(self, requests: Mapping[str, int]) -> float:
        """The price of requests by kind. S3 prices LIST like PUT, and all that only reads like GET."""
        lists = sum(number for kind, number in requests.items() if kind in _LISTS)
        return (lists * self.list + (sum(requests.values()) - lists) * self.get) / 1000


def told(amount: float, currency: str) -> str:
    """An amount of money for people: to the hundredth, or to its first two digits when it is less."""
    if amount >= 1 or not amount:
        return f"{amount:,.2f} {currency}"
    places = 1 - math.floor(math.log10(amount))
    return f"{amount:.{places}f}".rstrip("0").rstrip(".") + f" {currency}"


def expectation(records: int, strategy: str, prices: Prices, *, objects: int | None = None) -> str:
    """Before an audit starts: what it will cost, in one sentence.

    ``objects`` is how many the last audit saw that saw all of them; None when none did.
    """
    heads = f"one HEAD each: {told(prices.of({'HEAD': records}), prices.currency)}"
    if objects is None:
        lists = f"{told(prices.of({'LIST': 1000}), prices.currency)} for every million objects"
    else:
        lists = (
            f"{told(prices.of({'LIST': objects // PAGE + 1}), prices.currency)} for about {objects:,} objects"
        )
    if strategy == "head":
        return f"about {records:,} records, {heads}"
    if strategy == "list":
        return f"about {records:,} records, by listing: {lists}"
    return f"about {records:,} records, by listing: {lists}; {heads}; little more than the cheaper of the two"
