"""The open phase where books and broker differ, quotes fail, or a stop comes between."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.control import RequestControl
from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan
from brokers.port import BrokerUnavailable, News
from runtime.entries import Entries, Judged
from runtime.flatten import Flatten
from runtime.guard import Unwatched
from runtime.health import Health
from runtime.reconciliation import Reconciler
from runtime.strategy_phase import StrategyPhase
from strategies.opening_range import OpeningRangeBreakout
from strategies.protocol import Signal

SYMBOLS = ("ALFA", "BRVO")


def phase_of(rig: Any) -> tuple[StrategyPhase, OpeningRangeBreakout]:
    strategy = OpeningRangeBreakout(rig.bot.settings, rig.hours, SYMBOLS)
    guard = Unwatched(rig.clock)
    health = Health(rig.bot, rig.desk, rig.outbox, Reconciler(rig.bot))
    phase = StrategyPhase("open", rig.bot, rig.desk, rig.outbox, strategy, SYMBOLS, guard, health)
    return phase, strategy


def test_an_exit_never_sells_what_the_broker_does_not_hold_for_trading(rig: Any) -> None:
    """Ten are sold by hand; the fifty that are left there are long-term holdings."""
    rig.hold_long_term("ALFA", "50")
    rig.buy("ALFA", "10")
    rig.by_hand("ALFA", "sell", "10")
    rig.pass_minutes(2)
    phase, strategy = phase_of(rig)
    for minutes in range(3):
        rig.clock.wait_until(strategy.window.monitoring_end)
        rig.pass_minutes(minutes)
        phase.step(rig.clock.now())
    assert rig.at_broker() == {"ALFA": "50"}
    assert rig.sold() == {"ALFA": "10"}
    assert not [d for d in rig.session().decided.values() if d.kind == "exit"]
    assert rig.events("Reconciliation.Found")


def test_a_kill_sells_while_no_quote_can_be_had(rig: Any) -> None:
    rig.buy("ALFA", "10")

    def silent(_symbol: str) -> None:
        raise BrokerUnavailable("market data: no answer.")

    rig.broker.quote = silent
    assert Flatten(rig.bot, rig.desk, rig.outbox).run("kill switch") == (True, ())


def test_a_stop_between_verdict_and_intent_is_a_refusal(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, asked = Entries.judge, []

    def then_stopped(self: Entries, signal: Signal, *rest: Any) -> Judged:
        judged = judge(self, signal, *rest)
        if not asked:
            asked.append(signal)
            stop = RequestControl(
                at=rig.clock.now(), effective_date=rig.hours.day, action="stop", source="page",
                reason="lunch",
            )  # fmt: skip
            rig.bot.dispatch(stop, command_id="stop")
        return judged

    monkeypatch.setattr(Entries, "judge", then_stopped)
    rig.pass_minutes(40)
    phase, strategy = phase_of(rig)
    monkeypatch.setattr(strategy, "analysis_volume", lambda _symbol: 10**6)
    phase._health.look(rig.clock.now())
    signal = Signal(
        strategy="OPEN", symbol="ALFA", kind="entry", reason="test", price=Decimal(100),
        stop=Decimal(98), inputs={},
    )  # fmt: skip
    phase._enter(signal, rig.clock.now())
    (decided,) = rig.session().decided.values()
    assert decided.outcome == "refused"
    assert "CONTROL" in [v.rule for v in decided.verdicts if not v.passed]
    assert not rig.events("Order.Intended")


def test_an_exit_goes_out_though_an_entry_that_has_ended_owes_its_executions(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.order("second", "ALFA", "buy", "5")
    rig.outbox.reports.ended_there.add("second")
    Flatten(rig.bot, rig.desk, rig.outbox)._exit("ALFA", Decimal(10), "kill switch")
    (sale,) = [o for o in rig.desk.orders.values() if o.terms.side == "sell"]
    assert (sale.state, sale.terms.quantity) == ("accepted", Decimal(10))


def test_what_is_not_sold_in_parts_is_bought_whole(rig: Any) -> None:
    rig.pass_minutes(40)
    phase, strategy = phase_of(rig)
    strategy.analysis_volume = lambda _symbol: 10**6  # type: ignore[method-assign]
    signal = Signal(
        strategy="OPEN", symbol="ALFA", kind="entry", reason="test", price=Decimal("99.97"),
        stop=Decimal(98), inputs={},
    )  # fmt: skip
    in_parts = phase._judge.judge(signal, 0)
    rig.broker.fractionable = False
    whole = phase._judge.judge(signal, 0)
    assert in_parts.quantity % 1 > 0
    assert whole.quantity == int(in_parts.quantity)
    assert whole.inputs["quantity_step"] == "1"


def test_what_was_just_ordered_on_weakness_is_not_entered_for_its_own_strength(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both signals come in one minute: ALFA weakens, whose fund is BRVO, and BRVO rises."""
    rig.pass_minutes(40)
    phase, strategy = phase_of(rig)
    weak, strong = (
        Signal(
            strategy="OPEN", symbol=symbol, kind=kind, reason="test", price=Decimal(100),
            stop=Decimal(98), inputs={},
        )
        for symbol, kind in (("ALFA", "bearish"), ("BRVO", "entry"))
    )  # fmt: skip
    entered: list[str] = []

    def ordered(signal: Signal, _now: datetime) -> None:
        entered.append(signal.symbol)
        rig.desk.bought_on_weakness("BRVO", "ALFA", 1)

    monkeypatch.setattr(strategy, "entries", lambda _now, _judged: [weak, strong])
    monkeypatch.setattr(phase._bearish, "_type", "InverseETF")
    monkeypatch.setattr(phase, "_enter_on_weakness", ordered)
    monkeypatch.setattr(phase, "_enter", lambda signal, _now: entered.append(signal.symbol))
    phase._entries(rig.clock.now())
    assert entered == ["ALFA"]


def test_what_is_planned_to_be_held_is_no_more_traded_than_what_is_held(rig: Any) -> None:
    rig.hold_long_term("ALFA", "50")
    plan = Plan(securities=(PlannedSecurity("BRVO"),), tax_vehicle="CASHY")
    save = SavePlan(at=rig.clock.now(), effective_date=rig.hours.day, plan=plan, seen=0, reason="")
    rig.bot.dispatch(save, command_id="plan")
    rig.take_up()
    assert rig.desk.held_long_term == {"BRVO", "CASHY"}  # ALFA was bought today
    phase, _ = phase_of(rig)
    signal = Signal(
        strategy="OPEN", symbol="BRVO", kind="entry", reason="test", price=Decimal(100),
        stop=Decimal(98), inputs={},
    )  # fmt: skip
    refused = [v.rule for v in phase._judge.judge(signal, 0).verdicts if not v.passed]
    assert "ALLOW_HOLDINGS_SYMBOLS" in refused


def test_a_sale_of_the_long_term_holdings_is_no_result_of_trading(rig: Any) -> None:
    rig.hold_long_term("ALFA", "50")
    rig.take_up()
    assert rig.bot.views.books.balance_of("5010") > 0  # its purchase had a commission
    assert rig.desk.realized_today() == 0


def test_a_deposit_on_the_day_itself_is_equity_at_its_open_and_no_result(rig: Any) -> None:
    before = rig.desk.equity_at_open()
    rig.deposit("5000.00")
    assert rig.desk.equity_at_open() == before + 5000
    assert rig.desk.result_today() == 0


def test_a_fill_that_the_broker_tells_by_itself_is_booked_before_the_next_minute(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.order("first", "ALFA", "buy", "10")
    rig.pass_minutes(1)
    phase, _ = phase_of(rig)
    live = msgspec.structs.replace(rig.broker.capabilities, simulated=False)
    monkeypatch.setattr(type(rig.broker), "capabilities", live, raising=False)
    told = (rig.simulated.order(rig.desk.orders["first"].terms.client_order_id),)
    rig.broker.news = lambda: News(orders=told, ask=False)
    due = rig.clock.now() + timedelta(minutes=2)
    filled_at: list[datetime] = []
    monkeypatch.setattr(
        rig.clock, "wait_until", _noting(rig, filled_at, type(rig.clock).wait_until)
    )
    phase._wait_until(due)
    assert rig.clock.now() == due
    assert filled_at[0] < due - timedelta(seconds=50)


def _noting(rig: Any, filled_at: list[datetime], wait: Any) -> Any:
    def wait_until(moment: datetime) -> None:
        if rig.desk.orders["first"].filled.units:
            filled_at.append(rig.clock.now())
        wait(rig.clock, moment)

    return wait_until


def test_what_is_bought_after_a_sale_is_another_position(rig: Any) -> None:
    """MID buys again what OPEN has sold: its stops begin with its own first fill."""
    rig.buy("ALFA", "10")
    first = rig.desk.holdings()["ALFA"].first_fill_at
    rig.order("sold", "ALFA", "sell", "10")
    rig.pass_minutes(30)
    rig.outbox.read_fills()
    assert "ALFA" not in rig.desk.holdings()
    rig.order("again", "ALFA", "buy", "4")
    rig.pass_minutes(2)
    rig.outbox.read_fills()
    again = rig.desk.holdings()["ALFA"]
    assert again.quantity == Decimal(4)
    assert again.first_fill_at >= first + timedelta(minutes=30)
