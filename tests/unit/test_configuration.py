"""The settings as history: revisions, what may change, and who saved first."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from aggregates.configuration import (
    FIXED,
    STREAM,
    AdoptSettings,
    Change,
    ChangeSettings,
    Configuration,
    SettingsAdopted,
    SettingsChanged,
    SettingsMoved,
    merged,
)
from runtime.settings_history import money_of

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WHEN = {"occurred_at": NOW, "effective_date": date(2026, 3, 2)}
FIRST = {"MAX_TRADES": "10", "WEB_PORT": "6900", "ENTITY_CODE": "ACME"}
ADOPTED = SettingsAdopted(**WHEN, values=FIRST, reason="provisioning")
change = Configuration.change


def of(*changes: tuple[str, str, str]) -> tuple[Change, ...]:
    return tuple(Change(key=k, before=b, after=a) for k, b, a in changes)


def changed(revision: int, *changes: tuple[str, str, str], reason: str = "") -> SettingsChanged:
    return SettingsChanged(**WHEN, revision=revision, changes=of(*changes), reason=reason)


def ask(seen: int, *changes: tuple[str, str, str], reason: str = "") -> ChangeSettings:
    return ChangeSettings(
        at=NOW, effective_date=date(2026, 3, 2), seen=seen, changes=of(*changes), reason=reason
    )


@pytest.fixture
def case(given: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *past: given(Configuration(STREAM), *past)


def test_a_change_says_what_was_and_what_is(case: Callable[..., Any]) -> None:
    case(ADOPTED).when(change, ask(1, ("MAX_TRADES", "10", "5"), reason="calmer")).then(
        changed(2, ("MAX_TRADES", "10", "5"), reason="calmer")
    )


def test_values_are_those_of_the_last_revision_of_each_key() -> None:
    settings = Configuration(STREAM)
    for event in (
        ADOPTED,
        changed(2, ("MAX_TRADES", "10", "5"), ("MID", "off", "on")),
        changed(3, ("MID", "on", "off")),
    ):
        settings.fold(event)
    assert settings.values == FIRST | {"MAX_TRADES": "5", "MID": "off"}
    assert settings.revision == 3
    assert ADOPTED.values == FIRST, "the event itself stays as it was"


def test_who_saw_an_older_revision_is_told_what_changed_since(case: Callable[..., Any]) -> None:
    past = (
        ADOPTED,
        changed(2, ("MAX_TRADES", "10", "5"), ("WEB_PORT", "6900", "7000")),
        changed(3, ("MAX_TRADES", "5", "6"), ("WEB_PORT", "7000", "6900")),
    )
    case(*past).when(change, ask(1, ("MAX_TRADES", "10", "4"))).refused(
        "you saw revision 1, now it is 3", "(MAX_TRADES)", "Nothing of yours was saved"
    )
    settings = Configuration(STREAM)
    for event in past:
        settings.fold(event)
    with pytest.raises(SettingsMoved) as moved:
        settings.check_seen(1)
    assert moved.value.changes == of(("MAX_TRADES", "10", "6"))  # 7000 is back at 6900
    assert (moved.value.seen, moved.value.revision) == (1, 3)
    settings.check_seen(3)


@pytest.mark.parametrize("seen", [0, -1, 2, 10**20])
def test_a_revision_that_never_was_is_refused(case: Callable[..., Any], seen: int) -> None:
    case(ADOPTED).when(change, ask(seen, ("MAX_TRADES", "10", "5"))).refused(
        f"no revision {seen}", "the newest is 1"
    )


@pytest.mark.parametrize("name", FIXED)
def test_what_names_the_books_is_fixed(case: Callable[..., Any], name: str) -> None:
    before = FIRST.get(name, "A")
    case(ADOPTED).when(change, ask(1, (name, before, "B"))).refused(name, "fixed once the books")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((), "Nothing differs"),
        ((("MAX_TRADES", "10", "10"),), "would stay as it is"),
        ((("MAX_TRADES", "10", "5"), ("MAX_TRADES", "10", "6")), "stands twice"),
        ((("MAX_TRADES", "9", "5"),), "is not what the change starts from"),
    ],
)
def test_a_change_that_changes_nothing_or_starts_elsewhere_is_refused(
    case: Callable[..., Any], changes: tuple[tuple[str, str, str], ...], words: str
) -> None:
    case(ADOPTED).when(change, ask(1, *changes)).refused(words)


def test_before_the_bot_is_set_up_there_is_nothing_to_change(case: Callable[..., Any]) -> None:
    case().when(change, ask(1, ("A", "", "1"))).refused("no settings yet")


def test_a_second_adoption_is_a_revision_too(case: Callable[..., Any]) -> None:
    again = AdoptSettings(
        at=NOW, effective_date=date(2026, 3, 2), values={"MAX_TRADES": "3"}, reason="demo"
    )
    found = case(ADOPTED).when(Configuration.adopt, again)
    assert found.aggregate.revision == 2
    assert of(("MAX_TRADES", "10", "3"))[0] in found.aggregate.revisions[1]
    found.when(Configuration.adopt, again).refused("in force already")


def test_several_changes_come_to_one() -> None:
    there, back = of(("A", "1", "2")), of(("A", "2", "1"))
    assert merged([there, back]) == ()
    assert merged([there, of(("B", "", "x")), of(("A", "2", "3"))]) == of(
        ("A", "1", "3"), ("B", "", "x")
    )


@pytest.mark.parametrize(
    ("values", "money"),
    [
        ({}, "simulated"),
        ({"BROKER_NAME": "ALPACA"}, "paper"),
        ({"BROKER_NAME": "ALPACA", "ALPACA_PAPER": "false"}, "real"),
        ({"BROKER_NAME": "IBKR"}, "real"),
    ],
)
def test_what_is_traded_with_follows_from_the_broker(values: dict[str, str], money: str) -> None:
    assert money_of(values) == money
