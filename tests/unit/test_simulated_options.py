"""The simulated broker's puts: invented from the underlying's bars, and from nothing else."""

import math
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aggregates.market import MINUTE, Bar, OptionContract, Quote
from brokers.known_market import KnownMarket
from brokers.port import OrderRefused, OrderRequest
from brokers.simulated import SimulatedBroker
from brokers.simulated_options import RATE, VOLATILITY, SimulatedOptions
from config.calendar import TradingCalendar
from config.clock import VirtualClock

D = Decimal
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
DAY, FRIDAY = date(2013, 10, 7), date(2013, 10, 18)
CALENDAR = TradingCalendar("XNYS", date(2013, 10, 1), date(2013, 10, 31))


class Falling:
    """One symbol that loses 0.10 a minute from 100 on."""

    def __init__(self, minutes: int = 60, volume: int = 100_000) -> None:
        self._minutes, self._volume = minutes, volume

    def symbols(self) -> tuple[str, ...]:
        return ("ALFA",)

    def days(self) -> tuple[date, ...]:
        return (DAY,)

    def describe(self) -> str:
        return "made up"

    def bars(self, symbol: str, _day: date) -> list[Bar]:
        return [
            Bar(
                symbol=symbol, start=OPEN + n * MINUTE, open=D(100) - D(n) / 10,
                high=D(100) - D(n) / 10 + D("0.02"), low=D("99.88") - D(n) / 10,
                close=D("99.9") - D(n) / 10, volume=self._volume,
            )
            for n in range(self._minutes)
        ]  # fmt: skip

    def quotes(self, symbol: str, day: date) -> list[Quote]:
        return [
            Quote(
                symbol=symbol, start=bar.start, bid=bar.close - D("0.01"), bid_size=1,
                ask=bar.close + D("0.01"), ask_size=1,
            )
            for bar in self.bars(symbol, day)
        ]  # fmt: skip


Make = Callable[[], SimulatedBroker]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(OPEN)


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock) -> Iterator[Make]:
    made: list[SimulatedBroker] = []

    def new() -> SimulatedBroker:
        made.append(
            SimulatedBroker(
                tmp_path / "broker.db", Falling(), clock, CALENDAR, starting_cash=D(100_000),
                seed=1,
            )
        )  # fmt: skip
        return made[-1]

    yield new
    for one in made:
        one.close()


def at(options: SimulatedOptions, minutes: int) -> list[OptionContract]:
    return list(options.chain("ALFA", FRIDAY, FRIDAY, OPEN + minutes * MINUTE))


@pytest.fixture
def options() -> SimulatedOptions:
    return SimulatedOptions(KnownMarket(Falling()))


def ask(symbol: str, side: Any = "buy", quantity: str = "1", name: str = "a", **more: Any) -> Any:
    own = {"order_type": "market"} | more
    return OrderRequest(client_order_id=name, symbol=symbol, side=side, quantity=D(quantity), **own)


def put_price(s: float, k: float, days: int) -> float:
    """Black and Scholes' put, written down a second time."""
    t, v = days / 365, VOLATILITY
    d1 = (math.log(s / k) + (RATE + v * v / 2) * t) / (v * math.sqrt(t))
    cdf = [0.5 * math.erfc(x / math.sqrt(2)) for x in (d1 - v * math.sqrt(t), d1)]
    return max(k * math.exp(-RATE * t) * cdf[0] - s * cdf[1], k - s, 0)


def test_before_the_first_minute_is_over_nothing_is_known(options: SimulatedOptions) -> None:
    assert at(options, 0) == []
    assert at(options, 1)


def test_prices_are_black_and_scholes_in_cents_around_which_it_is_quoted(
    options: SimulatedOptions,
) -> None:
    chain = at(options, 1)  # one bar is known: it closed at 99.90
    assert [c.strike for c in chain] == [D(n) for n in range(80, 120)]
    for c in chain:
        if c.bid is None or c.ask is None:
            continue
        mid = (c.bid + c.ask) / 2
        assert abs(float(mid) - put_price(99.9, float(c.strike), 11)) <= 0.005 + 1e-9
        assert mid.as_tuple().exponent == -2
        assert c.quote_known_at == OPEN + MINUTE
    mids = [c.bid for c in chain if c.bid is not None]
    assert mids == sorted(mids), "the higher the strike, the dearer the put"
    assert [c.delta for c in chain] == sorted((c.delta for c in chain), reverse=True)


def test_what_is_shown_is_never_of_the_future(options: SimulatedOptions) -> None:
    """The market falls, so a put that knew of it would be dearer."""
    shorter = SimulatedOptions(KnownMarket(Falling(minutes=10)))

    def asks(of: SimulatedOptions, last: int) -> list[Decimal]:
        quotes = (of.quote("ALFA131018P00100000", OPEN + n * MINUTE) for n in range(1, last))
        return [quote.ask for quote in quotes if quote]

    shown = asks(options, 30)
    assert shown[:10] == asks(shorter, 11)
    assert shown[0] < shown[9] < shown[28]


def test_a_put_rises_when_its_underlying_falls(options: SimulatedOptions) -> None:
    symbol = at(options, 1)[20].symbol
    bars = options.bars(symbol, OPEN, OPEN + 5 * MINUTE, OPEN + 5 * MINUTE)
    assert [b.start for b in bars] == [OPEN + n * MINUTE for n in range(5)]
    assert all(b.low <= b.open < b.close <= b.high for b in bars)
    assert {b.volume for b in bars} == {1000}


@pytest.mark.parametrize(
    "symbol",
    [
        "ALFA131018C00100000",  # a call
        "ALFA131017P00100000",  # no Friday
        "ALFA131018P00100300",  # off the grid
        "BRVO131018P00100000", "ALFA", "ALFA131018P00000000",
    ],
)  # fmt: skip
def test_what_is_not_traded_is_not_known(make: Make, symbol: str) -> None:
    broker = make()
    if symbol != "ALFA":
        assert broker.asset(symbol) is None
        with pytest.raises(OrderRefused, match="unknown_symbol"):
            broker.submit(ask(symbol))
    assert broker.option_chain(symbol, FRIDAY, FRIDAY) == ()


def test_a_put_can_be_dealt_in_until_its_last_day_is_over(make: Make, clock: VirtualClock) -> None:
    broker, symbol = make(), "ALFA131011P00100000"
    clock.wait_until(OPEN + MINUTE)
    broker.submit(ask(symbol, quantity="3"))
    clock.wait_until(OPEN + 3 * MINUTE)
    assert [(p.symbol, p.quantity) for p in broker.positions()] == [(symbol, 3)]
    spent = D(100_000) - broker.account().cash
    fill = broker.fills_since(0)[0]
    assert spent == 300 * fill.price + fill.commission

    clock.wait_until(datetime(2013, 10, 11, 23, 59, tzinfo=UTC))
    assert broker.positions()
    clock.wait_until(datetime(2013, 10, 12, 0, 0, tzinfo=UTC))
    assert broker.positions() == []
    clock.wait_until(datetime(2013, 10, 14, 13, 30, tzinfo=UTC))
    with pytest.raises(OrderRefused, match="not_tradable"):
        broker.submit(ask(symbol, name="late"))
    # the last price was 94.00: in the money by 6.00, paid in cash
    (told,) = broker.activities(DAY)
    assert (told.kind, told.net_amount, told.quantity) == ("option_exercise", D("1800.00"), -3)
    assert broker.account().cash == D(100_000) - spent + D("1800.00")
    assert not [fault for fault in broker.self_check() if "cash" in fault or "position" in fault]
    assert list(make().activities(DAY)) == [told], "the file keeps it"


def test_what_a_put_was_worth_does_not_depend_on_when_one_looks() -> None:
    class NextDayToo(Falling):
        """The same prices on a Friday, and all of 50.00 on the Monday after."""

        def days(self) -> tuple[date, ...]:
            return (date(2013, 10, 11), date(2013, 10, 14))

        def bars(self, symbol: str, day: date) -> list[Bar]:
            shift = day - DAY
            found = [replace(bar, start=bar.start + shift) for bar in super().bars(symbol, day)]
            if day == date(2013, 10, 11):
                return found
            return [replace(b, open=D(50), high=D(50), low=D(50), close=D(50)) for b in found]

    after_the_weekend = SimulatedOptions(KnownMarket(NextDayToo()))
    assert after_the_weekend.worth_at_expiry("ALFA131011P00100000") == D("6.0")
    assert after_the_weekend.worth_at_expiry("ALFA131011P00090000") == 0
    assert after_the_weekend.worth_at_expiry("ALFA131018P00100000") == D(50)


def test_a_file_from_before_there_were_options_goes_on(
    make: Make, tmp_path: Path, clock: VirtualClock
) -> None:
    old = make()
    clock.wait_until(OPEN + MINUTE)
    old.submit(ask("ALFA", quantity="10"))
    clock.wait_until(OPEN + 3 * MINUTE)
    before = (old.positions(), old.account(), old.fills_since(0))
    old.close()
    with sqlite3.connect(tmp_path / "broker.db") as file:
        file.execute("DROP TABLE expiries")
        file.execute("PRAGMA user_version=1")
    file.close()
    new = make()
    assert (new.positions(), new.account(), new.fills_since(0)) == before
    assert new.self_check() == []
    assert list(new.activities(DAY)) == []


def test_purchases_still_open_count_a_hundred_times(make: Make, clock: VirtualClock) -> None:
    broker, symbol = make(), "ALFA131018P00100000"
    clock.wait_until(OPEN + MINUTE)
    one = broker.quote(symbol).ask * 100  # type: ignore[union-attr]
    most = int(D(100_000) / one)
    broker.submit(ask(symbol, quantity=str(most - 1)))
    with pytest.raises(OrderRefused, match="insufficient_cash"):
        broker.submit(ask(symbol, quantity="10", name="b"))
