"""A security that got another symbol is the same one: held, planned, bought and sold as before."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aggregates.instrument import RenameInstrument
from runtime.holdings_ready import plan_to_work_by

D = Decimal
Make = Callable[..., Any]


def rename(rig: Any, old: str, new: str) -> None:
    """In the books and at the broker, where the old symbol trades no more."""
    command = RenameInstrument(
        at=rig.clock.now(), effective_date=rig.hours.day, instrument_id=f"XNYS:{old}", symbol=new
    )
    rig.bot.dispatch(command, command_id=f"rename-{new}")
    with sqlite3.connect(rig.folder.root / "broker.db") as file:
        file.execute("UPDATE positions SET symbol = ? WHERE symbol = ?", (new, old))
    rig.market.quiet.add((old, rig.hours.day))
    rig.forget()
    rig.bot.views.catch_up()


def held(make: Make, **fields: Any) -> Any:
    """SCHD and SCHY, half and half by the plan; `SCHX` is traded and never registered."""
    rig = make(("SCHD", "SCHY", "BIL", "ALFA"))
    rig.market.prices["SCHX"] = rig.market.prices["SCHD"]
    rig.market.symbols = lambda: ("SCHD", "SCHY", "BIL", "ALFA", "SCHX")
    rig.forget()
    rig.plan("SCHD", "SCHY", **fields)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "40")
    rig.price("SCHD", "100")
    return rig


def test_the_preview_is_the_same_under_the_new_symbol(holdings_rig: Make) -> None:
    rig = held(holdings_rig)
    before = [(o.symbol, o.side, o.quantity) for o in rig.preview().orders]
    rename(rig, "SCHD", "SCHX")
    after = [(o.symbol, o.side, o.quantity) for o in rig.preview().orders]
    assert after == [(s.replace("SCHD", "SCHX"), side, q) for s, side, q in before]
    assert {s.symbol: s.target for s in rig.preview().securities} == {"SCHX": 50, "SCHY": 50}


def test_a_due_rebalance_goes_by_the_new_name_and_does_not_wait_for_the_old_one(
    holdings_rig: Make,
) -> None:
    rig = held(holdings_rig, auto_rebalance=False)
    rig.plan("SCHD", "SCHY", seen=1)
    rename(rig, "SCHD", "SCHX")
    asked = rig.ask()
    rig.serve()
    assert rig.request(asked).stage == "done"
    assert [(r.side, r.symbol) for r in rig.broker.sent] == [("sell", "SCHX"), ("buy", "SCHY")]
    assert rig.shares(["SCHX", "SCHY"]) == [D("50.0"), D("50.0")]
    assert rig.units().keys() == {"1130.SCHD", "1130.SCHY"}, "in the account that it had"
    assert rig.equal()


def test_more_of_it_is_bought_under_the_new_symbol_into_the_same_account(
    holdings_rig: Make,
) -> None:
    rig = held(holdings_rig, float_target="1")
    rename(rig, "SCHD", "SCHX")
    rig.set_aside("1000.00")
    rig.run()
    assert {r.symbol for r in rig.broker.sent} == {"SCHX", "SCHY"}
    assert D(rig.units()["1130.SCHD"]) > 64
    assert "1130.SCHX" not in rig.units()
    assert rig.equal()


def test_the_security_of_the_tax_reserve_stays_under_its_new_symbol(holdings_rig: Make) -> None:
    rig = held(holdings_rig, tax_vehicle="BIL", float_target="1")
    rig.gain("10000.00")
    rig.day(1)
    rig.run()
    kept = rig.units()["1140.BIL"]
    rig.day(2)
    rig.broker.sent.clear()
    rename(rig, "BIL", "SCHX")
    plan = plan_to_work_by(rig.bot).plan
    assert plan.tax_vehicle == "SCHX"
    rig.run()
    assert [r.symbol for r in rig.broker.sent if r.side == "sell"] == []
    assert D(rig.units()["1140.BIL"]) >= D(kept)


def test_what_trading_sells_of_a_renamed_security_is_posted(holdings_rig: Make) -> None:
    """Under an id that was never registered it would end the ledger for good."""
    from runtime.exits import exit_commands
    from runtime.instruments import id_of, register

    rig = held(holdings_rig)
    rename(rig, "SCHD", "SCHX")
    register(rig.bot, ["SCHX"])
    assert id_of(rig.bot, "SCHX") == "XNYS:SCHD"
    (*_, intent) = exit_commands(
        rig.bot, order_id="x", day=rig.hours.day, at=rig.clock.now(), symbol="SCHX",
        quantity=D(1), held=D(1), reason="test", inputs={},
    )  # fmt: skip
    assert intent.instrument_id == "XNYS:SCHD"
