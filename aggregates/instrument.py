"""Instruments: registered once under a permanent id; symbol, kind and multiplier are attributes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.money import exact_decimal, exponent

Kind = Literal["stock", "etf", "option"]


def instrument_id(exchange: str, symbol: str) -> str:
    """The permanent id: exchange and symbol at registration. A later rename leaves it alone."""
    return f"{exchange}:{symbol}"


def instrument_stream(permanent_id: str) -> str:
    return f"instrument-{permanent_id}"


@topic("Instrument.Registered")
class InstrumentRegistered(Event, frozen=True, kw_only=True):
    instrument_id: str
    symbol: str
    name: str
    kind: Kind
    currency: str
    exchange: str
    multiplier: int
    tick: Decimal


@topic("Instrument.Renamed")
class InstrumentRenamed(Event, frozen=True, kw_only=True):
    instrument_id: str
    symbol_before: str
    symbol: str


@topic("Instrument.Split")
class InstrumentSplit(Event, frozen=True, kw_only=True):
    """``new_units`` for every ``old_units`` held before the effective date; cost is unchanged."""

    instrument_id: str
    symbol: str
    new_units: int
    old_units: int


class RegisterInstrument(Command, frozen=True, kw_only=True):
    symbol: str
    name: str
    kind: Kind
    currency: str
    exchange: str
    multiplier: int = 1
    tick: Decimal = Decimal("0.01")


class RenameInstrument(Command, frozen=True, kw_only=True):
    instrument_id: str
    symbol: str


class RecordSplit(Command, frozen=True, kw_only=True):
    instrument_id: str
    new_units: int
    old_units: int


def check_symbol(symbol: str) -> None:
    """A symbol becomes part of an account code and of file names: printable ASCII, no blanks."""
    check(
        0 < len(symbol) <= 24
        and symbol.isascii()
        and symbol.isprintable()
        and " " not in symbol
        and not set(symbol) & set("/\\:'\""),
        f"{symbol!r} cannot be a symbol: 1 to 24 printable characters without blanks or slashes.",
    )


class Instrument(Aggregate):
    """One instrument's history of names and splits."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.symbol = ""
        self.instrument_id = ""
        self.last_effective: date | None = None

    def register(self, command: RegisterInstrument) -> None:
        check(not self.instrument_id, f"{self.instrument_id} is registered already.")
        check_symbol(command.symbol)
        exponent(command.currency)
        check(command.multiplier > 0, "A multiplier is a whole number above 0 (100 for an option).")
        check(exact_decimal(command.tick) > 0, "A tick is above 0.")
        own_id = instrument_id(command.exchange, command.symbol)
        self.emit(record(InstrumentRegistered, command, instrument_id=own_id))

    def rename(self, command: RenameInstrument) -> None:
        self.check_registered(command.instrument_id)
        check_symbol(command.symbol)
        check(
            command.symbol != self.symbol, f"{self.instrument_id} is called {self.symbol} already."
        )
        self.emit(record(InstrumentRenamed, command, symbol_before=self.symbol))

    def split(self, command: RecordSplit) -> None:
        self.check_registered(command.instrument_id)
        check(
            command.new_units > 0 and command.old_units > 0,
            "A split ratio is two whole numbers above 0, such as 4 for 1.",
        )
        self.emit(record(InstrumentSplit, command, symbol=self.symbol))

    def check_registered(self, permanent_id: str) -> None:
        check(
            bool(self.instrument_id),
            f"No instrument {permanent_id} is registered; register it before it is used.",
        )

    def apply(self, event: Event) -> None:
        match event:
            case InstrumentRegistered():
                self.instrument_id, self.symbol = event.instrument_id, event.symbol
            case InstrumentRenamed():
                self.symbol = event.symbol
