"""A store that misbehaves at given moments, on the wire or from recordings of the wire, and what it really said.

The oracle of the promise is made here, of what was *played*, and knows nothing of how it was judged.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.selftest.bucket import REGION, Bucket
from imagesync.selftest.row import FIT, Row
from imagesync.selftest.wire import Answer, Asked, Lab
from imagesync.storage.client import ClientOptions, client_for_lab
from imagesync.storage.contract import ListingAnswer, StoreIdentity, fingerprint
from imagesync.storage.store import S3Store
from tests.storage.scripted import storage_of

LOCATION = "site"
PRESENT = ("site/a.jpg", "site/c d+e.jpg", "site/ü.jpg")
GONE = ("site/b.jpg", "site/d%20e.jpg", "site/u\u0308.jpg")
STRANGERS = ("site/aa", "site/b", "site/bb", "site/y", "site/zzz", "other/a.jpg", "zoo")
"""Objects that no record names."""
HARMLESS_AT_FIRST = "LIST the first page for ever"
"""Its first page is as good as any; only who goes on sees the fault."""
BUCKET = "lab"
PROBE = ".imagesync/absent-"
CHECK = ("HEAD_BUCKET", "LIST", "GET", "VERSIONING")
KEYS_OF_A_CHECK = 2
PAGE_SIZE = 3
SECONDS = 0.5
CALLS_PER_CLIENT = 8


@dataclass(frozen=True)
class Fault:
    """``row`` is what is answered, when ``phase`` comes (None: always) and about ``target``.

    A phase begins with each check of the store: 1 is before the audit, 2 after it, 3 the plan, 4 before and 5
    after a batch of the purge. For objects the target is a key, or PROBE for the key that cannot exist; for LIST it is
    which call of the phase it is (0: the preflight's); else empty.
    """

    row: Row
    phase: int | None
    target: str | int = ""

    def concerns(self, call: Call) -> bool:
        if call.operation != self.row.operation or self.phase not in (None, call.phase):
            return False
        if self.target == PROBE:
            return PROBE in call.key
        if call.operation == "LIST":
            return self.target == call.nth_list
        return self.target in ("", call.key)


@dataclass(frozen=True)
class Call:
    operation: str
    key: str
    phase: int
    nth_list: int
    is_check: bool


@dataclass(frozen=True)
class Said:
    call: Call
    row: Row | None
    """None: the honest answer."""


class World:
    """One bucket, its faults, and the log of what it said."""

    def __init__(self, faults: Iterable[Fault], *, versioning: str, hidden: Iterable[str] = ()) -> None:
        self.faults = list(faults)
        self.bucket = Bucket(
            dict.fromkeys((*PRESENT, *STRANGERS), 3),
            versioning=versioning,
            hidden=frozenset(hidden),
            page_size=PAGE_SIZE,
        )
        self.said: list[Said] = []
        self.phase = 0
        self._lists = 0
        self._checked = set(CHECK)
        """Which questions of the check this phase has had: they come side by side, so any of them may be the first."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        told = ", ".join(f"{one.row.id!r} in phase {one.phase} for {one.target!a}" for one in self.faults)
        return f"<{self.bucket.versioning or 'unversioned'}, hidden {sorted(self.bucket.hidden)}: {told}>"

    def call(self, operation: str, key: str = "", *, max_keys: int = 0) -> tuple[Call, Row | None]:
        """Note that something is asked, and tell which row answers it."""
        with self._lock:
            if is_check := _is_of_the_check(operation, key, max_keys):
                if operation in self._checked:
                    self.phase += 1
                    self._lists = 0
                    self._checked.clear()
                self._checked.add(operation)
            elif operation == "LIST":
                self._lists += 1
            call = Call(operation, key, self.phase, self._lists, is_check)
            row = next((fault.row for fault in self.faults if fault.concerns(call)), None)
            self.said.append(Said(call, row))
        return call, row

    # -- the oracle --------------------------------------------------------------------------------------

    def proofs(self, key: str, phases: Iterable[int]) -> list[bool]:
        """For each GET of ``key`` in these phases: was the answer proof that it is gone?"""
        chosen = set(phases)
        mine = [one for one in self.said if one.call.key == key and one.call.phase in chosen]
        versions = all(self._leaves_none(one) for one in mine if one.call.operation == "VERSIONS")
        return [self._is_proof(one) and versions for one in mine if one.call.operation == "GET"]

    def was_healthy(self, phases: Iterable[int]) -> bool:
        """Whether every check of the store in these phases was answered as by a healthy one."""
        chosen = set(phases)
        checks = [one for one in self.said if one.call.phase in chosen and one.call.is_check]
        return all(_is_healthy(one) for one in checks if one.call.operation != "VERSIONING")

    def _is_proof(self, said: Said) -> bool:
        if said.row is None:
            return said.call.key not in self.bucket.objects and said.call.key not in self.bucket.hidden
        return said.row.proves_absence

    def _leaves_none(self, said: Said) -> bool:
        if said.row is None:
            return said.call.key not in self.bucket.objects and said.call.key not in self.bucket.hidden
        return said.row.judged == "missing"


def _is_of_the_check(operation: str, key: str, max_keys: int) -> bool:
    return (
        operation in ("HEAD_BUCKET", "VERSIONING")
        or (operation == "LIST" and max_keys == KEYS_OF_A_CHECK)
        or PROBE in key
    )


def _is_healthy(said: Said) -> bool:
    if said.row is None or said.row.id == HARMLESS_AT_FIRST:
        return True
    if said.call.operation == "GET":
        return said.row.proves_absence or (
            "delete-marker" in said.row.id and said.row.judged == "recoverable"
        )
    return said.row.judged == FIT


class OnTheWire:
    """A Store: every call goes through botocore to the lab, which plays what the world says."""

    def __init__(self, world: World, lab: Lab) -> None:
        self._world = world
        self._playing: dict[tuple[str, str], Row | None] = {}
        self._times: Counter[tuple[str, str]] = Counter()
        options = ClientOptions(connect_timeout=SECONDS, read_timeout=SECONDS, max_attempts=2, workers=4)
        client = client_for_lab(storage_of("http://127.0.0.1:9"), lab.url, region=REGION, options=options)
        self._store = S3Store(client, alias="default", bucket=BUCKET, location=LOCATION)
        lab.play(self._script)

    def _script(self, asked: Asked) -> Answer:
        about = asked.operation, _subject(asked)
        self._times[about] += 1  # within one call of the store, so that its retries are told apart
        asked, row = replace(asked, nth=self._times[about]), self._playing.get(about)
        return self._world.bucket.answer(asked) if row is None else row.play(asked, self._world.bucket)

    def _next(self, operation: str, key: str = "", *, max_keys: int = 0) -> None:
        _call, row = self._world.call(operation, key, max_keys=max_keys)
        self._playing[operation, key] = row
        self._times[operation, key] = 0

    @property
    def identity(self) -> StoreIdentity:
        return self._store.identity

    @property
    def requests(self) -> Counter[str]:
        return self._store.requests

    def key_for(self, name: str) -> str | None:
        return self._store.key_for(name)

    def keys_for(self, names: Sequence[str]) -> list[str | None]:
        return self._store.keys_for(names)

    def name_for(self, key: str) -> str | None:
        return self._store.name_for(key)

    def head(self, key: str) -> Evidence:
        self._next("HEAD", key)
        return self._store.head(key)

    def get(self, key: str) -> Evidence:
        self._next("GET", key)
        return self._store.get(key)

    def versions_of(self, key: str) -> str:
        self._next("VERSIONS", key)
        return self._store.versions_of(key)

    def head_bucket(self) -> Evidence:
        self._next("HEAD_BUCKET")
        return self._store.head_bucket()

    def versioning(self) -> str:
        self._next("VERSIONING")
        return self._store.versioning()

    def list_page(self, **asked: Any) -> ListingAnswer:
        self._next("LIST", max_keys=asked["max_keys"])
        return self._store.list_page(**asked)


def _subject(asked: Asked) -> str:
    return asked.query.get("prefix", "") if asked.operation == "VERSIONS" else asked.key


class Recorder:
    """What botocore made of each answer, taken once from the wire and then from memory."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._tape: dict[tuple[Any, ...], Any] = {}
        self._client: Any = None
        self._calls = 0

    def of(self, world: World, row: Row | None, method: str, key: str = "", **asked: Any) -> Any:
        bucket = world.bucket
        honest = (bucket.versioning, frozenset(bucket.hidden))
        about = (row.id if row else honest, method, "" if PROBE in key else key, tuple(sorted(asked.items())))
        if about not in self._tape:
            self._lab.play(bucket.answer if row is None else lambda one: row.play(one, bucket))
            call = getattr(self._fresh(), method)
            self._tape[about] = self._renamed(call(key) if key else call(**asked))
        return self._tape[about]

    def _renamed(self, answer: Any) -> Any:
        """Pages name the bucket that they were recorded of."""
        if isinstance(answer, ListingAnswer) and answer.page and answer.page.get("Name") == self._bucket:
            return replace(answer, page={**answer.page, "Name": BUCKET})
        return answer

    @property
    def _bucket(self) -> str:
        return f"{BUCKET}-{self._calls}"

    def _fresh(self) -> S3Store:
        """A store whose client has not seen many failures: botocore's retry quota would end."""
        if self._calls % CALLS_PER_CLIENT == 0:
            options = ClientOptions(connect_timeout=SECONDS, read_timeout=SECONDS, max_attempts=2, workers=1)
            self._client = client_for_lab(
                storage_of("http://127.0.0.1:9"), self._lab.url, region=REGION, options=options
            )
        self._calls += 1
        # a bucket of its own: botocore remembers redirects by bucket
        return S3Store(self._client, alias="default", bucket=self._bucket, location=LOCATION)


class Recorded:
    """A Store that answers as the wire did."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self.identity = StoreIdentity(
            alias="default",
            bucket=BUCKET,
            region=REGION,
            endpoint="http://lab.invalid",
            prefix=f"{LOCATION}/",
            fingerprint=fingerprint("http://lab.invalid", BUCKET, f"{LOCATION}/"),
        )
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()

    def _say(self, operation: str, method: str, key: str = "", **asked: Any) -> Any:
        _call, row = self._world.call(operation, key, max_keys=asked.get("max_keys", 0))
        with self._lock:
            return self._recorder.of(self._world, row, method, key, **asked)

    def key_for(self, name: str) -> str | None:
        return f"{LOCATION}/{name}"

    def keys_for(self, names: Sequence[str]) -> list[str | None]:
        return [self.key_for(name) for name in names]

    def name_for(self, key: str) -> str | None:
        return key.removeprefix(f"{LOCATION}/")

    def head(self, key: str) -> Evidence:
        answer: Evidence = self._say("HEAD", "head", key)
        return answer

    def get(self, key: str) -> Evidence:
        answer: Evidence = self._say("GET", "get", key)
        return answer

    def versions_of(self, key: str) -> str:
        answer: str = self._say("VERSIONS", "versions_of", key)
        return answer

    def head_bucket(self) -> Evidence:
        answer: Evidence = self._say("HEAD_BUCKET", "head_bucket")
        return answer

    def versioning(self) -> str:
        answer: str = self._say("VERSIONING", "versioning")
        return answer

    def list_page(self, **asked: Any) -> ListingAnswer:
        answer: ListingAnswer = self._say("LIST", "list_page", **asked)
        return answer
