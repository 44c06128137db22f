"""Settings as an operator turns them: what is off is still judged, and the event says why not."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.paths import DataFolder
from runtime.demo import plan_of, play
from runtime.queries import Queries

DAY = date(2026, 3, 4)
Day = Callable[..., tuple[Any, Queries]]


def refusals(queries: Queries) -> dict[str, list[str]]:
    """Symbol → the rules that refused its entry."""
    report = queries.day(DAY)
    assert report is not None
    return {
        d.symbol: d.refused_by.split(", ")
        for d in report.decisions
        if d.kind == "entry" and d.outcome == "refused"
    }


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("STRAT_OPEN_ENABLED", "false", "STRAT_OPEN_ENABLED"),
        ("DISABLE_ALL_TRADES", "true", "DISABLE_ALL_TRADES"),
        ("MAX_TRADES", "0", "MAX_TRADES"),
        ("TOTAL_ALLOCATION", "0", "SIZE"),
        ("MIN_VOLUME_THRESHOLD", "999999999", "MIN_VOLUME_THRESHOLD"),
        ("TRADING_DAYS", "mon,tue", "TRADING_DAYS"),
    ],
)
def test_a_rule_that_says_no_is_recorded_and_nothing_is_ordered(
    day: Day, key: str, value: str, rule: str
) -> None:
    line, queries = day(settings={key: value})
    found = refusals(queries)
    assert len(found) >= 3
    assert all(rule in rules for rules in found.values())
    assert not line.sent
    report = queries.day(DAY)
    assert report is not None
    assert not report.orders
    assert report.differences == ()


def test_every_entry_carries_its_inputs_and_the_verdict_of_every_rule(day: Day) -> None:
    _, queries = day()
    entries = [
        e.payload
        for e in queries.events(topics=("Session.Decided",))
        if e.payload["kind"] == "entry"
    ]
    assert entries
    for payload in entries:
        rules = [v["rule"] for v in payload["verdicts"]]
        assert len(rules) == len(set(rules)) >= 12
        assert {"close", "range_high", "range_low", "equity", "quantity"} <= payload[
            "inputs"
        ].keys()
        assert (payload["outcome"] == "taken") == all(v["passed"] for v in payload["verdicts"])


def test_weakness_is_recorded_without_an_instrument(day: Day) -> None:
    _, queries = day()
    report = queries.day(DAY)
    assert report is not None
    bearish = [d for d in report.decisions if d.kind == "bearish"]
    assert all(d.outcome == "no_instrument" and not d.order_id for d in bearish)
    symbols = {d.symbol for d in report.decisions if d.kind in ("entry", "bearish", "no_range")}
    firsts = [d for d in report.decisions if d.kind in ("entry", "bearish", "no_range")]
    assert len(firsts) == len(symbols), "the first signal of a symbol is the only one"


def test_one_open_position_at_a_time_when_the_limit_is_one(day: Day) -> None:
    _, queries = day(settings={"MAX_OPEN_POSITIONS": "1"})
    report = queries.day(DAY)
    assert report is not None
    assert [d for d in report.decisions if "MAX_OPEN_POSITIONS" in d.refused_by]
    held: set[str] = set()
    for event in queries.events(topics=("Order.Filled",), limit=1000):
        p = event.payload
        if p["side"] == "buy":
            held.add(p["symbol"])
        assert len(held) <= 1
        if p["side"] == "sell":
            sold = sum(
                Decimal(e.payload["quantity"]) * (1 if e.payload["side"] == "buy" else -1)
                for e in queries.events(topics=("Order.Filled",), limit=1000)
                if e.payload["symbol"] == p["symbol"] and e.position <= event.position
            )
            if not sold:
                held.discard(p["symbol"])


def test_whole_shares_only_when_fractions_are_switched_off(day: Day) -> None:
    _, queries = day(settings={"FRACTIONAL": "false"})
    report = queries.day(DAY)
    assert report is not None
    assert report.orders
    assert all(o.quantity == int(o.quantity) for o in report.orders)


def test_phases_run_once_in_order_and_say_what_they_did(day: Day) -> None:
    _, queries = day()
    report = queries.day(DAY)
    assert report is not None
    started = [p.phase for p in report.phases if p.change == "started"]
    assert started == ["open", "holdings", "mid", "close", "universe"]
    ended = {p.phase: p.change for p in report.phases if p.change.startswith("ended")}
    assert ended["open"] == "ended: flat"
    assert "STRAT_MID_ENABLED is false" in ended["mid"]


def test_on_a_half_day_a_strategy_whose_time_is_after_the_close_is_not_run(tmp_path: Path) -> None:
    half = date(2026, 11, 27)
    plan = plan_of(None, half, half, ("SPY",), 1)
    play(DataFolder(tmp_path), msgspec.structs.replace(plan, all_strategies=True), lambda *_: None)
    queries = Queries(DataFolder(tmp_path))
    report = queries.day(half)
    queries.close()
    assert report is not None
    ended = {p.phase: p.change for p in report.phases if p.change.startswith("ended")}
    assert ended["open"] == "ended: flat"
    assert ended["close"].startswith("ended: not run: CLOSE: no minute is left for entries")
    assert (report.phases[-1].phase, report.phases[-1].change) == ("session", "closed")
