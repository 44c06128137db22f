"""The float's check when securities are refused, do not trade, or are hardly traded; old sales."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.instrument import RecordSplit
from projections.ledger_records import AsOf
from runtime.holdings_float import value_account
from runtime.holdings_plan import current_plan
from runtime.holdings_unpriced import unpriced_of

D = Decimal


# A top-up


def test_a_top_up_goes_on_with_the_next_security_when_one_is_refused(rig: Any) -> None:
    rig.plan("SCHD", "SCHY", float_target="50")
    for symbol, units in (("SCHD", "100"), ("SCHY", "160"), ("SCHY", "160"), ("SCHD", "200")):
        rig.hold(symbol, units)
    rig.broker.refused = {"SCHY"}
    rig.run()
    assert rig.purses.float >= D("49900")
    assert "SCHY not sold: SCHY is not traded now." in rig.steps["float"]
    assert [o.symbol for o in rig.broker.sent] == ["SCHY", "SCHD"]
    assert rig.units()["1130.SCHY"] == "320"
    assert rig.equal()


def test_a_top_up_ends_when_every_security_is_refused_and_names_each(rig: Any) -> None:
    rig.plan("SCHD", "SCHY", float_target="50")
    for symbol in ("SCHD", "SCHY", "BIL"):
        rig.hold(symbol, "250")
    rig.broker.refused = {"SCHD", "SCHY", "BIL"}
    rig.run()
    assert "below the target" in rig.steps["float"]
    for symbol in ("SCHD", "SCHY", "BIL"):
        assert rig.steps["float"].count(f"{symbol} not sold") == 1
    assert len(rig.broker.sent) == 3


def test_what_the_market_does_not_take_in_time_is_sold_of_the_next_one(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(volume=300)  # thirty shares a minute
    rig.day()
    rig.plan("SCHD", float_target="60")
    for symbol, times in (("SCHD", 10), ("SCHY", 5)):
        for _ in range(times):
            rig.hold(symbol, "55")
    rig.run()
    sold = [o.symbol for o in rig.broker.sent]
    assert sold[0] == "SCHD"
    assert set(sold) == {"SCHD", "SCHY"}
    assert "not filled within 5 minutes" in rig.steps["float"]
    assert rig.simulated.open_orders() == []
    assert rig.equal()


def test_a_sale_for_the_float_that_did_not_leave_is_dropped_when_it_is_old(
    rig: Any, ended_at: Any
) -> None:
    rig.plan("SCHD", float_target="50")
    for _ in range(6):
        rig.hold("SCHD", "100")
    with ended_at("holdings.batch_intended"):
        rig.run()
    rig.deposit("50000.00")
    rig.clock.wait_until(rig.clock.now() + timedelta(hours=3))
    rig.bot.views.catch_up()
    rig.run()
    assert rig.broker.sent == []
    assert rig.units() == {"1130.SCHD": "600"}
    said = "never sent: it was decided more than 2 minutes ago"
    assert f"SCHD not sold: {said}" in rig.steps["float"]
    assert "is at or above the target" in rig.steps["float"]
    assert rig.equal()


def test_what_is_still_missing_after_an_old_sale_is_sold_anew(rig: Any, ended_at: Any) -> None:
    rig.plan("SCHD", float_target="50")
    for symbol, times in (("SCHD", 5), ("SCHY", 2)):
        for _ in range(times):
            rig.hold(symbol, "90")
    with ended_at("holdings.batch_intended"):
        rig.run()
    rig.clock.wait_until(rig.clock.now() + timedelta(hours=3))
    rig.bot.views.catch_up()
    rig.run()
    assert [o.symbol for o in rig.broker.sent] == ["SCHD"]
    assert rig.purses.float >= D("49900")


# Reserves that are larger than the float


def test_a_float_below_what_is_due_is_topped_up_to_it(rig: Any) -> None:
    rig.plan("SCHD", tax_reserve="60", float_target="1")
    rig.gain("4500.00")
    rig.hold("SCHD", "999")
    rig.day(1)
    rig.gain("-2500.00", day=1)
    assert rig.purses.float < D("2700.00")
    rig.run()
    assert rig.steps["tax"] == "60 % of 4,500.00 = 2,700.00"
    assert (rig.purses.tax_cash, rig.purses.payroll) == (D("2700.00"), D("180.00"))
    assert "it is to be 2,880.00, which tax and payroll take" in rig.steps["float"]
    assert rig.purses.float >= 0
    rig.day(2)
    rig.run()  # and back to its target, as on every day
    assert rig.purses.float >= D("1000.00")
    assert rig.equal()


# A security that does not trade


def test_a_security_without_a_trade_today_counts_at_its_last_price_which_is_said(rig: Any) -> None:
    rig.plan("SCHD", float_target="60")
    for _ in range(3):
        rig.hold("SCHD", "150")
    rig.hold("SCHY", "0.001")
    rig.quiet("SCHY", 1)
    rig.day(1)
    rig.run()
    assert rig.purses.float >= D("59000")
    assert rig.steps["value"].endswith("; SCHY at its last price, of 2026-03-02")
    said = "SCHY at its last price, of 2026-03-02"
    assert unpriced_of(rig.bot.views.feed) == (rig.hours.day, said)
    assert unpriced_of(rig.bot.views.feed, AsOf(date=rig.market.days()[0])) is None
    assert [o.symbol for o in rig.broker.sent] == ["SCHD"]


def test_a_price_from_before_a_split_counts_per_new_unit(rig: Any) -> None:
    rig.plan("SCHD")
    rig.hold("SCHY", "100")
    rig.quiet("SCHY", 1)
    rig.day(1)
    before = figures_of_value(rig)
    rig.bot.dispatch(
        RecordSplit(
            at=rig.clock.now(), effective_date=rig.hours.day, instrument_id="XNYS:SCHY",
            new_units=4, old_units=1,
        ),
        command_id="split",
    )  # fmt: skip
    assert figures_of_value(rig) == before


def figures_of_value(rig: Any) -> str:
    _, plan = current_plan(rig.bot)
    assert plan is not None
    found = value_account(rig.bot, rig.hours, plan, f"at {rig.bot.store.head().position}")
    assert found.older == {"SCHY": date(2026, 3, 2)}
    return f"{found.account:f}"


def test_a_price_that_is_too_old_is_none_and_the_security_does_not_count(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.holdings_float.OLDEST_PRICE", 1)
    rig.plan("SCHD", float_target="60")
    for symbol in ("SCHD", "SCHD", "SCHD", "SCHY"):
        rig.hold(symbol, "150")
    rig.quiet("SCHY", 1, 2)
    rig.day(1)
    rig.run()
    assert "SCHY at its last price, of 2026-03-02" in rig.steps["value"]
    rig.day(2)
    rig.run()
    assert rig.steps["value"].endswith("SCHY is not counted: its last price is of 2026-03-02")
    value = D(rig.figures("value")["account_value"])
    assert D("84000") < value < D("86000")  # 15,000.00 of 100,000.00 are in SCHY
    assert rig.steps["float"].startswith(f"{rig.purses.float:,f} is at or above the target")
