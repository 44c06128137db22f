"""Payloads of older versions are lifted to the present form; what is unknown stops by name."""

import copy
import itertools
import json
import runpy
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates import upcasters
from aggregates.base import TOPICS, Event, topic
from aggregates.errors import DomainError
from aggregates.session import PhaseStarted
from aggregates.upcasters import UPCASTERS, check_complete, lift, register
from eventstore.codec import decode, encode
from eventstore.errors import UnknownEvent

EVENTS = Path(__file__).resolve().parents[1] / "golden" / "events"
WHEN = {"occurred_at": "2024-01-02T15:00:00Z", "effective_date": "2024-01-02"}


@pytest.fixture
def registry() -> Iterator[None]:
    """Topics and upcasters that a test registers are gone after it."""
    before = dict(TOPICS), dict(UPCASTERS)
    yield
    for table, kept in zip((TOPICS, UPCASTERS), before, strict=True):
        table.clear()
        table.update(kept)  # type: ignore[arg-type]


# An event with a past: first it had a text, then the text was called note, then it got an amount.


def note_for_text(payload: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in payload.items() if k != "text"} | {"note": payload["text"].strip()}


def with_amount(payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"amount": "0.00"}


STEPS = {1: note_for_text, 2: with_amount}


def third_version() -> type[Event]:
    @topic("Test.Noted", schema_version=3)
    class Noted(Event, frozen=True, kw_only=True):
        note: str
        amount: Decimal

    return Noted


@pytest.fixture
def noted(registry: None) -> type[Event]:  # noqa: ARG001 - cleans up
    kind = third_version()
    register("Test.Noted", STEPS)
    return kind


FIRST, SECOND, THIRD = (
    json.dumps(WHEN | fields).encode()
    for fields in ({"text": "a"}, {"note": "a"}, {"note": "a", "amount": "0.00"})
)


# Registering


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({}, "version 3, but nothing lifts its version 1, 2"),
        ({1: note_for_text}, "nothing lifts its version 2"),
        ({2: with_amount}, "nothing lifts its version 1"),
        (STEPS | {3: with_amount}, "a step from version 3 leads nowhere"),
        (STEPS | {0: with_amount}, "a step from version 0 leads nowhere"),
    ],
    ids=["none", "last missing", "gap", "too many", "before the first"],
)
def test_steps_that_do_not_lead_from_the_first_to_the_present_version_are_refused(
    steps: Any, words: str
) -> None:
    third_version()
    with pytest.raises(DomainError, match=rf"Test\.Noted is at version 3.*{words}|{words}"):
        register("Test.Noted", steps)
    assert "Test.Noted" not in UPCASTERS


@pytest.mark.usefixtures("noted")
def test_a_second_registration_and_an_unknown_topic_are_refused() -> None:
    with pytest.raises(DomainError, match=r"Test\.Noted are registered twice"):
        register("Test.Noted", STEPS)
    with pytest.raises(DomainError, match=r"Test\.Never is no topic"):
        register("Test.Never", {})


@pytest.mark.usefixtures("registry")
def test_what_was_registered_does_not_change_with_the_callers_table() -> None:
    third_version()
    steps = dict(STEPS)
    register("Test.Noted", steps)
    steps.clear()
    check_complete()


def test_a_version_without_its_step_keeps_the_program_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At import, long before the first old event is read."""
    check_complete()
    monkeypatch.setattr(PhaseStarted, "schema_version", 2)
    with pytest.raises(DomainError, match=r"Session\.PhaseStarted.*nothing lifts its version 1.*"):
        runpy.run_path(upcasters.__file__)


# Reading


@pytest.mark.parametrize(("version", "state"), [(1, FIRST), (2, SECOND), (3, THIRD)])
def test_every_version_is_read_as_the_present_form(
    noted: type[Event], version: int, state: bytes
) -> None:
    event = decode("Test.Noted", version, state, 7)
    assert event == decode("Test.Noted", 3, THIRD, 7)
    assert type(event) is noted


def test_the_present_version_passes_no_upcaster(
    noted: type[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("an event of the present version was lifted")

    monkeypatch.setattr("eventstore.codec.lift", never)
    assert type(decode("Test.Noted", 3, THIRD, 7)) is noted
    with pytest.raises(AssertionError):
        decode("Test.Noted", 2, SECOND, 7)


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize("version", [-1, 0, 4, 99])
def test_a_version_that_is_not_known_stops_by_name(version: int) -> None:
    words = (
        rf"^Event 7 is a Test\.Noted of schema {version}, written by TradeBot 9\.9\.0; this version"
        r" does not know it \(it reads up to schema 3\)\. Nothing was changed\. Install TradeBot"
        r" 9\.9\.0 or a newer version\.$"
    )
    with pytest.raises(UnknownEvent, match=words):
        decode("Test.Noted", version, THIRD, 7, "9.9.0")


def test_a_topic_that_is_not_known_stops_by_name() -> None:
    words = r"^Event 2 of x is a Test\.Never of schema 1, written by TradeBot 9\.9\.0.*9\.9\.0 or"
    with pytest.raises(UnknownEvent, match=words):
        decode("Test.Never", 1, b"{}", "Event 2 of x", "9.9.0")


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"text":"a"}',
        b'{"text":5}',
        b'{"text":' + b"[" * 5000,
    ],
    ids=range(8),
)
def test_an_old_payload_that_was_never_written_stops_by_name(
    state: bytes,
) -> None:
    with pytest.raises(UnknownEvent, match=r"Event 7 \(Test\.Noted, schema 1\).*tbot verify"):
        decode("Test.Noted", 1, state, 7)


# Every upcaster is total and pure, over random payloads of the forms in the golden corpus


def shapes(name: str, version: int) -> list[Any]:
    files = sorted((EVENTS / name / f"v{version}").glob("*.json"))
    return [json.loads(path.read_bytes()) for path in files]


def like(seen: list[Any]) -> st.SearchStrategy[Any]:
    """Random values of the kinds that were seen in one place of a payload."""
    kinds = []
    for kind, group in itertools.groupby(sorted(seen, key=_kind), key=_kind):
        kinds.append(MAKERS[kind](list(group)))
    return st.one_of(kinds)


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        return type(value).__name__
    for kind, parse in (("number", Decimal), ("day", date.fromisoformat), ("moment", _moment)):
        try:
            parse(value)
        except (ValueError, ArithmeticError):
            continue
        return kind
    return "str"


def _moment(text: str) -> datetime:
    if "T" not in text:
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _object(seen: list[dict[str, Any]]) -> st.SearchStrategy[Any]:
    keys = {key for each in seen for key in each}
    places = {key: like([each[key] for each in seen if key in each]) for key in sorted(keys)}
    always = {key: place for key, place in places.items() if all(key in each for each in seen)}
    rest = {key: place for key, place in places.items() if key not in always}
    return st.fixed_dictionaries(always, optional=rest)


def _list(seen: list[list[Any]]) -> st.SearchStrategy[Any]:
    inner = [element for each in seen for element in each]
    return st.lists(like(inner), max_size=3) if inner else st.just([])


DECIMALS = st.decimals(-(10**15), 10**15, allow_nan=False, places=9)
MOMENTS = st.builds(
    lambda day, second, micro: datetime.combine(day, time(), UTC)
    + timedelta(seconds=second, microseconds=micro),
    st.dates(), st.integers(0, 86399), st.sampled_from([0, 1, 123456]),
)  # fmt: skip
MAKERS: dict[str, Callable[[list[Any]], st.SearchStrategy[Any]]] = {
    "NoneType": lambda _: st.none(),
    "bool": lambda _: st.booleans(),
    "int": lambda _: st.integers(-(2**63), 2**63 - 1),
    "number": lambda _: DECIMALS.map(str),
    "day": lambda _: st.dates().map(date.isoformat),
    "moment": lambda _: MOMENTS.map(lambda m: m.isoformat().replace("+00:00", "Z")),
    "str": lambda seen: st.sampled_from(sorted(set(seen))),
    "list": _list,
    "dict": _object,
}


def check_lifting(name: str, version: int, payload: dict[str, Any]) -> Event:
    """Total, pure, and of a form that the class reads."""
    given_payload = copy.deepcopy(payload)
    lifted = lift(name, version, payload)
    assert payload == given_payload, "the input was modified"
    assert lift(name, version, copy.deepcopy(payload)) == lifted, "not the same each time"
    return decode(name, version, json.dumps(payload).encode(), 1)


FORMS = sorted((name, v) for name, cls in TOPICS.items() for v in range(1, cls.schema_version + 1))


@pytest.mark.parametrize(("name", "version"), FORMS, ids=str)
def test_every_form_can_be_lifted_and_read(name: str, version: int) -> None:
    @settings(max_examples=20)
    @given(like(shapes(name, version)))
    def holds(payload: dict[str, Any]) -> None:
        event = check_lifting(name, version, payload)
        if version == type(event).schema_version:
            assert json.loads(encode(event)) == payload  # nothing is lost, nothing is added

    holds()


def test_steps_that_are_total_and_pure_pass(noted: type[Event]) -> None:
    @settings(max_examples=50)
    @given(like([WHEN | {"text": "a"}, WHEN | {"text": "b; “c”"}]))
    def holds(payload: dict[str, Any]) -> None:
        assert type(check_lifting("Test.Noted", 1, payload)) is noted

    holds()


def in_place(payload: dict[str, Any]) -> dict[str, Any]:
    payload["note"] = payload.pop("text")
    return payload


counter = itertools.count()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (in_place, "the input was modified"),
        (lambda p: note_for_text(p) | {"note": str(next(counter))}, "not the same each time"),
        (lambda p: note_for_text(p) | {"note": str(1 / len(p["text"]))}, "division by zero"),
        (lambda p: p, "missing required field `note`"),
    ],
    ids=["modifies", "counts", "partial", "wrong form"],
)
def test_a_step_that_is_neither_is_found(step: Any, words: str) -> None:
    third_version()
    register("Test.Noted", {1: step, 2: with_amount})
    with pytest.raises((AssertionError, ArithmeticError, UnknownEvent), match=words):
        check_lifting("Test.Noted", 1, WHEN | {"text": ""})
