"""Rebalances on schedule, and rebalances whose process ended half way."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan
from runtime.supervisor import Supervisor

D = Decimal
Make = Callable[..., Any]


def planned(make: Make, saved_on: str, **fields: Any) -> Any:
    """SCHD 60, SCHY 40, to be half and half, by a plan of that day."""
    rig = make()
    plan = Plan(
        securities=(PlannedSecurity("SCHD"), PlannedSecurity("SCHY")),
        **{"rebalance_months": 3} | fields,
    )
    when = {"at": rig.clock.now(), "effective_date": date.fromisoformat(saved_on)}
    rig.bot.dispatch(SavePlan(**when, plan=plan, seen=0), command_id="plan")
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "40")
    return rig


# "Rebalance runs automatically on schedule or via manual UI trigger."


def test_when_the_interval_is_over_the_supervisor_asks_and_carries_it_out(
    holdings_rig: Make,
) -> None:
    rig = planned(holdings_rig, "2025-12-02")
    rig.serve()
    found = rig.request("rebalance-due-2026-03-02")
    assert (found.stage, found.actor, found.reason) == (
        "done", "supervisor", "due every 3 months",
    )  # fmt: skip
    assert rig.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]
    sent = len(rig.broker.sent)
    rig.serve()  # the interval begins anew
    rig.day(1)
    rig.serve()
    assert len(rig.broker.sent) == sent


@pytest.mark.parametrize(
    ("saved_on", "fields"),
    [
        ("2025-12-03", {}),  # due tomorrow
        ("2025-12-02", {"rebalance_months": 6}),
        ("2025-12-02", {"auto_rebalance": False}),
    ],
)
def test_before_that_or_with_auto_rebalance_off_nothing_is_done(
    holdings_rig: Make, saved_on: str, fields: dict[str, Any]
) -> None:
    rig = planned(holdings_rig, saved_on, **fields)
    rig.serve()
    assert rig.broker.sent == []
    assert rig.bot.views.feed.page(topics=("Holdings.Requested",)) == []


def test_a_rebalance_by_hand_begins_the_interval_anew(holdings_rig: Make) -> None:
    rig = planned(holdings_rig, "2025-12-02")
    asked = rig.ask()
    rig.serve()
    rig.serve()
    assert rig.request(asked).stage == "done"
    assert len(rig.bot.views.feed.page(topics=("Holdings.Requested",))) == 1


def test_one_that_is_due_waits_for_a_missing_price_until_an_hour_before_the_close(
    holdings_rig: Make,
) -> None:
    rig = planned(holdings_rig, "2025-12-02")
    rig.day(1)
    rig.market.quiet.add(("SCHY", rig.hours.day))
    rig.forget()
    rig.serve()
    assert rig.bot.views.feed.page(topics=("Holdings.Requested",)) == []
    rig.clock.wait_until(rig.hours.close.replace(hour=20, minute=1))
    rig.serve()
    found = rig.request("rebalance-due-2026-03-03")
    assert found.stage == "done"
    assert {one.symbol: one.why for one in found.preview.left} == {
        "SCHD": "within the band of 1 points (off by 0.00)",
        "SCHY": "no price since 14:30 UTC",
    }
    assert found.said == "Nothing was to be done: every security was left alone."


# A process that ended


PLACES = [
    ("rebalance.started", 1), ("holdings.batch_intended", 1), ("outbox.intended", 1),
    ("outbox.submission_recorded", 1), ("outbox.sent", 1), ("outbox.fill_recorded", 1),
    ("holdings.batch_ended", 1), ("rebalance.sold", 1), ("holdings.batch_intended", 2),
    ("outbox.sent", 2), ("outbox.sent", 3), ("rebalance.bought", 1), ("store.committed", 12),
]  # fmt: skip


@pytest.mark.parametrize(("step", "nth"), PLACES)
def test_ended_at_any_step_it_goes_on_and_no_order_is_sent_twice(
    holdings_rig: Make,
    step: str,
    nth: int,
    ended_at: Any,
) -> None:
    rig = holdings_rig()
    rig.plan(("SCHD", "20"), ("SCHY", "40"), ("BIL", "40"), auto_rebalance=False)
    rig.hold("SCHD", "60")
    rig.hold("SCHY", "20")
    rig.hold("BIL", "20")
    asked = rig.ask()
    with ended_at(step, nth):
        rig.serve()
    again = holdings_rig()
    again.serve()
    found = again.request(asked)
    assert found.stage == "done"
    executions = again.simulated.fills_since(0)[3:]
    assert [(e.side, e.symbol) for e in executions] == [
        ("sell", "SCHD"), ("buy", "BIL"), ("buy", "SCHY"),
    ]  # fmt: skip
    assert {one.symbol: one.state for one in found.result} == {
        "SCHD": "filled", "SCHY": "filled", "BIL": "filled",
    }  # fmt: skip
    assert again.equal()
    assert again.units() == {f"1130.{s}": u for s, u in again.at_broker().items()}


def test_one_that_was_interrupted_and_not_taken_up_that_day_ends_with_what_was_done(
    holdings_rig: Make,
    ended_at: Any,
) -> None:
    rig = planned(holdings_rig, "2026-03-02", auto_rebalance=False)
    asked = rig.ask()
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    again.day(1)
    again.serve()
    found = again.request(asked)
    assert found.stage == "unfinished"
    done = {one.symbol: (one.state, one.reason) for one in found.result}
    assert done["SCHD"] == ("filled", "")
    assert done["SCHY"] == ("not sent", "the market is closed")
    assert "Fewer units than previewed: SCHY: the market is closed." in found.said
    assert again.broker.sent == []


def test_a_kill_in_between_sends_nothing_more_until_it_is_reset(
    holdings_rig: Make, ended_at: Any
) -> None:
    rig = planned(holdings_rig, "2026-03-02")
    asked = rig.ask()
    with ended_at("rebalance.sold"):
        rig.serve()
    again = holdings_rig()
    again.kill()
    again.serve()
    assert again.broker.sent == []
    assert again.request(asked).stage == "under way"


# A whole day of the supervisor


def test_what_was_asked_in_the_evening_is_carried_out_by_the_next_day_and_reported(
    holdings_rig: Make,
) -> None:
    rig = planned(holdings_rig, "2026-03-02", auto_rebalance=False, float_target=D(1))
    rig.clock.wait_until(rig.hours.close)
    asked = rig.ask()
    assert rig.request(asked).stage == "waiting"
    hours = rig.hours_of(1)
    assert Supervisor(rig.bot, ("ALFA",)).run_session(hours) == ""
    found = rig.request(asked)
    assert found.stage == "done"
    assert hours.open < found.answered_at < hours.close
    assert rig.shares(["SCHD", "SCHY"]) == [D("50.0"), D("50.0")]
    assert rig.bot.views.trading.differences(hours.day) == ()
    assert rig.equal()
