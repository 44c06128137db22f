"""The page's side: the preview that it shows, and asking for what it showed."""

import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from aggregates.errors import DomainError
from aggregates.holdings_plan import Plan, PlannedSecurity, SavePlan
from projections.ledger_records import AsOf
from runtime import holdings_requests
from runtime.holdings_requests import PreviewMoved, ask_rebalance, ask_top_up, withdraw
from runtime.queries import Queries
from runtime.rebalance_preview import NoPlan, preview_now

D = Decimal
Make = Callable[..., Any]


class Custody:
    """What asking needs of the real one: clock, settings, and a way to record."""

    def __init__(self, rig: Any) -> None:
        self.clock, self._rig = rig.clock, rig

    def record(self, *commands: Any, actor: str, command_id: str, correlation: str = "") -> Any:
        self._rig.bot.dispatch.actor = actor
        return self._rig.bot.dispatch(*commands, command_id=command_id, correlation=correlation)


@pytest.fixture
def page(holdings_rig: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`page(**settings)`: SCHD 60, SCHY 40, to be half and half; with a custody."""

    def make(**settings: str) -> Any:
        rig = holdings_rig(settings=settings)
        rig.plan("SCHD", "SCHY", auto_rebalance=False)
        rig.hold("SCHD", "60")
        rig.hold("SCHY", "40")
        rig.custody = Custody(rig)
        monkeypatch.setattr(holdings_requests, "current_settings", lambda _: rig.bot.settings)
        return rig

    return make


def asking(rig: Any, shown: Any, command_id: str = "c1", **changed: Any) -> str:
    """The id of the request that the form leads to."""
    with closing(Queries(rig.folder)) as queries:
        given = {"digest": shown.preview.digest, "position": shown.position} | changed
        ask_rebalance(
            rig.custody, queries, actor="anna", reason="spring", command_id=command_id, **given
        )
    events = rig.bot.views.feed.page(topics=("Holdings.Requested",), limit=100)
    return rig.bot.views.feed.event(events[-1]).request_id


def shown(rig: Any, as_of: AsOf | None = None) -> Any:
    with closing(Queries(rig.folder)) as queries:
        return preview_now(queries, as_of or AsOf())


# "UI must allow user to preview/simulate the rebalance … before confirming."


def test_what_is_confirmed_is_the_preview_that_was_shown(page: Callable[..., Any]) -> None:
    rig = page()
    seen = shown(rig)
    rig.price("SCHY", "100.4")
    rig.hold("ALFA", "1", "trading")  # the history went on meanwhile, with another price
    found = rig.request(asking(rig, seen))
    assert found.preview == seen.preview
    assert (found.stage, found.actor, found.reason) == ("waiting", "anna", "spring")


def test_looking_changes_nothing(page: Callable[..., Any]) -> None:
    rig = page()
    head = rig.bot.store.head()
    shown(rig)
    assert rig.bot.store.head() == head


def test_another_digest_is_refused_and_nothing_is_asked(page: Callable[..., Any]) -> None:
    rig = page()
    seen = shown(rig)
    with pytest.raises(PreviewMoved, match="Nothing was asked"):
        asking(rig, seen, digest="0" * 64)
    with pytest.raises(PreviewMoved):
        asking(rig, seen, position=seen.position - 3)
    assert rig.bot.views.feed.page(topics=("Holdings.Requested",)) == []


def test_a_form_sent_twice_asks_once_and_a_second_person_is_told(page: Callable[..., Any]) -> None:
    rig = page()
    seen = shown(rig)
    assert asking(rig, seen) == asking(rig, seen)
    with pytest.raises(DomainError, match="A rebalance is waiting already"):
        asking(rig, seen, command_id="c2")


def test_with_nothing_to_do_there_is_nothing_to_ask_for(page: Callable[..., Any]) -> None:
    rig = page()
    rig.hold("SCHY", "20")
    with pytest.raises(DomainError, match="There is nothing to rebalance"):
        asking(rig, shown(rig))


def test_a_request_that_waits_can_be_withdrawn_and_one_that_is_over_cannot(
    page: Callable[..., Any],
) -> None:
    rig = page()
    asked = asking(rig, shown(rig))
    withdraw(rig.custody, asked, actor="anna", reason="", command_id="w1")
    found = rig.request(asked)
    assert (found.stage, found.said) == ("withdrawn", "withdrawn on the page")
    rig.serve()
    assert rig.broker.sent == []
    with pytest.raises(DomainError, match="There is no open request"):
        withdraw(rig.custody, asked, actor="anna", reason="", command_id="w2")


def test_switched_off_nothing_can_be_asked_for(page: Callable[..., Any]) -> None:
    rig = page(HOLDINGS_ENABLED="false")
    with pytest.raises(DomainError, match="HOLDINGS_ENABLED"):
        ask_top_up(rig.custody, actor="anna", reason="now", command_id="t1")


def test_without_a_plan_the_preview_says_what_to_do(holdings_rig: Make) -> None:
    with pytest.raises(NoPlan, match="save a plan"):
        shown(holdings_rig())


def test_the_preview_of_an_earlier_moment_uses_the_prices_of_then(page: Callable[..., Any]) -> None:
    rig = page()
    before = shown(rig)
    rig.hold("SCHD", "1")
    assert shown(rig).preview != before.preview
    assert shown(rig, AsOf(position=before.position)).preview == before.preview


# Twenty securities


def test_a_preview_over_twenty_securities_answers_in_under_200_ms_and_is_carried_out(
    holdings_rig: Make,
) -> None:
    symbols = tuple(f"S{n:02}" for n in range(20))
    rig = holdings_rig(symbols)
    shares = [D(number) / 2 if number % 3 else None for number in range(20)]
    plan = Plan(
        securities=tuple(map(PlannedSecurity, symbols, shares)), auto_rebalance=False,
        drift_band=D("0.1"),
    )  # fmt: skip
    when = {"at": rig.clock.now(), "effective_date": rig.hours.day}
    rig.bot.dispatch(SavePlan(**when, plan=plan, seen=0), command_id="plan")
    for number, symbol in enumerate(symbols, 1):
        rig.hold(symbol, str(number * 2))
    with closing(Queries(rig.folder)) as queries:
        preview_now(queries)  # views are opened once
        took = []
        for _ in range(5):
            started = time.perf_counter()
            found = preview_now(queries)
            took.append(time.perf_counter() - started)
    assert min(took) < 0.2
    assert len(found.preview.orders) + len(found.preview.left) == 20
    asked = rig.ask(preview=found.preview)
    rig.serve()
    done = rig.result(asked)
    assert {one.state for one in done.values()} == {"filled"}
    # two cents of spread on a hundred dollars, and what the purchases lost by it
    assert all(abs(one.difference) <= one.previewed * D("0.001") for one in done.values())
    assert rig.equal()
