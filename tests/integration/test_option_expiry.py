"""A put that expires while held: booked once; an exercise and an adjusted contract never are."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aggregates.market import OptionContract
from aggregates.reconciliation import AcceptDifference
from brokers.port import Activity, OrderRequest
from runtime.instruments import register_option
from runtime.reconciliation import Reconciled, Reconciler, differences, reconcile
from runtime.supervisor import Supervisor

D = Decimal
EXPIRY = date(2026, 3, 6)  # the Friday of the session's week


@pytest.fixture
def rig(rig: Any) -> Any:
    """Its broker tells of the expiries in its own file."""
    rig.broker.activities = rig.simulated.activities
    return rig


def puts(rig: Any) -> Sequence[OptionContract]:
    rig.pass_minutes(1)
    found: Sequence[OptionContract] = rig.simulated.option_chain("ALFA", EXPIRY, EXPIRY)
    return found


def bought(rig: Any, contract: OptionContract, contracts: str = "2") -> str:
    """Bought for trading, at the broker and in the books; the symbol."""
    register_option(rig.bot, contract)
    symbol = contract.symbol
    intent = replace(
        rig.intent("put", symbol, "buy", contracts), order_type="limit", limit_price=contract.ask
    )
    rig.bot.dispatch(intent, command_id="decide:put")
    order = rig.desk.refresh("put")
    rig.simulated.submit(
        OrderRequest(
            client_order_id=order.terms.client_order_id, symbol=symbol, side="buy",
            order_type="limit", quantity=D(contracts), limit_price=contract.ask,
        )
    )  # fmt: skip
    rig.pass_minutes(2)
    assert compared(rig).open_differences == ()
    return symbol


def compared(rig: Any, occasion: Any = "reconnect") -> Reconciled:
    return reconcile(rig.bot, None, occasion)


def out_of_the_money(rig: Any) -> OptionContract:
    return next(c for c in puts(rig) if c.strike == 97)


def held(rig: Any) -> dict[str, Decimal]:
    rig.bot.views.catch_up()
    return {p.symbol: p.quantity for p in rig.bot.views.books.positions()}


def after_expiry(rig: Any) -> None:
    rig.clock.wait_until(rig.hours.close + timedelta(days=5))


def result(rig: Any) -> Decimal:
    found: Decimal = rig.bot.views.books.balance_of("4010")
    return found


def test_a_contract_costs_a_hundred_times_its_price_in_books_and_account(rig: Any) -> None:
    put = out_of_the_money(rig)
    symbol = bought(rig, put)
    (position,) = rig.bot.views.books.positions()
    assert (position.symbol, position.kind, position.multiplier) == (symbol, "option", 100)
    assert position.code == f"1120.{symbol}"
    assert position.name == "ALFA put 97 2026-03-06"
    assert position.cost <= 200 * put.ask
    assert differences(rig.bot.views.books, rig.simulated) == []


def test_a_put_that_expired_is_booked_once_with_its_whole_cost_as_loss(rig: Any) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    cost = rig.bot.views.books.positions()[0].cost
    after_expiry(rig)
    first = compared(rig, "start")
    assert first.open_differences == ()
    assert f"2 {symbol} expired worthless on 2026-03-06" in first.repaired
    assert held(rig) == {}
    assert result(rig) == cost
    assert differences(rig.bot.views.books, rig.simulated) == []
    (trade,) = rig.bot.views.trading.trades()
    assert (trade.strategy, trade.symbol, trade.exit_price) == ("OPEN", symbol, 0)
    assert trade.pnl == -cost - trade.costs
    assert trade.exit_reason == "expired worthless"

    head = rig.bot.store.head().position
    for occasion in ("reconnect", "schedule"):
        assert compared(rig, occasion).repaired == ()
    assert rig.bot.store.head().position == head


def test_an_expiry_is_booked_after_a_kill_too(rig: Any) -> None:
    """It is no order to send, and the books would differ from the broker for good."""
    from aggregates.control import LatchKill, StartKill

    bought(rig, out_of_the_money(rig))
    when: Any = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    rig.bot.dispatch(StartKill(**when, source="watchdog", reason="test"), command_id="kill")
    rig.bot.dispatch(LatchKill(**when, flat=False, left=()), command_id="latch")
    after_expiry(rig)
    assert compared(rig).open_differences == ()
    assert held(rig) == {}


def test_an_expiry_that_the_broker_takes_back_is_reversed(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    after_expiry(rig)
    compared(rig)
    (told,) = rig.simulated.activities(EXPIRY)
    back = replace(told, cancelled=True)
    monkeypatch.setattr(rig.broker, "activities", lambda _first: [back])
    again = compared(rig)
    assert any("reversed option_expiry" in text for text in again.repaired)
    assert held(rig) == {symbol: 2}
    assert result(rig) == 0
    assert [d.kind for d in again.open_differences] == ["option_expired"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": D(-3)}, "do not hold 3 of it"),
        ({"quantity": D(2)}, "moves no money"),
        ({"net_amount": D("1.00")}, "moves no money"),
        ({"symbol": "ALFA"}, "OCC symbol"),
        ({"day": EXPIRY - timedelta(days=1)}, "does not expire before 2026-03-06"),
    ],
)
def test_what_cannot_be_an_expiry_of_ours_stays_open(
    rig: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    told = Activity(
        activity_id="x-1", kind="option_expiry", code="OPEXP", day=EXPIRY, symbol=symbol,
        quantity=D(-2), net_amount=None, description="", cancelled=False,
    )  # fmt: skip
    monkeypatch.setattr(rig.broker, "activities", lambda _first: [replace(told, **changes)])
    (found,) = compared(rig).open_differences
    assert found.kind == "unknown_activity"
    assert words in found.known
    assert held(rig) == {symbol: 2}


def test_where_no_expiry_is_told_a_person_s_word_books_it(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    told = rig.simulated.activities
    monkeypatch.setattr(rig.broker, "activities", lambda _first: [])
    rig.clock.wait_until(rig.hours.close)
    assert compared(rig).open_differences == ()
    after_expiry(rig)
    (found,) = compared(rig).open_differences
    assert (found.kind, found.subject, found.amount) == ("option_expired", symbol, "-2")
    assert "its last day was 2026-03-06" in found.known
    assert "accept it with a reason" in found.to_do
    assert held(rig) == {symbol: 2}
    accept = AcceptDifference(
        at=rig.clock.now(), effective_date=rig.hours.day, difference_id=found.difference_id,
        amount=found.amount, reason="the statement says so",
    )  # fmt: skip
    rig.bot.dispatch(accept, command_id="accept")
    again = compared(rig)
    assert again.open_differences == ()
    assert again.repaired == (
        f"2 {symbol} expired worthless on 2026-03-06, accepted: the statement says so",
    )
    assert held(rig) == {}
    assert differences(rig.bot.views.books, rig.simulated) == []
    # the broker tells it after all: it is not booked a second time
    monkeypatch.setattr(rig.broker, "activities", told)
    late = compared(rig)
    assert (late.open_differences, late.repaired) == ((), ())


def test_an_exercise_is_never_booked_and_says_what_to_look_for(rig: Any) -> None:
    in_the_money = next(c for c in puts(rig) if c.strike == 103)
    symbol = bought(rig, in_the_money)
    after_expiry(rig)
    found = {d.kind: d for d in compared(rig).open_differences}
    assert set(found) == {"unknown_activity", "missing_position", "cash"}
    assert "never booked by itself" in found["unknown_activity"].known
    assert "exercised" in found["missing_position"].known
    assert "buy back what is short" in found["missing_position"].to_do
    assert found["cash"].amount == "600.00"  # 2 × 100 × (103 − 100), in the simulated account
    assert held(rig) == {symbol: 2}
    assert compared(rig).why or compared(rig).open_differences


@pytest.mark.parametrize("change", [{"adjusted": True}, {"multiplier": 150}])
def test_a_contract_that_is_adjusted_while_held_stays_open(
    rig: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    put = out_of_the_money(rig)
    symbol = bought(rig, put)
    asked: list[str] = []

    def chain(underlying: str, *_days: date) -> list[OptionContract]:
        asked.append(underlying)
        return [replace(put, **change)]

    monkeypatch.setattr(rig.broker, "option_chain", chain, raising=False)
    session = Reconciler(rig.bot)
    for _ in range(3):
        (found,) = session.run(None, "reconnect").open_differences
    assert (found.kind, found.subject) == ("option_changed", symbol)
    assert "changed what it delivers" in found.known
    assert asked == ["ALFA"], "once a session"


def test_a_contract_that_bears_an_adjusted_name_now_is_named(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    (position,) = rig.simulated.positions()
    renamed = replace(position, symbol=symbol.replace("ALFA", "ALFA1"))
    monkeypatch.setattr(rig.broker, "positions", lambda: [renamed], raising=False)
    found = {d.subject: d for d in compared(rig).open_differences}
    assert set(found) == {symbol, renamed.symbol}
    assert f"Perhaps adjusted: the broker holds {renamed.symbol}" in found[symbol].known


def test_a_put_that_was_carried_over_is_sold_at_the_next_open(rig: Any) -> None:
    symbol = bought(rig, out_of_the_money(rig))
    tuesday = rig.bot.calendar.session(rig.hours.day + timedelta(days=1))
    Supervisor(rig.bot, ("ALFA", "BRVO")).run_session(tuesday)
    assert held(rig) == {}
    assert rig.at_broker() == {}
    (exit_,) = [e for e in rig.events("Session.Decided") if e.kind == "exit"]
    assert (exit_.symbol, exit_.reason) == (symbol, "carried over")
    assert exit_.inputs["expires"] == "2026-03-06"
    assert exit_.occurred_at < tuesday.open + timedelta(minutes=5)


def test_what_is_left_says_when_it_expires(rig: Any) -> None:
    from runtime.flatten import Left

    symbol = out_of_the_money(rig).symbol
    assert str(Left(symbol, D(2), "not sold yet")) == (
        f"{symbol} 2 (expires on 2026-03-06): not sold yet"
    )


def test_an_option_is_registered_once(rig: Any) -> None:
    put = out_of_the_money(rig)
    for _ in range(2):
        register_option(rig.bot, put)
    topics = [e for e in rig.events("Instrument.Registered") if e.symbol == put.symbol]
    assert [(e.kind, e.multiplier) for e in topics] == [("option", 100)]
