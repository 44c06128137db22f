"""Screens and the blocklist: given events, when a command, then events, or a refusal."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from aggregates.base import Command
from aggregates.blocklist import Blocklist, BlocklistMoved, BlockSymbol, UnblockSymbol
from aggregates.errors import DomainError
from aggregates.screen import (
    CandidatesChosen,
    RecordCandidates,
    RecordUniverse,
    RecordUniverseKept,
    Rejected,
    ScreenDay,
)

AT, DAY = datetime(2026, 3, 3, 21, 5, tzinfo=UTC), date(2026, 3, 3)
LOW = Rejected(why="price: not known", count=2, symbols=("A", "B"))
SEEN = {"source": "FINNHUB", "looked_at": 4, "symbols": ("X", "Y"), "facts": "00"}
ON = {"strategy": "OPEN", "mode": "pre-market", "universe": DAY, "said": ""}


def of(kind: type[Command], /, **fields: Any) -> Any:
    return kind(at=AT, effective_date=DAY, **fields)


def universe(**fields: Any) -> Any:
    return of(RecordUniverse, **(SEEN | {"mode": "after-hours", "rejected": (LOW,)} | fields))


def candidates(**fields: Any) -> Any:
    return of(RecordCandidates, **(SEEN | ON | {"rejected": (LOW,)} | fields))


def test_a_day_has_its_candidates_and_one_universe() -> None:
    day = ScreenDay("screen-2026-03-03")
    day.choose_candidates(candidates())
    day.choose_candidates(candidates(strategy="MID", symbols=(), looked_at=2))
    day.keep_universe(of(RecordUniverseKept, source="FINNHUB", reason="429"))
    day.rebuild_universe(universe())
    assert [e.event.topic for e in day.collect_events()] == [
        "Screen.CandidatesChosen", "Screen.CandidatesChosen", "Screen.UniverseNotRebuilt",
        "Screen.UniverseRebuilt",
    ]  # fmt: skip
    assert isinstance(day.chosen["OPEN"], CandidatesChosen)
    assert day.chosen["OPEN"].symbols == ("X", "Y")
    assert day.universe is not None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (candidates(), "chosen already"),
        (candidates(strategy="MID", looked_at=5), "5 were looked at, but 2 chosen and 2 rejected"),
        (candidates(strategy="MID", symbols=("X", "X")), "chosen twice"),
        (universe(symbols=(), looked_at=2), "without any security"),
        (universe(looked_at=3), "3 were looked at"),
    ],
)
def test_a_screen_that_does_not_add_up_is_refused(command: Any, said: str) -> None:
    day = ScreenDay("screen-2026-03-03")
    day.choose_candidates(candidates())
    day.collect_events()
    with pytest.raises(DomainError, match=said):
        (day.choose_candidates if isinstance(command, RecordCandidates) else day.rebuild_universe)(
            command
        )
    assert not day.collect_events()


def test_a_universe_is_made_once_a_session() -> None:
    day = ScreenDay("screen-2026-03-03")
    day.rebuild_universe(universe())
    with pytest.raises(DomainError, match="made already"):
        day.rebuild_universe(universe())
    with pytest.raises(DomainError, match="made already"):
        day.keep_universe(of(RecordUniverseKept, source="FINNHUB", reason="429"))


def test_a_symbol_is_blocked_until_it_is_taken_off() -> None:
    blocklist = Blocklist()
    assert blocklist.why("QQQ") == ""
    blocklist.block(of(BlockSymbol, symbol="QQQ", reason="a lawsuit", seen=0))
    assert (blocklist.why("QQQ"), blocklist.why("SPY")) == ("a lawsuit", "")
    blocklist.unblock(of(UnblockSymbol, symbol="QQQ", reason="settled", seen=1))
    assert blocklist.why("QQQ") == ""
    topics = [e.event.topic for e in blocklist.collect_events()]
    assert topics == ["Blocklist.Blocked", "Blocklist.Unblocked"]


@pytest.mark.parametrize(
    ("kind", "fields", "refused", "said"),
    [
        (BlockSymbol, {"symbol": "QQQ"}, DomainError, "QQQ is blocked already: a lawsuit"),
        (BlockSymbol, {"symbol": "A B"}, DomainError, "cannot be a symbol"),
        (BlockSymbol, {"symbol": "SPY", "reason": " "}, DomainError, "A reason is needed"),
        (BlockSymbol, {"symbol": "SPY", "reason": "x" * 201}, DomainError, "at most 200"),
        (BlockSymbol, {"symbol": "SPY", "seen": 0}, BlocklistMoved, "changed meanwhile"),
        (UnblockSymbol, {"symbol": "SPY"}, DomainError, "SPY is not blocked by hand"),
        (UnblockSymbol, {"symbol": "QQQ", "seen": 2}, BlocklistMoved, "changed meanwhile"),
    ],
)
def test_what_cannot_be_changed_is_refused(
    kind: type[Command], fields: dict[str, Any], refused: type[Exception], said: str
) -> None:
    blocklist = Blocklist()
    blocklist.block(of(BlockSymbol, symbol="QQQ", reason="a lawsuit", seen=0))
    blocklist.collect_events()
    command = of(kind, **({"reason": "why", "seen": 1} | fields))
    with pytest.raises(refused, match=said):
        (blocklist.block if kind is BlockSymbol else blocklist.unblock)(command)
    assert not blocklist.collect_events()
