"""What only a wire can do to the Alpaca adapter: lost answers, limits, nonsense, leaking keys."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.alpaca_http import WireFailure
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


@pytest.mark.parametrize("kind", UNCLEAR)
def test_one_submit_makes_one_post_whatever_comes_back(make_rig: Any, kind: str) -> None:
    alpaca = make_rig("alpaca", timeout_s=0.25 if kind.startswith("mute") else 3)
    alpaca.server.fault(kind, "POST", times=9)
    with pytest.raises(OutcomeUnknown):
        alpaca.broker.submit(alpaca.ask())
    assert alpaca.sent("a-1") == 1
    alpaca.settle()
    arrived = kind.endswith("_after")
    assert alpaca.orders_there("a-1") == arrived
    assert (alpaca.broker.order("a-1") is not None) == arrived
    assert alpaca.sent("a-1") == 1


def test_too_many_requests_is_no_order_and_is_not_sent_again(alpaca: Any) -> None:
    alpaca.server.fault("429", "POST", times=9)
    with pytest.raises(OrderRefused, match="rate_limited"):
        alpaca.broker.submit(alpaca.ask())
    assert (alpaca.sent("a-1"), alpaca.orders_there("a-1")) == (1, 0)
    assert alpaca.broker.order("a-1") is None  # this is certain: nothing to wait for


def test_one_cancel_makes_one_delete(alpaca: Any) -> None:
    alpaca.broker.submit(alpaca.ask())
    alpaca.server.fault("504_after", "DELETE", times=9)
    with pytest.raises(OutcomeUnknown, match="cancelling again does no harm"):
        alpaca.broker.cancel("a-1")
    assert alpaca.server.count("DELETE", "/v2/orders/") == 1
    assert alpaca.broker.order("a-1").state == "cancelled"


def test_a_limit_of_requests_is_waited_for_until_its_reset(alpaca: Any) -> None:
    alpaca.server.fault("429", reset_s=20)
    assert alpaca.broker.account().cash == 100_000
    assert 18 < sum(alpaca.clock.waited) < 22


@pytest.mark.parametrize("reset", ["", "soon", "9" * 40, "-5", "12.5", "٣"])
def test_a_reset_that_says_nothing_is_not_believed(alpaca: Any, reset: str) -> None:
    failure = WireFailure("429", 429, {}, reset)
    assert alpaca.broker._wire._pause(failure, 1) == timedelta(milliseconds=500)


def test_json_as_deep_as_a_well_is_only_unreadable(alpaca: Any) -> None:
    alpaca.server.fault("deep", "POST")
    with pytest.raises(OutcomeUnknown, match="unreadable"):
        alpaca.broker.submit(alpaca.ask())


def test_a_reset_too_far_away_is_not_waited_for(alpaca: Any) -> None:
    alpaca.server.fault("429", reset_s=3_600)
    with pytest.raises(BrokerUnavailable):
        alpaca.broker.account()
    assert alpaca.clock.waited == []


def test_tries_are_spaced_and_bounded(alpaca: Any) -> None:
    alpaca.server.fault("reset_before", times=99)
    with pytest.raises(BrokerUnavailable, match="3 tries"):
        alpaca.broker.positions()
    assert alpaca.clock.waited == pytest.approx([0.25, 0.5], abs=0.1)


def test_no_call_waits_longer_than_its_time_out(make_rig: Any) -> None:
    rig = make_rig("alpaca", retries=0, timeout_s=0.2)
    rig.server.hold_s = 5
    for ask in (rig.broker.account, rig.broker.open_orders, lambda: rig.broker.quote("ALFA")):
        rig.server.fault("mute_before")
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            ask()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("kind", ["malformed_after", "empty", "gateway_404", "504_before"])
def test_a_broken_answer_never_means_that_there_is_nothing(alpaca: Any, kind: str) -> None:
    alpaca.buy("a-1", "10")
    for path in ("/v2/orders", "/v2/positions", "/v2/account", "/v2/stocks", "/v2/assets"):
        alpaca.server.fault(kind, "GET", path, times=99)
    calls = [
        lambda: alpaca.broker.order("a-1"), lambda: alpaca.broker.fills_since(0),
        lambda: alpaca.broker.activities(datetime.now(UTC).date()), alpaca.broker.positions,
        alpaca.broker.open_orders, alpaca.broker.account, lambda: alpaca.broker.asset("ALFA"),
        lambda: alpaca.broker.quote("ALFA"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(BrokerError):
            call()


# --- what is sent -----------------------------------------------------------------------------


def test_an_order_goes_out_as_text_for_the_day_under_its_own_id(alpaca: Any) -> None:
    terms = {"order_type": "limit", "limit_price": D("99.50")}
    alpaca.broker.submit(alpaca.ask("i" * 48, quantity="0.123456789", **terms))
    sent = alpaca.server.asked[-1]
    assert sent.body == {
        "symbol": "ALFA", "qty": "0.123456789", "side": "buy", "type": "limit",
        "limit_price": "99.50", "time_in_force": "day", "client_order_id": "i" * 48,
    }  # fmt: skip
    for name in ("", "i" * 49):
        with pytest.raises(OrderRefused, match="invalid_id"):
            alpaca.broker.submit(alpaca.ask(name))
    assert alpaca.server.count("POST", "/") == 1


def test_every_action_is_logged_with_its_time_and_without_a_key(make_rig: Any) -> None:
    alpaca = make_rig("alpaca", timeout_s=0.5)
    began = datetime.now(UTC)
    alpaca.broker.account()
    alpaca.broker.submit(alpaca.ask())
    with pytest.raises(DuplicateOrder):
        alpaca.broker.submit(alpaca.ask())
    alpaca.server.fault("mute_before", "POST")
    with pytest.raises(OutcomeUnknown):
        alpaca.broker.submit(alpaca.ask("a-2"))
    assert [(a.method, a.endpoint, a.outcome) for a in alpaca.actions] == [
        ("GET", "/v2/account", "200"),
        ("POST", "/v2/orders", "200"),
        ("POST", "/v2/orders", "422 40010001"),
        ("POST", "/v2/orders", "no answer in time"),
    ]
    assert all(began <= a.at <= datetime.now(UTC) for a in alpaca.actions)
    assert alpaca.actions[-1].duration_ms >= 1_000 * alpaca.access.timeout_s
    assert "canary" not in repr(alpaca.actions)


def test_a_log_that_cannot_be_written_stops_no_order(alpaca: Any) -> None:
    broken = type(alpaca.broker)(
        alpaca.access, alpaca.clock, alpaca._sessions, fills_from=datetime.now(UTC), tell=_full,
    )  # fmt: skip
    assert broken.submit(alpaca.ask()).state == "accepted"
    broken.close()


def _full(_action: object) -> None:
    raise OSError("No space left on device")


def test_no_error_holds_a_key(make_rig: Any) -> None:
    """Neither in its text nor in what hangs on it: the library's errors hold whole requests."""
    alpaca = make_rig("alpaca", retries=0, timeout_s=0.25)
    kinds = [*UNCLEAR, "429", "echo", "keys_refused"]
    for n, kind in enumerate(kinds):
        alpaca.server.fault(kind, "POST")
        alpaca.server.fault(kind, "GET")
        for call in (alpaca.broker.positions, lambda n=n: alpaca.broker.submit(alpaca.ask(f"{n}"))):
            _assert_clean(call)
        alpaca.server.calm()
    nobody = msgspec.structs.replace(alpaca.access, trading_url="http://127.0.0.1:9")
    _assert_clean(alpaca.again(nobody).account)
    assert "canary" not in repr((alpaca.access, alpaca.broker, vars(alpaca.broker)))


def _assert_clean(call: Any) -> None:
    with pytest.raises(BrokerError) as caught:
        call()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "canary" not in f"{error!s} {error!r} {vars(error)}"


# --- the account ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"trading_blocked": True}, "trading_blocked"),
        ({"account_blocked": None}, "account_blocked"),
        ({"status": "ACCOUNT_CLOSED"}, "ACCOUNT_CLOSED"),
        ({"currency": "EUR"}, "EUR"),
        ({"shorting_enabled": True}, "sell short"),
        ({"shorting_enabled": None}, "sell short"),
    ],
)
def test_an_account_that_cannot_trade_is_a_fault(
    alpaca: Any, said: dict[str, Any], fault: str
) -> None:
    alpaca.books.account_extra = said
    assert [fault in told for told in alpaca.broker.self_check()] == [True]


def test_a_market_data_plan_that_refuses_is_a_fault_and_no_refusal_of_the_keys(alpaca: Any) -> None:
    alpaca.server.fault("echo", "GET", "/v2/stocks")
    assert ["quote of SPY" in told for told in alpaca.broker.self_check()] == [True]


def test_a_404_of_something_in_between_is_asked_again_and_never_believed(alpaca: Any) -> None:
    alpaca.server.fault("gateway_404", "GET", "/v2/positions")
    assert alpaca.broker.positions() == []
    alpaca.server.fault("gateway_404", "GET", "/v2/positions", times=9)
    with pytest.raises(BrokerUnavailable, match="after 3 tries"):
        alpaca.broker.positions()


def test_a_clear_no_to_a_question_is_no_answer_and_not_asked_again(alpaca: Any) -> None:
    """A symbol that Alpaca's data does not know must not end the day of the others."""
    now = alpaca.clock.now()
    alpaca.server.fault("echo", "GET", "/v2/stocks/bars")
    with pytest.raises(BrokerUnavailable, match="refuses to tell bars of NOSUCH"):
        alpaca.broker.bars("NOSUCH", now - timedelta(minutes=5), now)
    assert alpaca.server.count("GET", "/v2/stocks/bars") == 1


def test_paper_and_real_money_differ_by_address_alone(alpaca: Any) -> None:
    hosts = []
    for paper in (True, False):
        access = msgspec.structs.replace(alpaca.access, paper=paper, trading_url=None)
        hosts.append(str(alpaca.again(access)._client._base_url.value))
    assert hosts == ["https://paper-api.alpaca.markets", "https://api.alpaca.markets"]


def test_open_orders_beyond_one_page_are_all_there(alpaca: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("brokers.alpaca_orders.MOST_ORDERS", 3)
    for n in range(8):
        alpaca.broker.submit(alpaca.ask(f"o-{n}", quantity="1"))
    found = [order.client_order_id for order in alpaca.broker.open_orders()]
    assert found == [f"o-{n}" for n in range(8)]


# --- fills and activities ---------------------------------------------------------------------


def test_more_fills_than_a_page_holds_come_once_each(alpaca: Any) -> None:
    alpaca.broker.submit(alpaca.ask(quantity="230"))
    for _ in range(230):
        alpaca.trade("ALFA", "1")
    fills = alpaca.broker.fills_since(0)
    assert [f.sequence for f in fills] == list(range(1, 231))
    assert {f.execution_id for f in fills} == {
        f["id"].partition("::")[2] for f in alpaca.books.fills
    }


def test_fills_of_one_millisecond_are_put_in_order(alpaca: Any) -> None:
    alpaca.broker.submit(alpaca.ask(quantity="10"))
    for shares in ("1", "2", "3", "4"):
        alpaca.trade("ALFA", shares)
    at = alpaca.books.fills[0]["transaction_time"]
    for n, fill in enumerate(alpaca.books.fills):  # listed by an id that says nothing
        fill["transaction_time"], fill["id"] = at, f"20260105100000176::{9 - n}"
    assert [f.quantity for f in alpaca.broker.fills_since(0)] == [1, 2, 3, 4]


def test_a_fill_that_is_listed_late_is_not_lost(alpaca: Any) -> None:
    alpaca.broker.submit(alpaca.ask("a-1", quantity="5"))
    alpaca.broker.submit(alpaca.ask("a-2", quantity="5", symbol="BRVO"))
    alpaca.trade("ALFA", "5")
    alpaca.trade("BRVO", "5")
    early = alpaca.books.fills.pop(0)
    assert [f.client_order_id for f in alpaca.broker.fills_since(0)] == ["a-2"]
    alpaca.books.fills.append(early)  # older than the one that is known
    assert [(f.sequence, f.client_order_id) for f in alpaca.broker.fills_since(1)] == [(2, "a-1")]


def test_an_execution_told_with_other_content_stands_and_is_a_fault(alpaca: Any) -> None:
    alpaca.buy("a-1", "10")
    first = alpaca.broker.fills_since(0)
    alpaca.books.fills[0]["price"] = "1"
    assert list(alpaca.broker.fills_since(0)) == list(first)
    assert [first[0].execution_id in told for told in alpaca.broker.self_check()] == [True]


def test_a_fill_on_a_day_without_a_session_settles_as_one_of_the_next(alpaca: Any) -> None:
    alpaca.buy("a-1", "3")
    saturday = datetime.now(UTC).date() - timedelta(days=(datetime.now(UTC).weekday() + 2) % 7 or 7)
    alpaca.books.fills[0]["transaction_time"] = f"{saturday}T15:00:00Z"
    calendar = alpaca._sessions
    (session, *_) = calendar.sessions(saturday, saturday + timedelta(days=7))
    fills = alpaca.again(fills_from=datetime.now(UTC) - timedelta(days=9)).fills_since(0)
    assert [f.settles_on for f in fills] == [calendar.settles_on(session.day)]


def test_a_fill_of_an_order_placed_elsewhere_names_that_order(alpaca: Any) -> None:
    alpaca.buy("by-hand", "3")
    assert [f.client_order_id for f in alpaca.again().fills_since(0)] == ["by-hand"]


def test_dividends_fees_and_transfers_are_told_exactly_and_once(alpaca: Any) -> None:
    today = datetime.now(UTC).date()
    day = today.isoformat()
    alpaca.books.others = [
        {"id": "1::a", "activity_type": "DIV", "date": day, "net_amount": "1.02",
         "symbol": "ALFA", "qty": "2", "per_share_amount": "0.51", "status": "executed"},
        {"id": "2::b", "activity_type": "FEE", "date": day, "net_amount": "-0.01",
         "description": "TAF fee", "status": "canceled"},
        {"id": "3::c", "activity_type": "CSD", "date": day, "net_amount": 1234567.89},
        {"id": "4::d", "activity_type": "NEWKIND", "date": day, "net_amount": "0"},
        {"id": "0::z", "activity_type": "INT", "net_amount": "5", "status": "executed",
         "date": (today - timedelta(days=1)).isoformat()},
    ]  # fmt: skip
    found = alpaca.broker.activities(today)
    assert [(a.kind, a.code, a.net_amount, a.cancelled) for a in found] == [
        ("dividend", "DIV", D("1.02"), False),
        ("fee", "FEE", D("-0.01"), True),
        ("transfer", "CSD", D("1234567.89"), False),  # a JSON number, and no float was in between
        ("other", "NEWKIND", D("0"), False),
    ]
    assert (found[0].symbol, found[0].quantity, found[0].day) == ("ALFA", 2, today)
