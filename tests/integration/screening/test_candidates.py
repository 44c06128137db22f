"""Candidates before a phase: who is chosen, on how few questions, in time, and after a failure."""

from datetime import date, timedelta
from typing import Any

import pytest
from beside import beside

from aggregates.blocklist import BlockSymbol
from aggregates.screen import CandidatesChosen, ScreenDay, screen_stream
from config.calendar import SessionHours
from config.clock import from_micros, to_micros
from config.setting_forms import Secret
from runtime.screening import screener_of
from screeners.finnhub_screener import FinnhubScreener

rig_module, fakes = beside("integration/screening_rig"), beside("fakes/finnhub_server")
Share, TUESDAY, Killed = fakes.Share, rig_module.TUESDAY, rig_module.Killed
WEDNESDAY, FRIDAY = date(2026, 3, 4), date(2026, 3, 6)
MONDAY = date(2026, 3, 9)


def recorded(rig: Any, strategy: str = "OPEN", day: date = WEDNESDAY) -> CandidatesChosen:
    found: ScreenDay = rig.bot.store.load(ScreenDay, screen_stream(day))
    return found.chosen[strategy]


def reasons(made: CandidatesChosen) -> dict[str, tuple[str, ...]]:
    return {r.why: r.symbols for r in made.rejected}


def crowd(rig: Any, number: int = 40) -> list[str]:
    """Of the same price, and each traded more than the one before; the order of preference."""
    shares = [
        Share(f"S{i:03d}", mic="XNAS" if i % 2 else "XNYS", volume=i + 1) for i in range(number)
    ]
    rig.market.add(*shares)
    return [share.symbol for share in reversed(shares)]


@pytest.fixture
def rig(make_rig: Any) -> Any:
    """The evening before has made a universe of 40; 2 positions × 3 candidates are wanted."""
    made = make_rig()
    crowd(made)
    made.close_of()
    made.start().rebuild_universe()
    made.server.calls.clear()
    return made


def test_the_most_traded_that_pass_and_nobody_else_is_asked_about(rig: Any) -> None:
    rig.market.shares["S039"].price = 60  # a gap of more than a tenth since the close before
    rig.market.shares["S038"].price = 4
    rig.market.shares["S037"].price = None
    rig.before(WEDNESDAY)
    chosen = rig.start(WEDNESDAY).candidates("OPEN")
    assert chosen == ("S036", "S035", "S034", "S033", "S032", "S031")
    made = recorded(rig)
    assert (made.symbols, made.mode, made.universe) == (chosen, "pre-market", TUESDAY)
    assert (made.looked_at, made.source, made.said) == (9, "FINNHUB", "")
    assert reasons(made) == {
        "gap above MAX_GAP_PCT_OPEN 0.1": ("S039",),
        "price below MIN_PRICE 5": ("S038",),
        "price: not known": ("S037",),
    }
    assert rig.server.calls == [f"quote S{i:03d}" for i in range(39, 30, -1)]


def test_what_is_known_already_is_not_asked(make_rig: Any) -> None:
    rig = make_rig(MIN_MARKET_CAP_OPEN="5000000000", MIN_VOLUME_THRESHOLD="2000000")
    order = crowd(rig, 10)
    rig.market.shares["S009"].cap = 4999
    rig.market.shares["S008"].shares = 9.9  # millions: below MIN_SHARE_FLOAT
    rig.market.shares["S007"].shares = None
    rig.close_of()
    rig.start().rebuild_universe()
    rig.before(WEDNESDAY)
    rig.bot.dispatch(
        BlockSymbol(at=rig.clock.now(), effective_date=TUESDAY, symbol="S006", reason="x", seen=0),
        command_id="b",
    )
    rig.server.calls.clear()
    assert rig.start(WEDNESDAY).candidates("OPEN") == tuple(order[4:9])
    assert rig.asked("quote") == order[4:9]
    assert reasons(recorded(rig)) == {
        "blocked by hand": ("S006",),
        "market capitalisation below MIN_MARKET_CAP_OPEN 5,000,000,000": ("S009",),
        "share float below MIN_SHARE_FLOAT 10,000,000": ("S008",),
        "share float: not known": ("S007",),
        "volume below MIN_VOLUME_THRESHOLD 2,000,000": ("S000",),
    }


def test_they_are_ready_before_the_phase_and_prices_are_fresh(rig: Any) -> None:
    rig.before(WEDNESDAY, minutes=300)
    hours = rig_module.hours_of(WEDNESDAY)
    rig.start(WEDNESDAY).candidates("OPEN")
    assert hours.open - timedelta(minutes=10) <= rig.clock.now() < hours.open
    screening = rig.start(WEDNESDAY)
    late = from_micros(to_micros(screening.begins("MID")))
    assert late == hours.open + timedelta(minutes=50)  # START_TIME_MID 10:30, ten minutes before
    screening.candidates("MID")
    assert late <= rig.clock.now() < hours.open + timedelta(hours=1)
    assert recorded(rig, "MID").mode == "intraday"


def test_on_a_half_day_without_its_window_nobody_is_asked_and_nobody_waits(rig: Any) -> None:
    """CLOSE starts at 14:30, and the session ends at 13:00."""
    hours = rig_module.hours_of(WEDNESDAY)
    half = SessionHours(hours.day, hours.open, hours.open + timedelta(hours=3, minutes=30))
    rig.clock.wait_until(half.open + timedelta(hours=3))
    began = rig.clock.now()
    screening = rig.start(WEDNESDAY)
    screening._hours = half
    assert screening.candidates("CLOSE") == ()
    assert (rig.clock.now(), rig.server.calls) == (began, [])


def test_when_nobody_passes_the_phase_does_not_wait(make_rig: Any) -> None:
    rig = make_rig(MAX_PRICE="10")
    crowd(rig, 80)
    rig.close_of()
    rig.start().rebuild_universe()
    rig.before(WEDNESDAY, minutes=1)
    assert rig.start(WEDNESDAY).candidates("OPEN") == ()
    assert rig.clock.now() <= rig_module.hours_of(WEDNESDAY).open
    made = recorded(rig)
    assert 55 <= made.looked_at <= 60, "as many as fit into a minute"
    assert "when the phase starts" in made.said
    assert rig.server.too_fast == 0


def test_asked_again_or_killed_in_between_it_is_the_same_screen(rig: Any) -> None:
    rig.before(WEDNESDAY)
    rig.stop_after = 4
    with pytest.raises(Killed):
        rig.start(WEDNESDAY).candidates("OPEN")
    chosen = rig.start(WEDNESDAY).candidates("OPEN")
    assert len(rig.server.calls) == len(set(rig.server.calls)) == 6
    assert rig.start(WEDNESDAY).candidates("OPEN") == chosen
    assert len(rig.server.calls) == 6


def test_a_price_of_yesterday_is_no_gap_unless_any_gap_will_do(rig: Any) -> None:
    rig.before(WEDNESDAY)
    rig.market.at = rig_module.hours_of(TUESDAY).close
    assert rig.start(WEDNESDAY).candidates("OPEN") == ()
    assert list(reasons(recorded(rig))) == ["gap: not known"]
    rig.change(MAX_GAP_PCT_MID="1")
    rig.market.at = None
    rig.clock.wait_until(rig_module.hours_of(WEDNESDAY).open)
    assert len(rig.start(WEDNESDAY).candidates("MID")) == 6


def test_any_gap_lets_the_last_close_do_before_the_open(rig: Any) -> None:
    rig.change(MAX_GAP_PCT_OPEN="1")
    rig.before(WEDNESDAY)
    rig.market.at = rig_module.hours_of(TUESDAY).close
    assert len(rig.start(WEDNESDAY).candidates("OPEN")) == 6


def test_a_halt_since_yesterday_is_no_price_of_today(rig: Any) -> None:
    rig.clock.wait_until(rig_module.hours_of(WEDNESDAY).open + timedelta(hours=1))
    rig.market.at = rig_module.hours_of(TUESDAY).close
    assert rig.start(WEDNESDAY).candidates("MID") == ()
    assert list(reasons(recorded(rig, "MID"))) == ["price: not known"]


def test_yesterdays_universe_serves_until_it_is_too_old(make_rig: Any) -> None:
    rig = make_rig(SCREENER_UNIVERSE_MAX_AGE_DAYS="3")
    crowd(rig)
    rig.close_of()
    rig.start().rebuild_universe()
    for day, old in ((FRIDAY, False), (MONDAY, True)):
        rig.before(day)
        assert len(rig.start(day).candidates("OPEN")) == (0 if old else 6)
    made = recorded(rig, day=MONDAY)
    assert (made.universe, made.looked_at) == (None, 0)
    assert "no universe was made in the last 3 sessions" in made.said


def test_a_weekend_is_no_age(make_rig: Any) -> None:
    rig = make_rig(SCREENER_UNIVERSE_MAX_AGE_DAYS="1")
    crowd(rig)
    rig.close_of(FRIDAY)
    rig.start(FRIDAY).rebuild_universe()
    rig.before(MONDAY)
    assert len(rig.start(MONDAY).candidates("OPEN")) == 6


def test_facts_that_were_changed_are_not_used(rig: Any) -> None:
    path = rig.folder.screens / "2026-03-03-universe.json.gz"
    path.write_bytes(b"")
    rig.before(WEDNESDAY)
    assert rig.start(WEDNESDAY).candidates("OPEN") == ()
    assert "gone or was changed" in recorded(rig).said


@pytest.mark.parametrize("kind", ["429", "504_before", "reset_before", "keys_refused", "echo"])
def test_a_screener_that_fails_gives_what_passed_by_then(rig: Any, kind: str) -> None:
    rig.before(WEDNESDAY)
    rig.server.fault(kind, path="/api/v1//quote", times=100_000, reset_s=3600)
    assert rig.start(WEDNESDAY).candidates("OPEN") == ()
    said = recorded(rig).said
    assert said.startswith("Finnhub") or "when the phase starts" in said
    assert fakes.KEY not in said
    assert rig.start(WEDNESDAY).said("OPEN") == said
    assert rig.clock.now() <= rig_module.hours_of(WEDNESDAY).open
    rig.server.calm()
    rig.market.at = None
    assert len(rig.start(WEDNESDAY).candidates("MID")) == 6


def test_the_screener_of_the_settings(rig: Any) -> None:
    given = {"FINNHUB_API_KEY": "a-key-of-ours"}
    rig.change(**given)
    found = screener_of(rig.folder, rig.settings, rig.clock)
    assert isinstance(found, FinnhubScreener)
    found.close()
    rig.change(BROKER_NAME="SIMULATED", **given)
    assert screener_of(rig.folder, rig.settings, rig.clock) is None
    assert Secret("a-key-of-ours") == rig.settings.FINNHUB_API_KEY
