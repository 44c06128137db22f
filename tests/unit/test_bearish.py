"""What is bought on weakness, and why nothing is: an inverse ETF, or a put of the chain (M11)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from aggregates.inverse_etfs import InverseEtf
from aggregates.market import OptionContract, Quote
from aggregates.occ import occ_symbol, occ_terms
from config.settings import demo_settings
from strategies.bearish import Instrument, NoInstrument, etf_stop, inverse_etf, long_put
from strategies.protocol import Signal

D = Decimal
NOW = datetime(2013, 10, 7, 14, 1, tzinfo=UTC)
DAY = date(2013, 10, 7)
WEAK = Signal(
    strategy="OPEN", symbol="SPY", kind="bearish", reason="close below the opening range",
    price=D("100"), stop=D("102"), inputs={},
)  # fmt: skip
SH = InverseEtf(underlying="SPY", etf="SH", leverage=D(1))
SETTINGS = demo_settings({})


def quote(bid: str = "24.99", ask: str = "25.01", age: int = 0, symbol: str = "SH") -> Quote:
    start = NOW - timedelta(minutes=1, seconds=age)
    return Quote(symbol=symbol, start=start, bid=D(bid), bid_size=1, ask=D(ask), ask_size=1)


def found(chosen: Instrument | NoInstrument) -> Instrument:
    assert isinstance(chosen, Instrument), chosen
    return chosen


def why(chosen: Instrument | NoInstrument) -> str:
    assert isinstance(chosen, NoInstrument), chosen
    assert "instrument" not in chosen.inputs
    return chosen.reason


# --- inverse ETF ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leverage", "stop"),
    [
        ("1", "24.5098"),  # 25.01 × (1 − 0.02)
        ("2", "24.0096"), ("3", "23.5094"), ("0.5", "24.7599"),
        ("50", "0"), ("60", "0"),  # never less than nothing
    ],
)  # fmt: skip
def test_an_etf_falls_by_its_leverage_when_the_underlying_rises_to_its_stop(
    leverage: str, stop: str
) -> None:
    mapped = msgspec.structs.replace(SH, leverage=D(leverage))
    chosen = found(inverse_etf(WEAK, mapped, quote(), NOW))
    assert (chosen.symbol, chosen.kind, chosen.multiplier) == ("SH", "etf", 1)
    assert (chosen.price, chosen.bid, chosen.ask) == (D("25.01"), D("24.99"), D("25.01"))
    assert chosen.stop == D(stop)
    assert chosen.known_at == quote().end
    assert chosen.inputs == {
        "instrument_kind": "etf", "instrument_etf": "SH", "instrument_leverage": leverage,
        "instrument": "SH", "instrument_underlying_price": "100",
        "instrument_underlying_stop": "102", "instrument_ask": "25.01",
        "instrument_stop": f"{chosen.stop:f}",
    }  # fmt: skip


@hypothesis_given(
    ask=st.decimals("0.01", "1000", places=2), leverage=st.decimals("0.25", "3", places=2),
    price=st.decimals("1", "1000", places=2), rise=st.decimals("0.01", "50", places=2),
)  # fmt: skip
def test_the_worst_case_is_exact_and_rounded_down(
    ask: Decimal, leverage: Decimal, price: Decimal, rise: Decimal
) -> None:
    stop = etf_stop(ask, leverage, price, price + rise)
    exact = Fraction(ask) * (1 - Fraction(leverage) * Fraction(rise) / Fraction(price))
    assert stop == 0 if exact <= 0 else 0 <= exact - Fraction(stop) < Fraction(1, 10**6)
    assert stop < ask


@pytest.mark.parametrize(
    ("signal", "mapped", "quoted", "words"),
    [
        ({}, None, quote(), "no inverse ETF is mapped to SPY"),
        ({}, SH, None, "SH has no quote"),
        ({}, SH, quote(bid="0"), "SH has no quote"),
        ({}, SH, quote(bid="25.02"), "SH has no quote"),
        ({}, SH, quote(age=-70), "of the future"),
        ({"stop": None}, SH, quote(), "no price or no stop"),
        ({"price": None}, SH, quote(), "no price or no stop"),
        ({"stop": D(100)}, SH, quote(), "not above its price"),
    ],
)
def test_nothing_is_bought_where_anything_is_missing(
    signal: dict[str, Any], mapped: Any, quoted: Any, words: str
) -> None:
    weak = msgspec.structs.replace(WEAK, **signal)
    assert words in why(inverse_etf(weak, mapped, quoted, NOW))


# --- put --------------------------------------------------------------------------------------


def put(strike: str = "100", days: int = 21, **more: Any) -> OptionContract:
    expiry = DAY + timedelta(days=days)
    own: dict[str, Any] = {
        "symbol": occ_symbol("SPY", expiry, "put", D(strike)), "underlying": "SPY", "right": "put",
        "strike": D(strike), "expiry": expiry, "multiplier": 100, "adjusted": False,
        "bid": D("2.95"), "ask": D("3.05"), "quote_known_at": NOW, "open_interest": 500,
        "delta": D("-0.5"),
    }  # fmt: skip
    return OptionContract(**(own | more))


def choose(*chain: OptionContract, **settings: str) -> Instrument | NoInstrument:
    return long_put(WEAK, chain, demo_settings(settings), NOW, DAY)


def test_a_put_is_judged_at_its_ask_and_may_be_worth_nothing() -> None:
    chosen = found(choose(put()))
    assert (chosen.symbol, chosen.kind, chosen.multiplier) == ("SPY131028P00100000", "option", 100)
    assert (chosen.price, chosen.ask, chosen.bid, chosen.stop) == (
        D("3.05"), D("3.05"), D("2.95"), 0,
    )  # fmt: skip
    assert chosen.inputs == {
        "instrument_kind": "option", "instrument_listed": "1", "instrument_fit": "1",
        "instrument_rejected": "none", "instrument_underlying_price": "100",
        "instrument_underlying_stop": "102", "instrument": "SPY131028P00100000",
        "instrument_strike": "100", "instrument_expiry": "2013-10-28", "instrument_days": "21",
        "instrument_bid": "2.95", "instrument_ask": "3.05", "instrument_spread": "0.033333",
        "instrument_open_interest": "500", "instrument_delta": "0.5",
        "instrument_delta_from": "broker",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        (put(right="call"), "no put on it"),
        (put(underlying="QQQ"), "no put on it"),
        (put(adjusted=True), "adjusted"),
        (put(days=6), "expiry"), (put(days=46), "expiry"),
        (put(bid=None), "no quote"), (put(ask=None), "no quote"),
        (put(quote_known_at=None), "no quote"), (put(bid=D(0)), "no quote"),
        (put(bid=D("3.06")), "no quote"),
        (put(quote_known_at=NOW - timedelta(minutes=5, microseconds=1)), "old quote"),
        (put(quote_known_at=NOW + timedelta(seconds=6)), "old quote"),
        (put(bid=D("2.84"), ask=D("3.15")), "spread"),
        (put(open_interest=99), "open interest"), (put(open_interest=None), "open interest"),
        (put(delta=D("-0.39")), "delta"), (put(delta=D("-0.71")), "delta"),
        (put(delta=D("0.5")), "no delta"),
        (put(delta=None, strike="102", bid=D("1.98"), ask=D("2.02")), "no delta"),
    ],
)  # fmt: skip
def test_a_contract_outside_a_limit_is_counted_with_its_reason(
    contract: OptionContract, reason: str
) -> None:
    chosen = choose(contract)
    assert why(chosen)
    assert chosen.inputs["instrument_rejected"] == f"{reason} 1"
    assert chosen.inputs["instrument_fit"] == "0"


@pytest.mark.parametrize(
    "contract",
    [
        put(days=7), put(days=45), put(quote_known_at=NOW - timedelta(minutes=5)),
        put(quote_known_at=NOW + timedelta(seconds=5)), put(bid=D("2.85"), ask=D("3.15")),
        put(open_interest=100), put(delta=D("-0.4")), put(delta=D("-0.7")),
    ],
)  # fmt: skip
def test_a_contract_at_a_limit_is_within_it(contract: OptionContract) -> None:
    assert found(choose(contract)).symbol == contract.symbol


def test_an_open_interest_that_is_not_known_refuses_even_at_no_limit() -> None:
    none_needed = {"PUT_MIN_OPEN_INTEREST": "0"}
    assert found(choose(put(open_interest=0), **none_needed))
    assert why(choose(put(open_interest=None), **none_needed))


def test_a_delta_that_the_broker_does_not_tell_is_computed_from_the_quote() -> None:
    chosen = found(choose(put(delta=None)))
    assert chosen.inputs["instrument_delta_from"] == "quote"
    assert chosen.inputs["instrument_rate"] == "0.04"
    # at the money, 3.00 for 21 days: implied volatility 0.32
    assert D("0.46") < D(chosen.inputs["instrument_delta"]) < D("0.49")


def test_of_those_that_fit_the_delta_nearest_the_middle_wins_then_spread_expiry_symbol() -> None:
    order = [
        put("101", delta=D("-0.55")),
        put("100", delta=D("-0.54"), bid=D("2.99")),
        put("100", delta=D("-0.54"), days=14),
        put("100", delta=D("-0.56"), days=14, symbol="SPYX131021P00100000"),
        put("100", delta=D("-0.54"), days=21),
    ]
    chain = list(order)
    while chain:
        best = found(choose(*chain[::-1]))
        assert best == found(choose(*chain))
        assert best.symbol == chain[0].symbol
        chain = [c for c in chain if c != chain[0]]


def test_an_empty_chain_and_one_without_quotes_are_said() -> None:
    assert why(choose()) == "the broker lists no put on SPY within the expiries allowed"
    quoteless = [put(bid=None), put("99", quote_known_at=NOW - timedelta(hours=1)), put(days=3)]
    chosen = choose(*quoteless)
    assert why(chosen) == "none of 2 puts on SPY has a quote of the last five minutes"
    assert chosen.inputs["instrument_rejected"] == "expiry 1, no quote 1, old quote 1"
    assert why(choose(put(bid=None), put(delta=D("-0.1")))) == (
        "none of 2 puts on SPY is within the limits of the settings"
    )
    no_stop = msgspec.structs.replace(WEAK, stop=None)
    assert "no stop" in why(long_put(no_stop, [put()], SETTINGS, NOW, DAY))


@hypothesis_given(
    st.from_regex(r"[A-Z]{1,6}", fullmatch=True), st.dates(date(2001, 1, 1), date(2098, 1, 1)),
    st.decimals("0.001", "99999", places=3),
)  # fmt: skip
def test_an_occ_symbol_says_its_terms(root: str, expiry: date, strike: Decimal) -> None:
    symbol = occ_symbol(root, expiry, "put", strike)
    assert occ_terms(symbol) == (root, expiry, "put", strike)


@pytest.mark.parametrize("text", ["SPY", "SPY131332P00100000", "SPY 131018P00100000", ""])
def test_what_is_no_occ_symbol_has_no_terms(text: str) -> None:
    assert occ_terms(text) is None
