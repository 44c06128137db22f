"""The holdings pages without a plan, switched off, in a demo, in the past, full; and drawings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from runtime.queries import Queries
from web.app import create_app
from web.chart import balance_curve
from web.holdings_words import bars, percent, points

D = Decimal


@pytest.fixture
def viewer(provisioned: Any) -> Any:
    return provisioned.client("viewer")


@pytest.fixture
def operator(provisioned: Any) -> Any:
    return provisioned.client("operator")


def test_before_prices_were_known_the_past_says_so(
    held: Any, viewer: Any, provisioned: Any
) -> None:
    held.switch_on()
    held.plan()
    held.trading.open()
    held.register("SCHD")
    held.trade("SCHD", "100", "27.00")
    newest = provisioned.app.extensions["tradebot"].queries.newest()
    provisioned.later(minutes=10)
    held.trading.mark(SCHD="28.00")
    now, then = (viewer.get(f"/holdings{at}").text for at in ("", f"?known_at={newest}"))
    assert "28.00 2026-03-02 15:10 2,800.00" in held.row(now, "SCHD")
    assert "27.00 2026-03-02 15:00 2,700.00" in held.row(then, "SCHD")
    assert "data-stream" in now
    assert "data-stream" not in then
    for place in ("rebalance", "top-up", "versions", "files"):
        page = viewer.get(f"/holdings/{place}?known_at={newest}")
        assert page.status_code == 200
        assert f"known_at={newest}" in page.text


def test_twenty_securities_are_shown_and_edited(held: Any, provisioned: Any, viewer: Any) -> None:
    names = [f"S{n:02}" for n in range(20)]
    held.plan(symbol=names, allocation=["5"] * 20)
    held.trading.open()
    held.register(*names)
    for name in names:
        held.trade(name, "10", "100")
    held.trading.mark(**dict.fromkeys(names, "101.5"))
    html = viewer.get("/holdings").text
    assert all("5.00 % 5.00 % 0.00 points" in held.row(html, name) for name in names)
    assert html.count('<svg class="share"') == html.count('<svg class="drift"') == 20
    assert provisioned.client("admin").get("/holdings").text.count('name="symbol"') == 20


def test_switched_off_is_said_and_nothing_can_be_asked_for(held: Any, operator: Any) -> None:
    held.plan()
    assert "switched off" in operator.get("/holdings").text
    assert "Ask for" not in operator.get("/holdings/rebalance").text
    assert "Ask for the top-up" not in operator.get("/holdings/top-up").text
    answer = operator.post("/holdings/top-up", data={"reason": "now"})
    assert answer.status_code == 422
    assert "switched off (HOLDINGS_ENABLED)" in answer.text


def test_without_a_plan_the_pages_say_what_to_do(operator: Any) -> None:
    for place in ("rebalance", "top-up"):
        assert "An admin makes the plan" in operator.get(f"/holdings/{place}").text
    assert "No plan is saved yet" in operator.get("/holdings/versions").text
    answer = operator.post("/holdings/rebalance", data={"reason": "x", "position": "1"})
    assert answer.status_code == 422
    assert "No plan of the long-term holdings is saved" in answer.text


def test_a_demo_shows_all_of_it_and_changes_nothing(growing: Any) -> None:
    client = create_app(Queries(growing.folder)).test_client()
    for place in ("", "/rebalance", "/top-up", "/versions", "/files", "/files/report.json"):
        page = client.get(f"/holdings{place}")
        assert page.status_code == 200
        assert 'method="post"' not in page.text
    assert client.post("/holdings/plan").status_code == 403


def test_a_balance_stays_until_it_moves() -> None:
    ends = [(date(2026, 3, 2), D(100)), (date(2026, 3, 5), D(150)), (date(2026, 3, 6), D(170))]
    curve = balance_curve(ends, date(2026, 3, 9), "Reserve", 2)
    assert curve is not None
    assert [(p.at.day, p.value) for p in curve.points] == [
        (1, 0), (2, 100), (4, 100), (5, 150), (6, 170), (9, 170)
    ]  # fmt: skip
    assert balance_curve([], date(2026, 3, 2), "Reserve", 2) is None


def test_drawings_share_one_scale_and_flag_what_is_beyond_the_band() -> None:
    half, third = Fraction(1, 2), Fraction(1, 3)
    under, over, unknown = bars(
        [("A", half, third), ("B", Fraction(1, 4), half), ("C", Fraction(1, 4), None)], D("20")
    )
    assert (under.actual, under.target) == ("66.67", "100.00")
    assert (under.below, under.beyond, over.below, over.beyond) == (True, False, False, True)
    # half a strip is 40 points, twice the band: 16.67 of them are 20.83 of its 50 units
    assert (under.drift, under.drift_from, over.drift_from) == ("20.83", "29.17", "50")
    assert (under.band_from, under.band_width) == ("25.00", "50.00")
    assert (unknown.actual, unknown.drift, unknown.beyond) == (None, None, False)


def test_percentages_are_rounded_half_to_even_and_signed_in_words() -> None:
    assert percent(Fraction(1, 3)) == "33.33 %"
    assert percent(Fraction(12345, 1000000)) == "1.23 %"
    assert percent(None) == ""
    assert ">−0.34<" in points(D("-0.335"))
    assert ">0.00<" in points(D("0.001"))
