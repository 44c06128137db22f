"""What only Tradier's wire can do: lost answers, shapes of lists, totals in place of executions."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.port import (
    BrokerError,
    BrokerUnavailable,
    DuplicateOrder,
    OrderRefused,
    OutcomeUnknown,
)

D = Decimal
UNCLEAR = (
    "mute_before", "mute_after", "reset_before", "reset_after", "504_before", "504_after",
    "malformed_after", "empty", "gateway_404",
)  # fmt: skip


@pytest.fixture
def tradier(make_rig: Any) -> Any:
    return make_rig("tradier")


@pytest.mark.parametrize("kind", UNCLEAR)
def test_one_submit_makes_one_post_whatever_comes_back(make_rig: Any, kind: str) -> None:
    tradier = make_rig("tradier", timeout_s=0.25 if kind.startswith("mute") else 3)
    tradier.server.fault(kind, "POST", times=9)
    with pytest.raises(OutcomeUnknown):
        tradier.broker.submit(tradier.ask())
    assert tradier.sent("a-1") == 1
    tradier.settle()
    arrived = kind.endswith("_after")
    assert tradier.orders_there("a-1") == arrived
    assert (tradier.broker.order("a-1") is not None) == arrived


def test_an_order_goes_out_as_a_form_with_its_tag(tradier: Any) -> None:
    put = tradier.books.list_put("ALFA", datetime.now(UTC).date(), "90", "2.50")
    tradier.broker.submit(
        tradier.ask("tb1-0a", quantity="7", order_type="stop", stop_price=D("99.5"))
    )
    tradier.broker.submit(
        tradier.ask("tb1-0b", symbol=put, quantity="2", order_type="limit", limit_price=D("2.52"))
    )
    sent = [asked for asked in tradier.server.asked if asked.method == "POST"]
    assert {asked.headers["content-type"] for asked in sent} == {
        "application/x-www-form-urlencoded"
    }
    assert [asked.body for asked in sent] == [
        {"class": "equity", "symbol": "ALFA", "side": "buy", "quantity": "7", "type": "stop",
         "stop": "99.5", "duration": "day", "tag": "tb1-0a"},
        {"class": "option", "symbol": "ALFA", "option_symbol": put, "side": "buy_to_open",
         "quantity": "2", "type": "limit", "price": "2.52", "duration": "day", "tag": "tb1-0b"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "error_code"),
    [
        ({"quantity": "0.5"}, "not_fractionable"),
        ({"client_order_id": ""}, "invalid_id"),
        ({"client_order_id": "a" * 49}, "invalid_id"),
        ({"client_order_id": "a_b"}, "invalid_id"),
        ({"client_order_id": "a b"}, "invalid_id"),
        ({"client_order_id": "ä"}, "invalid_id"),
    ],
)
def test_what_tradier_would_not_take_as_it_is_meant_is_not_sent(
    tradier: Any, terms: dict[str, Any], error_code: str
) -> None:
    with pytest.raises(OrderRefused, match=error_code):
        tradier.broker.submit(tradier.ask(**terms))
    assert tradier.server.asked == []


def test_a_tag_that_is_known_is_not_sent_again_although_tradier_would_take_it(tradier: Any) -> None:
    tradier.broker.submit(tradier.ask())
    for broker in (tradier.broker, tradier.again()):
        with pytest.raises(DuplicateOrder):
            broker.submit(tradier.ask())
    assert tradier.sent("a-1") == 1


def test_nothing_is_sent_while_nobody_says_what_is_there(make_rig: Any) -> None:
    tradier = make_rig("tradier", retries=0)
    tradier.server.fault("504_before", "GET", times=9)
    with pytest.raises(OutcomeUnknown, match="was not sent now"):
        tradier.broker.submit(tradier.ask())
    assert tradier.sent("a-1") == 0


def test_a_fresh_process_sends_nothing_that_may_be_on_its_way_already(make_rig: Any) -> None:
    """The one before it was killed between sending and the answer; its request arrives late."""
    tradier = make_rig("tradier", settle_s=5)
    tradier.server.fault("late", "POST")
    with pytest.raises(OutcomeUnknown):
        tradier.broker.submit(tradier.ask())
    with pytest.raises(DuplicateOrder):
        tradier.again().submit(tradier.ask())
    assert (tradier.sent("a-1"), tradier.orders_there("a-1")) == (1, 1)


def test_an_order_that_was_accepted_is_so_although_its_state_is_not_told(make_rig: Any) -> None:
    tradier = make_rig("tradier", retries=0)
    path = "/v1/accounts/VA000001/orders/"
    tradier.server.fault("504_before", "GET", path, times=9)
    accepted = tradier.broker.submit(tradier.ask())
    assert (accepted.state, accepted.quantity, accepted.filled_quantity) == ("accepted", 10, 0)
    assert tradier.broker.order("a-1").broker_order_id == accepted.broker_order_id


def test_a_limit_of_requests_is_waited_for_until_its_reset_in_milliseconds(tradier: Any) -> None:
    tradier.server.fault("429", reset_s=20)
    assert tradier.broker.account().cash == 100_000
    assert 18 < sum(tradier.clock.waited) < 22


def test_a_cancellation_that_came_too_late_leaves_the_order_as_it_is(tradier: Any) -> None:
    """It was filled after it was looked at and before it was to be cancelled."""
    tradier.broker.submit(tradier.ask())
    cancel = tradier.books.cancel

    def filled_first(number: int) -> Any:
        tradier.trade("ALFA", "10")
        return cancel(number)

    tradier.books.cancel = filled_first
    with pytest.raises(OutcomeUnknown, match="cancelling again does no harm"):
        tradier.broker.cancel("a-1")
    tradier.broker.cancel("a-1")
    assert tradier.broker.order("a-1").state == "filled"


@pytest.mark.parametrize("listing", ["plain", "default", "all"])
@pytest.mark.parametrize("orders", [0, 1, 2, 24, 25, 26, 50, 120])
def test_orders_of_any_number_of_pages_are_all_there(
    tradier: Any, listing: str, orders: int
) -> None:
    """Whether Tradier looks at the page and the limit that were asked for, or not."""
    names = [f"o-{n}" for n in range(orders)]
    for name in names:
        tradier.books.submit(
            {"class": "equity", "symbol": "ALFA", "side": "buy", "quantity": "1", "tag": name,
             "type": "market", "duration": "day"}
        )  # fmt: skip
    tradier.server.listing = listing
    assert [order.client_order_id for order in tradier.broker.open_orders()] == names


@pytest.mark.parametrize("kind", ["malformed_after", "empty", "gateway_404", "504_before"])
def test_a_broken_answer_never_means_that_there_is_nothing(tradier: Any, kind: str) -> None:
    tradier.buy("a-1", "10")
    tradier.server.fault(kind, "GET", times=999)
    calls = [
        lambda: tradier.broker.order("a-1"), lambda: tradier.broker.fills_since(0),
        lambda: tradier.broker.activities(datetime.now(UTC).date()), tradier.broker.positions,
        tradier.broker.open_orders, tradier.broker.account, lambda: tradier.broker.asset("ALFA"),
        lambda: tradier.broker.quote("ALFA"), lambda: tradier.broker.index("VIX"),
        lambda: tradier.broker.option_chain("ALFA", date(2026, 1, 1), date(2099, 1, 1)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(BrokerUnavailable):
            call()


def test_no_error_holds_the_token(make_rig: Any) -> None:
    tradier = make_rig("tradier", retries=0, timeout_s=0.25)
    for n, kind in enumerate([*UNCLEAR, "429", "echo", "keys_refused"]):
        for call in (
            tradier.broker.positions,
            lambda n=n: tradier.broker.submit(tradier.ask(f"{n}")),
        ):
            tradier.server.fault(kind)
            with pytest.raises(BrokerError) as caught:
                call()
            error = caught.value
            assert error.__cause__ is None
            assert "canary" not in f"{error!s} {error!r} {vars(error)}"
        tradier.server.calm()
    assert "canary" not in repr((tradier.access, tradier.broker, vars(tradier.broker)))
    assert "canary" not in repr(tradier.actions)


def test_a_class_of_shares_is_written_with_a_slash_there_and_a_dot_here(tradier: Any) -> None:
    tradier.books.kinds["BRK/B"] = "stock"
    tradier.books.price("BRK/B", "480.00")
    assert tradier.broker.submit(tradier.ask(symbol="BRK.B", quantity="2")).symbol == "BRK.B"
    assert tradier.server.asked[-2].body["symbol"] == "BRK/B"
    tradier.trade("BRK/B", "2")
    assert [(p.symbol, p.quantity) for p in tradier.broker.positions()] == [("BRK.B", 2)]
    assert tradier.broker.quote("BRK.B").bid == D("479.98")
    assert tradier.broker.asset("BRK.A") is None


# --- fills ------------------------------------------------------------------------------------


def test_fills_between_two_looks_are_one_execution_worth_what_they_cost(tradier: Any) -> None:
    tradier.broker.submit(tradier.ask(quantity="30"))
    for price, shares in (("100.00", "7"), ("100.01", "4"), ("99.37", "2")):
        tradier.move("ALFA", price)
        tradier.trade("ALFA", shares)
    (first,) = tradier.broker.fills_since(0)
    assert (first.quantity, first.net_amount) == (13, D("-1299.04"))
    tradier.move("ALFA", "98.11")
    tradier.trade("ALFA", "17")
    (second,) = tradier.broker.fills_since(1)
    assert (second.sequence, second.quantity, second.net_amount) == (2, 17, D("-1668.21"))
    assert tradier.broker.account().cash == 100_000 + first.net_amount + second.net_amount


def test_what_was_recorded_before_a_crash_is_not_told_anew_in_other_parts(tradier: Any) -> None:
    """Looked at and recorded at 5 shares, looked at and not recorded at 8, and filled further."""
    tradier.broker.submit(tradier.ask(quantity="20"))
    tradier.trade("ALFA", "5")
    recorded = list(tradier.broker.fills_since(0))
    tradier.trade("ALFA", "3")
    tradier.broker.fills_since(0)
    tradier.trade("ALFA", "4")
    told = tradier.restarted(recorded).fills_since(0)
    assert [(e.sequence, e.quantity) for e in told] == [(1, 5), (2, 7)]
    assert told[0].execution_id == recorded[0].execution_id
    assert told[1].execution_id.endswith(":12")


def test_orders_with_several_legs_are_passed_over(tradier: Any) -> None:
    tradier.broker.submit(tradier.ask())
    tradier.books.orders[1] = {"id": 1, "class": "multileg", "status": "open", "leg": []}
    assert [order.client_order_id for order in tradier.broker.open_orders()] == ["a-1"]
    del tradier.books.orders[1]


# --- the account and its history --------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, None])
def test_an_account_not_approved_for_puts_is_a_fault_where_they_are_asked_for(
    tradier: Any, level: int | None
) -> None:
    tradier.books.option_level = level
    assert list(tradier.broker.self_check()) == []
    asking = tradier.again(msgspec.structs.replace(tradier.access, puts=True))
    assert ["may not buy them" in told for told in asking.self_check()] == [True]


def test_a_token_of_another_account_is_a_fault(tradier: Any) -> None:
    """The market is told all the same."""
    other = tradier.again(msgspec.structs.replace(tradier.access, account="VA000002"))
    assert ["VA000002" in told for told in other.self_check()] == [True]


def test_two_orders_under_one_id_are_a_fault(tradier: Any) -> None:
    """They cannot come from here; should they ever be there, somebody has to look."""
    form = {"class": "equity", "symbol": "ALFA", "side": "buy", "quantity": "1", "tag": "a-1",
            "type": "market", "duration": "day"}  # fmt: skip
    tradier.books.submit(form)
    tradier.books.submit(form)
    tradier.broker.order("a-1")
    assert ["2 orders under the id a-1" in told for told in tradier.broker.self_check()] == [True]


def test_dividends_charges_and_transfers_are_told_exactly_and_once(tradier: Any) -> None:
    today = datetime.now(UTC).date()
    day, before = f"{today}T00:00:00Z", f"{today - timedelta(days=1)}T00:00:00Z"
    option = f"ALFA{today:%y%m%d}P00090000"
    tradier.books.history = [
        {"amount": D("0.12"), "date": day, "type": "dividend",
         "adjustment": {"description": "ALFA", "quantity": D("0E-8")}},
        {"amount": D("0.12"), "date": day, "type": "dividend",
         "adjustment": {"description": "ALFA", "quantity": D("0E-8")}},
        {"amount": D("-129.05"), "date": day, "type": "trade",
         "trade": {"symbol": option, "price": D("1.29"), "quantity": 1, "trade_type": "Option"}},
        {"amount": D("10.06"), "date": day, "type": "trade",
         "trade": {"symbol": "ALFA", "price": D("10.060000"), "quantity": -1}},
        {"amount": 0, "date": day, "type": "option",
         "option": {"option_type": "OPTEXP", "description": "Expired", "quantity": -1}},
        {"amount": 0, "date": day, "type": "option",
         "option": {"option_type": "OPTEXP", "symbol": option, "quantity": -1}},
        {"amount": D("-3.10"), "date": before, "type": "fee"},
    ]  # fmt: skip
    found = tradier.broker.activities(today)
    assert sorted((a.kind, a.code, a.net_amount, a.symbol, a.quantity) for a in found) == [
        ("dividend", "dividend", D("0.12"), "", 0), ("dividend", "dividend", D("0.12"), "", 0),
        ("fee", "trade", D("-0.05"), option, None),
        ("option_expiry", "option", None, option, -1),
        ("other", "option", 0, "", -1),  # of which contract it does not say
    ]  # fmt: skip
    assert len({a.activity_id for a in found}) == 5
    tradier.books.history.reverse()
    assert list(tradier.broker.activities(today)) == list(found)


def test_a_level_of_an_index_comes_with_its_time(tradier: Any) -> None:
    at = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    tradier.server.indices["VIX"] = {
        "symbol": "VIX", "type": "index", "last": D("17.42"), "bid": None, "ask": None,
        "trade_date": int(at.timestamp()) * 1000,
    }  # fmt: skip
    found = tradier.broker.index("VIX")
    assert (found.symbol, found.level, found.at) == ("VIX", D("17.42"), at)
    assert tradier.broker.index("ALFA") is None
    assert tradier.broker.index("NONE") is None
