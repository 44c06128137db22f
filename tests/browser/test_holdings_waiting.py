"""Why a request waits, and half a rebalance, as the holdings pages say it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from aggregates.control import LatchKill, StartKill
from aggregates.holdings_requests import RecordRebalance, StartRequest
from aggregates.rebalance_values import CarriedOut
from aggregates.reconciliation import Difference, RecordDifferences
from aggregates.session import EndPhase, OpenSession, StartPhase
from runtime.holdings_requests import requests_of

NEXT = date(2026, 3, 3)


@pytest.fixture
def provisioned(with_holdings: Any) -> Any:
    return with_holdings


@pytest.fixture
def waiting(held: Any, provisioned: Any) -> Any:
    """`waiting()`: what the pages say of a top-up and a rebalance that are asked for."""
    client = provisioned.client("operator")
    page = client.get("/holdings/rebalance").text
    names = {"digest", "position"}
    form = {n: re.search(rf'name="{n}" value="([^"]+)"', page)[1] for n in names}  # type: ignore[index]
    assert client.post("/holdings/rebalance", data=form | {"reason": "due"}).status_code == 303

    def said() -> str:
        (asked,) = every(provisioned)
        client = provisioned.client("operator")  # hours later: signed in anew
        listed: str = held.words(client.get("/holdings").text)
        alone: str = held.words(client.get(f"/holdings/requests/{asked.request_id}").text)
        found = listed.partition("Waits: ")[2].partition(". Look at it")[0]
        assert found in alone
        return found

    return said


def every(provisioned: Any) -> Any:
    return provisioned.app.extensions["tradebot"].queries.of_history(requests_of)


def at(provisioned: Any, *moment: int) -> None:
    there = datetime(*moment, tzinfo=UTC) - provisioned.clock.now()  # type: ignore[misc]
    provisioned.later(minutes=there / timedelta(minutes=1))


def next_session(held: Any, *phases: str) -> None:
    when = {"at": held.trading.now, "effective_date": NEXT}
    commands: list[Any] = [
        OpenSession(
            **when, label=NEXT.isoformat(), symbols=("ALFA",), settings_position=1,
            opens_at=datetime(2026, 3, 3, 14, 30, tzinfo=UTC),
            closes_at=datetime(2026, 3, 3, 21, 0, tzinfo=UTC),
        )
    ]  # fmt: skip
    for phase in phases:
        commands.append(StartPhase(**when, phase=phase))
        commands.append(EndPhase(**when, phase=phase, outcome="done"))
    held.trading.dispatch(*commands, command_id="next-session")


def test_each_reason_that_is_known_is_said(held: Any, provisioned: Any, waiting: Any) -> None:
    at(provisioned, 2026, 3, 2, 22, 0)
    assert waiting() == "the market is closed until 2026-03-03 14:30 UTC"
    at(provisioned, 2026, 3, 3, 14, 35)
    assert "open phase and its work on the holdings are not over yet" in waiting()
    next_session(held, "open", "holdings")
    assert waiting() == "no price of this session is known of BND, SCHD, SCHY, VTI"
    held.trading.mark(SCHD="28.35", SCHY="23.10", VTI="301.20")
    assert waiting() == "no price of this session is known of BND"
    held.trading.mark(BND="71.90")
    assert waiting() == ""
    found = Difference(
        difference_id="cash:USD", kind="cash", subject="USD", ours="1.00", theirs="2.00",
        amount="1.00", known="nothing", to_do="find out",
    )  # fmt: skip
    held.trading.do(RecordDifferences, occasion="schedule", differences=(found,))
    assert waiting() == "books and broker differ: the difference is to be resolved first"
    held.trading.do(StartKill, source="page", reason="test")
    held.trading.do(LatchKill, flat=True, left=())
    assert waiting() == "the kill switch is latched: an admin resets it"


@pytest.mark.usefixtures("waiting")
def test_what_is_half_done_is_said_to_be_unfinished(held: Any, provisioned: Any) -> None:
    (one,) = every(provisioned)
    done = tuple(
        CarriedOut(
            symbol=o.symbol, side=o.side, previewed_quantity=o.quantity, previewed=o.value,
            previewed_costs=o.costs, wanted=o.quantity, filled=o.quantity, value=o.value,
            costs=o.costs, state="filled" if o.side == "sell" else "not sent", reason="",
        )
        for o in one.preview.orders
    )  # fmt: skip
    held.trading.do(StartRequest, request_id=one.request_id)
    held.trading.do(RecordRebalance, request_id=one.request_id, result=done, said="Half of it.")
    (one,) = every(provisioned)
    assert one.stage == "unfinished"
    page = held.words(provisioned.client("viewer").get("/holdings").text)
    assert "unfinished Half of it." in page
    assert "Tue 3 Mar 2026 the one of Mon 2 Mar 2026 is unfinished" in page
    alone = provisioned.client("viewer").get(f"/holdings/requests/{one.request_id}").text
    assert "unfinished" in alone
