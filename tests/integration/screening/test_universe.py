"""The universe after the close: what it holds, how little is asked, what a failure leaves."""

from datetime import date, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest
from beside import beside

from aggregates.blocklist import BlockSymbol
from aggregates.screen import ScreenDay, UniverseNotRebuilt, UniverseRebuilt, screen_stream
from runtime.screen_files import read_facts
from screeners import finnhub_wire

rig_module, fakes = beside("integration/screening_rig"), beside("fakes/finnhub_server")
Share, TUESDAY, Killed = fakes.Share, rig_module.TUESDAY, rig_module.Killed
WEDNESDAY = date(2026, 3, 4)


def day_of(rig: Any, day: date = TUESDAY) -> ScreenDay:
    found: ScreenDay = rig.bot.store.load(ScreenDay, screen_stream(day))
    return found


def universe(rig: Any, day: date = TUESDAY) -> UniverseRebuilt:
    found = day_of(rig, day).universe
    assert found is not None
    return found


def kept(rig: Any, day: date = TUESDAY) -> UniverseNotRebuilt:
    found = day_of(rig, day).kept
    assert found is not None
    return found


def reasons(made: Any) -> dict[str, tuple[str, ...]]:
    return {r.why: r.symbols for r in made.rejected}


def test_who_is_in_it_and_why_the_others_are_not(make_rig: Any) -> None:
    rig = make_rig(SCREENER_UNIVERSE_BLOCKLIST="BAD", SCREENER_UNIVERSE_MAX_SIZE="3")
    rig.market.add(
        Share("BIG", cap=900_000, volume=1),
        Share("MID", cap=50_000, volume="9.5"),  # a text is no number
        Share("SML", mic="XNAS", cap=2_000, volume=3),
        Share("TIN", cap="1999.999999"), Share("NOC", cap=None), Share("NAN", cap=-1),
        Share("LOW", cap=7_000, price=4.99), Share("CHP", cap=6_000, price=5),
        Share("ADR", cap=90_000, filed_in="TWD"), Share("EUR", currency="EUR"),
        Share("BAD"), Share("HND"), Share("ETF", kind="ETP"), Share("FAR", mic="XTSE"),
    )  # fmt: skip
    rig.bot.dispatch(
        BlockSymbol(at=rig.clock.now(), effective_date=TUESDAY, symbol="HND", reason="law", seen=0),
        command_id="b",
    )
    rig.market.shares["TIN"].cap = 1999.999999
    rig.close_of()
    assert rig.start().rebuild_universe() == (
        "the universe has 3 of 12 securities that were looked at"
    )
    made = universe(rig)
    assert made.symbols == ("BIG", "CHP", "MID")  # by money traded a day; MID's is not known
    assert reasons(made) == {
        "market capitalisation: not known": ("ADR", "NAN", "NOC"),
        "blocked by hand": ("HND",),
        "currency is not USD": ("EUR",),
        "in SCREENER_UNIVERSE_BLOCKLIST": ("BAD",),
        "market capitalisation below SCREENER_UNIVERSE_MIN_MARKET_CAP 2,000,000,000": ("TIN",),
        "price below SCREENER_UNIVERSE_MIN_PRICE 5": ("LOW",),
        "smaller than the SCREENER_UNIVERSE_MAX_SIZE 3 largest": ("SML",),
    }
    assert not {"BAD", "HND", "EUR"} & set(rig.asked("stock/profile2")), "nobody asks about these"


def test_the_facts_of_all_are_exact_and_in_the_recorded_file(rig: Any) -> None:
    rig.market.add(Share("ONE", cap=4530.123456, shares=14702.703125, volume=1.5, price=187.23))
    rig.market.add(Share("SML", mic="XNAS", cap=1))
    rig.close_of()
    rig.start().rebuild_universe()
    made = universe(rig)
    looked = read_facts(rig.folder, TUESDAY, "universe", made.facts)
    assert looked is not None
    facts = looked[0].facts
    assert (facts.market_cap, facts.shares_outstanding, facts.volume, facts.price) == (
        Decimal("4530123456"), Decimal("14702703125"), Decimal(1_500_000), Decimal("187.23"),
    )  # fmt: skip
    path = rig.folder.screens / "2026-03-03-universe.json.gz"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert read_facts(rig.folder, TUESDAY, "universe", made.facts) is None


def crowd(rig: Any, number: int) -> None:
    """The larger half is large enough."""
    rig.market.add(
        *(
            Share(f"S{i:04d}", mic="XNAS" if i % 2 else "XNYS", cap=4000 * i / number, volume=i + 1)
            for i in range(number)
        )
    )


def test_no_more_calls_than_the_minimum_at_sixty_a_minute(make_rig: Any, count: Any) -> None:
    number = count(600, 8_000)
    rig = make_rig(SCREENER_UNIVERSE_MAX_SIZE=str(number // 4))
    crowd(rig, number)
    rig.close_of()
    begun = rig.clock.now()
    rig.start().rebuild_universe()
    assert len(universe(rig).symbols) == number // 4
    calls = 2 + number + number // 4 + number // 4  # lists, companies, prices, volumes
    assert len(rig.server.calls) == len(set(rig.server.calls)) == calls
    assert rig.server.too_fast == 0
    assert rig.clock.now() - begun <= calls * timedelta(seconds=1.06)

    rig.close_of(WEDNESDAY)  # companies and volumes are known: lists and prices alone
    rig.start(WEDNESDAY).rebuild_universe()
    assert len(rig.server.calls) == calls + 2 + number // 4
    assert universe(rig, WEDNESDAY).symbols == universe(rig).symbols


def test_killed_and_begun_again_nothing_is_asked_twice(make_rig: Any) -> None:
    rig, undisturbed = make_rig(), make_rig()
    for each in (rig, undisturbed):
        crowd(each, 120)
        each.close_of()
    undisturbed.start().rebuild_universe()
    for stop in (0, 1, 2, 3, 57, 122, 123, 180, 200, 239):
        rig.stop_after = stop
        with pytest.raises(Killed):
            rig.start().rebuild_universe()
        assert day_of(rig).universe is None
        assert len(rig.server.calls) == stop
    rig.start().rebuild_universe()
    assert sorted(rig.server.calls) == sorted(undisturbed.server.calls)
    assert universe(rig).symbols == universe(undisturbed).symbols
    assert universe(rig).rejected == universe(undisturbed).rejected
    rig.start().rebuild_universe()  # made already: a repeated phase asks nobody
    assert len(rig.server.calls) == len(undisturbed.server.calls)


def test_an_answer_that_a_kill_tore_is_asked_again(rig: Any) -> None:
    crowd(rig, 20)
    rig.close_of()
    rig.stop_after = 10
    with pytest.raises(Killed):
        rig.start().rebuild_universe()
    path = rig.folder.screens / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    rig.start().rebuild_universe()
    assert len(rig.server.calls) == len(set(rig.server.calls)) + 1
    assert len(universe(rig).symbols) == 10


def test_429_for_an_hour_keeps_the_universe_before(rig: Any) -> None:
    crowd(rig, 20)
    rig.close_of()
    rig.start().rebuild_universe()
    rig.close_of(WEDNESDAY)
    asked = rig.clock.now()
    rig.server.fault("429", times=10_000, reset_s=3600)
    said = rig.start(WEDNESDAY).rebuild_universe()
    assert "no new universe, the one before stays" in said
    assert "HTTP 429" in said
    assert "429" in kept(rig, WEDNESDAY).reason
    assert rig.clock.now() - asked < timedelta(hours=1)
    assert rig.server.count("GET", "/api/v1") < 22 + 60, "the limit is not made worse by asking"
    assert universe(rig).symbols


def test_429_for_a_while_is_waited_out(rig: Any) -> None:
    crowd(rig, 20)
    rig.close_of()
    rig.server.fault("429", path="/api/v1//stock/profile2", times=9, reset_s=30)
    rig.start().rebuild_universe()
    assert len(universe(rig).symbols) == 10


def test_a_refused_key_ends_it_at_once_and_is_in_no_text(rig: Any) -> None:
    crowd(rig, 20)
    rig.close_of()
    said = rig.start(key="canary-other-key-0002").rebuild_universe()
    assert "Finnhub refuses the key" in said
    assert rig.server.count("GET", "/api/v1") == 1
    everything = said + kept(rig).reason
    everything += "".join(p.read_text("utf-8", "replace") for p in rig.folder.screens.iterdir())
    assert "canary" not in everything


@pytest.mark.parametrize(
    "told", [[], {}, None, "nothing", [1, None, {"symbol": 7}], [{"type": "Common Stock"}]]
)
def test_a_list_without_sense_keeps_the_universe_before(rig: Any, told: Any) -> None:
    rig.server.told["stock/symbol"] = told
    rig.close_of()
    assert "no new universe" in rig.start().rebuild_universe()
    assert day_of(rig).universe is None


@pytest.mark.parametrize("kind", ["malformed_after", "empty", "deep", "echo", "gateway_404"])
def test_nonsense_about_all_ends_it_and_about_one_does_not(rig: Any, kind: str) -> None:
    crowd(rig, 20)
    rig.close_of()
    rig.server.fault(kind, path="/api/v1//stock/profile2", times=1)
    rig.start().rebuild_universe()
    assert len(universe(rig).symbols) == 10
    assert reasons(universe(rig))["market capitalisation: not known"] == ("S0000",)
    rig.close_of(WEDNESDAY)
    rig.server.fault(kind, times=10_000)
    said = rig.start(WEDNESDAY).rebuild_universe()
    assert "no new universe" in said
    assert fakes.KEY not in said


@pytest.mark.parametrize("told", [{}, [], "x", {"marketCapitalization": "1e9"}, {"metric": 1}])
def test_companies_of_whom_nothing_is_told_make_no_universe(rig: Any, told: Any) -> None:
    crowd(rig, 20)
    rig.server.told["stock/profile2"] = told
    rig.close_of()
    said = rig.start().rebuild_universe()
    assert "no new universe" in said
    assert day_of(rig).universe is None


def test_silence_is_waited_for_and_then_told(rig: Any) -> None:
    crowd(rig, 4)
    rig.close_of()
    rig.server.fault("reset_before", times=10_000)
    assert "no connection" in rig.start().rebuild_universe()
    rig.server.calm()
    rig.server.fault("504_before", times=3)
    rig.start().rebuild_universe()
    assert len(universe(rig).symbols) == 2


def test_a_key_that_cannot_be_sent_is_refused(rig: Any) -> None:
    """Copied with what an editor made of three dots."""
    rig.close_of()
    assert "refuses the key" in rig.start(key="canary-finnhub-key\u2026").rebuild_universe()
    assert rig.server.asked == []


def test_a_night_that_fails_again_after_a_kill_says_what_was_last(rig: Any) -> None:
    """The phase was killed before its end was recorded."""
    crowd(rig, 4)
    rig.close_of()
    rig.server.fault("reset_before", times=10_000)
    assert "no connection" in rig.start().rebuild_universe()
    rig.server.calm()
    rig.server.fault("keys_refused", times=10_000)
    assert "refuses the key" in rig.start().rebuild_universe()
    assert "refuses the key" in kept(rig).reason


def test_an_answer_byte_by_byte_is_cut_in_time(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finnhub_wire, "LONGEST_BODY_S", 0.1)
    crowd(rig, 4)
    rig.close_of()
    rig.server.fault("drip", times=1)
    began = monotonic()
    rig.start().rebuild_universe()
    assert monotonic() - began < 5, "its twenty seconds are not waited for"
    assert len(universe(rig).symbols) == 2


def test_a_clock_that_was_set_back_is_not_waited_for(rig: Any) -> None:
    crowd(rig, 20)
    rig.close_of()
    screening = rig.start()
    # of a call before it was set back
    rig.screener._line._free_at = rig.clock.now() + timedelta(hours=5)
    begun = rig.clock.now()
    screening.rebuild_universe()
    assert rig.clock.now() - begun < timedelta(minutes=5)


def test_progress_is_told_while_it_runs(rig: Any) -> None:
    from runtime.screen_files import read_progress

    crowd(rig, 200)
    rig.close_of()
    rig.stop_after = 120
    seen = []

    def wait(moment: Any) -> None:
        seen.append(read_progress(rig.folder))
        rig.wait(moment)

    with pytest.raises(Killed):
        rig.start(wait=wait).rebuild_universe()
    told = seen[-1]
    assert told is not None
    assert (told.doing, told.of) == ("companies", 200)
    assert 50 < told.done <= 120
    assert timedelta(0) < told.ends - told.at < timedelta(minutes=4)
    assert "of 200 companies" in (rig.folder.global_logs / "screener.log").read_text()
