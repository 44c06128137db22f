"""The line of generations and of signers: no key twice, none left out."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from aggregates.errors import DomainError
from aggregates.keys import (
    STREAM,
    IntroduceSigner,
    Keys,
    KeysRenewed,
    KeysRotated,
    RecordRotation,
    RenewKeys,
    SignerIntroduced,
)

NOW = {"at": datetime(2026, 3, 2, tzinfo=UTC), "effective_date": date(2026, 3, 2)}
THEN: Any = {"occurred_at": NOW["at"], "effective_date": NOW["effective_date"]}


def rotation(generation: int, *fingerprints: str) -> RecordRotation:
    made: Any = NOW
    return RecordRotation(
        generation=generation, manifest_hash=f"m{generation}", fingerprints=fingerprints, **made
    )


def rotated(generation: int, *fingerprints: str) -> KeysRotated:
    return KeysRotated(
        generation=generation, manifest_hash=f"m{generation}", fingerprints=fingerprints, **THEN
    )


def given(*events: Any) -> Keys:
    keys = Keys(STREAM)
    for event in events:
        keys.fold(event)
    return keys


def test_the_next_generation_with_new_keys_is_recorded() -> None:
    keys = given(rotated(1, "a", "b"))
    keys.rotate(rotation(2, "c", "d"))
    assert [n.event for n in keys.collect_events()] == [rotated(2, "c", "d")]


@pytest.mark.parametrize("generation", [0, 1, 3, -2])
def test_a_generation_that_is_not_the_next_is_refused(generation: int) -> None:
    keys = given(rotated(1, "a"))
    with pytest.raises(DomainError, match=f"Generation {generation} .* not the next"):
        keys.rotate(rotation(generation, "z"))
    assert not keys.collect_events()


@pytest.mark.parametrize("fingerprints", [("x", "a"), ("b",), ("x", "x"), ()])
def test_a_key_that_was_in_use_in_any_earlier_generation_is_refused(
    fingerprints: tuple[str, ...],
) -> None:
    keys = given(rotated(1, "a"), rotated(2, "b"), rotated(3, "c"))
    with pytest.raises(DomainError, match="was in use before"):
        keys.rotate(rotation(4, *fingerprints))
    assert not keys.collect_events()


def introduction(old: str, new: str, reason: str = "a new machine") -> IntroduceSigner:
    made: Any = NOW
    return IntroduceSigner(old_vkey=old, new_vkey=new, reason=reason, **made)


INTRODUCED = SignerIntroduced(old_vkey="k1", new_vkey="k2", reason="a new machine", **THEN)


def test_a_signer_follows_the_one_in_force() -> None:
    keys = given()
    keys.introduce_signer(introduction("k1", "k2"))
    assert [n.event for n in keys.collect_events()] == [INTRODUCED]
    assert keys.signers == ["k1", "k2"]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (introduction("k1", "k3"), "is not the one in force"),
        (introduction("k2", "k1"), "was in use before"),
        (introduction("k2", "k2"), "was in use before"),
        (introduction("k2", "k3", " "), "needs a reason"),
    ],
)
def test_a_line_of_signers_never_forks_or_turns_back(command: IntroduceSigner, why: str) -> None:
    keys = given(INTRODUCED)
    with pytest.raises(DomainError, match=why):
        keys.introduce_signer(command)
    assert not keys.collect_events()


def renewal(reason: str) -> RenewKeys:
    made: Any = NOW
    return RenewKeys(root_key=True, reason=reason, **made)


def test_keys_are_renewed_for_a_reason() -> None:
    keys = given(rotated(1, "a"))
    keys.renew(renewal("a new machine"))
    assert [n.event for n in keys.collect_events()] == [
        KeysRenewed(root_key=True, reason="a new machine", **THEN)
    ]
    with pytest.raises(DomainError, match="needs a reason"):
        keys.renew(renewal(" "))
