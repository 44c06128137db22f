"""Long-term units that somebody sold at the broker by hand: booked where they were held."""

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.instrument import RenameInstrument
from aggregates.order import client_order_id
from aggregates.order_messages import IntendOrder
from aggregates.reconciliation import AcceptDifference
from brokers.port import OrderRequest
from runtime.reconciliation import Reconciled, reconcile

D = Decimal


def with_reserve(rig: Any, vehicle: str = "BIL") -> Any:
    """2,000.00 of taxes, in units of the vehicle."""
    rig.plan("SCHY", tax_vehicle=vehicle)
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    return rig


def sell_by_hand(rig: Any, symbol: str, quantity: str | Decimal, number: int = 1) -> None:
    rig.simulated.submit(
        OrderRequest(
            client_order_id=f"by-hand-{number}", symbol=symbol, side="sell", order_type="market",
            quantity=D(quantity),
        )
    )  # fmt: skip
    rig.clock.wait_until(rig.clock.now() + timedelta(minutes=2))


def accept(rig: Any, symbol: str) -> Reconciled:
    """What is missing of the symbol, as a person does; then the next comparison."""
    for found in reconcile(rig.bot, None, "schedule").open_differences:
        if (found.kind, found.subject) == ("closed_by_hand", symbol):
            accepted = AcceptDifference(
                at=rig.clock.now(), effective_date=rig.hours.day, reason="sold on the phone",
                difference_id=found.difference_id, amount=found.amount,
            )  # fmt: skip
            rig.bot.dispatch(accepted, command_id=f"accept-{rig.bot.store.head().position}")
    return reconcile(rig.bot, None, "schedule")


def test_units_of_the_tax_reserve_become_its_cash_again(rig: Any) -> None:
    with_reserve(rig)
    before = rig.purses
    sell_by_hand(rig, "BIL", rig.units()["1140.BIL"])
    assert accept(rig, "BIL").open_differences == ()
    assert "1140.BIL" not in rig.units()
    assert D(1990) < rig.purses.tax_cash < D(2000)
    assert rig.purses.float == before.float
    assert rig.equal()
    rig.day(2)
    rig.run()  # the spread, and what it cost, come back from the float
    assert rig.purses.tax_cash + rig.purses.tax_vehicle == D("2000.00")


def test_more_than_one_account_holds_is_taken_from_each_in_order(rig: Any) -> None:
    """Trading, then the holdings, then the reserve; money is split to the cent."""
    with_reserve(rig)
    rig.hold("BIL", "5", "trading")
    rig.hold("BIL", "7")
    reserve = D(rig.units()["1140.BIL"])
    sell_by_hand(rig, "BIL", "25.123456789")
    assert accept(rig, "BIL").open_differences == ()
    left = reserve - D("13.123456789")
    assert {c: u for c, u in rig.units().items() if "BIL" in c} == {"1140.BIL": f"{left:f}"}
    assert rig.equal()
    assert reconcile(rig.bot, None, "schedule").repaired == (), "once"


def test_the_first_account_that_holds_as_many_gives_all(rig: Any) -> None:
    with_reserve(rig)
    rig.hold("BIL", "5", "trading")
    rig.hold("BIL", "7")
    sell_by_hand(rig, "BIL", "6")
    accept(rig, "BIL")
    assert (rig.units()["1110.BIL"], rig.units()["1130.BIL"]) == ("5", "1")
    assert rig.equal()


def test_what_was_renamed_is_booked_where_it_is_held(rig: Any) -> None:
    rig.plan("SCHD")
    rig.hold("SCHD", "10")
    rename = RenameInstrument(
        at=rig.clock.now(), effective_date=rig.hours.day, instrument_id="XNYS:SCHD", symbol="BIL"
    )  # BIL is what the broker calls it now: the same units under another name
    with sqlite3.connect(rig.folder.root / "broker.db") as file:
        file.execute("UPDATE positions SET symbol = 'BIL'")
    rig.bot.dispatch(rename, command_id="rename")
    sell_by_hand(rig, "BIL", "10")
    assert accept(rig, "BIL").open_differences == ()
    assert rig.units() == {}
    assert rig.equal()


def test_a_sale_that_the_ledger_could_not_post_is_not_recorded_and_said_once(
    rig: Any, monkeypatch: Any
) -> None:
    """Dated before the purchase: recorded, it would end the ledger for good."""
    rig.plan("SCHD")
    rig.day(1)
    rig.hold("SCHD", "10")
    sell_by_hand(rig, "SCHD", "10")
    monkeypatch.setattr(type(rig.calendar), "date_of", lambda *_: rig.hours.day - timedelta(1))
    (said,) = accept(rig, "SCHD").repaired
    assert said.startswith("not booked: 10 SCHD sold by hand")
    assert "more than the 0 held then" in said
    assert rig.units() == {"1130.SCHD": "10"}, "the ledger goes on"


def test_a_sale_waits_for_orders_of_its_symbol_that_may_still_fill(rig: Any) -> None:
    """Their fill may be what is missing: booked twice, it would end the ledger for good."""
    rig.plan("SCHD")
    rig.hold("SCHD", "20")
    when: Any = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    terms: Any = {"symbol": "SCHD", "side": "sell", "order_type": "limit", "quantity": D(10)}
    terms["limit_price"] = D(200)
    ours = IntendOrder(
        **when, **terms, order_id="ours", bot_identity=rig.bot.identity, sleeve="holdings",
        instrument_id="XNYS:SCHD", strategy="HOLDINGS", context="top-up", reason="test",
        held=D(20),
    )  # fmt: skip
    rig.bot.dispatch(ours, command_id="ours")
    known_as = client_order_id(rig.bot.identity, "ours")
    rig.simulated.submit(OrderRequest(client_order_id=known_as, **terms))
    sell_by_hand(rig, "SCHD", "10")
    (said,) = (text for text in accept(rig, "SCHD").repaired if "not booked" in text)
    assert said == (
        "not booked yet: 10 SCHD sold by hand: order ours may still be filled, and may be it"
    )
    rig.simulated.cancel(known_as)
    rig.clock.wait_until(rig.clock.now() + timedelta(minutes=2))
    reconcile(rig.bot, None, "start")
    assert rig.units() == {"1130.SCHD": "10"}
    assert rig.equal()


def test_the_day_of_a_sale_is_the_exchange_s(rig: Any) -> None:
    """20:30 in New York is the next day in UTC."""
    assert str(rig.calendar.date_of(datetime(2026, 3, 3, 1, 30, tzinfo=UTC))) == "2026-03-02"
