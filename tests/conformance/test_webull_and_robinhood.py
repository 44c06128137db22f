"""What only a wire can do to the two adapters that are for tests: one request, no key told, no
address but the one that was given."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from brokers.port import BrokerError, BrokerUnavailable, OrderRefused, OutcomeUnknown
from config.settings import demo_settings

D = Decimal
NAMES = ("webull", "robinhood")
UNCLEAR = ("504_before", "504_after", "malformed_after", "empty", "gateway_404", "deep")


@pytest.fixture(params=NAMES)
def rig(request: pytest.FixtureRequest, make_rig: Any) -> Any:
    return make_rig(request.param)


@pytest.fixture
def webull(make_rig: Any) -> Any:
    return make_rig("webull")


@pytest.fixture
def robinhood(make_rig: Any) -> Any:
    return make_rig("robinhood")


# --- for tests only ---------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "api.webull.com", "None"])
def test_there_is_no_address_but_the_one_that_is_given(rig: Any, url: str) -> None:
    with pytest.raises(ValueError, match="give the one to talk to"):
        rig.again(msgspec.structs.replace(rig.access, url=url))


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_can_name_them(name: str) -> None:
    with pytest.raises(Exception, match="BROKER_NAME"):
        demo_settings({"BROKER_NAME": name.upper()})


def test_a_redirection_is_not_followed(rig: Any, make_rig: Any) -> None:
    elsewhere = make_rig("webull").server
    rig.refuse_keys()
    rig.server.no_keys = lambda: (302, {"message": "moved"}, {"Location": f"{elsewhere.url}/"})
    for call in (rig.broker.account, lambda: rig.broker.submit(rig.ask())):
        with pytest.raises((BrokerUnavailable, OutcomeUnknown)):
            call()
    assert elsewhere.asked == []


def test_options_and_indices_are_not_offered(rig: Any) -> None:
    day = datetime.now(UTC).date()
    assert rig.broker.capabilities.long_put is False
    assert list(rig.broker.option_chain("SPY", day, day + timedelta(days=30))) == []
    assert rig.broker.index("VIX") is None


# --- outcomes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UNCLEAR)
def test_one_submit_makes_one_request_whatever_comes_back(rig: Any, kind: str) -> None:
    rig.fault_order(kind)
    with pytest.raises(OutcomeUnknown, match="not sent again"):
        rig.broker.submit(rig.ask())
    rig.settle()
    arrived = kind.endswith("_after")
    assert rig.orders_there("a-1") == arrived
    assert (rig.broker.order("a-1") is not None) == arrived
    assert rig.sent("a-1") == 1


def test_what_it_says_of_a_fault_of_its_own_is_no_refusal(rig: Any) -> None:
    rig.server.refusal = lambda _: (
        500, {"error_code": "SYSTEM_ERROR", "detail": "Sorry", "message": "Sorry"}, {}
    )  # fmt: skip
    rig.fault_order("echo")
    with pytest.raises(OutcomeUnknown, match="500"):
        rig.broker.submit(rig.ask())
    with pytest.raises(OutcomeUnknown, match="may still arrive"):
        rig.broker.order("a-1")


def test_too_many_requests_is_no_order_and_is_not_sent_again(rig: Any) -> None:
    rig.fault_order("429")
    with pytest.raises(OrderRefused, match="rate_limited"):
        rig.broker.submit(rig.ask())
    assert (rig.sent("a-1"), rig.orders_there("a-1")) == (1, 0)
    assert rig.broker.order("a-1") is None  # this is certain: nothing to wait for


def test_no_error_and_no_log_holds_a_key(rig: Any) -> None:
    for n, kind in enumerate((*UNCLEAR, "429", "echo", "keys_refused", "reset_before")):
        rig.server.fault(kind, "GET", times=9)
        _assert_clean(rig.broker.positions)
        rig.server.calm()
        rig.fault_order(kind)
        _assert_clean(lambda n=n: rig.broker.submit(rig.ask(f"o-{n}")))
        rig.server.calm()
    nobody = rig.again(msgspec.structs.replace(rig.access, url="http://127.0.0.1:9"))
    _assert_clean(nobody.account)
    assert len(rig.actions) > 20
    assert "canary" not in repr((rig.access, rig.broker, vars(rig.broker), rig.actions))


def _assert_clean(call: Any) -> None:
    with pytest.raises(BrokerError) as caught:
        call()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "canary" not in f"{error!s} {error!r} {vars(error)}"


def test_more_orders_than_a_page_holds_are_all_there(rig: Any) -> None:
    """Robinhood's pages name the next one by an address that leads elsewhere."""
    names = [f"o-{n}" for n in range(25)]
    for name in names:
        rig.broker.submit(rig.ask(name, quantity="1"))
    assert sorted(o.client_order_id for o in rig.broker.open_orders()) == sorted(names)
    rig.trade("ALFA", "25")
    fills = rig.broker.fills_since(0)
    assert sorted(f.client_order_id for f in fills) == sorted(names)


def test_an_order_of_the_bot_itself_comes_back_under_its_id(rig: Any) -> None:
    own = "tb1-" + "0123456789abcdef" * 2
    assert rig.broker.submit(rig.ask(own)).client_order_id == own
    rig.trade("ALFA", "10")
    assert rig.again().fills_since(0)[0].client_order_id == own
    assert rig.broker.order(own).state == "filled"


def test_an_account_that_could_sell_short_is_a_fault(rig: Any) -> None:
    rig.server.account_type = "margin" if rig.server.account_type == "cash" else "MARGIN"
    assert ["short" in fault for fault in rig.broker.self_check()] == [True]


# --- Webull -----------------------------------------------------------------------------------


def test_every_request_is_signed_over_what_is_sent(webull: Any) -> None:
    """Computed here once more, from what arrived."""
    webull.broker.submit(webull.ask(quantity="24.5"))
    placed, asked = webull.server.asked[-2:]
    query = {"account_id": webull.access.account_id, "client_order_id": "a-1"}
    body = json.dumps(placed.body, separators=(",", ":")).encode()
    for request, of_query, of_body in ((placed, {}, body), (asked, query, b"")):
        names = ("x-app-key", "x-timestamp", "x-signature-version", "x-signature-algorithm",
                 "x-signature-nonce", "host")  # fmt: skip
        terms = {name: request.headers[name] for name in names} | of_query
        text = "&".join([request.path, *(f"{n}={terms[n]}" for n in sorted(terms))])
        if of_body:
            text += "&" + hashlib.sha256(of_body).hexdigest().upper()
        key = webull.server.keys[1].encode() + b"&"
        digest = hmac.new(key, quote(text, safe="").encode(), "sha256").digest()
        assert request.headers["x-signature"] == base64.b64encode(digest).decode()
    nonces = [request.headers["x-signature-nonce"] for request in webull.server.asked]
    assert len(set(nonces)) == len(nonces)
    assert "x-access-token" not in placed.headers


def test_an_order_that_webull_took_is_told_even_when_it_cannot_be_asked_for(webull: Any) -> None:
    webull.server.fault("504_before", "GET", times=9)
    placed = webull.broker.submit(webull.ask(quantity="24.5"))
    assert (placed.client_order_id, placed.state, placed.quantity) == ("a-1", "accepted", D("24.5"))
    assert placed.broker_order_id == next(iter(webull.books.orders))


def test_an_account_that_the_keys_do_not_know_is_a_fault(webull: Any) -> None:
    other = webull.again(msgspec.structs.replace(webull.access, account_id="ACC-0009"))
    assert ["ACC-0009" in fault for fault in other.self_check()] == [True]
    with pytest.raises(BrokerUnavailable, match="refuses to tell the account"):
        other.account()


def test_two_averages_of_one_quantity_are_a_fault(webull: Any) -> None:
    webull.buy("a-1", "10")
    first = list(webull.broker.fills_since(0))
    webull.books.fills[0]["price"] = "1"
    assert list(webull.broker.fills_since(0)) == first
    assert ["a-1" in fault for fault in webull.broker.self_check()] == [True]


def test_cash_that_moved_without_an_order_is_told_once(webull: Any) -> None:
    today = datetime.now(UTC).date()
    webull.books.others = [
        {"activity_id": "1", "activity_type": "DIVIDENDS", "activity_date": f"{today}T00:00:00Z",
         "symbol": "ALFA", "quantity": "2", "net_amount": "1.02"},
        {"activity_id": "2", "activity_type": "TRADE", "activity_date": f"{today}T00:00:00Z",
         "net_amount": "-1000.20"},
        {"activity_id": "3", "activity_type": "NEW_KIND", "activity_date": f"{today}T00:00:00Z",
         "net_amount": "-0.01"},
    ]  # fmt: skip
    found = webull.broker.activities(today)
    assert [(a.kind, a.code, a.net_amount) for a in found] == [
        ("dividend", "DIVIDENDS", D("1.02")), ("other", "NEW_KIND", D("-0.01")),
    ]  # fmt: skip
    assert webull.broker.activities(today + timedelta(days=1)) == []


# --- Robinhood --------------------------------------------------------------------------------


def test_an_order_is_asked_for_before_it_is_sent(robinhood: Any) -> None:
    """Nobody knows what Robinhood does with a ref_id that it has seen; the fake takes it again."""
    began = robinhood.clock.now()
    robinhood.broker.submit(robinhood.ask())
    assert robinhood.clock.now() - began >= timedelta(seconds=robinhood.settle_s)
    robinhood.server.fault("504_before", "GET", "/orders/", times=9)
    with pytest.raises(OutcomeUnknown, match="was not sent now"):
        robinhood.again().submit(robinhood.ask("a-2"))
    assert (robinhood.sent("a-1"), robinhood.sent("a-2")) == (1, 0)


def test_a_halt_is_told_with_the_quote(robinhood: Any) -> None:
    assert robinhood.broker.asset("ALFA").halted is None
    robinhood.show_market()
    assert robinhood.broker.asset("ALFA").halted is False
    robinhood.server.quotes["ALFA"]["trading_halted"] = True
    assert robinhood.broker.asset("ALFA").halted is True


def test_bars_of_a_minute_are_no_empty_list(robinhood: Any) -> None:
    now = robinhood.clock.now()
    with pytest.raises(BrokerUnavailable, match="bars of one minute"):
        robinhood.broker.bars("ALFA", now - timedelta(minutes=5), now)


def test_an_execution_told_with_other_content_stands_and_is_a_fault(robinhood: Any) -> None:
    robinhood.buy("a-1", "10")
    first = list(robinhood.broker.fills_since(0))
    robinhood.books.fills[0]["price"] = "1"
    assert list(robinhood.broker.fills_since(0)) == first
    assert [first[0].execution_id in told for told in robinhood.broker.self_check()] == [True]


def test_dividends_and_transfers_are_told(robinhood: Any) -> None:
    number = robinhood.books.assets["ALFA"]["id"]
    robinhood.server.dividends = [
        {"id": "d", "payable_date": "2026-01-05", "position": "2", "amount": "1.02",
         "state": "paid", "instrument": f"https://elsewhere.invalid/instruments/{number}/"},
    ]  # fmt: skip
    robinhood.server.transfers = [
        {"id": "t", "direction": "deposit", "amount": "50", "state": "completed",
         "expected_landing_date": "2026-01-07"},
    ]  # fmt: skip
    found = robinhood.broker.activities(date(2026, 1, 5))
    assert [(a.kind, a.symbol, a.net_amount) for a in found] == [
        ("dividend", "ALFA", D("1.02")), ("transfer", "", D(50)),
    ]  # fmt: skip
    assert [a.activity_id for a in robinhood.broker.activities(date(2026, 1, 6))] == ["t"]
