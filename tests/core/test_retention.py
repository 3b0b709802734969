"""Which audits stay, however old: whatever a later audit or purge asks for, it must be answered as before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.retention import BELIEVED, AuditNote, audits_that_stay

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

notes = st.builds(
    AuditNote,
    pk=st.just(0),
    fingerprint=st.sampled_from("AB"),
    alias=st.sampled_from(["default", "other"]),
    fields=st.sets(st.sampled_from(["a.A.file", "b.B.file"])).map(lambda some: tuple(sorted(some))),
    scope_key=st.sampled_from(["all", "part", "one"]),
    full_scope=st.booleans(),
    is_repeated=st.booleans(),
    state=st.sampled_from(["running", "interrupted", "paused", "cancelled", "finished"]),
    trust=st.sampled_from(["trustworthy", "degraded", "untrustworthy"]),
    began_at=st.just(LONG_AGO),
    ended_at=st.just(LONG_AGO),
    has_canaries=st.booleans(),
    saw_all_objects=st.booleans(),
    store_changed=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[AuditNote]:
    return [numbered(pk, note) for pk, note in enumerate(draw(st.lists(notes, max_size=30)), start=1)]


def numbered(pk: int, note: AuditNote) -> AuditNote:
    full = note.scope_key == "all"
    values = {name: getattr(note, name) for name in AuditNote.__slots__}
    return AuditNote(**{**values, "pk": pk, "full_scope": full, "is_repeated": note.scope_key != "one"})


def answers(audits: Sequence[AuditNote]) -> dict[str, object]:
    """What audits, purges and pages ask of the audits before them, as they ask it (imagesync.audit.identity, .claim,
    imagesync.purge.basis, imagesync.admin.dashboard, imagesync.notices.standing)."""
    newest = sorted(audits, key=lambda one: -one.pk)
    believed = [one for one in newest if one.state == "finished" and one.trust in BELIEVED]
    found: dict[str, object] = {}
    for store in "AB":
        ours = [one for one in newest if one.fingerprint == store]
        whole = [one for one in ours if one.full_scope and one.state == "finished"]
        found[f"place of {store}"] = first(ours)
        found[f"latest of {store}"] = first(whole)
        found[f"newest of everything in {store}"] = first([one for one in ours if one.full_scope])
        found[f"compared in {store}"] = [one.pk for one in whole if one in believed][:2]
        found[f"canaries of {store}"] = first([one for one in believed if one.has_canaries and one in ours])
        for scope in ("all", "part"):
            same = [one for one in ours if one.scope_key == scope]
            found[f"trustworthy {store} {scope}"] = first(
                [one for one in same if one.state == "finished" and one.trust == "trustworthy"]
            )
            found[f"objects {store} {scope}"] = first(
                [one for one in same if one.state == "finished" and one.saw_all_objects]
            )
            newest_same = first(same)
            resumable = newest_same is not None and same[0].state not in ("finished", "cancelled")
            found[f"resumable {store} {scope}"] = newest_same if resumable else None
    for alias in ("default", "other"):
        named = [one for one in believed if one.alias == alias]
        found[f"canaries by {alias}"] = first([one for one in named if one.has_canaries])
        found[f"store named by {alias}"] = first([one for one in named if not one.store_changed])
    for field in ("a.A.file", "b.B.file"):
        of_field = [one for one in believed if field in one.fields]
        found[f"canaries of {field}"] = first([one for one in of_field if one.has_canaries])
        found[f"store of {field}"] = first([one for one in of_field if not one.store_changed])
        for store in "AB":
            there = [one for one in of_field if one.has_canaries and one.fingerprint == store]
            found[f"canaries of {field} in {store}"] = first(there)
    return found


def first(audits: Sequence[AuditNote]) -> int | None:
    return audits[0].pk if audits else None


@given(histories())
def test_whatever_is_asked_is_answered_as_before(audits: list[AuditNote]) -> None:
    stay = audits_that_stay(audits)

    assert answers([one for one in audits if one.pk in stay]) == answers(audits)


@given(histories())
def test_what_is_under_way_stays(audits: list[AuditNote]) -> None:
    assert {one.pk for one in audits if one.state == "running"} <= set(audits_that_stay(audits))


def test_a_year_of_hourly_audits_leaves_a_few() -> None:
    audits = [
        AuditNote(
            pk=pk,
            fingerprint="A",
            alias="default",
            scope_key="all",
            full_scope=True,
            is_repeated=True,
            state="finished",
            trust="trustworthy",
            began_at=LONG_AGO + timedelta(hours=pk),
            ended_at=LONG_AGO + timedelta(hours=pk),
            has_canaries=True,
            saw_all_objects=True,
            store_changed=False,
        )
        for pk in range(1, 8761)
    ]

    assert set(audits_that_stay(audits)) == {8759, 8760}
