"""Webull's signature, ids and JSON: as documented, exact, and unreadable rather than guessed."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregates.order import client_order_id
from brokers import webull_market as market
from brokers import webull_wire as wire
from brokers.http_fields import Unreadable
from brokers.http_wire import WireFailure
from brokers.port import DuplicateOrder, OrderRefused, OrderRequest
from brokers.webull_http import no_order
from brokers.webull_signing import Signed, headers

D = Decimal
ORDER: dict[str, Any] = {
    "client_order_id": "a-1", "order_id": "W7", "symbol": "ALFA", "side": "BUY",
    "order_type": "MARKET", "status": "PARTIAL_FILLED", "total_quantity": "24.50",
    "filled_quantity": "10.0", "filled_price": "100.0200", "time_in_force": "DAY",
    "place_time_at": "2026-01-05T14:30:00.123Z", "filled_time_at": "2026-01-05T14:31:00.500Z",
}  # fmt: skip


# --- the signature ----------------------------------------------------------------------------


def test_the_worked_example_of_webulls_guide() -> None:
    """developer.webull.com/apis/docs/authentication/signature: its example, to the letter."""
    example = Signed(
        host="api.webull.com", path="/trade/place_order",
        query={"a1": "webull", "a2": "123", "a3": "xxx", "q1": "yyy"},
        body=b'{"k1":123,"k2":"this is the api request body","k3":true,"k4":{"foo":[1,2]}}',
        at=datetime(2022, 1, 4, 3, 55, 31, tzinfo=UTC), nonce="48ef5afed43d4d91ae514aaeafbc29ba",
    )  # fmt: skip
    named = headers(
        "776da210ab4a452795d74e726ebd74b6", "0f50a2e853334a9aae1a783bee120c1f", example, "HMAC-SHA1"
    )
    assert named["x-signature"] == "kvlS6opdZDhEBo5jq40nHYXaLvM="


@pytest.mark.parametrize(
    ("path", "query", "body", "signature"),
    [
        (
            "/trading/orders/place", {},
            b'{"account_id":"A 1","new_orders":[{"client_order_id":"a-1","quantity":"24.5"}]}',
            "oWNBNU3uZ3TIOx2/vcGiitDaL/hxALQOG1IQif/1zgE=",
        ),
        (
            "/trading/orders/get", {"account_id": "A 1", "client_order_id": "a-1"}, b"",
            "7NnSVxz3vOVXcZ+bakpLUCsdKtmDuCx2lXbI6HyCVEU=",
        ),
    ],
)  # fmt: skip
def test_it_signs_as_webulls_own_client_does(
    path: str, query: dict[str, str], body: bytes, signature: str
) -> None:
    """webull-openapi-python-sdk 3.0.4, its clock and nonce held still, signed these so."""
    request = Signed(
        host="api.webull.com", path=path, query=query, body=body, nonce="nonce-1",
        at=datetime(2026, 1, 5, 14, 30, tzinfo=UTC),
    )  # fmt: skip
    assert headers("key", "secret", request) == {
        "x-app-key": "key", "x-timestamp": "2026-01-05T14:30:00Z", "x-signature-version": "1.0",
        "x-signature-algorithm": "HMAC-SHA256", "x-signature-nonce": "nonce-1",
        "x-signature": signature,
    }  # fmt: skip


# --- ids and orders ---------------------------------------------------------------------------


def test_the_bots_own_ids_fit_and_come_back() -> None:
    own = client_order_id("bot", "order-1")
    assert len(own) == 36
    assert len(wire.wire_id(own)) == 32
    assert wire.client_id(wire.wire_id(own)) == own
    assert wire.client_id(wire.wire_id("by-hand_1")) == "by-hand_1"


@pytest.mark.parametrize("name", ["", "i" * 33, "a b", "ä", "0123456789abcdef" * 2, "a\n"])
def test_an_id_that_webull_would_not_take_or_that_could_be_another_is_refused(name: str) -> None:
    with pytest.raises(OrderRefused, match="invalid_id"):
        wire.wire_id(name)


def request(quantity: str = "24.5", **terms: Any) -> OrderRequest:
    terms = {"order_type": "market"} | terms
    return OrderRequest(
        client_order_id="a-1", symbol="ALFA", side="buy", quantity=D(quantity), **terms
    )


def test_an_order_goes_out_as_text_for_the_regular_session_of_the_day() -> None:
    sent = wire.order_fields(request(order_type="limit", limit_price=D("99.50")))
    assert sent == {
        "client_order_id": "a-1", "combo_type": "NORMAL", "instrument_type": "EQUITY",
        "market": "US", "symbol": "ALFA", "side": "BUY", "order_type": "LIMIT",
        "entrust_type": "QTY", "quantity": "24.5", "limit_price": "99.50", "time_in_force": "DAY",
        "support_trading_session": "CORE",
    }  # fmt: skip
    stop = wire.order_fields(request(order_type="stop", stop_price=D("90")))
    assert (stop["order_type"], stop["stop_price"]) == ("STOP_LOSS", "90")


def test_a_quantity_between_two_steps_is_refused() -> None:
    assert wire.order_fields(request("0.00001"))["quantity"] == "0.00001"
    with pytest.raises(OrderRefused, match="invalid_quantity"):
        wire.order_fields(request("0.000001"))


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("SUBMITTED", "0", "accepted"), ("PENDING", "0", "accepted"),
        ("A_STATUS_OF_NEXT_YEAR", "0", "accepted"), ("PARTIAL_FILLED", "3", "partially_filled"),
        ("SUBMITTED", "3", "partially_filled"), ("FILLED", "24.5", "filled"),
        ("CANCELLED", "3", "cancelled"), ("FAILED", "0", "rejected"), ("EXPIRED", "0", "expired"),
    ],
)  # fmt: skip
def test_only_a_status_that_is_surely_final_is_final(status: str, filled: str, state: str) -> None:
    assert wire.order(ORDER | {"status": status, "filled_quantity": filled}).state == state


def test_an_order_and_what_it_has_come_to_are_read_exactly() -> None:
    found, filled = wire.order(ORDER), wire.total(ORDER)
    assert (found.quantity, found.filled_quantity, found.side) == (D("24.5"), 10, "buy")
    assert found.submitted_at == datetime(2026, 1, 5, 14, 30, 0, 123000, UTC)
    assert filled is not None
    assert (filled.quantity, filled.average, filled.at) == (10, D("100.02"), found.updated_at)
    assert wire.total(ORDER | {"filled_quantity": "0", "filled_price": None}) is None
    assert wire.order(ORDER | {"order_type": "TRAILING_STOP_LOSS"}).order_type == "other"


@pytest.mark.parametrize(
    "changed",
    [
        {"filled_quantity": 1.5}, {"filled_quantity": None}, {"filled_quantity": "NaN"},
        {"side": "HOLD"}, {"order_id": ""}, {"client_order_id": 7}, {"status": None},
        {"place_time_at": "2026-01-05T14:30:00"}, {"place_time_at": "soon"}, {"symbol": None},
    ],
)  # fmt: skip
def test_an_order_that_is_not_what_it_should_be_is_unreadable(changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        wire.order(ORDER | changed)


@pytest.mark.parametrize("changed", [{"filled_price": "0"}, {"filled_price": None}])
def test_a_fill_without_a_price_is_unreadable(changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        wire.total(ORDER | changed)


@pytest.mark.parametrize("raw", [None, [], {}, {"data": None}, {"data": [{}]}, {"orders": [7]}])
def test_a_list_that_was_not_sent_is_not_an_empty_one(raw: Any) -> None:
    with pytest.raises(Unreadable):
        list(wire.orders(raw))


def test_lists_that_were_sent_empty_are_empty() -> None:
    assert list(wire.orders({"data": []})) == []
    assert list(wire.orders({"orders": []})) == []


# --- the account and the market ---------------------------------------------------------------


def test_dollars_among_other_currencies() -> None:
    assets = [{"currency": "HKD", "cash_balance": "7"}, {"currency": "USD", "cash_balance": "1.5"}]
    assert wire.cash({"account_currency_assets": assets}) == D("1.5")
    for wrong in (assets[:1], [*assets, assets[1]], None):
        with pytest.raises(Unreadable):
            wire.cash({"account_currency_assets": wrong})


@pytest.mark.parametrize(("status", "tradable"), [("OC", True), ("CO", False), ("NT", False)])
def test_a_stock_that_may_only_be_sold_is_not_tradable(status: str, tradable: bool) -> None:
    found = wire.asset(
        {"data": [{"symbol": "ALFA", "status": status, "fractionable": True}]}, "ALFA"
    )
    assert found is not None
    assert (found.tradable, found.fractionable, found.halted) == (tradable, True, None)
    with pytest.raises(Unreadable):
        wire.asset({"data": [{"symbol": "BRVO", "status": "OC", "fractionable": True}]}, "ALFA")


def depth(bid: str = "99.98", ask: str = "100.02") -> dict[str, Any]:
    return {
        "quote_time": "1767623400500", "bids": [{"price": bid, "size": "2"}],
        "asks": [{"price": ask, "size": "3"}],
    }  # fmt: skip


def test_a_quote_is_known_at_its_own_instant() -> None:
    found = market.quote("ALFA", depth())
    assert found is not None
    assert (found.bid, found.ask_size, found.end.isoformat()) == (
        D("99.98"), 3, "2026-01-05T14:30:00.500000+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    "raw", [depth("0"), depth("101", "100"), depth() | {"bids": []}, depth() | {"asks": []}]
)
def test_a_depth_that_states_no_market_is_no_quote(raw: Any) -> None:
    assert market.quote("ALFA", raw) is None


def test_a_bar_whose_close_lies_outside_is_unreadable() -> None:
    bar = {"time": "2026-01-05T14:30:00.000+0000", "open": "100", "high": "101", "low": "99",
           "close": "102", "volume": "5"}  # fmt: skip
    with pytest.raises(Unreadable):
        market.bars("ALFA", {"result": [{"symbol": "ALFA", "result": [bar]}]})
    with pytest.raises(Unreadable):
        market.bars("ALFA", {"result": [{"symbol": "BRVO", "result": [bar | {"close": "100"}]}]})


# --- refusals ---------------------------------------------------------------------------------


def test_a_refusal_counts_in_webulls_own_word_alone() -> None:
    def meant(word: str | None, message: str) -> Any:
        return no_order(WireFailure("417", 417, {"word": word, "message": message}))

    assert isinstance(meant("TRADE_PLACE_ORDER_REPEAT", "Repeat orders"), DuplicateOrder)
    assert meant("ORDER_TICKER_CAN_NOT_TRADE", "?").error_code == "not_tradable"
    assert meant("SOMETHING_NEW", "Your buying power").error_code == "insufficient_cash"
    assert meant("SOMETHING_NEW", "?").error_code == "webull_something_new"
    assert meant(None, "no such route") is None
