"""What was bought on weakness and could not be sold before the close: the session after it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aggregates.session import Decide, OpenSession, StartPhase
from brokers.port import BrokerUnavailable
from config.settings import demo_settings
from runtime.desk import Desk
from runtime.flatten import Flatten
from runtime.guard import Unwatched
from runtime.health import Health
from runtime.holdings_prices import day_prices
from runtime.instruments import register_option
from runtime.kill_switch import KillSwitch
from runtime.outbox import Outbox
from runtime.reconciliation import Reconciler
from runtime.strategy_phase import StrategyPhase
from runtime.strategy_phases import StrategyPhases
from strategies.installed import install

D = Decimal
EXPIRY = date(2026, 3, 13)


@pytest.fixture
def rig(rig: Any) -> Any:
    rig.broker.asset = rig.simulated.asset
    return rig


def bought(rig: Any, strategy: str = "CLOSE") -> Any:
    """Two puts on ALFA; the contract as it was listed then."""
    rig.pass_minutes(1)
    put = next(c for c in rig.simulated.option_chain("ALFA", EXPIRY, EXPIRY) if c.strike == 99)
    register_option(rig.bot, put)
    when: dict[str, Any] = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    inputs = {"instrument": put.symbol, "multiplier": "100", "price": f"{put.ask:f}"}
    intent = replace(
        rig.intent("put", put.symbol, "buy", "2"), order_type="limit", limit_price=put.ask,
        strategy=strategy,
    )  # fmt: skip
    decide = Decide(
        **when, decision_id="put", strategy=strategy, symbol="ALFA", kind="bearish",
        outcome="taken", reason="test", inputs=inputs, verdicts=(), order_id="put",
    )  # fmt: skip
    rig.bot.dispatch(decide, intent, command_id="decide:put", correlation="put")
    rig.desk.load(rig.session())
    rig.outbox.send("put")
    rig.pass_minutes(2)
    rig.outbox.read_fills()
    rig.bot.views.catch_up()
    return put


def next_day(rig: Any) -> None:
    """The session after it has begun."""
    rig.hours = rig.bot.calendar.sessions(date(2026, 3, 3), date(2026, 3, 3))[0]
    rig.clock.wait_until(rig.hours.open + timedelta(minutes=1))
    when: dict[str, Any] = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    opened = OpenSession(
        **when, label=str(rig.hours.day), opens_at=rig.hours.open, closes_at=rig.hours.close,
        symbols=("BRVO",), settings_position=1,
    )  # fmt: skip
    rig.bot.dispatch(opened, command_id="session 2")
    rig.bot.dispatch(StartPhase(**when, phase="open"), command_id="phase 2")
    rig.bot.views.catch_up()
    rig.desk = Desk(rig.bot.store, rig.bot.views.books, rig.hours)
    rig.desk.load(rig.session())
    rig.outbox = Outbox(rig.bot.dispatch, rig.broker, rig.clock, rig.desk, rig.hours.day)


def phase_of(rig: Any, symbols: tuple[str, ...] = ("BRVO",)) -> StrategyPhase:
    strategy = install("OPEN", rig.bot.settings, rig.hours, symbols, rig.hours.open)
    health = Health(rig.bot, rig.desk, rig.outbox, Reconciler(rig.bot))
    return StrategyPhase(
        "open", rig.bot, rig.desk, rig.outbox, strategy, symbols, Unwatched(rig.clock), health
    )


def trips(rig: Any) -> list[tuple[str, str]]:
    rig.bot.views.catch_up()
    return [(t.strategy, t.symbol) for t in rig.bot.views.trading.trades()]


def test_a_put_is_worth_its_bid_and_what_was_carried_is_watched(rig: Any) -> None:
    rig.buy("ALFA", "10")
    put = bought(rig)
    next_day(rig)
    rig.broker.positions = list  # told of nothing to sell: both stay
    cost = rig.desk.market_value()
    phase_of(rig).step(rig.clock.now())
    quote = rig.simulated.quote(put.symbol)
    assert rig.desk.last_known(put.symbol) == (quote.bid, quote.end)
    price, _ = rig.desk.last_known("ALFA")
    assert rig.desk.market_value() == quote.bid * 200 + price * 10 != cost


def test_a_bar_that_is_newer_than_the_last_quote_counts(rig: Any) -> None:
    """A fund that was bought on weakness and sold again may be a candidate all day."""
    rig.pass_minutes(2)
    quote = rig.simulated.quote("ALFA")
    bar = rig.simulated.bars("ALFA", rig.hours.open, rig.hours.close)[-1]
    rig.desk.quotes["ALFA"] = quote
    rig.desk.bars["ALFA"] = bar
    assert rig.desk.last_known("ALFA") == (quote.bid, quote.end)
    rig.desk.bars["ALFA"] = later = replace(bar, start=bar.start + timedelta(hours=3))
    assert rig.desk.last_known("ALFA") == (later.close, later.end)


def test_the_holdings_are_valued_beside_a_put_without_asking_for_its_bars(rig: Any) -> None:
    """Some brokers refuse the question, which counts as no answer: nothing would be set aside."""
    put = bought(rig)
    next_day(rig)
    bars = rig.simulated.bars

    def of_shares_only(symbol: str, *when: Any) -> Any:
        if symbol == put.symbol:
            raise BrokerUnavailable("invalid symbol.")
        return bars(symbol, *when)

    rig.broker.bars, quote = of_shares_only, rig.simulated.quote(put.symbol)
    found = day_prices(rig.bot, rig.hours, {put.symbol, "ALFA"}, answered=True)
    assert found[put.symbol] == (quote.bid, quote.end)
    assert found["ALFA"].price == 100


def test_it_is_sold_by_a_kill_as_a_trade_of_its_strategy(rig: Any) -> None:
    put = bought(rig)
    next_day(rig)
    kill = KillSwitch(rig.bot, rig.desk, rig.outbox, rig.clock.wait_until)
    assert kill.run("page", "test")
    assert (trips(rig), rig.at_broker()) == ([("CLOSE", put.symbol)], {})


def test_it_is_sold_as_a_trade_of_the_strategy_that_bought_it(rig: Any) -> None:
    put = bought(rig, "CLOSE")
    next_day(rig)
    phase = phase_of(rig)
    phase.step(rig.clock.now())
    rig.pass_minutes(2)
    phase.step(rig.clock.now())
    assert trips(rig) == [("CLOSE", put.symbol)]
    (sale,) = [d for d in rig.session().decided.values() if d.kind == "exit"]
    assert (sale.strategy, sale.reason) == ("CLOSE", "carried over")
    assert rig.at_broker() == {}


def test_a_late_fill_sold_by_another_phase_is_a_trade_of_its_own_strategy(rig: Any) -> None:
    put = bought(rig, "MID")
    rig.clock.wait_until(rig.hours.close - timedelta(minutes=3))
    phase = phase_of(rig)
    phase.step(rig.clock.now())
    rig.pass_minutes(2)
    phase.step(rig.clock.now())
    assert trips(rig) == [("MID", put.symbol)]


def test_a_phase_ends_although_our_books_hold_what_the_broker_does_not(rig: Any) -> None:
    """An exercise that a person has yet to book must not keep MID and CLOSE from their windows."""
    put = bought(rig)
    next_day(rig)
    rig.broker.positions = list
    said = phase_of(rig).run()
    assert said == f"our books hold {put.symbol}, and the broker holds none of it"
    assert rig.clock.now() < rig.hours.close - timedelta(hours=2)


def test_where_no_strategy_runs_what_the_broker_does_not_hold_is_not_said_to_be_sold(
    rig: Any,
) -> None:
    put = bought(rig)
    next_day(rig)
    rig.broker.positions = list
    rig.bot.settings = demo_settings({"STRATEGY_OVERRIDE": "MID", "STRAT_MID_ENABLED": "true"})
    health = Health(rig.bot, rig.desk, rig.outbox, Reconciler(rig.bot))
    guard, nobody = Unwatched(rig.clock), lambda _moment: None
    phases = StrategyPhases(rig.bot, rig.desk, rig.outbox, guard, health, lambda _: (), nobody)
    said = phases.run("open", rig.clock.now())
    assert said.startswith("passed over: STRATEGY_OVERRIDE is MID; our books hold")
    assert put.symbol in said


def test_a_sale_of_what_has_no_bars_is_asked_for_anew_while_it_is_bid_for(rig: Any) -> None:
    """The broker took it, and fills nothing."""
    put, held = bought(rig), list(rig.simulated.positions())
    next_day(rig)
    fills, order = rig.simulated.fills_since, rig.simulated.order
    rig.broker.fills_since = lambda sequence: [f for f in fills(sequence) if f.side == "buy"]
    rig.broker.order = lambda i: replace(order(i), state="accepted", filled_quantity=D(0))
    rig.broker.positions = lambda: held
    phase, flatten = phase_of(rig), Flatten(rig.bot, rig.desk, rig.outbox)
    for _ in range(5):
        phase.step(rig.clock.now())
        flatten.ask("end of monitoring")
        rig.pass_minutes(1)
    (sale,) = [o for o in rig.desk.orders.values() if o.terms.side == "sell"]
    assert (sale.terms.symbol, sale.cancel_reason) == (put.symbol, "nothing was filled")
