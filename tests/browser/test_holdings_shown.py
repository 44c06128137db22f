"""What the holdings pages show of the money, and what is asked for on them, for each role."""

from __future__ import annotations

import csv
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aggregates.holdings import RecordStep
from aggregates.holdings_requests import AnswerHoldings, RecordRebalance, StartRequest
from aggregates.rebalance_values import CarriedOut
from runtime.holdings_requests import requests_of
from runtime.holdings_unpriced import NO_PRICE
from runtime.queries import Queries

D = Decimal
PRICED = ("price", "price_at", "value", "unrealized", "total", "actual", "deviation")


@pytest.fixture
def provisioned(with_holdings: Any) -> Any:
    return with_holdings


@pytest.fixture
def viewer(provisioned: Any) -> Any:
    return provisioned.client("viewer")


@pytest.fixture
def operator(provisioned: Any) -> Any:
    return provisioned.client("operator")


def asked(provisioned: Any) -> list[Any]:
    found: list[Any] = provisioned.app.extensions["tradebot"].queries.of_history(requests_of)
    return found


# -- what is shown -----------------------------------------------------------------------------


def test_status_and_grid_tell_value_reserves_and_what_is_off_target(held: Any, viewer: Any) -> None:
    html = viewer.get("/holdings").text
    status = held.words(html[html.index("<dl") : html.index("</dl>")])
    for figure in (
        "Account value USD 100,926.75", "Cash float USD 35,176.40 target 10,092.68",
        "Tax reserve USD 500.00 in cash", "Payroll reserve USD 180.25",
        "Long-term holdings USD 65,070.10", "Off target 3 of 4 beyond 1 point",
        "Next rebalance Wed 2 Sep 2026 6 months after Mon 2 Mar 2026",
    ):  # fmt: skip
        assert figure in status
    assert held.row(html, "SCHD") == (
        "SCHD SCHD Fund 50 50.00 % 34.86 % −15.14 points off target 800.123456789 at 27.100005"
        " 21,683.35 28.35 2026-03-02 15:00 22,683.50 88.00 1,000.15 1,088.15"
    )
    assert held.row(html, "VTI").startswith("VTI VTI Fund blank 25.00 % 25.69 % +0.69 points 55.5")
    assert "BND BND Fund not planned 0.00 % 11.05 % +11.05 points off target" in held.row(
        html, "BND"
    )
    assert "off target" in held.row(html, "SCHY", "shares")
    assert "off target" not in held.row(html, "VTI", "shares")


def test_a_missing_price_is_said_and_nothing_is_filled_in_for_it(
    held: Any, viewer: Any, provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.plan(seen="1", symbol=["SCHD", "NEWS"], allocation=["", ""])
    html = viewer.get("/holdings").text
    assert held.row(html, "NEWS").endswith(
        "0.00 % −50.00 points off target 0 0.00 no price" + " 0.00" * 4
    )
    assert "No price at this time" not in html  # nothing is held without one

    def unpriced(queries: Queries, *asked: Any) -> Any:
        state, none = known(queries, *asked), dict.fromkeys(PRICED)
        rows = tuple(replace(r, **none) if r.symbol == "SCHD" else r for r in state.rows)
        return replace(
            state, rows=rows, account_value=None, long_term_value=None, float_target=None,
            unpriced=("SCHD",),
        )  # fmt: skip

    known = Queries.holdings
    monkeypatch.setattr(Queries, "holdings", unpriced)
    html = viewer.get("/holdings").text
    assert "No price at this time: SCHD." in held.words(html)
    assert "Account value USD a price is missing" in held.words(html)
    assert held.row(html, "SCHD") == (
        "SCHD SCHD Fund blank 50.00 % no price 800.123456789 at 27.100005 21,683.35 no price"
        " no price 88.00 no price no price"
    )
    assert "SCHD no price 50.00 % unknown" in held.row(html, "SCHD", "shares")
    form = provisioned.client("admin").get("/holdings").text
    assert re.search(r'id="value-0"[^>]*><span class="none">no price', form)


def test_what_had_no_price_when_the_float_was_checked_is_said(held: Any, viewer: Any) -> None:
    assert "by the time of the float check" not in viewer.get("/holdings").text
    held.trading.do(
        RecordStep, step="value", outcome="test", balances={},
        figures={NO_PRICE: "SCHY is not counted: its last price is of 2026-01-05"},
    )  # fmt: skip
    html = held.words(viewer.get("/holdings").text)
    assert "by the time of the float check: SCHY is not counted: its last price is of" in html


def test_each_reserve_is_drawn(held: Any, provisioned: Any) -> None:
    held.reserve("tax_reserve", "20")
    provisioned.later(days=3)
    html = provisioned.client("viewer").get("/holdings").text
    drawn = [json.loads(found) for found in re.findall(r'class="curve-data">(.*?)</script>', html)]
    assert [(data["name"], data["values"]) for data in drawn] == [
        ("Tax reserve, cash and securities at cost", ["0", "520.00", "520.00"]),
        ("Payroll reserve", ["0", "180.25", "180.25"]),
    ]
    words = held.words(html)
    assert "Every movement in cash of Tax reserve, cash and securities at cost , 2 so far" in words
    assert 'href="/ledger/account/1030"' in html


def test_a_security_tells_its_transactions_and_lots(held: Any, viewer: Any) -> None:
    assert '"/holdings/securities/SCHD"' in viewer.get("/holdings").text
    page = held.words(viewer.get("/holdings/securities/SCHD").text)
    assert "Mon 2 Mar 2026 800.123456789 21,683.35" in page
    assert "Transactions 2, newest first" in page
    assert viewer.get("/holdings/securities/NONE").status_code == 404


# -- files -------------------------------------------------------------------------------------


def test_report_log_and_transactions_are_handed_out(viewer: Any) -> None:
    page = viewer.get("/holdings/files").text
    links = re.findall(r'href="(/holdings/files/[^"]+)"', page)
    assert len(links) == 9
    for link in links:
        answer = viewer.get(link)
        assert answer.status_code == 200
        assert answer.data
        assert "attachment" in answer.headers["Content-Disposition"]
        assert answer.data == viewer.get(link).data
    report = json.loads(viewer.get("/holdings/files/report.json").data)
    assert "SCHD" in json.dumps(report)
    table = list(csv.reader(viewer.get("/holdings/files/transactions.csv").text.splitlines()))
    assert any("BND" in cell for line in table for cell in line)
    for wrong in ("report.xml", "secrets.json"):
        assert viewer.get(f"/holdings/files/{wrong}").status_code == 404


# -- asking ------------------------------------------------------------------------------------


def confirmed(client: Any, **typed: str) -> Any:
    """The preview's form, sent as it is shown."""
    page = client.get("/holdings/rebalance").text
    form = {
        name: re.search(rf'name="{name}" value="([^"]+)"', page)[1]  # type: ignore[index]
        for name in ("digest", "position")
    }
    return client.post("/holdings/rebalance", data=form | {"reason": "due anyway"} | typed)


def test_a_rebalance_is_asked_for_as_it_was_seen(
    held: Any, provisioned: Any, operator: Any
) -> None:
    page = held.words(operator.get("/holdings/rebalance").text)
    assert "sell BND 100 71.90 7,190.00" in page
    assert "Tax reserve in cash 500.00 500.00" in page
    assert confirmed(operator, reason="").status_code == 422
    assert confirmed(operator, position="x").status_code == 400
    moved = confirmed(operator, digest="ab" * 32)
    assert moved.status_code == 409
    assert "look at the preview again" in moved.text
    assert asked(provisioned) == []
    assert confirmed(operator).status_code == 303
    (one,) = asked(provisioned)
    assert (one.kind, one.stage, one.actor) == ("rebalance", "waiting", provisioned.ids["operator"])
    again = confirmed(operator)
    assert again.status_code == 422
    assert "waiting already" in again.text
    assert "due anyway" in operator.get("/holdings").text


def test_an_outcome_is_shown_against_its_preview(
    held: Any, provisioned: Any, operator: Any, viewer: Any
) -> None:
    confirmed(operator)
    (one,) = asked(provisioned)
    place = f"/holdings/requests/{one.request_id}"
    assert "It waits." in viewer.get(place).text
    assert "Take the request back" not in viewer.get(place).text
    result = tuple(
        CarriedOut(
            symbol=o.symbol, side=o.side, previewed_quantity=o.quantity, previewed=o.value,
            previewed_costs=o.costs, wanted=o.quantity, filled=o.quantity / 2,
            value=o.value / 2 + D("0.01"), costs=o.costs, state="cancelled", reason="timed out",
        )
        for o in one.preview.of("sell")[:1]
    )  # fmt: skip
    held.trading.do(StartRequest, request_id=one.request_id)
    held.trading.do(RecordRebalance, request_id=one.request_id, result=result, said="Sold half.")
    page = held.words(viewer.get(place).text)
    assert "Sold half." in page
    assert "sell BND 100 50 7,190.00 3,595.01 (3,594.99) minus 3,594.99" in page
    assert "cancelled timed out" in page
    assert "Result against preview" in viewer.get("/holdings").text
    withdrawn = operator.post(f"{place}/withdraw")
    assert "was carried out, refused or withdrawn" in operator.get(withdrawn.location).text


def test_a_top_up_waits_is_refused_or_is_taken_back(
    held: Any, provisioned: Any, operator: Any
) -> None:
    page = operator.get("/holdings/top-up").text
    assert "at or above its target" in page
    assert "Ask for the top-up" not in page
    held.plan(seen="1", float_target="50")
    assert "15,286.98" in operator.get("/holdings/top-up").text
    assert operator.post("/holdings/top-up", data={"reason": " "}).status_code == 422
    assert operator.post("/holdings/top-up", data={"reason": "now"}).status_code == 303
    (first,) = asked(provisioned)
    held.trading.do(
        AnswerHoldings, request_id=first.request_id, outcome="refused", said="No price of SCHD."
    )
    assert "refused No price of SCHD." in held.words(operator.get("/holdings").text)
    operator.post("/holdings/top-up", data={"reason": "now"})
    second = asked(provisioned)[-1]
    place = f"/holdings/requests/{second.request_id}"
    assert "Take the request back" in operator.get(place).text
    assert operator.post(f"{place}/withdraw", data={"reason": "changed my mind"}).status_code == 303
    assert asked(provisioned)[-1].stage == "withdrawn"
    assert operator.get("/holdings/requests/none").status_code == 404


def test_who_runs_nothing_asks_for_nothing(provisioned: Any) -> None:
    for role in ("viewer", "accountant", "compliance"):
        client = provisioned.client(role)
        assert "An operator or an admin asks for it" in client.get("/holdings/rebalance").text
        for place in ("rebalance", "top-up", "requests/x/withdraw"):
            assert client.post(f"/holdings/{place}", data={"reason": "x"}).status_code == 403
    assert asked(provisioned) == []
