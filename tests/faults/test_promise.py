"""The promise: whatever comes back over the wire, at whatever moment,

    deletable is a subset of the keys whose every confirming GET was NoSuchKey while the store passed its checks.

The whole way is run: an audit that marks, a plan, its execution; against a real database. The oracle is what the
server said (tests/faults/world.py), judged by hand in the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from imagesync.core.classify import classify_get
from imagesync.core.verdicts import Evidence, Verdict
from imagesync.exceptions import PurgeRefused
from imagesync.models import Audit, Image
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Source, Target, find_sources
from imagesync.selftest.row import Row
from imagesync.selftest.table import rows_of
from imagesync.selftest.wire import Answer, Lab
from imagesync.storage.contract import Store
from tests.django.helpers import audited, make_images
from tests.faults.world import GONE, LOCATION, PRESENT, PROBE, Fault, OnTheWire, Recorded, Recorder, World

KEYS = (*PRESENT, *GONE)
AUDIT, PURGE = (1, 2), (3, 4, 5)
SHAPES = ["list", "head"]
RECORDED_EXAMPLES, WIRE_EXAMPLES = 200, 50

pytestmark = pytest.mark.django_db


def _rows(*operations: str) -> st.SearchStrategy[Row]:
    return st.sampled_from([row for operation in operations for row in rows_of(operation)])


# None: at every moment. Most faults are about single keys, or no run would come as far as a purge.
_PHASES = st.sampled_from([None, 1, 1, 2, 2, 3, 4, 5])
_OF_KEYS = st.builds(
    Fault,
    row=_rows("GET", "HEAD", "VERSIONS"),
    phase=st.sampled_from([None, 1, 4]),
    target=st.sampled_from(KEYS),
)
_OF_PROBES = st.builds(Fault, row=_rows("GET"), phase=_PHASES, target=st.just(PROBE))
_OF_BUCKET = st.builds(Fault, row=_rows("HEAD_BUCKET", "VERSIONING"), phase=_PHASES)
_OF_LISTS = st.builds(Fault, row=_rows("LIST"), phase=_PHASES, target=st.integers(0, 4))
_PROOFS = st.builds(
    Fault,
    row=st.sampled_from([row for row in rows_of("GET") if row.proves_absence]),
    phase=st.sampled_from([None, 1, 4]),
    target=st.sampled_from(KEYS),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    of_keys = st.lists(st.one_of(_OF_KEYS, _OF_KEYS, _PROOFS), max_size=6)
    of_store = st.lists(st.one_of(_OF_PROBES, _OF_BUCKET, _OF_LISTS), max_size=2)
    # half of the worlds have a healthy store
    faults = [*draw(of_keys), *(draw(of_store) if draw(st.booleans()) else ())]
    versioning = draw(st.sampled_from(["", "", "Enabled", "Suspended"]))
    hidden = draw(st.sets(st.sampled_from(GONE), max_size=2)) if versioning else set()
    return World(faults, versioning=versioning, hidden=hidden)


_SEEN_BEFORE = st.sets(st.sampled_from(KEYS))


@dataclass(frozen=True)
class Ran:
    world: World
    audit: Audit
    seen_before: set[str]
    marked: dict[str, str]
    """Key -> verdict on its row after the audit."""
    deleted: set[str]


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def run(world: World, store: Store, target: Target, strategy: str, seen_before: set[str]) -> Ran:
    with rolled_back():
        make_images(*(name_of(key) for key in KEYS))
        Image.objects.filter(file__in=[name_of(key) for key in seen_before]).update(
            verdict=Verdict.PRESENT, store=store.identity.fingerprint
        )
        source = Source(store=store, targets=(target,), workers=4)
        audit = audited(source, strategy=strategy)
        marked = dict(_rows_by_key("verdict"))
        world.phase = AUDIT[-1]
        plan = make_plan(source, audit, limits=limits_from_settings(max_ratio=1.0, grace_period=timedelta(0)))
        with suppress(PurgeRefused):  # the usual end of a bad day
            execute_plan(plan, source)
        deleted = set(KEYS) - {one[0] for one in _rows_by_key("pk")}
    return Ran(world, audit, seen_before, marked, deleted)


def _rows_by_key(column: str) -> list[tuple[str, Any]]:
    return [(f"{LOCATION}/{name}", value) for name, value in Image.objects.values_list("file", column)]


def name_of(key: str) -> str:
    return key.removeprefix(f"{LOCATION}/")


def hold_promise(ran: Ran) -> None:
    world = ran.world
    for key in ran.deleted:
        assert world.was_healthy(AUDIT + PURGE), f"{key!a} was deleted in a store that failed a check"
        audit, purge = world.proofs(key, AUDIT), world.proofs(key, PURGE)
        # a canary's look comes first and proves nothing by itself; the confirming GET is the last of the audit
        assert audit, f"{key!a} was deleted without a GET in the audit"
        assert audit[-1], f"{key!a} was deleted on an answer that is no proof"
        assert purge, f"{key!a} was deleted without a GET in the purge"
        assert all(purge), f"{key!a} was deleted although the purge's GET was no proof"
    for key, verdict in ran.marked.items():
        if verdict == Verdict.MISSING:
            assert world.was_healthy(AUDIT), f"{key!a} was marked in a store that failed a check"
            assert world.proofs(key, AUDIT)[-1:] == [True], f"{key!a} was marked without proof"
        if key in ran.seen_before:
            assert Verdict(verdict).is_known, f"{key!a} was present and is {verdict}"
    counts = ran.audit.counts
    judged = sum(counts[verdict] for verdict in Verdict)
    assert judged == counts["records"], counts
    assert counts["records"] in (0, len(KEYS))
    assert counts["records"] or ran.audit.trust == Audit.Trust.UNTRUSTWORTHY
    assert counts[Verdict.UNCHECKED] == 0


class Tally:
    """What the examples came to: a property that never gets to a purge shows nothing."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()

    def note(self, ran: Ran) -> None:
        self.ends["runs"] += 1
        self.ends[f"audit {ran.audit.trust}"] += 1
        self.ends["with a mark of missing"] += Verdict.MISSING in ran.marked.values()
        self.ends["with a deletion"] += bool(ran.deleted)
        self.ends["answers played"] += len(ran.world.said)
        self.ends["of them bad ones"] += sum(said.row is not None for said in ran.world.said)

    def show(self, title: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            print(f"\n{title}: {dict(self.ends)}")
        assert self.ends["with a deletion"] > self.ends["runs"] / 20
        assert self.ends["audit untrustworthy"] > self.ends["runs"] / 20


@pytest.fixture
def target() -> Target:
    return next(one for one in find_sources()[0].targets if one.label == "imagesync.Image.file")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(lambda asked: Answer(500)) as lab:
        yield lab


@pytest.fixture(scope="module")
def recorder(lab: Lab) -> Iterator[Recorder]:
    with no_back_off():
        yield Recorder(lab)


@contextmanager
def no_back_off() -> Iterator[None]:
    """botocore's retries are made, but it does not wait before them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
        yield


def _settings(examples: int, **more: Any) -> Callable[[Any], Any]:
    return settings(
        **more,
        max_examples=examples,
        deadline=None,
        derandomize=True,  # a build fails because of the change and not because of the dice
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


@pytest.mark.parametrize("strategy", SHAPES)
def test_promise__on_recorded_evidence(
    strategy: str, recorder: Recorder, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()

    @_settings(RECORDED_EXAMPLES)
    @given(world=worlds(), seen_before=_SEEN_BEFORE)
    def promise(world: World, seen_before: set[str]) -> None:
        ran = run(world, Recorded(world, recorder), target, strategy, seen_before)
        tally.note(ran)
        hold_promise(ran)

    promise()
    tally.show(f"promise on recorded evidence, {strategy}", capsys)


@pytest.mark.parametrize("strategy", SHAPES)
def test_promise__over_the_wire(
    strategy: str, lab: Lab, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()

    @_settings(WIRE_EXAMPLES)
    @given(world=worlds(), seen_before=_SEEN_BEFORE)
    def promise(world: World, seen_before: set[str]) -> None:
        ran = run(world, OnTheWire(world, lab), target, strategy, seen_before)
        tally.note(ran)
        hold_promise(ran)

    with no_back_off():
        promise()
    tally.show(f"promise over the wire, {strategy}", capsys)


def test_promise__is_seen_broken_when_a_bare_404_is_believed(
    recorder: Recorder, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def credulous(answer: Evidence, expected: Any = None) -> tuple[Verdict, str]:
        return (Verdict.MISSING, "") if answer.status == 404 else classify_get(answer, expected)

    monkeypatch.setattr("imagesync.storage.probe.classify_get", credulous)

    @_settings(200, phases=[Phase.generate], report_multiple_bugs=False)
    @given(world=worlds(), seen_before=_SEEN_BEFORE)
    def promise(world: World, seen_before: set[str]) -> None:
        hold_promise(run(world, Recorded(world, recorder), target, "list", seen_before))

    with pytest.raises(AssertionError, match=r"no proof|without proof"):
        promise()
