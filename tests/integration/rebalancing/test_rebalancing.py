"""A rebalance from the page's request to its result, named after "Rebalancing Workflow"."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from brokers.port import BrokerUnavailable

D = Decimal
Make = Callable[..., Any]


def uneven(make: Make, **fields: Any) -> Any:
    """SCHD 60 units, SCHY 40, both at 100: to be half and half."""
    rig = make()
    rig.plan("SCHD", "SCHY", float_target="10", auto_rebalance=False, **fields)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "40")
    rig.price("SCHD", "100")  # looked at, and marked by the fills
    return rig


# "Runs automatically or by manual trigger. Fetches holdings, recalculates % per user/auto logic,
# realigns via fractional orders."


def test_a_confirmed_preview_is_carried_out_sells_before_buys(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    previewed = rig.preview()
    asked = rig.ask(preview=previewed)
    rig.serve()
    assert [(r.side, r.symbol) for r in rig.broker.sent] == [("sell", "SCHD"), ("buy", "SCHY")]
    assert rig.broker.sent[0].quantity == previewed.orders[0].quantity
    assert rig.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]
    assert rig.request(asked).stage == "done"
    assert rig.equal()


# "Records all activity in logs and ledger."


def test_the_result_against_the_preview_is_an_event_and_says_what_fills_explain(
    holdings_rig: Make,
) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.serve()
    done = rig.result(asked)
    assert {s: (one.state, one.filled == one.previewed_quantity) for s, one in done.items()} == {
        "SCHD": ("filled", True), "SCHY": ("filled", False),
    }  # fmt: skip
    # half the spread of four cents on ten units, each way
    assert abs(done["SCHD"].difference) < 1
    assert abs(done["SCHY"].difference) < 1
    assert rig.request(asked).said.startswith("Sold ")
    tagged = [e for e in rig.bot.views.books.journal() if e.context == "rebalance" and e.sleeve]
    assert {(e.side, e.ticker) for e in tagged} >= {("sell", "SCHD"), ("buy", "SCHY")}


def test_the_float_pays_for_nothing(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig, tax_reserve="20")
    before = rig.purses.float
    rig.ask()
    rig.serve()
    assert before - D("0.50") < rig.purses.float < before + D("5.00")


# What binds the execution to the preview


def test_a_price_that_moved_by_more_than_one_percent_refuses_it_with_the_difference(
    holdings_rig: Make,
) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.price("SCHY", "101.5")
    rig.serve()
    found = rig.request(asked)
    assert found.stage == "refused"
    assert "SCHY: the price is 101.5, it was 100.02 in the preview" in found.said
    assert "Nothing was bought or sold" in found.said
    assert rig.broker.sent == []


def test_a_price_that_moved_less_changes_nothing(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.price("SCHY", "100.9")
    rig.serve()
    assert rig.request(asked).stage == "done"


def test_another_plan_refuses_it(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.plan("SCHD", ("SCHY", "60"), seen=1, auto_rebalance=False)
    rig.serve()
    assert "the plan is version 2 now, the preview was made from 1" in rig.request(asked).said
    assert rig.broker.sent == []


def test_other_holdings_refuse_it(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.hold("SCHD", "5")
    rig.serve()
    assert "SCHD: 65 units are held, 60 were in the preview" in rig.request(asked).said


def test_a_float_that_was_spent_meanwhile_refuses_a_sweep_with_what_would_be_allowed(
    holdings_rig: Make,
) -> None:
    rig = uneven(holdings_rig, sweep=True)
    asked = rig.ask()
    rig.hold("ALFA", "300", "trading")
    rig.serve()
    found = rig.request(asked)
    assert found.stage == "refused"
    assert "FLOAT: the float would be" in found.said
    assert "allowed: purchases of at most" in found.said


# Outside market hours the request waits


def test_outside_market_hours_the_request_waits_until_the_next_session(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    rig.clock.wait_until(rig.hours.close)
    asked = rig.ask()
    rig.serve()
    assert rig.request(asked).stage == "waiting"
    assert rig.broker.sent == []
    rig.day(1)
    rig.serve()
    assert rig.request(asked).stage == "done"


def test_it_waits_while_the_broker_does_not_answer(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()

    def silent() -> None:
        raise BrokerUnavailable("no answer.")

    rig.broker.account = silent
    rig.serve()
    assert rig.request(asked).stage == "waiting"
    del rig.broker.account
    rig.serve()
    assert rig.request(asked).stage == "done"


def test_a_kill_leaves_it_waiting_and_sends_nothing(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.kill()
    rig.serve()
    assert rig.request(asked).stage == "waiting"
    assert rig.broker.sent == []


def test_it_waits_while_books_and_broker_differ_and_goes_on_when_they_agree_again(
    holdings_rig: Make,
) -> None:
    rig = uneven(holdings_rig)
    asked = rig.ask()
    rig.broker.more_cash += D("77.00")  # nobody knows where it came from
    rig.serve()
    assert rig.request(asked).stage == "waiting"
    rig.broker.more_cash -= D("77.00")
    rig.serve()
    assert rig.request(asked).stage == "done"


# Switched off, no fractions


def test_switched_off_it_is_refused(holdings_rig: Make) -> None:
    rig = holdings_rig(settings={"HOLDINGS_ENABLED": "false"})
    rig.plan("SCHD", "SCHY")
    rig.hold("SCHD", "60")
    asked = rig.ask()
    rig.serve()
    assert rig.request(asked).stage == "refused"
    assert "Disabled" in rig.request(asked).said
    assert rig.broker.sent == []


def test_a_broker_without_fractional_orders_is_refused(holdings_rig: Make) -> None:
    rig = uneven(holdings_rig)
    rig.broker.fractional = False
    asked = rig.ask()
    rig.serve()
    assert "takes no fractional orders" in rig.request(asked).said
    assert rig.broker.sent == []


# A broker that refuses an order half way


def test_a_sale_that_is_refused_makes_every_purchase_smaller_and_is_said(
    holdings_rig: Make,
) -> None:
    rig = holdings_rig()
    rig.plan(("SCHD", "10"), ("SCHY", "10"), ("BIL", "80"), auto_rebalance=False)
    for symbol in ("SCHD", "SCHY", "BIL"):
        rig.hold(symbol, "30")
    asked = rig.ask()
    before = rig.purses.float
    rig.broker.refused = {"SCHD"}
    rig.serve()
    done = rig.result(asked)
    assert done["SCHD"].state == "rejected"
    assert done["SCHD"].reason == "SCHD is not traded now."
    assert done["SCHY"].state == "filled"
    assert done["BIL"].filled < done["BIL"].previewed_quantity * D("0.51")
    assert done["BIL"].reason == "the sales brought less than previewed"
    assert before - D("0.60") < rig.purses.float < before + D("5.00")
    assert "Fewer units than previewed: SCHD: SCHD is not traded now." in rig.request(asked).said


def test_a_purchase_that_is_refused_leaves_its_money_in_the_float_and_the_others_go_on(
    holdings_rig: Make,
) -> None:
    rig = holdings_rig()
    rig.plan(("SCHD", "20"), ("SCHY", "40"), ("BIL", "40"), auto_rebalance=False)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "20")
    rig.hold("BIL", "20")
    before = rig.purses.float
    rig.broker.refused = {"SCHY"}
    asked = rig.ask()
    rig.serve()
    done = rig.result(asked)
    assert done["SCHY"].state == "rejected"
    assert done["BIL"].state == "filled"
    assert rig.purses.float > before + done["SCHY"].previewed - 5
    assert rig.equal()


# A price is missing


def test_a_security_without_a_price_is_skipped_and_said(holdings_rig: Make) -> None:
    rig = holdings_rig()
    rig.plan(("SCHD", "25"), ("SCHY", "25"), ("BIL", "50"), auto_rebalance=False)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "40")
    previewed = rig.preview()
    assert {one.symbol: one.why for one in previewed.left} == {"BIL": "no price"}
    asked = rig.ask(preview=previewed)
    rig.market.quiet.add(("BIL", rig.hours.day))
    rig.forget()
    rig.serve()
    assert rig.request(asked).stage == "done"
    assert rig.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]


# Immediate cash top-up


def test_an_immediate_top_up_sells_as_little_as_restores_the_float(holdings_rig: Make) -> None:
    rig = holdings_rig()
    rig.plan("SCHD", "SCHY", float_target="10")
    rig.hold("SCHD", "600")
    rig.hold("SCHY", "320")
    asked = rig.ask("top_up")
    rig.serve()
    found = rig.request(asked)
    assert found.stage == "done"
    assert "at or above the target" in found.said
    assert {r.symbol for r in rig.broker.sent} == {"SCHD"}
    assert D("9990") < rig.purses.float < D("10020")
    again = rig.ask("top_up")
    rig.serve()
    assert rig.request(again).stage == "done"
    assert len(rig.broker.sent) == 1


def test_without_a_price_today_the_top_up_goes_by_the_last_one_and_sells_nothing_unquoted(
    holdings_rig: Make,
) -> None:
    rig = holdings_rig()
    rig.plan("SCHD", "SCHY", float_target="99")
    rig.hold("SCHD", "60")
    rig.day(1)
    rig.market.quiet.add(("SCHD", rig.hours.day))
    rig.forget()
    asked = rig.ask("top_up")
    rig.serve()
    found = rig.request(asked)
    assert found.stage == "done"
    assert "SCHD at its last price, of 2026-03-02" in found.said
    assert "nothing that could be sold is quoted now" in found.said
    assert rig.broker.sent == []
