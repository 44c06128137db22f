"""The choice of a bearish instrument, derived again: as recorded, and with one figure changed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aggregates.inverse_etfs import InverseEtf
from aggregates.market import OptionContract, Quote
from aggregates.occ import occ_symbol
from config.calendar import SessionHours
from config.settings import demo_settings
from strategies.bearish import Instrument, inverse_etf, long_put
from strategies.bearish_derivation import compared_instrument
from strategies.derived import Day, Inputs
from strategies.protocol import Signal

D = Decimal
NOW = datetime(2013, 10, 7, 14, 1, tzinfo=UTC)
HOURS = SessionHours(date(2013, 10, 7), NOW, NOW + timedelta(hours=6))
WEAK = Signal(
    strategy="OPEN", symbol="SPY", kind="bearish", reason="weak", price=D("100"), stop=D("102"),
    inputs={},
)  # fmt: skip


def recorded(chosen: object) -> dict[str, str]:
    """As the decision holds it: the choice, and what the rules looked at."""
    assert isinstance(chosen, Instrument)
    judged = {"price": chosen.price, "stop": chosen.stop, "bid": chosen.bid, "ask": chosen.ask}
    judged |= {"close": D(100), "initial_stop": D(102)}
    return chosen.inputs | {name: f"{value:f}" for name, value in judged.items()}


def etf() -> dict[str, str]:
    quote = Quote(
        symbol="SPXU", start=NOW - timedelta(minutes=1), bid=D("24.99"), bid_size=1,
        ask=D("25.01"), ask_size=1,
    )  # fmt: skip
    mapped = InverseEtf(underlying="SPY", etf="SPXU", leverage=D(3))
    return recorded(inverse_etf(WEAK, mapped, quote, NOW))


def put(delta: Decimal | None) -> dict[str, str]:
    expiry = HOURS.day + timedelta(days=21)
    contract = OptionContract(
        symbol=occ_symbol("SPY", expiry, "put", D(100)), underlying="SPY", right="put",
        strike=D(100), expiry=expiry, multiplier=100, adjusted=False, bid=D("2.95"),
        ask=D("3.05"), quote_known_at=NOW, open_interest=500, delta=delta,
    )  # fmt: skip
    return recorded(long_put(WEAK, [contract], demo_settings(), NOW, HOURS.day))


def unequal(inputs: dict[str, str], **settings: str) -> list[str]:
    day = Day(demo_settings(settings), HOURS)
    return [what for what, told, again in compared_instrument(Inputs(inputs), day) if told != again]


def test_what_was_chosen_is_derived_as_recorded() -> None:
    assert unequal(etf()) == []
    assert unequal(put(D("-0.5"))) == []
    assert unequal(put(None)) == []


def test_where_nothing_was_chosen_nothing_is_derived() -> None:
    assert unequal({"instrument_kind": "option", "instrument_listed": "0"}) == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("close", "100.01", "price of the underlying"),
        ("initial_stop", "102.5", "stop of the underlying"),
        ("instrument_leverage", "2", "stop"), ("instrument_underlying_stop", "103", "stop"),
        ("instrument_underlying_price", "99", "stop"), ("instrument_etf", "SH", "instrument"),
        ("stop", "23.9", "stop"), ("price", "25.02", "price of the instrument"),
        ("instrument_ask", "25.02", "price of the instrument"),
    ],
)  # fmt: skip
def test_a_changed_figure_of_a_fund_is_found(name: str, value: str, found: str) -> None:
    assert found in unequal(etf() | {name: value})


def test_an_ask_that_has_moved_until_the_rules_look_is_no_fault() -> None:
    """They ask the broker again: what the choice saw is recorded under its own name."""
    assert unequal(etf() | {"ask": "25.02"}) == []
    assert unequal(put(None) | {"ask": "none"}) == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("instrument_days", "20", "instrument_days"),
        ("instrument", "SPY131028P00101000", "terms of the contract"),
        ("instrument", "SPY", "terms of the contract"),
        ("instrument_expiry", "2013-10-10", "days to expiry"),
        ("instrument_bid", "2.90", "instrument_spread"),
        ("instrument_spread", "0.033334", "instrument_spread"),
        ("instrument_open_interest", "99", "open interest"),
        ("stop", "1", "stop"),
        ("instrument_delta", "0.3999", "delta"),
        ("instrument_delta", "0.4801", "instrument_delta"),
        ("instrument_strike", "101", "instrument_delta"),
        ("instrument_rate", "0.05", "instrument_rate"),
        ("instrument_underlying_price", "99", "instrument_delta"),
    ],
)
def test_a_changed_figure_of_a_put_is_found(name: str, value: str, found: str) -> None:
    assert found in unequal(put(None) | {name: value})


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"PUT_MIN_EXPIRY_DAYS": "22"}, "days to expiry"),
        ({"PUT_MAX_EXPIRY_DAYS": "20"}, "days to expiry"),
        ({"PUT_MAX_SPREAD_PCT": "0.03"}, "spread"),
        ({"PUT_MIN_OPEN_INTEREST": "501"}, "open interest"),
        ({"PUT_MIN_DELTA": "0.51"}, "delta"), ({"PUT_MAX_DELTA": "0.49"}, "delta"),
    ],
)  # fmt: skip
def test_a_put_outside_the_settings_of_its_day_is_found(
    settings: dict[str, str], found: str
) -> None:
    assert unequal(put(D("-0.5")), **settings) == [found]
