"""Quotes, halts, bars, an index and chains of puts by the gateway of Interactive Brokers."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.market import MINUTE
from brokers.ibkr_options import MOST_QUOTED
from brokers.port import BrokerUnavailable, OrderRefused

D = Decimal


@pytest.fixture
def ibkr(make_rig: Any) -> Any:
    return make_rig("ibkr")


# --- market data ------------------------------------------------------------------------------


def test_market_data_that_is_not_subscribed_to_is_a_fault_and_no_quote(ibkr: Any) -> None:
    ibkr.show_market()
    ibkr.gateway.no_data = dict.fromkeys(
        ("SPY", "ALFA"), (10089, "Requested market data requires additional subscription")
    )
    (fault,) = ibkr.broker.self_check()
    assert "no market data of SPY (error 10089)" in fault
    assert ibkr.broker.quote("ALFA") is None


def test_delayed_prices_are_no_quote(ibkr: Any) -> None:
    ibkr.show_market()
    ibkr.gateway.data_type = 3
    assert ibkr.broker.quote("ALFA") is None
    assert any("delayed" in fault for fault in ibkr.broker.self_check())


def test_a_symbol_without_a_quote_has_none(ibkr: Any) -> None:
    assert ibkr.broker.quote("ALFA") is None
    assert ibkr.broker.quote("NONE") is None


@pytest.mark.parametrize(("tick", "halted"), [(0, False), (1, True), (2, True), (-1, None)])
def test_halts_are_told(ibkr: Any, tick: int, halted: bool | None) -> None:
    ibkr.books.stock("ALFA").halted = tick
    asset = ibkr.broker.asset("ALFA")
    assert (asset.halted, asset.tradable) == (halted, halted is not True)


def test_a_symbol_that_names_several_contracts_is_not_traded(ibkr: Any) -> None:
    ibkr.books.list_stock("ALFA")
    assert ibkr.broker.asset("ALFA").tradable is False
    with pytest.raises(OrderRefused, match="several contracts"):
        ibkr.broker.submit(ibkr.ask())


def test_no_bars_are_none_and_a_refusal_is_no_empty_list(ibkr: Any) -> None:
    now = ibkr.clock.now()
    assert list(ibkr.broker.bars("ALFA", now - 5 * MINUTE, now)) == []
    ibkr.gateway.pacing = True
    with pytest.raises(BrokerUnavailable, match="error 162"):
        ibkr.broker.bars("ALFA", now - 5 * MINUTE, now)


def test_bars_are_asked_for_in_utc_and_for_no_longer_than_needed(ibkr: Any) -> None:
    end = datetime(2026, 3, 2, 14, 45, tzinfo=UTC)
    ibkr.broker.bars("ALFA", end - 15 * MINUTE, end)
    asked = next(f for f in ibkr.gateway.asked if f[0] == "20")
    assert asked[15:18] == ["20260302-14:45:00", "1 min", "900 S"]


def test_an_index_has_a_level_and_its_time(ibkr: Any) -> None:
    at = datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)
    ibkr.gateway.index["VIX"] = ("17.25", at)
    found = ibkr.broker.index("VIX")
    assert (found.symbol, found.level, found.at) == ("VIX", D("17.25"), at)


def test_an_index_that_is_not_known_or_has_no_time_has_no_level(ibkr: Any) -> None:
    assert ibkr.broker.index("VIX") is None
    ibkr.gateway.index["VIX"] = ("17.25", None)
    assert ibkr.broker.index("VIX") is None


# --- options ----------------------------------------------------------------------------------


def test_of_a_long_chain_the_near_strikes_are_quoted(ibkr: Any) -> None:
    expiry = ibkr.clock.now().date() + timedelta(days=30)
    for strike in range(20, 20 + MOST_QUOTED + 40):
        put = ibkr.books.list_put("ALFA", f"{expiry:%Y%m%d}", str(strike))
        put.delta, put.interest = "-0.4", 7
        ibkr.books.price(put.local.replace(" ", ""), "3.00")
        ibkr.gateway.quoted[put.local.replace(" ", "")] = ibkr.clock.now()
    ibkr.gateway.quoted["ALFA"] = ibkr.clock.now()
    chain = ibkr.broker.option_chain("ALFA", expiry, expiry)
    quoted = {c.strike for c in chain if c.bid is not None}
    assert (len(chain), len(quoted)) == (MOST_QUOTED + 40, MOST_QUOTED)
    assert D(100) in quoted
    assert D(20) not in quoted
    near = next(c for c in chain if c.strike == 100)
    assert (near.open_interest, near.delta, near.ask) == (7, D("-0.4"), D("3.02"))
    deadline = time.monotonic() + 5
    while ibkr.gateway.count("2") < MOST_QUOTED:  # each is ended: IBKR allows so many at once
        assert time.monotonic() < deadline


def test_an_adjusted_contract_is_told_as_such(ibkr: Any) -> None:
    expiry = ibkr.clock.now().date() + timedelta(days=30)
    for root, multiplier in (("ALFA", "100"), ("ALFA1", "100"), ("ALFA", "50")):
        ibkr.books.list_put("ALFA", f"{expiry:%Y%m%d}", "90", root=root, multiplier=multiplier)
    chain = ibkr.broker.option_chain("ALFA", expiry, expiry)
    assert {(c.multiplier, c.adjusted) for c in chain} == {(100, False), (100, True), (50, True)}
