"""Alpaca's trading statuses to halts: every documented code, and unreadable rather than guessed."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.alpaca_statuses import Halt, error, halt, messages, tells_all
from brokers.http_fields import Unreadable

# The example of Alpaca's documentation.
HALT: dict[str, Any] = {
    "T": "s", "S": "AAPL", "sc": "H", "sm": "Trading Halt", "rc": "T12",
    "rm": "Trading Halted; For information requested by NASDAQ", "t": "2021-02-22T19:15:00Z",
    "z": "C",
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "reason", "halted"),
    [
        ("H", "T1", True),
        ("H", "T3", True),  # news and resumption times: not resumed yet
        ("H", "MWC1", True),
        ("P", "LUDP", True),  # a volatility pause
        ("Q", "R4", True),  # quoted again, not yet traded
        ("T", "C11", False),
        ("2", "P", True),
        ("2", "M", True),  # limit up, limit down pause
        ("2", "1", True),  # market-wide circuit breaker
        ("3", "", False),
        ("F", "M", True),
        ("O", "", None),  # of no documented list
        ("", "", ...),
        ("HH", "", None),
    ],
)
def test_what_a_code_says_of_halting(code: str, reason: str, halted: Any) -> None:
    told = HALT | {"sc": code, "rc": reason}
    if halted is ...:
        with pytest.raises(Unreadable):
            halt(told)
    else:
        assert halt(told) == Halt("AAPL", halted)


@pytest.mark.parametrize("code", "56789ACDEF")
def test_indications_imbalances_and_bands_say_nothing_of_halting(code: str) -> None:
    assert halt(HALT | {"sc": code, "rc": "", "z": "A"}) is None


@pytest.mark.parametrize("change", [{"S": None}, {"S": ""}, {"S": 7}, {"sc": None}, {"sc": 2}])
def test_a_status_without_symbol_or_code_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        halt(HALT | change)


def test_frames_are_read_in_both_of_alpacas_encodings() -> None:
    at = datetime(2021, 2, 22, 19, 15, tzinfo=UTC)
    packed = msgspec.msgpack.encode([HALT | {"t": at}, HALT])
    assert [halt(one) for one in messages(packed)] == [Halt("AAPL", True)] * 2
    assert messages(json.dumps([HALT])) == [HALT]


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_whatever_comes_is_read_or_unreadable(frame: str | bytes) -> None:
    try:
        found = messages(frame)
    except Unreadable:
        return
    assert all(isinstance(one, dict) for one in found)


@pytest.mark.parametrize("frame", [b"\x91" * 100_000, "[" * 100_000, b"\xc1", b"\x80", "{}", "[1]"])
def test_nonsense_is_unreadable(frame: str | bytes) -> None:
    with pytest.raises(Unreadable):
        messages(frame)


def test_only_a_list_with_every_symbol_counts_as_subscribed() -> None:
    assert tells_all({"T": "subscription", "statuses": ["*"]}) is True
    for statuses in ([], ["AAPL"], None, "*"):
        assert tells_all({"T": "subscription", "statuses": statuses}) is False


def test_an_error_is_told_by_its_number_and_quotes_nothing() -> None:
    assert error({"T": "error", "code": 402, "msg": "canary"}) == (402, "keys refused")
    for code in (None, 999, "402", [1], True):
        assert error({"T": "error", "code": code, "msg": "canary"})[0] == 0
