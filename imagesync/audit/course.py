"""What the parts of an audit share while one process works on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from imagesync.audit.book import Book
from imagesync.audit.judge import Judge
from imagesync.core.progress import Progress
from imagesync.models import Audit
from imagesync.models.leases import database_clock
from imagesync.records import Scope, Source
from imagesync.storage.store import Store


class Spent:
    """Requests that the store was sent and that nobody has written down yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told = Counter(store.requests)

    def take(self) -> Counter[str]:
        now = Counter(self._store.requests)
        spent, self._told = now - self._told, now
        return spent


@dataclass
class Course:
    """One audit, in the hands of one process. All times are the database's."""

    audit: Audit
    source: Source
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.scope = Scope.from_dict(self.audit.scope)
        self.now: Callable[[], datetime] = database_clock(Audit)
        self.book = Book(self.audit, self.source)
        self.judge = Judge(self.source, self.scope, now=self.now)
        self.spent = Spent(self.source.store)

    def requests(self) -> dict[str, int]:
        """Those of the audit's own, with what was spent since they were last written down."""
        return dict(Counter(self.audit.requests) + self.spent.take())

    def beat(self) -> None:
        self.audit.renew_lease()
