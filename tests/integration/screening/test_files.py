"""Screens from files of one's own: a list as it is, or facts that are filtered."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.screen import ScreenDay, screen_stream
from runtime.screening import Screening
from screeners.file_screener import FileScreener, read_candidates, read_screen
from screeners.port import ScreenerError

rig_module = beside("integration/screening_rig")
TUESDAY: date = rig_module.TUESDAY
HEAD = "symbol,currency,price,previous_close,open,volume,market_cap,share_float,at\n"
FILE = {"SCREENER_NAME": "FILE"}


def screening(rig: Any) -> Screening:
    rig.folder.market_data.mkdir(exist_ok=True)
    hours = rig_module.hours_of(TUESDAY)
    return Screening(rig.bot, FileScreener(rig.folder.market_data), hours, rig.wait)


def put(rig: Any, name: str, text: str) -> None:
    rig.folder.market_data.mkdir(exist_ok=True)
    (rig.folder.market_data / name).write_text(text)


def recorded(rig: Any) -> Any:
    return rig.bot.store.load(ScreenDay, screen_stream(TUESDAY)).chosen["OPEN"]


def test_a_list_is_taken_as_it_is(make_rig: Any) -> None:
    rig = make_rig(**FILE)
    names = [f"S{i:02d}" for i in range(30)]  # more than CANDIDATE_MULTIPLIER × positions
    put(rig, "candidates.txt", "# ours\n" + "\n".join(reversed(names)) + "\n")
    assert screening(rig).candidates("OPEN") == tuple(names)
    made = recorded(rig)
    assert (made.symbols, made.rejected, made.universe) == (tuple(names), (), None)


def test_no_file_is_nothing_to_trade(make_rig: Any) -> None:
    rig = make_rig(**FILE)
    assert screening(rig).candidates("OPEN") == ()
    assert "files of one's own" in screening(rig).rebuild_universe()


def test_facts_are_held_against_the_same_limits(make_rig: Any) -> None:
    rig = make_rig(**FILE)
    rig.before(TUESDAY)
    at = f"{rig.clock.now() - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    old = f"{rig_module.hours_of(date(2026, 2, 27)).close:%Y-%m-%dT%H:%M:%SZ}"
    put(
        rig, "screen.csv",
        HEAD
        + f"LESS,USD,20,20.1,,2000000,5000000000,20000000,{at}\n"
        + f"MORE,USD,20,20.1,,3000000,5000000000,20000000,{at}\n"
        + f"GAPS,USD,20,25,,3000000,5000000000,20000000,{at}\n"
        + f"OLD,USD,20,20.1,,3000000,5000000000,20000000,{old}\n"
        + "NONE,USD,,,,,,,\n"
        + f"EUR,EUR,20,20.1,,3000000,5000000000,20000000,{at}\n",
    )  # fmt: skip
    put(rig, "candidates.txt", "SPY\n")  # not looked at beside a screen.csv
    assert screening(rig).candidates("OPEN") == ("MORE", "LESS")
    assert {r.why: r.symbols for r in recorded(rig).rejected} == {
        "currency is not USD": ("EUR",),
        "gap above MAX_GAP_PCT_OPEN 0.1": ("GAPS",),
        "market capitalisation: not known": ("NONE",),
        "price: not known": ("OLD",),
    }


def test_a_candidate_in_small_letters_is_not_passed_by_the_blocklist(tmp_path: Path) -> None:
    (tmp_path / "candidates.txt").write_text("SPY\nqqq\n")
    with pytest.raises(ScreenerError, match=r"candidates\.txt: write qqq in capitals"):
        read_candidates(tmp_path / "candidates.txt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("symbol,prize\nA,1\n", "unknown: prize"),
        ("price\n1\n", "there is no symbol"),
        ("symbol,price\nA,1,2\n", "line 2 has more or fewer fields"),
        ("symbol,price\nA\n", "line 2 has more or fewer fields"),
        ("symbol,price\nA,1\nB,1.2.3\n", "line 3: '1.2.3' is no number"),
        ("symbol,price\nA,NaN\n", "'NaN' is no number"),
        ("symbol,price\nA,-1\n", "'-1' is no number"),
        ("symbol,price\nA B,1\n", "'A B' cannot be a symbol"),
        ("symbol,price\nA,1\nA,2\n", "names A twice"),
        ("symbol,at\nA,2026-03-02T10:00:00\n", "has no zone"),
        ("symbol,at\nA,yesterday\n", "line 2"),
        ('symbol,price\n"A,1\n', "unexpected end of data"),
    ],
)
def test_a_file_that_is_wrong_somewhere_is_not_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "screen.csv"
    path.write_text(text)
    with pytest.raises(ScreenerError, match=r"screen\.csv") as refused:
        read_screen(path)
    assert said in str(refused.value)
    assert "Nothing is traded until it is mended" in str(refused.value)
