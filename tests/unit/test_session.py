"""A trading day: each phase once, each decision once, and nothing after the close."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.session import (
    CloseSession,
    Decide,
    Decided,
    EndPhase,
    Mark,
    MarkPrices,
    OpenSession,
    PhaseEnded,
    PhaseStarted,
    PricesMarked,
    RecordReconciliation,
    Session,
    SessionClosed,
    SessionOpened,
    SessionReconciled,
    StartPhase,
    Verdict,
    session_stream,
)

AT = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2013, 10, 7)}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": date(2013, 10, 7)}
HOURS: dict[str, Any] = {
    "label": "2013-10-07", "opens_at": AT, "closes_at": AT + timedelta(minutes=390),
    "symbols": ("IWM", "SPY"), "settings_position": 4,
}  # fmt: skip
OPENED = SessionOpened(**THEN, **HOURS)
CLOSED = SessionClosed(**THEN, label="2013-10-07")
PASSED = Verdict(rule="MAX_TRADES", passed=True, value="1", limit="10", unit="trades")
FAILED = Verdict(rule="CASH_FLOAT", passed=False, value="10", limit="900", unit="USD")
DECISION: dict[str, Any] = {
    "decision_id": "d1", "strategy": "OPEN", "symbol": "SPY", "kind": "entry", "outcome": "taken",
    "reason": "breakout", "inputs": {"high": "167.94"}, "verdicts": (PASSED,), "order_id": "o1",
}  # fmt: skip
MARK = Mark(instrument_id="XNYS:SPY", symbol="SPY", price=Decimal("167.94"), at=AT)


@pytest.fixture
def day(given: Any) -> Callable[..., Any]:
    """A session with a past after its opening."""

    def make(*past: Any) -> Any:
        return given(Session(session_stream("2013-10-07")), OPENED, *past)

    return make


def decide(**change: Any) -> Decide:
    return Decide(**WHEN, **(DECISION | change))


def test_a_whole_day_in_events(given: Any) -> None:
    case = given(Session(session_stream("2013-10-07")))
    case.when(Session.open, OpenSession(**WHEN, **HOURS)).then(OPENED)
    case.when(Session.start_phase, StartPhase(**WHEN, phase="OPEN"))
    case.then(PhaseStarted(**THEN, phase="OPEN"))
    case.when(Session.decide, decide()).then(Decided(**THEN, **DECISION))
    case.when(Session.mark_prices, MarkPrices(**WHEN, occasion="close", marks=(MARK,)))
    case.then(PricesMarked(**THEN, occasion="close", marks=(MARK,)))
    case.when(Session.end_phase, EndPhase(**WHEN, phase="OPEN", outcome="1 trade"))
    case.then(PhaseEnded(**THEN, phase="OPEN", outcome="1 trade"))
    told = {"broker_cash": Decimal("100.5"), "differences": ("cash: 1 cent",)}
    case.when(Session.reconcile, RecordReconciliation(**WHEN, **told))
    case.then(SessionReconciled(**THEN, **told))
    case.when(Session.close, CloseSession(**WHEN, label="2013-10-07")).then(CLOSED)
    assert case.aggregate.decided["d1"].inputs == {"high": "167.94"}


def test_a_session_opens_once_and_before_it_closes(given: Any, day: Any) -> None:
    day().when(Session.open, OpenSession(**WHEN, **HOURS)).refused("2013-10-07 is open already")
    backwards = HOURS | {"closes_at": AT}
    case = given(Session("session-x")).when(Session.open, OpenSession(**WHEN, **backwards))
    case.refused("would close before it opens")


ALL = [
    (Session.start_phase, StartPhase(**WHEN, phase="OPEN")),
    (Session.decide, decide()),
    (Session.mark_prices, MarkPrices(**WHEN, occasion="close", marks=(MARK,))),
    (
        Session.reconcile,
        RecordReconciliation(**WHEN, broker_cash=Decimal(1), differences=()),
    ),
    (Session.close, CloseSession(**WHEN, label="2013-10-07")),
    (Session.end_phase, EndPhase(**WHEN, phase="OPEN", outcome="")),
]


@pytest.mark.parametrize(("decide_", "command"), ALL, ids=[d.__name__ for d, _ in ALL])
def test_nothing_happens_before_the_opening_or_after_the_close(
    given: Any, day: Any, decide_: Any, command: Any
) -> None:
    given(Session("session-x")).when(decide_, command).refused()
    day(CLOSED).when(decide_, command).refused()


def test_the_close_says_what_is_in_its_way(day: Any) -> None:
    case = day(PhaseStarted(**THEN, phase="OPEN"))
    case.when(Session.close, CloseSession(**WHEN, label="2013-10-07"))
    case.refused("Phase OPEN has not ended", "stays open")


def test_phases_follow_one_another_and_none_runs_twice(day: Any) -> None:
    case = day(PhaseStarted(**THEN, phase="OPEN"))
    start = StartPhase(**WHEN, phase="CLOSE")
    case.when(Session.start_phase, start).refused("OPEN has not ended; CLOSE cannot start")
    case.when(Session.end_phase, EndPhase(**WHEN, phase="CLOSE", outcome=""))
    case.refused("CLOSE is not running; OPEN is")
    case.when(Session.end_phase, EndPhase(**WHEN, phase="OPEN", outcome="no trade"))
    case.when(Session.start_phase, StartPhase(**WHEN, phase="OPEN")).refused("OPEN of", "ran")
    assert case.when(Session.start_phase, start).event.phase == "CLOSE"


def test_a_decision_is_taken_once(day: Any) -> None:
    case = day(Decided(**THEN, **DECISION))
    case.when(Session.decide, decide(reason="again")).refused("Decision d1 was taken already")
    assert case.when(Session.decide, decide(decision_id="d2", order_id="o2")).event


def test_a_signal_that_any_rule_refuses_cannot_be_taken(day: Any) -> None:
    late = msgspec.structs.replace(FAILED, rule="ENTRY_DEADLINE")
    refused = decide(verdicts=(PASSED, FAILED, late))
    day().when(Session.decide, refused).refused("CASH_FLOAT, ENTRY_DEADLINE said no")
    kept = decide(verdicts=(PASSED, FAILED), outcome="refused", order_id=None)
    assert day().when(Session.decide, kept).event.verdicts == (PASSED, FAILED)


@pytest.mark.parametrize(
    ("outcome", "order_id"),
    [("taken", None), ("refused", "o1"), ("no_instrument", "o1"), ("no_trade", "o1")],
)
def test_only_what_is_taken_has_an_order(day: Any, outcome: str, order_id: str | None) -> None:
    case = day().when(Session.decide, decide(outcome=outcome, order_id=order_id))
    case.refused("Only what is taken has an order")


@pytest.mark.parametrize(
    ("price", "words"),
    [(Decimal(0), "above 0"), (Decimal(-1), "above 0"), (Decimal("NaN"), "finite"), (1.5, "float")],
)
def test_a_price_that_is_none_is_not_marked(day: Any, price: Any, words: str) -> None:
    marks = (MARK, msgspec.structs.replace(MARK, price=price))
    case = day().when(Session.mark_prices, MarkPrices(**WHEN, occasion="close", marks=marks))
    case.refused(words)


@pytest.mark.parametrize("cash", [Decimal("NaN"), 100.5])
def test_the_broker_s_cash_is_an_exact_number(day: Any, cash: Any) -> None:
    command = RecordReconciliation(**WHEN, broker_cash=cash, differences=())
    day().when(Session.reconcile, command).refused()


def test_limits_that_were_looked_at_before_another_decision_are_looked_at_again(day: Any) -> None:
    """Two strategies cannot both use up what is left of a limit."""
    taken = Decided(**THEN, **DECISION)
    second = {"decision_id": "d2", "order_id": "o2"}
    day(taken).when(Session.decide, decide(**second, decided_before=0)).refused("1 now")
    day(taken).when(Session.decide, decide(**second, decided_before=1)).then(
        Decided(**THEN, **(DECISION | second))
    )
