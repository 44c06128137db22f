"""Instruments: registered once under a permanent id, renamed and split after."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.errors import DomainError
from aggregates.instrument import (
    Instrument,
    InstrumentRegistered,
    InstrumentRenamed,
    InstrumentSplit,
    RecordSplit,
    RegisterInstrument,
    RenameInstrument,
    check_symbol,
    instrument_id,
    instrument_stream,
)

AT = datetime(2022, 6, 9, 13, 30, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2022, 6, 9)}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": date(2022, 6, 9)}
REGISTER = RegisterInstrument(
    **WHEN, symbol="FB", name="Facebook", kind="stock", currency="USD", exchange="XNAS"
)
REGISTERED = InstrumentRegistered(
    **THEN,
    instrument_id="XNAS:FB",
    symbol="FB",
    name="Facebook",
    kind="stock",
    currency="USD",
    exchange="XNAS",
    multiplier=1,
    tick=Decimal("0.01"),
)
RENAME = RenameInstrument(**WHEN, instrument_id="XNAS:FB", symbol="META")
SPLIT = RecordSplit(**WHEN, instrument_id="XNAS:FB", new_units=4, old_units=1)
STREAM = instrument_stream("XNAS:FB")


def test_the_permanent_id_stays_when_the_symbol_changes(given: Any) -> None:
    case = given(Instrument(STREAM))
    case.when(Instrument.register, REGISTER).then(REGISTERED)
    case.when(Instrument.rename, RENAME).then(
        InstrumentRenamed(**THEN, instrument_id="XNAS:FB", symbol_before="FB", symbol="META")
    )
    case.when(Instrument.split, SPLIT).then(
        InstrumentSplit(**THEN, instrument_id="XNAS:FB", symbol="META", new_units=4, old_units=1)
    )
    assert case.aggregate.instrument_id == instrument_id("XNAS", "FB")


def test_it_is_registered_once(given: Any) -> None:
    case = given(Instrument(STREAM), REGISTERED)
    case.when(Instrument.register, REGISTER).refused("XNAS:FB is registered already")


@pytest.mark.parametrize(
    ("decide", "command"), [(Instrument.rename, RENAME), (Instrument.split, SPLIT)]
)
def test_what_was_never_registered_neither_splits_nor_changes_its_name(
    given: Any, decide: Any, command: Any
) -> None:
    given(Instrument(STREAM)).when(decide, command).refused("No instrument XNAS:FB", "register it")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbol": ""}, "cannot be a symbol"),
        ({"currency": "usd"}, "ISO 4217"),
        ({"multiplier": 0}, "multiplier"),
        ({"multiplier": -100}, "multiplier"),
        ({"tick": Decimal(0)}, "tick"),
        ({"tick": Decimal("NaN")}, "finite"),
        ({"tick": 0.01}, "float"),
        ({"at": AT.replace(tzinfo=None)}, "not UTC"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(
    given: Any, change: dict[str, Any], words: str
) -> None:
    command = msgspec.structs.replace(REGISTER, **change)
    given(Instrument(STREAM)).when(Instrument.register, command).refused(words)


@pytest.mark.parametrize(("new", "old"), [(0, 1), (1, 0), (-2, 1), (2, -1), (0, 0)])
def test_a_split_is_a_ratio_of_whole_numbers(given: Any, new: int, old: int) -> None:
    command = msgspec.structs.replace(SPLIT, new_units=new, old_units=old)
    given(Instrument(STREAM), REGISTERED).when(Instrument.split, command).refused("ratio")


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "SPY240119P00450000", "RDS-A", "X" * 24])
def test_symbols_of_the_street_are_taken(symbol: str) -> None:
    check_symbol(symbol)


@pytest.mark.parametrize(
    "symbol", ["", "X" * 25, "A B", "A/B", "..\\x", "É", "A\n", "A\x00", "XNYS:A", "A'", 'A"', "\t"]
)
def test_a_symbol_must_fit_an_account_code_and_a_file_name(symbol: str) -> None:
    with pytest.raises(DomainError, match="cannot be a symbol"):
        check_symbol(symbol)
