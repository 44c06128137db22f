"""Alpaca's JSON to the port's values: exact, and unreadable rather than guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers import alpaca_wire as wire
from brokers.alpaca_answers import no_order
from brokers.alpaca_http import WireFailure
from brokers.http_fields import Unreadable, exact, exact_json, rows
from brokers.port import DuplicateOrder, KeysRefused, OrderRefused, OutcomeUnknown

D = Decimal

# As in Alpaca's documentation of orders, with the numbers as its stream has been seen to send them.
ORDER = """{"id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "client_order_id": "a-1",
 "created_at": "2021-03-16T18:38:01.942282Z", "updated_at": "2021-03-16T18:38:01.942282999Z",
 "submitted_at": "2021-03-16T14:38:01.937734-04:00", "symbol": "AAPL", "notional": null,
 "qty": 271.0, "filled_qty": "0", "type": "market", "side": "buy", "status": "accepted"}"""


def order(**changes: object) -> wire.BrokerOrder:
    return wire.order(exact_json(ORDER) | changes)


def test_an_order_of_the_documentation_is_read_exactly() -> None:
    found = order()
    assert (found.quantity, found.filled_quantity, str(found.quantity)) == (271, 0, "271")
    assert found.submitted_at == datetime(2021, 3, 16, 18, 38, 1, 937734, UTC)
    assert found.updated_at.microsecond == 942282  # nine decimals, six are kept
    assert (found.state, found.order_type) == ("accepted", "market")


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("new", "0", "accepted"),
        ("pending_new", "0", "accepted"),
        ("held", "0", "accepted"),
        ("pending_cancel", "0", "accepted"),
        ("pending_cancel", "3", "partially_filled"),
        ("done_for_day", "3", "partially_filled"),
        ("a_status_of_next_year", "0", "accepted"),
        ("filled", "271", "filled"),
        ("canceled", "3", "cancelled"),
        ("replaced", "0", "cancelled"),
        ("expired", "0", "expired"),
        ("rejected", "0", "rejected"),
    ],
)
def test_only_a_status_that_is_surely_final_is_final(status: str, filled: str, state: str) -> None:
    assert order(status=status, filled_qty=filled).state == state


def test_an_order_placed_by_hand_by_amount_and_trailing_is_read_all_the_same() -> None:
    found = order(qty=None, notional="100", filled_qty="0.5", type="trailing_stop")
    assert (found.quantity, found.order_type) == (D("0.5"), "other")


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": "NaN"}, {"qty": "Infinity"}, {"qty": "ten"}, {"qty": True}, {"qty": 271.0},
        {"qty": "1e99"}, {"filled_qty": None}, {"id": ""}, {"symbol": 5}, {"side": "both"},
        {"status": None}, {"submitted_at": "yesterday"}, {"submitted_at": "2021-03-16T18:38:01"},
    ],
)  # fmt: skip
def test_an_order_that_is_not_whole_is_unreadable(changes: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        order(**changes)  # 271.0 as a float, where exact_json would have given a Decimal


def test_answers_of_another_shape_are_unreadable() -> None:
    readers = (wire.order, wire.position, wire.asset, wire.activity, wire.account, wire.WireFill)
    for reader in (*readers, wire.server_time, lambda raw: wire.quote("A", raw)):
        for raw in (None, [], "text", 5, {}):
            with pytest.raises(Unreadable):
                reader(raw)
    for raw in (None, {}, "text"):
        with pytest.raises(Unreadable):
            rows(raw, "positions")


@given(st.decimals(min_value=0, max_value=10**9, places=9))
def test_a_number_keeps_every_digit_as_text_or_as_json_number(number: Decimal) -> None:
    for body in (f'{{"qty": "{number:f}"}}', f'{{"qty": {number:f}}}'):
        assert exact(exact_json(body), "qty") == number


def test_json_that_is_no_number_is_refused() -> None:
    for body in ('{"cash": NaN}', '{"cash": Infinity}', '{"cash": 1', "\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own
            exact_json(body)


def test_a_short_position_is_below_zero_however_it_is_written() -> None:
    for quantity, side, expected in (("5", "long", 5), ("5", "short", -5), ("-5", "short", -5)):
        raw = {"symbol": "ALFA", "qty": quantity, "side": side}
        assert wire.position(raw).quantity == expected


@pytest.mark.parametrize(
    ("bid", "ask"), [("0", "100"), ("100", "0"), ("101", "100"), ("-1", "100")]
)
def test_a_quote_that_states_no_market_is_none(bid: str, ask: str) -> None:
    raw = {"t": "2026-01-05T15:00:00Z", "bp": D(bid), "ap": D(ask), "bs": 1, "as": 1}
    assert wire.quote("ALFA", raw) is None


def test_a_quote_is_known_at_its_own_instant() -> None:
    raw = {"t": "2026-01-05T15:00:00.5Z", "bp": D("99.98"), "ap": 100, "bs": 1, "as": D("2.0")}
    found = wire.quote("ALFA", raw)
    assert found is not None
    assert found.end == datetime(2026, 1, 5, 15, 0, 0, 500_000, UTC)
    assert (found.spread, found.ask_size) == (D("0.02"), 2)


def test_a_bar_outside_its_own_range_is_unreadable() -> None:
    raw = {"t": "2026-01-05T15:00:00Z", "o": 10, "h": 11, "l": 9, "c": 10, "v": 5}
    assert wire.bar("ALFA", raw).high == 11
    for wrong in ({"c": 12}, {"l": D("10.5")}, {"l": 0}, {"h": 9}, {"v": D("0.5")}, {"v": -1}):
        with pytest.raises(Unreadable):
            wire.bar("ALFA", raw | wrong)


def test_an_activity_of_a_kind_that_is_new_is_kept_as_other() -> None:
    found = wire.activity({"id": "1::a", "activity_type": "XYZ", "date": "2026-01-05T00:00:00Z"})
    assert (found.kind, found.code, found.day) == ("other", "XYZ", date(2026, 1, 5))
    assert (found.net_amount, found.quantity) == (None, None)


# --- what an answer means for an order --------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (422, 40010001, "client_order_id must be unique", DuplicateOrder),
        (422, 42210000, "potential wash trade detected. use complex orders", OrderRefused),
        (403, 40310000, "insufficient buying power", OrderRefused),
        (404, 40410000, "asset not found", OrderRefused),
        (400, 0, "", OutcomeUnknown),  # an error page of something in between
        (403, 0, "", OutcomeUnknown),
        (404, 0, "", OutcomeUnknown),
        (408, 0, "request timeout", OutcomeUnknown),
        (409, 1, "conflict", OutcomeUnknown),
        (301, 0, "", OutcomeUnknown),
        (500, 50010000, "internal server error occurred", OutcomeUnknown),
        (502, 0, "", OutcomeUnknown),
        (503, 0, "", OutcomeUnknown),
        (0, 0, "", OutcomeUnknown),
    ],
)
def test_only_a_clear_no_is_a_refusal(status: int, code: int, message: str, kind: type) -> None:
    failure = WireFailure("said", status, {"code": code, "message": message})
    assert type(no_order(failure, "a-1")) is kind


@pytest.mark.parametrize(
    ("status", "code", "message", "refused"),
    [
        (401, 0, "", True),
        (403, 40110000, "request is not authorized", True),
        (403, 0, "forbidden.", True),
        (403, 40310000, "insufficient buying power", False),
        (403, 0, "subscription does not permit querying recent SIP data", False),
        (403, 0, "", False),
    ],
)
def test_refused_keys_are_told_from_a_refused_order(
    status: int, code: int, message: str, refused: bool
) -> None:
    failure = WireFailure("said", status, {"code": code, "message": message})
    assert failure.keys_refused is refused
    if refused:
        with pytest.raises(KeysRefused, match="refuses the keys"):
            no_order(failure, "a-1")


@pytest.mark.parametrize(
    ("message", "error_code"),
    [
        ("insufficient buying power", "insufficient_cash"),
        ("insufficient qty available for order (requested: 5, available: 0)", "short_sale"),
        ("fractional orders are not allowed to short", "short_sale"),
        ('asset "X" is not fractionable', "not_fractionable"),
        ('asset "X" not found', "unknown_symbol"),
        ("could not find us_equity 'X'", "unknown_symbol"),
        ("asset X is not tradable", "not_tradable"),
        ("invalid limit_price 100.123. sub-penny increment", "invalid_price"),
        ("something new", "alpaca_42210000"),
    ],
)
def test_words_of_a_refusal_have_codes_of_ours(message: str, error_code: str) -> None:
    failure = WireFailure("said", 422, {"code": 42210000, "message": message})
    refusal = no_order(failure, "a-1")
    assert isinstance(refusal, OrderRefused)
    assert (refusal.error_code, refusal.reason) == (error_code, message)
