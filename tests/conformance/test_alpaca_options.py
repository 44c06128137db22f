"""Option contracts at Alpaca: what of its answers is believed, and what an order for one says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.market import OptionContract
from brokers.alpaca_wire import activity
from brokers.port import BrokerUnavailable, OrderRefused
from config.setting_forms import Secret
from config.settings import demo_settings
from runtime.brokers import alpaca_access

D = Decimal
TODAY = datetime.now(UTC).date()
NEXT = TODAY + timedelta(days=9)


def chain(alpaca: Any) -> dict[Decimal, OptionContract]:
    """By strike."""
    found = alpaca.broker.option_chain("ALFA", TODAY, TODAY + timedelta(days=30))
    return {one.strike: one for one in found}


def test_contracts_of_many_pages_come_with_quote_delta_and_open_interest(alpaca: Any) -> None:
    for strike in range(80, 90):
        alpaca.books.list_put("ALFA", NEXT, str(strike), "2.50")
    found = chain(alpaca)
    assert list(found) == list(range(80, 90))
    assert {(c.bid, c.ask, c.open_interest, c.delta) for c in found.values()} == {
        (D("2.48"), D("2.52"), 237, D("-0.4123"))
    }
    assert alpaca.server.count("GET", "/v2/options/contracts") == 5


@pytest.mark.parametrize(
    ("said", "adjusted", "multiplier"),
    [
        ({}, False, 100),
        ({"deliverables": None}, False, 100),
        ({"size": "10"}, True, 10),
        ({"multiplier": "10"}, True, 100),
        ({"deliverables": [{"symbol": "ALFA", "amount": "50"}]}, True, 100),
        ({"deliverables": [{"symbol": "ALFA", "amount": "100"}, {"symbol": "USD", "amount": "9"}]},
         True, 100),
        ({"deliverables": []}, True, 100),
    ],
)  # fmt: skip
def test_a_contract_that_was_adjusted_is_told_by_what_it_delivers(
    alpaca: Any, said: dict[str, Any], adjusted: bool, multiplier: int
) -> None:
    alpaca.books.list_put("ALFA", NEXT, "90", "2.50", **said)
    found = chain(alpaca)[D(90)]
    assert (found.adjusted, found.multiplier) == (adjusted, multiplier)


def test_a_contract_of_another_root_was_adjusted(alpaca: Any) -> None:
    symbol = alpaca.books.list_put("ALFA", NEXT, "90", "2.50")
    row = alpaca.books.contracts.pop(symbol)
    other = symbol.replace("ALFA", "ALFA1")
    alpaca.books.contracts[other] = row | {"symbol": other, "root_symbol": "ALFA1"}
    alpaca.books.prices[other] = alpaca.books.prices[symbol]
    assert chain(alpaca)[D(90)].adjusted


def test_a_chain_without_quotes_has_contracts_without_prices(
    alpaca: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A side of zero, no quote at all, and a contract that the snapshots do not name."""
    symbols = [alpaca.books.list_put("ALFA", NEXT, strike, "2.50") for strike in ("1", "2", "3")]
    quoted = alpaca.server._snapshot(symbols[0])
    told = {symbols[0]: quoted | {"latestQuote": quoted["latestQuote"] | {"bp": 0}}, symbols[1]: {}}
    before = alpaca.server._options

    def answer(path: str, query: dict[str, str]) -> Any:
        if "snapshots" in path:
            return 200, {"snapshots": told, "next_page_token": None}
        return before(path, query)

    monkeypatch.setattr(alpaca.server, "_options", answer)
    found = chain(alpaca)
    assert [(c.bid, c.ask, c.quote_known_at) for c in found.values()] == [(None, None, None)] * 3
    assert [c.delta for c in found.values()] == [D("-0.4123"), None, None]


@pytest.mark.parametrize("delta", ["-2.4E-31", "about a half"])
def test_a_delta_that_cannot_be_read_is_none_and_leaves_the_rest_of_the_chain(
    alpaca: Any, monkeypatch: pytest.MonkeyPatch, delta: str
) -> None:
    symbols = [alpaca.books.list_put("ALFA", NEXT, strike, "2.50") for strike in ("1", "2")]
    quoted = [alpaca.server._snapshot(symbol) for symbol in symbols]
    quoted[0] |= {"greeks": {"delta": delta}}
    monkeypatch.setattr(
        alpaca.server, "_snapshot", lambda s: dict(zip(symbols, quoted, strict=True))[s]
    )
    assert [(c.bid, c.delta) for c in chain(alpaca).values()] == [
        (D("2.48"), None), (D("2.48"), D("-0.4123")),
    ]  # fmt: skip


def test_what_cannot_be_traded_is_not_in_the_chain(alpaca: Any) -> None:
    alpaca.books.list_put("ALFA", NEXT, "90", "2.50", tradable=False)
    assert chain(alpaca) == {}


@pytest.mark.parametrize("kind", ["malformed_after", "empty", "gateway_404", "504_before"])
@pytest.mark.parametrize("path", ["/v2/options", "/v1beta1/options"])
def test_a_chain_that_is_not_answered_is_never_an_empty_one(
    alpaca: Any, kind: str, path: str
) -> None:
    alpaca.books.list_put("ALFA", NEXT, "90", "2.50")
    alpaca.server.fault(kind, "GET", path, times=99)
    with pytest.raises(BrokerUnavailable):
        chain(alpaca)


def test_puts_are_bought_to_open_and_sold_to_close_by_the_day(alpaca: Any) -> None:
    symbol = alpaca.books.list_put("ALFA", NEXT, "90", "2.50")
    alpaca.broker.submit(
        alpaca.ask("in", symbol=symbol, quantity="2", order_type="limit", limit_price=D("2.52"))
    )
    alpaca.trade(symbol, "2")
    alpaca.broker.submit(alpaca.ask("out", "sell", symbol=symbol, quantity="2"))
    sent = [asked.body for asked in alpaca.server.asked if asked.method == "POST"]
    assert sent == [
        {"symbol": symbol, "qty": "2", "side": "buy", "type": "limit", "limit_price": "2.52",
         "time_in_force": "day", "client_order_id": "in", "position_intent": "buy_to_open"},
        {"symbol": symbol, "qty": "2", "side": "sell", "type": "market",
         "time_in_force": "day", "client_order_id": "out", "position_intent": "sell_to_close"},
    ]  # fmt: skip
    (fill,) = alpaca.broker.fills_since(0)
    assert (fill.price, fill.net_amount) == (D("2.52"), D("-504.00"))


def test_a_stop_order_for_a_put_is_not_sent(alpaca: Any) -> None:
    symbol = alpaca.books.list_put("ALFA", NEXT, "90", "2.50")
    with pytest.raises(OrderRefused, match="invalid_type"):
        alpaca.broker.submit(
            alpaca.ask(symbol=symbol, quantity="1", order_type="stop", stop_price=D("2"))
        )
    assert alpaca.server.count("POST", "/") == 0


@pytest.mark.parametrize("level", [0, 1, None])
def test_an_account_not_approved_for_puts_is_a_fault_where_they_are_asked_for(
    alpaca: Any, level: int | None
) -> None:
    alpaca.books.account_extra = {"options_trading_level": level}
    assert list(alpaca.broker.self_check()) == []
    asking = alpaca.again(msgspec.structs.replace(alpaca.access, puts=True))
    assert ["may not buy them" in told for told in asking.self_check()] == [True]
    alpaca.books.account_extra = {"options_trading_level": 2}
    assert list(asking.self_check()) == []


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, False),
        ({"SHORT_TYPE_OPEN": "LongPut"}, True),
        ({"SHORT_TYPE_OPEN": "InverseETF"}, False),
        ({"SHORT_TYPE_MID": "LongPut"}, False),  # which does not run
        ({"SHORT_TYPE_MID": "LongPut", "STRAT_MID_ENABLED": True}, True),
        ({"SHORT_TYPE_OPEN": "LongPut", "STRATEGY_OVERRIDE": "CLOSE"}, False),
    ],
)
def test_puts_are_asked_for_by_a_strategy_that_runs(said: dict[str, Any], asked: bool) -> None:
    keys: dict[str, Any] = {
        "ALPACA_API_KEY": Secret("k" * 20), "ALPACA_SECRET_KEY": Secret("s" * 40)
    }  # fmt: skip
    assert alpaca_access(replace(demo_settings(), **keys, **said)).puts == asked


@pytest.mark.parametrize(
    ("code", "kind"),
    [("OPEXP", "option_expiry"), ("OPEXC", "option_exercise"), ("OPASN", "option_exercise"),
     ("OPTRD", "option_exercise")],
)  # fmt: skip
def test_what_becomes_of_options_is_told_by_its_kind(code: str, kind: str) -> None:
    found = activity(
        {"id": "2::b", "activity_type": code, "date": "2026-03-20", "net_amount": "0",
         "symbol": "ALFA260320P00090000", "qty": "-2", "status": "executed"}
    )  # fmt: skip
    assert (found.kind, found.symbol, found.quantity) == (kind, "ALFA260320P00090000", -2)
