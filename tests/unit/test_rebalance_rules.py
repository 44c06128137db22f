"""When a rebalance is due, what binds it to its preview, and who may ask when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.holdings_plan import DEFAULT_PLAN
from aggregates.holdings_requests import (
    LEFT_OUT,
    STREAM,
    AnswerHoldings,
    HoldingsRequests,
    Rebalanced,
    RecordRebalance,
    RequestHoldings,
    StartRequest,
)
from aggregates.rebalance_values import CarriedOut, Preview, Purses
from config.calendar import TradingCalendar
from strategies.rebalance import preview
from strategies.rebalance_checks import moved, purchases_for, summary, unspent
from strategies.rebalance_dates import due_on, is_due, months_later
from strategies.rebalance_values import CostRates, HeldSecurity, Situation

D = Decimal
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2026, 3, 2)}


# "User sets Rebalance Interval (3, 6, or 12 months)."


@pytest.mark.parametrize(
    ("last", "months", "due"),
    [
        ("2026-01-15", 3, "2026-04-15"),
        ("2025-08-31", 6, "2026-02-28"),  # February has no 31st
        ("2023-08-31", 6, "2024-02-29"),  # of a leap year
        ("2024-02-29", 12, "2025-02-28"),
        ("2025-11-30", 3, "2026-02-28"),
        ("2025-12-31", 6, "2026-06-30"),
        ("2025-10-02", 3, "2026-01-02"),  # over the turn of the year
    ],
)
def test_the_interval_is_the_same_day_months_later_or_the_months_last_day(
    last: str, months: int, due: str
) -> None:
    assert months_later(date.fromisoformat(last), months) == date.fromisoformat(due)


@pytest.mark.parametrize(
    ("last", "months", "session"),
    [
        ("2025-01-04", 6, "2025-07-07"),  # the 4th of July is a Friday
        ("2024-11-29", 12, "2025-12-01"),  # the 29th is a Saturday
        ("2025-08-28", 3, "2025-11-28"),  # the half day after Thanksgiving is a session
        ("2025-05-27", 6, "2025-11-28"),  # Thanksgiving: the half day after it
        ("2025-12-24", 12, "2026-12-24"),  # a half day
        ("2025-10-03", 6, "2026-04-06"),  # Good Friday, then the weekend
        ("2025-10-01", 3, "2026-01-02"),  # New Year
    ],
)
def test_it_is_moved_to_the_next_session_of_the_exchange(
    last: str, months: int, session: str
) -> None:
    calendar = TradingCalendar("XNYS", date(2025, 1, 1), date(2026, 12, 31))
    due = due_on(date.fromisoformat(last), months, calendar)
    assert due == date.fromisoformat(session)
    assert is_due(date.fromisoformat(last), months, due)
    day_before = calendar.sessions(date(2025, 1, 2), due)[-2].day
    assert not is_due(date.fromisoformat(last), months, day_before)


def test_a_session_that_was_missed_is_made_up_for() -> None:
    assert is_due(date(2025, 9, 1), 6, date(2026, 3, 9))


# What binds an execution to its preview


def situation(**fields: Any) -> Situation:
    usual: dict[str, Any] = {
        "plan": DEFAULT_PLAN,
        "version": 3,
        "securities": (held("SCHD", "60"), held("SCHY", "40")),
        "purses": purses("1000.00"),
        "float_target": D("1000.00"),
        "costs": CostRates(per_share=D(0), per_share_sold=D(0), of_proceeds=D(0)),
        "step": D("0.000000001"),
        "currency": "USD",
    }
    return Situation(**usual | fields)


def purses(cash: str) -> Purses:
    return Purses(float=D(cash), tax_cash=D(0), tax_vehicle=D(0), payroll=D(0), pool=D(0))


def held(symbol: str, units: str, price: str | None = "100") -> HeldSecurity:
    known = None if price is None else D(price)
    return HeldSecurity(symbol=symbol, units=D(units), cost=D(units) * 100, price=known)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, ()),
        ({"version": 4}, ("the plan is version 4 now, the preview was made from 3",)),
        ({"securities": (held("SCHD", "60", "101"), held("SCHY", "40", "99"))}, ()),
        ({"securities": (held("SCHD", "60", "101.01"), held("SCHY", "40", "98.99"))},
         ("SCHD: the price is 101.01, it was 100 in the preview (1.01 %)",
          "SCHY: the price is 98.99, it was 100 in the preview (1.01 %)")),
        ({"securities": (held("SCHD", "60"), held("SCHY", "40", None))}, ("SCHY: no price now",)),
        ({"securities": (held("SCHD", "60"),)},
         ("SCHY: 0 units are held, 40 were in the preview",)),
        ({"securities": (held("SCHD", "60"), held("SCHY", "40"), held("NEW", "1"))},
         ("NEW: 1 units are held, 0 were in the preview",)),
    ],
)  # fmt: skip
def test_beyond_one_percent_or_with_other_holdings_or_plan_the_difference_is_said(
    now: dict[str, Any], said: tuple[str, ...]
) -> None:
    assert moved(preview(situation()), situation(**now)) == said


def test_a_price_that_was_missing_and_is_there_is_a_difference() -> None:
    seen = preview(situation(securities=(held("SCHD", "60"), held("SCHY", "40", None))))
    assert moved(seen, situation()) == ("SCHY: it had no price and has one",)


# "System must block any … rebalance … action if it would violate float, reserve … compliance."


def sold(part: str) -> CarriedOut:
    return CarriedOut(
        symbol="SCHD", side="sell", previewed_quantity=D(10), previewed=D("1000.00"),
        previewed_costs=D(0), wanted=D(10), filled=D(part), value=D(part) * 100, costs=D(0),
        state="cancelled", reason="not filled within 5 minutes",
    )  # fmt: skip


@pytest.mark.parametrize(("part", "bought"), [("10", "10"), ("5", "5"), ("0.004", None)])
def test_purchases_are_cut_to_what_the_sales_brought(part: str, bought: str | None) -> None:
    found = purchases_for(preview(situation()), [sold(part)], D("0.000000001"))
    assert [o.quantity for o in found] == ([D(bought)] if bought else [])


def test_the_result_says_what_was_less_than_previewed_and_why() -> None:
    said = summary(preview(situation()), [sold("5")])
    assert said == (
        "Sold 500.00 (preview 1,000.00) and bought 0.00 (preview 0.00) USD. Fewer units than "
        "previewed: SCHD: not filled within 5 minutes."
    )


# Who may ask, and when


def asked(request_id: str = "r1", **fields: Any) -> RequestHoldings:
    usual: dict[str, Any] = {"kind": "rebalance", "preview": seen(), "reason": "spring"}
    return RequestHoldings(**WHEN, request_id=request_id, **usual | fields)


def seen() -> Preview:
    return preview(situation())


Given = Callable[..., Any]


@pytest.fixture
def requests(given: Given) -> Any:
    """A case with one rebalance that waits."""
    case = given(HoldingsRequests(STREAM))
    case.when(HoldingsRequests.request, asked())
    return case


def test_a_request_carries_its_preview_and_waits(requests: Any) -> None:
    assert requests.event.preview == seen()
    assert list(requests.aggregate.waiting) == ["r1"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"request_id": "r1", "kind": "top_up", "preview": None}, "Request r1 was made already"),
        ({"request_id": "r2"}, "A rebalance is waiting already, since 2026-03-02 15:00 UTC"),
        ({"request_id": "r2", "kind": "top_up"}, "a top-up without one"),
        ({"request_id": "r2", "kind": "top_up", "preview": None, "reason": " "}, "A reason"),
        ({"request_id": "r2", "kind": "top_up", "preview": None, "reason": "a\x00"}, "A reason"),
    ],
)
def test_what_cannot_be_asked(requests: Any, fields: dict[str, Any], words: str) -> None:
    requests.when(HoldingsRequests.request, asked(**fields)).refused(words)


def test_a_top_up_may_wait_beside_a_rebalance(requests: Any) -> None:
    top_up = asked("t1", kind="top_up", preview=None)
    assert requests.when(HoldingsRequests.request, top_up).event.kind == "top_up"


def answer(outcome: Any) -> AnswerHoldings:
    return AnswerHoldings(**WHEN, request_id="r1", outcome=outcome, said="as it is")


def test_it_can_be_withdrawn_until_it_is_started(requests: Any) -> None:
    start = StartRequest(**WHEN, request_id="r1")
    requests.when(HoldingsRequests.start, start)
    requests.when(HoldingsRequests.answer, answer("withdrawn")).refused("being carried out")
    requests.when(HoldingsRequests.start, start).refused("started already")


def test_a_request_has_one_end(requests: Any) -> None:
    requests.when(HoldingsRequests.answer, answer("withdrawn"))
    for decide, command in (
        (HoldingsRequests.answer, answer("refused")),
        (HoldingsRequests.start, StartRequest(**WHEN, request_id="r1")),
        (HoldingsRequests.complete, RecordRebalance(**WHEN, request_id="r1", result=(), said="")),
    ):
        requests.when(decide, command).refused("There is no open request r1")


def test_the_result_ends_the_request_and_begins_the_interval_anew(requests: Any) -> None:
    result = RecordRebalance(**WHEN, request_id="r1", result=(sold("10"),), said="Sold.")
    requests.when(HoldingsRequests.complete, result).refused("never started")
    requests.when(HoldingsRequests.start, StartRequest(**WHEN, request_id="r1"))
    requests.when(HoldingsRequests.complete, result)
    done, answered = requests._events
    assert isinstance(done, Rebalanced)
    assert (done.preview, done.result) == (seen(), (sold("10"),))
    assert (answered.outcome, answered.said) == ("done", "Sold.")
    assert requests.aggregate.waiting == {}
    assert requests.aggregate.rebalanced_on == date(2026, 3, 2)


def test_a_preview_is_stored_and_read_back_as_it_was() -> None:
    found = seen()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Preview) == found


@pytest.mark.parametrize(
    ("state", "finished"),
    [
        ("filled", True), ("cancelled", True), ("rejected", True), ("expired", True),
        (LEFT_OUT, True), ("not sent", False), ("accepted", False), ("unknown", False),
    ],
)  # fmt: skip
def test_what_never_came_to_its_end_at_the_broker_leaves_the_interval_as_it_was(
    requests: Any, state: str, finished: bool
) -> None:
    requests.when(HoldingsRequests.start, StartRequest(**WHEN, request_id="r1"))
    result = (msgspec.structs.replace(sold("5"), state=state),)
    done = RecordRebalance(**WHEN, request_id="r1", result=result, said="")
    requests.when(HoldingsRequests.complete, done)
    found = requests.aggregate
    assert (found.rebalanced_on is not None, found.unfinished_on is None) == (finished, finished)


def test_what_was_sold_and_not_spent_is_what_the_purchases_were_to_cost() -> None:
    bought = msgspec.structs.replace(sold("4"), symbol="SCHY", side="buy")
    assert unspent(preview(situation()), [sold("10"), bought]) == D("600.00")
    assert unspent(preview(situation()), [sold("4"), bought]) == 0
    idle = preview(situation(unspent=D("600.00"), purses=purses("1600.00")))
    assert sum(o.value * (1 if o.side == "buy" else -1) for o in idle.orders) == D("600.00")
