"""Robinhood's ids and JSON: exact, and unreadable rather than guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.order import client_order_id
from brokers import robinhood_wire as wire
from brokers.http_fields import Unreadable
from brokers.port import OrderRefused, OrderRequest

D = Decimal
# As its users describe it (sanko/Robinhood, Order.md), with what has been added since
ORDER: dict[str, Any] = {
    "id": "2a56416d", "ref_id": wire.ref_id("a-1"), "side": "sell", "type": "market",
    "trigger": "stop", "state": "partially_filled", "quantity": "3.00000",
    "cumulative_quantity": "1.50000", "reject_reason": None, "fees": "0.02",
    "instrument": "https://api.robinhood.com/instruments/c74a93bc/",
    "created_at": "2026-01-05T14:30:00.455293Z", "updated_at": "2026-01-05T14:31:00Z",
    "executions": [
        {"id": "e-1", "timestamp": "2026-01-05T14:31:00Z", "price": "10.28000000",
         "settlement_date": "2026-01-06", "quantity": "1.50000"},
    ],
}  # fmt: skip


def test_the_bots_own_ids_are_uuids_and_come_back() -> None:
    own = client_order_id("bot", "order-1")
    assert str(UUID(wire.ref_id(own))) == wire.ref_id(own)
    assert wire.client_id(wire.ref_id(own)) == own


@given(st.from_regex(r"(tb1-[0-9a-f]{32}|tb1-[0-9a-f]{28}0000|[!-~]{1,15})", fullmatch=True))
def test_every_id_that_is_taken_comes_back(name: str) -> None:
    assert wire.client_id(wire.ref_id(name)) == name


@pytest.mark.parametrize("name", ["", "i" * 16, "a b", "ä", "tb1-" + "A" * 32])
def test_an_id_that_is_no_uuid_is_refused(name: str) -> None:
    with pytest.raises(OrderRefused, match="invalid_id"):
        wire.ref_id(name)


def test_an_order_placed_in_the_app_has_an_id_that_is_not_ours() -> None:
    assert wire.client_id(None) == ""
    with pytest.raises(Unreadable):
        wire.client_id("not a uuid")


def test_an_order_goes_out_for_the_day() -> None:
    request = OrderRequest(
        client_order_id="a-1", symbol="ALFA", side="sell", order_type="stop", quantity=D("1.5"),
        stop_price=D("9.50"),
    )  # fmt: skip
    assert wire.order_fields(request) == {
        "symbol": "ALFA", "side": "sell", "quantity": "1.5", "type": "market", "trigger": "stop",
        "stop_price": "9.50", "time_in_force": "gfd", "ref_id": wire.ref_id("a-1"),
    }  # fmt: skip


def test_an_order_and_its_executions_are_read_exactly() -> None:
    found, (execution,) = wire.order(ORDER, "ALFA"), wire.executions(ORDER, "ALFA")
    assert (found.client_order_id, found.symbol, found.order_type) == ("a-1", "ALFA", "stop")
    assert (found.quantity, found.filled_quantity) == (3, D("1.5"))
    assert found.submitted_at == datetime(2026, 1, 5, 14, 30, 0, 455293, UTC)
    assert (execution.execution_id, execution.quantity, str(execution.price)) == (
        "e-1", D("1.5"), "10.28",
    )  # fmt: skip
    assert execution.settles_on == date(2026, 1, 6)


@pytest.mark.parametrize(
    ("said", "filled", "state"),
    [
        ("queued", "0", "accepted"), ("unconfirmed", "0", "accepted"),
        ("a state of next year", "0", "accepted"), ("confirmed", "1", "partially_filled"),
        ("filled", "3", "filled"), ("cancelled", "1", "cancelled"), ("canceled", "1", "cancelled"),
        ("rejected", "0", "rejected"), ("failed", "0", "rejected"),
    ],
)  # fmt: skip
def test_only_a_state_that_is_surely_final_is_final(said: str, filled: str, state: str) -> None:
    assert wire.order(ORDER | {"state": said, "cumulative_quantity": filled}, "A").state == state


@pytest.mark.parametrize(
    "changed",
    [
        {"cumulative_quantity": 1.5}, {"quantity": None}, {"side": "hold"}, {"id": ""},
        {"ref_id": "x"}, {"created_at": "2026-01-05"}, {"type": None}, {"state": 4},
    ],
)  # fmt: skip
def test_an_order_that_is_not_what_it_should_be_is_unreadable(changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        wire.order(ORDER | changed, "ALFA")


@pytest.mark.parametrize(
    "executions", [None, {}, [{}], [ORDER["executions"][0] | {"quantity": "0"}]]
)
def test_executions_that_are_not_what_they_should_be_are_unreadable(executions: Any) -> None:
    with pytest.raises(Unreadable):
        wire.executions(ORDER | {"executions": executions}, "ALFA")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({}, ""), ({"deactivated": True}, "deactivated"), ({"deactivated": None}, "deactivated"),
        ({"only_position_closing_trades": True}, "only_position_closing_trades"),
        ({"type": "margin"}, "go short"),
    ],
)  # fmt: skip
def test_an_account_that_must_not_trade_says_why(said: dict[str, Any], fault: str) -> None:
    account = {"deactivated": False, "only_position_closing_trades": False, "type": "cash"}
    faults = wire.account_faults(account | said)
    assert [fault in told for told in faults] == ([True] if fault else [])


def test_of_an_address_only_its_end_is_taken() -> None:
    assert wire.id_in("https://evil.invalid/a/b/c74a93bc/?q=1") == "c74a93bc"
    page = {"next": "https://evil.invalid/orders/?cursor=abc%3D&x=1", "results": []}
    assert (wire.next_cursor(page), wire.next_cursor({"next": None})) == ("abc=", "")


def test_dividends_and_transfers_are_told_exactly() -> None:
    dividend = {"id": "d", "payable_date": "2026-01-05", "position": "2.0", "amount": "1.02",
                "state": "voided", "instrument": "x"}  # fmt: skip
    found = wire.dividend(dividend, "ALFA")
    assert (found.net_amount, found.quantity, found.cancelled) == (D("1.02"), 2, True)
    transfer = {"id": "t", "direction": "withdraw", "amount": "50.00", "state": "completed",
                "expected_landing_date": "2026-01-07"}  # fmt: skip
    assert (wire.transfer(transfer).net_amount, wire.transfer(transfer).cancelled) == (-50, False)
    with pytest.raises(Unreadable):
        wire.transfer(transfer | {"direction": "sideways"})
