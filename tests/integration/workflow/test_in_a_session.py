"""The holdings phase where it stands in a day: after OPEN, before MID, under the supervisor."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aggregates.holdings import STEPS, HoldingsDay, day_stream
from aggregates.session import Session, session_stream
from runtime.supervisor import Supervisor


def play(rig: Any, number: int = 0) -> dict[str, str]:
    """The whole day; what each phase came to."""
    rig.hours = rig.calendar.sessions(rig.market.days()[number], rig.market.days()[number])[0]
    Supervisor(rig.bot, ("ALFA",)).run_session(rig.hours)
    feed = rig.bot.views.feed
    ended = [feed.event(row) for row in feed.page(topics=("Session.PhaseEnded",), limit=99)]
    return {e.phase: e.outcome for e in ended if e.effective_date == rig.hours.day}


def test_the_workflow_runs_ten_minutes_after_the_open_phase_and_the_books_agree_at_the_close(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(settings={"HOLDINGS_DELAY_MINUTES": "10"})
    rig.plan("SCHD", "SCHY")
    rig.gain("1234.56")
    play(rig)
    said = play(rig, 1)
    assert "tax: 20 % of 1,234.56 = 246.91" in said["holdings"]
    assert said["mid"] == "disabled: STRAT_MID_ENABLED is false; nothing was judged"
    feed = rig.bot.views.feed
    ended = feed.page(topics=("Session.PhaseEnded",), limit=99)
    opened = next(row for row in ended if feed.event(row).effective_date == rig.hours.day)
    value = rig.bot.store.load(HoldingsDay, day_stream(rig.hours.day)).steps["value"]
    assert value.occurred_at == feed.event(opened).occurred_at + timedelta(minutes=10)
    assert rig.bot.store.load(Session, session_stream(str(rig.hours.day))).closed
    assert rig.bot.views.trading.differences(rig.hours.day) == ()
    assert rig.equal()


def test_after_every_session_the_float_is_checked_where_the_setting_says_so(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(settings={"HOLDINGS_FLOAT_CHECK": "after_session"})
    rig.plan("SCHD")
    said = play(rig)
    assert tuple(rig.steps) == (*STEPS, "float after mid", "float after close")
    assert said["mid"] == (
        "disabled: STRAT_MID_ENABLED is false; nothing was judged; "
        "float 100,000.00 is at or above the target"
    )


def test_switched_off_the_phase_says_so_and_does_nothing(
    make_holdings: Callable[..., Any],
) -> None:
    rig = make_holdings(settings={"HOLDINGS_ENABLED": "false"})
    rig.plan("SCHD")
    rig.gain("100.00")
    play(rig)
    said = play(rig, 1)
    assert said["holdings"] == "disabled: the long-term holdings are left as they are"
    assert (rig.purses.tax_cash, rig.steps, rig.broker.sent) == (0, {}, [])
