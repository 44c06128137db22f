"""What the holdings pages say before it happens: what a plan begins, what a top-up sells."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from aggregates.order_messages import IntendOrder, RecordSubmission
from runtime.settings_change import change_settings
from runtime.status import NextPhase

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def admin(provisioned: Any) -> Any:
    return provisioned.client("admin")


def beside(held: Any, html: str, name: str) -> str:
    found = re.search(rf'<p class="help ahead" id="{name}-help".*?</p>', html, re.DOTALL)
    assert found, name
    text: str = held.words(found[0])
    return text


def typed(**more: Any) -> dict[str, Any]:
    form = {
        "seen": "1", "symbol": ["SCHD", "SCHY", "VTI"], "allocation": ["50", "", ""],
        "float_target": "10", "tax_reserve": "20", "tax_vehicle": "", "payroll": "10",
        "drift_band": "1", "rebalance_months": "6", "auto_rebalance": "yes",
    }  # fmt: skip
    return form | more


def test_a_first_plan_says_what_it_begins_before_anything_is_saved(held: Any, admin: Any) -> None:
    page = held.words(admin.get("/holdings").text)
    assert "so it begins all of this, once the holdings are switched on" in page
    assert "buys SCHD 50.00 %, SCHY 50.00 %; trading's cash is kept at 10 %" in page
    assert "a rebalance is made by itself every 6 months" in page
    held.switch_on()
    due = NextPhase(name="supervisor", at=held.bot.clock.now() + timedelta(days=1))
    held.trading.tell(session="", phase="", next_phase=due)
    assert "all of this, in the next session, Tue 3 Mar 2026:" in held.words(
        admin.get("/holdings").text
    )
    held.plan()
    assert "so it begins all of this" not in admin.get("/holdings").text


def test_the_sweep_says_how_much_it_buys_and_when_before_and_after(held: Any, admin: Any) -> None:
    held.usual()  # 35,176.40 of cash, a target of 10,092.68
    before = beside(held, admin.get("/holdings").text, "sweep")
    assert before.startswith("Off. If ticked: about 25,083.72 USD of cash")
    assert "in the next session" in before
    held.trading.tell(phase="open")
    answer = admin.post("/holdings/check", data=typed(sweep="yes"), headers=SCRIPT).text
    after = beside(held, answer, "sweep")
    assert after.startswith("On: about 25,083.72 USD")
    assert "in the session that runs, soon after its open phase" in after
    answer = admin.post("/holdings/check", data=typed(float_target="50"), headers=SCRIPT).text
    assert "Now nothing is above it." in beside(held, answer, "sweep")
    answer = admin.post("/holdings/check", data=typed(float_target="x"), headers=SCRIPT).text
    assert "nobody can say: see the fields above" in beside(held, answer, "sweep")


def test_the_rebalance_says_when_it_is_due_and_about_how_much_moves(held: Any, admin: Any) -> None:
    held.usual()
    words = beside(held, admin.get("/holdings").text, "auto_rebalance")
    assert words.startswith("On: the next one is made on Wed 2 Sep 2026, without asking.")
    # 50 % of 65,070.10 less the 22,683.50 of SCHD: more than what SCHY and BND have too much
    assert "it would move about 9,851.55 USD" in words
    data = typed(rebalance_months="12", auto_rebalance="")
    answer = admin.post("/holdings/check", data=data, headers=SCRIPT).text
    words = beside(held, answer, "auto_rebalance")
    assert words.startswith("Off. If ticked: the next one is made 12 months after Mon 2 Mar 2026")


def test_off_target_is_not_judged_while_nothing_is_held(held: Any, admin: Any) -> None:
    held.switch_on()
    held.plan()
    page = held.words(admin.get("/holdings").text)
    assert "Off target nothing is held yet" in page
    assert "none held" in held.row(admin.get("/holdings").text, "SCHD", "shares")


def test_a_session_goes_on_with_the_setting_that_it_began_with(
    held: Any, admin: Any, provisioned: Any
) -> None:
    held.plan()
    held.trading.open()
    held.trading.tell()
    assert "are switched off" in admin.get("/holdings").text
    held.switch_on()
    page = held.words(admin.get("/holdings").text)
    assert "HOLDINGS_ENABLED was set to true, from the next session on." in page
    assert "nothing is done for the long-term holdings in it" in page
    with provisioned.people() as people:
        change_settings(
            people.custody, {"HOLDINGS_ENABLED": "false"}, seen=2, actor=provisioned.ids["admin"],
            reason="", command_id="test:holdings-off",
        )  # fmt: skip
    assert "are switched off" in admin.get("/holdings").text


def test_orders_under_way_and_when_prices_come_are_said(held: Any, admin: Any) -> None:
    held.switch_on()
    held.plan()
    held.trading.open()
    held.register("SCHD")
    held.trading.do(
        IntendOrder, order_id="SCHD-1", bot_identity="ACME_USA_SIM_01",
        instrument_id="XNYS:SCHD", symbol="SCHD", sleeve="holdings", side="buy",
        order_type="market", quantity=1000, strategy="", reason="sweep",
    )  # fmt: skip
    held.trading.do(RecordSubmission, order_id="SCHD-1")
    page = held.words(admin.get("/holdings").text)
    assert "Under way at the broker: buy 1,000 SCHD." in page
    held.trading.order("ALFA-1", "ALFA", "10")
    held.trading.fill("ALFA-1", "10", "25.00")
    page = held.words(admin.get("/holdings").text)
    assert "buy 1,000 SCHD." in page
    assert "ALFA-1" not in page


def test_a_top_up_says_what_it_sells_and_comes_before_a_rebalance(
    held: Any, provisioned: Any
) -> None:
    held.usual()
    held.plan(seen="1", float_target="50")
    operator = provisioned.client("operator")
    page = held.words(operator.get("/holdings/top-up").text)
    assert "SCHD 539.762503704 28.35 15,302.27 Sum 15,302.27" in page
    assert "Ask for this rebalance" in operator.get("/holdings/rebalance").text
    operator.post("/holdings/top-up", data={"reason": "now"})
    page = operator.get("/holdings/rebalance").text
    assert "A cash top-up is asked for" in page
    assert "Ask for this rebalance" not in page


def test_wrong_numbers_say_how_they_are_written_and_a_double_counts_once(
    held: Any, admin: Any
) -> None:
    data = typed(seen="0", payroll="10,5", tax_reserve="")
    page = held.words(admin.post("/holdings/check", data=data, headers=SCRIPT).text)
    assert "is not a number. Write 10.5." in page
    assert "is not a number. Write one, or 0." in page
    assert "Not saved: 2 things" in page
    data = typed(seen="0", symbol=["SCHD", "SCHD", "VTI"])
    page = held.words(admin.post("/holdings/check", data=data, headers=SCRIPT).text)
    assert "Not saved: 1 thing to correct" in page
    assert page.count("SCHD stands in the plan 2 times.") == 3  # at both fields, and in the list


def test_before_the_books_there_were_no_holdings(held: Any, admin: Any) -> None:
    held.usual()
    for place in ("", "/rebalance", "/top-up", "/files", "/securities/SCHD"):
        answer = admin.get(f"/holdings{place}?as_of=2001-01-01")
        assert answer.status_code == 200, place
        assert "There were no holdings yet." in answer.text
        assert "data-stream" not in answer.text
