"""Today's page of a bot: what it shows, and what may be asked of the bot there."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.reconciliation import (
    Difference,
    RecordComparison,
    RecordDifferences,
    RecordNotKnown,
)
from runtime.status import BrokerStatus, NextPhase, PositionStatus

IDENTITY = "ACME_USA_SIM_01"


def words(answer: Any, code: int = 200) -> str:
    """What can be read on a page."""
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def today(bot: Any, role: str = "operator", address: str = "/") -> str:
    return words(bot.client(role).get(address))


def section(page: str, begin: str, end: str) -> str:
    return page.partition(begin)[2].partition(end)[0]


def events(bot: Any, topic: str) -> list[Any]:
    found: list[Any] = bot.app.extensions["tradebot"].queries.events(topics=(topic,))
    return found


# -- what it shows ---------------------------------------------------------------------------


def test_positions_have_their_newest_price_and_what_they_would_bring(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    page = section(today(provisioned), "Positions 3 Security", "Orders 2")
    # the price that was marked: 110 ALFA for 2,751 + fees, 20 BRVO for 2,000
    assert "ALFA ALFA Corp trading 1110.ALFA 110" in page
    assert "25.00 2026-03-02 15:00:00 10:00:00 EST" in page
    assert "LONG LONG Corp long-term" in page
    provisioned.later(minutes=1)
    told = PositionStatus(
        symbol="ALFA", quantity=Decimal(110), average_price=Decimal(25), price=Decimal("26.00"),
        price_at=provisioned.clock.now(), unrealized=None,
    )  # fmt: skip
    trading.tell(positions=(told,), equity=Decimal("100123.45"))
    whole = today(provisioned)
    page = section(whole, "Positions 3 Security", "Orders 2")
    assert "26.00 2026-03-02 15:01:00" in page
    assert "109.00" in page  # 110 × 26.00 less the 2,751.00 that they cost, without commission
    assert "100,123.45 15:01:00" in section(whole, "Cash and trading positions", "Account value")
    # 93,245.00 of cash, 110 × 25.10 as last filled, 20 × 100.00, and long-term 40 × 50.00
    account = section(whole, "Account value", "P/L of closed")
    assert "100,006.00 with long-term holdings, at the newest prices in the books" in account


def test_a_price_that_is_not_known_is_never_filled_in(provisioned: Any, trading: Any) -> None:
    trading.open()
    trading.order("ALFA-1", "ALFA", "10")
    trading.fill("ALFA-1", "10", "25.00")
    page = today(provisioned)
    assert "no price at this time unknown" in page
    assert "a price is missing" in section(page, "Unrealized, trading", "Positions")


def test_open_orders_come_first_and_an_unknown_outcome_is_a_state_of_its_own(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    page = section(today(provisioned), "Orders 2 open, 3 over", "Decisions")
    found = re.findall(r"(?:ALFA|BRVO|LONG)-\d", page)
    assert found == ["ALFA-2", "BRVO-2", "LONG-1", "BRVO-1", "ALFA-1"]
    assert "ALFA market partially filled 10 of 60 25.10 breakout" in page
    assert "outcome unknown the broker is asked 0 of 5 no answer in 5 s" in page


def test_every_rule_that_said_no_is_named_with_value_and_limit(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    page = section(today(provisioned), "Decisions, and why not", "P/L by strategy")
    assert "max spread 0.0182 against 0.015 of price" in page
    assert "min volume 900 against 5000 of price" in page


def test_the_feed_tells_its_age_and_the_broker_whether_it_answers(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    trading.tell()
    page = today(provisioned)
    feed = section(page, "Market data", "Equity of the day")
    assert "ALFA 14:59:20 09:59:20 EST 40 s 26.00" in feed
    assert "9 min, old" in feed
    assert "reachable" in section(page, "Broker simulated", "Against the broker")
    assert "open then holdings 17:00:00" in section(page, "Phase", "Broker")
    gone = BrokerStatus(name="simulated", reachable=False, unreachable_since=trading.now)
    trading.tell(broker=gone)
    page = today(provisioned)
    assert "The broker does not answer since 2026-03-02 15:00:00 UTC" in page
    assert "not reachable since 15:00:00" in page


def test_a_log_that_cannot_be_written_is_an_alert(provisioned: Any, trading: Any) -> None:
    trading.day()
    trading.tell()
    assert "logs have gaps" not in today(provisioned)
    trading.tell(logs="main_bot.log cannot be written: No space left on device")
    page = today(provisioned)
    assert "The logs have gaps: main_bot.log cannot be written: No space left on device." in page
    assert "Events are recorded all the same" in page


def test_a_word_that_is_old_is_said_to_be_old(provisioned: Any, trading: Any) -> None:
    trading.day()
    assert "No session runs, and the bot has not said when the next one is due" in today(
        provisioned
    )
    trading.tell()
    assert "last said how it stands" not in today(provisioned)
    provisioned.later(minutes=3)
    page = today(provisioned)
    assert "The bot last said how it stands 2026-03-02 15:00:00 UTC , 3 min ago" in page
    assert "not asked: no session runs" in page
    provisioned.folder.status.write_bytes(b'{"at": "2026')
    assert "No session runs" in today(provisioned)


def test_between_sessions_the_next_one_is_named(provisioned: Any, trading: Any) -> None:
    trading.day()
    due = NextPhase(name="supervisor", at=trading.now + timedelta(days=1))
    trading.tell(session="", phase="", pid=0, broker=None, feed=(), next_phase=due)
    page = today(provisioned)
    assert "The next one is due 2026-03-03 15:00:00 UTC (2026-03-03 10:00:00 EST)" in page


@pytest.mark.parametrize(
    ("written", "tone"),
    [("bootstrapping", "calm"), ("analyzing", "good"), ("trading", "good"), ("monitoring", "good"),
     ("closing_positions", "warn"), ("shutdown", "warn"), ("error", "bad"), ("testing", "calm"),
     ("holdings", "good"), ("updating", "calm")],
)  # fmt: skip
def test_the_head_of_every_page_tells_the_state(provisioned: Any, written: str, tone: str) -> None:
    provisioned.folder.bot_state.parent.mkdir(exist_ok=True)
    provisioned.folder.bot_state.write_text(f"{written}\n")
    page = provisioned.client("viewer").get("/ledger").text
    assert f'class="state {tone}">bot {written.replace("_", " ")}</span>' in page


def test_a_stop_and_a_kill_show_in_the_head_whatever_was_last_written(
    provisioned: Any, trading: Any
) -> None:
    provisioned.folder.bot_state.parent.mkdir(exist_ok=True)
    provisioned.folder.bot_state.write_text("trading\n")
    trading.start_kill()
    assert "bot closing positions" in today(provisioned, "viewer", "/ledger")
    trading.latch()
    assert "bot killed" in today(provisioned, "viewer", "/ledger")


# -- what may be asked -----------------------------------------------------------------------


def test_a_stop_is_asked_for_and_then_a_start(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    assert operator.post("/control/stop", data={"reason": "lunch"}).status_code == 303
    (asked,) = events(provisioned, "Control.Requested")
    assert (asked.payload["action"], asked.payload["source"]) == ("stop", "page")
    assert asked.payload["reason"] == "lunch"
    assert asked.actor == provisioned.ids["operator"]
    assert provisioned.folder.flag("stop").exists()
    page = words(operator.get("/"))
    assert "Stopped: nothing more is bought for trading" in page
    assert "A stop is asked for" in page
    assert "operator: lunch" in page
    assert "Start" in section(page, "Reason may be left out", "Kill…")
    assert operator.post("/control/start").status_code == 303
    assert [e.payload["action"] for e in events(provisioned, "Control.Requested")][1:] == ["start"]


def test_a_start_that_was_refused_is_told_with_its_reason_and_can_be_asked_for_again(
    provisioned: Any, trading: Any
) -> None:
    """The keys, a mapping or a setting were wrong this morning: no session runs, and none would."""
    trading.day()
    trading.tell(
        session="", phase="", state="error", broker=None, refused="EKHO is mapped wrongly."
    )
    operator = provisioned.client("operator")
    page = words(operator.get("/"))
    assert "Nothing is traded today. EKHO is mapped wrongly." in page
    assert "What trading holds is not watched meanwhile" in page
    assert "Entries none today" in page
    assert "Start" in section(page, "Reason may be left out", "Kill…")
    assert operator.post("/control/start").status_code == 303
    provisioned.later(minutes=5)  # nobody says it any more: the bot may not even run
    assert "EKHO is mapped wrongly" not in words(operator.get("/"))


def test_a_form_sent_twice_asks_once(provisioned: Any) -> None:
    operator, number = provisioned.client("operator"), {"command_id": "ab" * 16}
    for _ in range(2):
        assert operator.post("/control/stop", data=number).status_code == 303
    assert len(events(provisioned, "Control.Requested")) == 1


def test_the_kill_names_its_scope_and_refuses_another_confirmation(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    operator = provisioned.client("operator")
    page = words(operator.get("/control/kill"))
    assert f"trading positions of {IDENTITY} : 2 positions, 2 orders; long-term" in page
    assert "110 ALFA, 20 BRVO. The broker" in page
    assert "LONG" not in page.partition("Kill now")[0].partition("Entries are blocked")[2]
    for typed in ("", "KILL", "KILL ACME_USA_SIM_02", f"RESET {IDENTITY}"):
        refused = operator.post("/control/kill", data={"confirm": typed})
        assert f"Type KILL {IDENTITY} to confirm" in words(refused, 422)
    assert not events(provisioned, "Control.Requested")
    assert not provisioned.folder.flag("kill").exists()


def test_a_kill_is_asked_for_also_when_no_session_runs(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    assert "No session runs. The request is recorded" in words(operator.get("/control/kill"))
    typed = {"confirm": f" kill  {IDENTITY.lower()}", "reason": "smoke"}
    assert operator.post("/control/kill", data=typed).status_code == 303
    (asked,) = events(provisioned, "Control.Requested")
    assert (asked.payload["action"], asked.payload["reason"]) == ("kill", "smoke")
    assert provisioned.folder.flag("kill").exists()
    page = words(operator.get("/"))
    assert "A kill is under way" in page
    assert "the bot's main process takes it up" in page
    assert "Kill…" not in page
    # a start does not lift it once it has begun; nothing is asked twice
    operator.post("/control/kill", data=typed)
    assert len(events(provisioned, "Control.Requested")) == 1


def test_how_far_a_kill_is_step_by_step(provisioned: Any, trading: Any) -> None:
    trading.day()
    trading.start_kill()
    page = section(today(provisioned), "A kill is under way", "Equity with")
    assert "Entries blocked 2026-03-02 15:00:00 UTC: trading buys nothing more" in page
    assert "Orders cancelled under way" in page
    assert "Trading positions sold waits" in page
    trading.step("orders_cancelled", "2 open orders of trading", "BRVO-2 is unknown")
    page = section(today(provisioned), "A kill is under way", "Equity with")
    assert "Not done: BRVO-2 is unknown" in page
    trading.step("positions_sold", "110 ALFA, 20 BRVO")
    trading.latch("BRVO: 20 left")
    page = section(today(provisioned), "Killed.", "Equity with")
    assert "the broker did not say that trading holds nothing" in page
    assert "Not done: BRVO: 20 left" in page


def test_a_latched_kill_is_reset_by_an_admin_with_a_reason_and_a_confirmation(
    provisioned: Any, trading: Any
) -> None:
    trading.start_kill()
    trading.latch()
    admin = provisioned.client("admin")
    refused = words(admin.post("/control/start"), 422)
    assert "A start does not lift a kill" in refused
    good = {"confirm": f"RESET {IDENTITY}", "reason": "looked at, all flat"}
    assert "A reason is needed" in words(
        admin.post("/control/reset", data=good | {"reason": ""}), 422
    )
    assert f"Type RESET {IDENTITY}" in words(
        admin.post("/control/reset", data=good | {"confirm": "RESET"}), 422
    )
    assert not events(provisioned, "Control.KillReset")
    assert admin.post("/control/reset", data=good).status_code == 303
    (reset,) = events(provisioned, "Control.KillReset")
    assert reset.payload["reason"] == "looked at, all flat"
    assert reset.actor == provisioned.ids["admin"]
    page = words(admin.get("/"))
    assert "Entries are stopped." in page
    assert "bot stopped" in page
    again = words(admin.post("/control/reset", data=good), 422)
    assert "not latched" in again


def test_who_may_not_sees_no_button_and_the_denial_is_recorded(
    provisioned: Any, trading: Any
) -> None:
    page = provisioned.client("accountant").get("/").text
    assert "/control/" not in page
    assert "/control/reset" not in provisioned.client("operator").get("/").text
    refused = provisioned.client("accountant").post("/control/stop")
    assert refused.status_code == 403
    trading.start_kill()
    trading.latch()
    assert provisioned.client("operator").post("/control/reset").status_code == 403
    routes = [e.payload["route"] for e in events(provisioned, "User.Denied")]
    assert routes == ["control.stop", "control.reset"]


def test_the_past_is_read_only_and_kill_acts_now(provisioned: Any, trading: Any) -> None:
    trading.day()
    operator = provisioned.client("operator")
    page = operator.get("/?as_of=2026-03-02")
    assert "Kill, acts now" in words(page)
    assert "/control/stop" not in page.text
    assert 'href="/control/kill"' in page.text  # without the clocks
    assert "data-stream" not in page.text
    assert operator.post("/control/stop?as_of=2026-03-02").status_code == 409


def test_a_demo_is_read_and_has_no_buttons(client: Any) -> None:
    page = client.get("/")
    assert "These are the books of a demo" in words(page)
    assert "/control/" not in page.text
    assert "spread 0.0182 against 0.015 fraction of price" not in words(page)  # that was Monday
    assert client.get("/control/kill").status_code == 403


# -- the part that is asked for anew ---------------------------------------------------------


def test_the_part_brings_the_buttons_only_when_they_are_others(
    provisioned: Any, trading: Any
) -> None:
    operator = provisioned.client("operator")
    part = operator.get("/live/now?shown=free").text
    assert 'id="bot-state"' in part
    assert 'id="controls"' not in part  # what is typed there stays
    trading.start_kill()
    part = operator.get("/live/now?shown=free").text
    assert 'id="controls"' in part
    assert "<html" not in part


def test_a_page_that_is_left_open_signs_nobody_in_for_ever(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    for _ in range(3):
        assert operator.get("/live/now").status_code == 200
        provisioned.later(minutes=10)
    answer = operator.get("/live/now", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/sign-in")


# -- books against broker --------------------------------------------------------------------


def test_a_difference_blocks_until_an_admin_says_why_it_is_right(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    found = Difference(
        difference_id="cash:USD", kind="cash", subject="USD", ours="93245.00", theirs="93237.00",
        amount="-8.00", known="no activity explains it.", to_do="Look at the broker's statement.",
    )  # fmt: skip
    trading.do(RecordDifferences, occasion="schedule", differences=(found,))
    page = today(provisioned)
    assert "cash, USD : the books 93,245.00, the broker 93,237.00" in page
    assert "blocked" in section(page, "Entries", "Phase")
    assert "Accept it" not in page
    admin = provisioned.client("admin")
    place, form = "/control/difference?id=cash:USD", {"id": "cash:USD", "amount": "-8.00"}
    shown = words(admin.get(place))
    assert "The books 93,245.00 The broker 93,237.00 Theirs less ours -8.00" in shown
    assert "The books, now" not in shown
    assert "A reason is needed" in words(admin.post("/control/difference", data=form), 422)
    other = form | {"amount": "-9.00", "reason": "a fee"}
    assert "another amount" in words(admin.post("/control/difference", data=other), 422)
    assert not events(provisioned, "Reconciliation.Accepted")
    assert admin.post("/control/difference", data=form | {"reason": "a fee"}).status_code == 303
    (accepted,) = events(provisioned, "Reconciliation.Accepted")
    assert accepted.payload["reason"] == "a fee"
    assert "allowed" in section(today(provisioned), "Entries", "Phase")
    assert admin.get(place).status_code == 404


def test_a_difference_that_the_books_have_left_behind_cannot_be_accepted(
    provisioned: Any, trading: Any
) -> None:
    trading.day()
    found = Difference(
        difference_id="cash:USD", kind="cash", subject="USD", ours="93245.00", theirs="93237.00",
        amount="-8.00", known="no activity explains it.", to_do="Look at the broker's statement.",
    )  # fmt: skip
    trading.do(RecordDifferences, occasion="schedule", differences=(found,))
    trading.fill("BRVO-2", "1", "100.00")  # 100.00, and 1.00 of commission
    admin = provisioned.client("admin")
    page = words(admin.get("/control/difference?id=cash:USD"))
    assert "The books, when compared 93,245.00 The books, now 93,144.00" in page
    assert "compared again at the start of a session, every 15 minutes" in page
    assert "Accept the difference" not in page
    form = {"id": "cash:USD", "amount": "-8.00", "reason": "a fee"}
    assert "Nothing was accepted" in words(admin.post("/control/difference", data=form), 409)
    assert not events(provisioned, "Reconciliation.Accepted")


def test_the_last_comparison_is_told(provisioned: Any, trading: Any) -> None:
    trading.day()
    assert "not reconciled yet" in today(provisioned)
    cash = Decimal("93248.00")
    trading.do(
        RecordComparison, occasion="start", our_cash=cash, broker_cash=cash, repaired=(),
        still_open=(),
    )  # fmt: skip
    page = section(today(provisioned), "Against the broker", "Positions")
    assert "reconciled 2026-03-02 15:00:00" in page


def test_a_broker_that_gives_no_statement_is_said(provisioned: Any, trading: Any) -> None:
    trading.day()
    trading.do(RecordNotKnown, occasion="schedule", reason="no answer in 10 s")
    page = today(provisioned)
    assert "The broker's statement is not known: no answer in 10 s" in page
    assert "not known" in section(page, "Against the broker", "Positions")
