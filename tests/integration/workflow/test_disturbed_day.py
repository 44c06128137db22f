"""A day of the holdings that does not go as planned: kills, silence, refusals, a plan saved in
between, restarts hours later."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.control import STREAM as CONTROL
from aggregates.control import RequestControl
from aggregates.holdings import STEPS, day_stream
from aggregates.session import Session, session_stream
from brokers.port import BrokerUnavailable
from projections.ledger_records import AsOf
from runtime.guard import KillAsked, KillOrder
from runtime.purses import purses_of
from runtime.supervisor import Supervisor

D = Decimal


# A kill


def killed(_: datetime) -> None:
    raise KillAsked(KillOrder("page", "test"))


@pytest.mark.parametrize("waits", [True, False])
def test_a_kill_lets_no_order_leave_that_was_intended_before_a_restart(
    rig: Any, ended_at: Any, waits: bool
) -> None:
    rig.hold("SCHD", "10")
    sale = [rig.planned("SCHD", "sell", "5", "rebalance")]
    with ended_at("holdings.batch_intended"):
        rig.orders().carry_out("b", sale)
    if waits:  # the session learns of it while it waits
        rig.wait = killed
        with pytest.raises(KillAsked):
            rig.orders().carry_out("b", sale)
        assert rig.state("2026-03-02-b-SCHD-sell") == "intended"
    else:  # it is on disk, and nobody has told the session yet
        when: dict[str, Any] = {"at": rig.clock.now(), "effective_date": rig.hours.day}
        asked = RequestControl(**when, action="kill", source="page", reason="test")
        rig.bot.dispatch(asked, command_id="kill", correlation=CONTROL)
        (done,) = rig.orders().carry_out("b", sale)
        assert (done.state, done.reason) == ("cancelled", "never sent: a kill is under way")
    assert rig.broker.sent == []


def test_a_kill_that_is_asked_for_begins_no_batch(rig: Any) -> None:
    rig.hold("SCHD", "10")
    rig.wait = killed
    with pytest.raises(KillAsked):
        rig.orders().carry_out("b", [rig.planned("SCHD", "sell", "5", "rebalance")])
    assert (rig.day_record.batches, rig.broker.sent) == ({}, [])


# A plan that is saved meanwhile


def test_a_plan_saved_during_the_delay_is_the_one_of_the_whole_day(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(settings={"HOLDINGS_DELAY_MINUTES": "10"})
    rig.day()
    rig.plan("SCHD", tax_reserve="20")
    rig.gain("10000.00")
    rig.day(1)

    def wait(moment: datetime) -> None:
        if not rig.steps and rig.bot.store.head().position == head:
            rig.plan("SCHY", tax_reserve="50", float_target="30", seen=1)
        rig.clock.wait_until(moment)

    rig.wait, head = wait, rig.bot.store.head().position
    rig.run()
    assert rig.units().keys() == {"1130.SCHY"}
    assert "to be 33,000.00" in rig.steps["value"]
    assert (rig.allocated().plan_version, rig.purses.tax_cash) == (2, D("5000.00"))
    for step in ("value", "float", "gains", "tax", "payroll"):
        assert rig.figures(step)["plan_version"] == "2"


def test_a_plan_saved_while_orders_are_waited_for_counts_for_the_next_purchase(rig: Any) -> None:
    rig.plan("SCHD", tax_vehicle="BIL")
    rig.gain("10000.00")
    rig.day(1)

    def wait(moment: datetime) -> None:
        if "2026-03-03-tax-reserve-BIL-buy" in str(rig.day_record.batches) and not saved:
            saved.append(rig.plan("SCHY", tax_vehicle="BIL", seen=1))
        rig.clock.wait_until(moment)

    saved: list[Any] = []
    rig.wait = wait
    rig.run()
    assert rig.units().keys() == {"1130.SCHY", "1140.BIL"}
    assert rig.figures("gains")["plan_version"] == "1"
    assert rig.figures("reinvest") == {
        "plan_version tax reserve": "1", "plan_version pool": "2", "plan_version sweep": "2",
    }  # fmt: skip
    assert rig.equal()


# A broker that is silent


def play(rig: Any, number: int) -> dict[str, str]:
    """The whole day under the supervisor; what each phase came to."""
    rig.hours = rig.calendar.sessions(rig.market.days()[number], rig.market.days()[number])[0]
    Supervisor(rig.bot, ("ALFA",)).run_session(rig.hours)
    feed = rig.bot.views.feed
    ended = [feed.event(row) for row in feed.page(topics=("Session.PhaseEnded",), limit=99)]
    return {e.phase: e.outcome for e in ended if e.effective_date == rig.hours.day}


def silent_in_the_phase(rig: Any, more: timedelta = timedelta(0)) -> None:
    """The broker says nothing of its cash while the phase runs, and for so long after it."""
    answer, until = rig.broker.account, [rig.clock.now()]

    def account() -> Any:
        session = rig.bot.store.load(Session, session_stream(str(rig.hours.day)))
        if session.phase == "holdings":
            until[0] = rig.clock.now() + more
        if session.label and rig.clock.now() <= until[0]:
            raise BrokerUnavailable("no answer.")
        return answer()

    rig.broker.account = account


def test_a_silent_second_does_not_cost_the_day(make_holdings: Callable[..., Any]) -> None:
    rig = make_holdings()
    rig.plan("SCHD", "SCHY")
    rig.gain("1234.56")
    play(rig, 0)
    silent_in_the_phase(rig, timedelta(minutes=7))
    said = play(rig, 1)["holdings"]
    assert said.startswith("stopped: the broker does not say what cash there is")
    assert said.endswith("It is tried again every minute until the close.")
    assert tuple(rig.steps) == ("stopped", *STEPS)
    done = rig.day_record.steps
    waited = done["value"].occurred_at - done["stopped"].occurred_at
    assert timedelta(minutes=7) < waited <= timedelta(minutes=9)
    assert rig.steps["log"] == "6 steps"
    assert rig.purses.tax_cash == D("246.91")
    assert rig.units().keys() == {"1130.SCHD", "1130.SCHY"}
    assert rig.equal()


def test_a_day_that_the_broker_is_silent_on_is_left_to_the_next_session(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings()
    rig.plan("SCHD")
    rig.gain("1000.00")
    play(rig, 0)
    silent_in_the_phase(rig, timedelta(hours=7))
    play(rig, 1)
    assert tuple(rig.steps) == ("stopped",)
    del rig.broker.account
    play(rig, 2)
    assert tuple(rig.steps) == STEPS
    assert (str(rig.allocated().first), rig.purses.tax_cash) == ("2026-03-02", D("200.00"))


def test_silence_about_prices_is_no_missing_price(rig: Any) -> None:
    rig.plan("SCHD")
    rig.hold("SCHD", "10")

    def bars(*_: Any) -> Any:
        raise BrokerUnavailable("no answer.")

    rig.broker.bars = bars
    assert rig.run().startswith("stopped: the broker does not answer: no answer.")
    del rig.broker.bars
    rig.phase().go_on()
    assert tuple(rig.steps) == ("stopped", *STEPS)
    assert "last price" not in rig.steps["value"]


def test_nothing_goes_on_after_a_kill_nor_without_a_stop(rig: Any) -> None:
    rig.phase().go_on()
    rig.plan("SCHD")
    rig.phase().go_on()
    assert rig.steps == {}
    rig.broker.more_cash -= D("10.00")
    rig.run()
    rig.broker.more_cash += D("10.00")
    when: dict[str, Any] = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    rig.bot.dispatch(
        RequestControl(**when, action="kill", source="page", reason="test"), command_id="kill"
    )
    rig.phase().go_on()
    assert tuple(rig.steps) == ("stopped",)


# Balances


def test_the_balances_of_each_step_are_those_of_the_ledger_after_it(rig: Any) -> None:
    """Tax and payroll are recorded with their earmarks, in one batch: after each of these."""
    rig.plan("SCHD", ("SCHY", "40"), tax_vehicle="BIL", sweep=True, float_target="20")
    for symbol, units in (("SCHY", "350"), ("SCHD", "500.25")):
        rig.hold(symbol, units)
    rig.gain("3000.00")
    rig.set_aside("700.00")
    rig.day(1)
    rig.run()
    feed, books = rig.bot.views.feed, rig.bot.views.books
    moved = {feed.event(r).reference: r.position for r in feed.page(topics=("Capital.Earmarked",))}
    batch = day_stream(rig.hours.day)
    after = {"tax": moved[f"{batch}-tax-reserve"], "payroll": moved[f"{batch}-payroll"]}
    rows = feed.page(topics=("HoldingsDay.StepDone",), limit=99)
    for row in rows:
        event = feed.event(row)
        then = purses_of(books, AsOf(position=after.get(event.step, row.position)))
        balances = {name: D(value) for name, value in event.balances.items()}
        assert balances == {name: getattr(then, name) for name in balances}, event.step
    assert len(rows) == len(STEPS)
    assert rig.day_record.steps["payroll"].balances["tax_cash"] == "600.00"


# Switched off in the middle of the day


def test_switched_off_it_goes_no_further_and_what_is_at_the_broker_is_still_booked(
    make_holdings: Callable[..., Any],
    ended_at: Any,
) -> None:
    """A setting counts from the next start on: here the process ends with an order on its way."""
    rig = make_holdings()
    rig.plan("SCHD", "SCHY")
    rig.gain("1000.00")
    play(rig, 0)
    with ended_at("outbox.answer_recorded"):
        play(rig, 1)
    kept = rig.purses
    rig.close()
    rig = make_holdings(settings={"HOLDINGS_ENABLED": "false"})
    rig.broker.more_cash = D("1000.00")
    said = play(rig, 1)
    assert said["holdings"] == "disabled: the long-term holdings are left as they are"
    assert rig.broker.sent == []
    assert rig.units().keys() == {"1130.SCHD"}
    assert rig.state("2026-03-03-reinvestment-SCHD-buy") == "filled"
    assert rig.state("2026-03-03-reinvestment-SCHY-buy") == "cancelled"  # it never left
    assert "reinvest" not in rig.steps
    assert (rig.purses.tax_cash, rig.purses.payroll) == (kept.tax_cash, kept.payroll)
    assert rig.equal()
    rig.close()
    rig = make_holdings()  # switched on again: the next session goes on with what is in the pool
    rig.broker.more_cash = D("1000.00")
    play(rig, 2)
    assert rig.units().keys() == {"1130.SCHD", "1130.SCHY"}
