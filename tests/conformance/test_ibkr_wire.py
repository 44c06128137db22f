"""What single messages, states, errors and symbols mean at Interactive Brokers: no socket."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from beside import beside
from hypothesis import given
from hypothesis import strategies as st

from aggregates.occ import occ_symbol
from brokers.ibkr_answers import broker_order, state, wire_order
from brokers.ibkr_codes import is_warning, refusal
from brokers.ibkr_symbols import asked_for, multiplier_of, symbol_of
from brokers.ibkr_wire import Error, Told, Unreadable, exact, moment, read
from brokers.port import OrderRefused, OrderRequest

D = Decimal
say, books = beside("fakes/ibkr_messages"), beside("fakes/ibkr_books")


def fields(frame: bytes) -> list[str]:
    return frame[4:].decode().split("\0")[:-1]


def told(frame: bytes) -> Told:
    found = read(fields(frame))
    assert found is not None
    return found


def order_of(**terms: Any) -> Any:
    listed = books.Listed(101, "ALFA", local="ALFA", trading_class="ALFA")
    given: dict[str, Any] = {
        "perm_id": 900, "order_id": 12, "client_id": 7, "ref": "a-1", "listed": listed,
        "side": "BUY", "kind": "LMT", "quantity": D(25), "limit": D("90.123456789"), "stop": D(0),
    }  # fmt: skip
    return books.Order(**(given | terms))


# --- fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260302 09:31:05 US/Eastern", datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)),
        ("20260702 09:31:05 America/New_York", datetime(2026, 7, 2, 13, 31, 5, tzinfo=UTC)),
        ("20260302-14:31:05", datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)),
        ("1772461865", datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)),
    ],
)
def test_times_come_with_their_zone(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "20260302 09:31:05", "20260302  09:31:05", "20261101 01:30:00 US/Eastern", "20260302",
     "20260302 09:31:05 Nowhere/Land", "20260302 25:00:00 UTC"],
)  # fmt: skip
def test_a_time_that_may_mean_several_moments_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        moment(text)


def test_numbers_stay_as_they_were_written() -> None:
    assert str(exact("100.0200")) == "100.02"
    assert exact("1234567890.123456789012") == D("1234567890.123456789012")
    for text in ("", "NaN", "Infinity", "1.7976931348623157E308", "ten"):
        with pytest.raises(Unreadable):
            exact(text)


def test_a_commission_loses_the_noise_of_a_double() -> None:
    fill = books.Fill("1.01", order_of(), D(1), D(1), datetime.now(UTC), D("0.35000000000000003"))
    assert told(say.commission(fill)).row.commission == D("0.35")


# --- messages ---------------------------------------------------------------------------------


def test_an_open_order_is_read_to_the_last_digit() -> None:
    found = told(say.open_order(order_of(status="PreSubmitted")))
    order = found.row.order
    assert (found.kind, found.number) == ("open_order", 12)
    assert (order.permId, order.clientId, order.orderRef, order.action) == (900, 7, "a-1", "BUY")
    assert (order.totalQuantity, order.lmtPrice) == (D(25), D("90.123456789"))
    assert (found.row.state.status, found.row.contract.symbol) == ("PreSubmitted", "ALFA")


def test_a_completed_order_says_what_it_has_filled() -> None:
    found = told(say.completed_order(order_of(status="Cancelled", filled=D(7))))
    row, at = found.row, datetime.now(UTC)
    assert (row.order.permId, row.order.orderRef, row.order.filledQuantity) == (900, "a-1", 7)
    order = broker_order(row, row.state.status, D(7), at, at, completed=True)
    assert (order.state, order.quantity, order.filled_quantity) == ("cancelled", 25, 7)


def test_a_filled_order_whose_total_is_left_out_is_as_large_as_its_fills() -> None:
    row = told(say.completed_order(order_of(status="Filled", filled=D(25)))).row
    at = datetime.now(UTC)
    assert row.order.totalQuantity == 0
    order = broker_order(row, "Filled", D(25), at, at, completed=True)
    assert (order.state, order.quantity) == ("filled", 25)


def test_a_cancelled_order_whose_total_is_left_out_is_not_filled() -> None:
    """It would stay open here for ever: fills for the rest of it never come."""
    row = told(say.completed_order(order_of(status="Cancelled", quantity=D(0)))).row
    at = datetime.now(UTC)
    order = broker_order(row, "Cancelled", D(7), at, at, completed=True)
    assert (order.state, order.quantity, order.filled_quantity) == ("cancelled", 7, 7)


def test_an_execution_is_read_to_the_last_digit() -> None:
    at = datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)
    fill = books.Fill("0e.1.01", order_of(), D("10"), D("100.123456789"), at, D(1))
    row = told(say.execution(5, fill)).row
    assert (row.execution_id, row.perm_id, row.order_ref) == ("0e.1.01", 900, "a-1")
    assert (row.buys, row.quantity, row.price) == (True, 10, D("100.123456789"))
    assert row.executed_at == at


@pytest.mark.parametrize("text", ["1.7976931348623157E308", ""])
def test_a_cost_that_is_not_set_is_none_yet_and_ends_no_connection(text: str) -> None:
    found = read(["59", "1", "0e.1.01", text, "USD", "", "", ""])
    assert found is None or found.kind != "cost"


@pytest.mark.parametrize("text", ["-2.4E-31", "1.7976931348623157E308", "NaN", ""])
def test_a_delta_that_is_none_leaves_the_rest_of_the_chain(text: str) -> None:
    found = read(["21", "1000000001", "13", "0", "0.2", text, "3", "0"])
    assert found is not None
    assert found.row.value in (-2, 0)


def test_other_messages_are_passed_over_and_damaged_ones_are_not() -> None:
    assert read(["54", "1", "DU1"]) is None
    assert read([]) is None
    for damaged in (
        ["61", "3", "DU1", "101"],
        ["61", "3", "DU1", "101", "A", "STK", "", "0", "", "", "", "USD", "A", "A", "ten", "1"],
        fields(say.open_order(order_of()))[:40],
        fields(say.completed_order(order_of()))[:40],
        fields(say.status(order_of()))[:4],
        ["17", "5", "", "", "2", "1772461865", "1", "1", "1", "1", "1", "1", "1"],
        ["59", "1", "0e.1.01", "much", "USD", "", "", ""],
    ):
        with pytest.raises(Unreadable, match=f"message {damaged[0]}"):
            read(damaged)


# --- what states and errors mean --------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "filled", "completed", "expected"),
    [
        ("PendingSubmit", 0, False, "accepted"),
        ("PreSubmitted", 0, False, "accepted"),
        ("Submitted", 0, False, "accepted"),
        ("Submitted", 3, False, "partially_filled"),
        ("PendingCancel", 3, False, "partially_filled"),
        ("SomethingNew", 0, False, "accepted"),
        ("Inactive", 0, False, "accepted"),
        ("Inactive", 0, True, "rejected"),
        ("Cancelled", 3, True, "cancelled"),
        ("ApiCancelled", 0, False, "cancelled"),
        ("Filled", 10, True, "filled"),
        ("Submitted", 10, False, "filled"),
    ],
)
def test_states(status: str, filled: int, completed: bool, expected: str) -> None:
    assert state(status, D(10), D(filled), completed=completed) == expected


def test_a_completed_order_in_a_state_that_is_new_is_not_guessed() -> None:
    with pytest.raises(Unreadable):
        state("SomethingNew", D(10), D(0), completed=True)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (200, "No security definition has been found", "unknown_symbol"),
        (110, "The price does not conform to the minimum price variation", "invalid_price"),
        (201, "Order rejected - reason:Your Available Funds are insufficient", "insufficient_cash"),
        (201, "Order rejected - reason:The contract is not available for short sale", "short_sale"),
        (201, "Order rejected - reason:Exchange is closed.", "market_closed"),
        (201, "Order rejected - reason:something new", "ibkr_201"),
        (321, "The API interface is currently in Read-Only mode.", "account_blocked"),
        (10243, "Fractional-sized order cannot be placed via API", "not_fractionable"),
    ],
)
def test_a_clear_no_says_why(code: int, said: str, expected: str) -> None:
    found = refusal(Error(code, said), "DU1234567")
    assert found is not None
    assert found.error_code == expected


def test_an_error_that_is_new_is_no_clear_no_and_a_warning_is_none() -> None:
    assert refusal(Error(10999, "something new"), "DU1") is None
    assert is_warning(399)
    assert is_warning(2109)
    assert not is_warning(201)


def test_a_refusal_does_not_repeat_the_account() -> None:
    found = refusal(Error(201, "rejected for account DU1234567"), "DU1234567")
    assert found is not None
    assert "DU1234567" not in str(found)


# --- symbols ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("symbol", "wire"), [("SPY", "SPY"), ("BRK.B", "BRK B")])
def test_stocks_there_and_back(symbol: str, wire: str) -> None:
    contract = asked_for(symbol)
    assert (contract.symbol, contract.secType, contract.currency) == (wire, "STK", "USD")
    assert symbol_of(contract) == symbol
    assert multiplier_of(contract) == 1


@given(
    root=st.from_regex(r"[A-Z]{1,5}[1-9]?", fullmatch=True),
    expiry=st.dates(date(2020, 1, 1), date(2060, 1, 1)),
    thousandths=st.integers(1, 99_999_999),
)
def test_options_there_and_back(root: str, expiry: date, thousandths: int) -> None:
    symbol = occ_symbol(root, expiry, "put", D(thousandths).scaleb(-3))
    contract = asked_for(symbol)
    assert (contract.secType, len(contract.localSymbol)) == ("OPT", 21)
    assert symbol_of(contract) == symbol


def test_a_share_in_another_currency_is_not_the_american_one_of_that_name() -> None:
    contract = asked_for("RY")
    contract.currency = "CAD"
    assert symbol_of(contract) == "STK_RY_CAD"


def test_what_this_bot_does_not_trade_is_seen_all_the_same() -> None:
    contract = asked_for("EUR")
    contract.secType, contract.localSymbol = "CASH", "EUR.USD"
    assert symbol_of(contract) == "CASH_EUR.USD"


@pytest.mark.parametrize("multiplier", ["", "0", "-100", "many"])
def test_an_option_without_a_multiplier_is_refused(multiplier: str) -> None:
    contract = asked_for("SPY260116P00450000")
    contract.multiplier = multiplier
    with pytest.raises(Unreadable):
        multiplier_of(contract)


def test_an_order_goes_out_with_the_numbers_that_were_asked_for() -> None:
    request = OrderRequest(
        client_order_id="a-1", symbol="ALFA", side="sell", order_type="stop", quantity=D("1E+2"),
        stop_price=D("0.00012"),
    )  # fmt: skip
    order = wire_order(request, "DU1")
    assert (str(order.totalQuantity), str(order.auxPrice)) == ("100", "0.00012")
    assert (order.action, order.orderType, order.tif) == ("SELL", "STP", "DAY")
    assert (order.orderRef, order.account) == ("a-1", "DU1")


def test_parts_of_a_share_are_refused_before_anything_is_sent() -> None:
    request = OrderRequest(
        client_order_id="a", symbol="A", side="buy", order_type="market", quantity=D("0.5")
    )
    with pytest.raises(OrderRefused, match="not_fractionable"):
        wire_order(request, "DU1")
