"""The plan on the holdings page, for each role: saving, versions, the past, every bad input."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from aggregates.holdings_plan import Plan, PlannedSecurity
from runtime.holdings_plan import file_plan

D = Decimal
GIVEN = {
    "seen": "0", "symbol": ["ALFA", "BRVO"], "allocation": ["60", ""], "float_target": "10",
    "tax_reserve": "20", "tax_vehicle": "", "payroll": "10", "drift_band": "1",
    "rebalance_months": "6", "auto_rebalance": "yes",
}  # fmt: skip
SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def admin(provisioned: Any) -> Any:
    return provisioned.client("admin")


def plans(provisioned: Any) -> list[Any]:
    found: list[Any] = provisioned.app.extensions["tradebot"].queries.plan_versions()
    return found


def form(**typed: Any) -> dict[str, Any]:
    return {name: value for name, value in (GIVEN | typed).items() if value is not None}


def beside(html: str, field: str) -> str:
    """What stands beside a field, as text."""
    found = re.search(rf'id="{field}-faults"[^>]*>(.*?)</div>', html, re.DOTALL)
    assert found, field
    return unescape(re.sub(r"<[^>]+>", " ", found[1])).strip()


def test_without_a_plan_an_admin_finds_the_defaults_and_others_are_told(
    provisioned: Any, admin: Any
) -> None:
    page = admin.get("/holdings").text
    assert re.search(r'name="symbol"[^>]*value="SCHD"', page)
    assert "Nothing is saved yet" in page
    assert "switched off" in page
    assert plans(provisioned) == []
    for role in ("viewer", "accountant", "compliance", "operator"):
        page = provisioned.client(role).get("/holdings").text
        assert "nothing is planned" in page
        assert '<form id="plan"' not in page


def test_a_plan_is_saved_with_its_file_and_the_next_page_says_so(
    provisioned: Any, admin: Any
) -> None:
    sent = admin.post("/holdings/plan", data=form())
    assert sent.status_code == 303
    page = admin.get(sent.location).text
    assert "saved as version 1" in page
    wanted = Plan(securities=(PlannedSecurity("ALFA", D(60)), PlannedSecurity("BRVO")))
    assert [v.plan for v in plans(provisioned)] == [wanted]
    assert plans(provisioned)[0].actor == provisioned.ids["admin"]
    with provisioned.people() as people:
        assert file_plan(people.custody) == wanted
    assert "Gain in all" in provisioned.client("viewer").get("/holdings").text


WRONG = (
    ({"allocation": ["60", "30"]}, "", "add up to 90 %, not to 100 %"),
    ({"allocation": ["100", ""]}, "", "leaves nothing for the 1 blank"),
    ({"allocation": ["sixty", ""]}, "allocation-0", "not a number"),
    ({"allocation": ["60", "1e99"]}, "allocation-1", "not a number"),
    ({"allocation": ["-1", ""]}, "allocation-0", "from 0 to 100 %"),
    ({"allocation": ["33.333", ""]}, "allocation-0", "two decimals"),
    ({"symbol": ["ALFA", "ALFA"]}, "symbol-1", "2 times"),
    ({"symbol": ["ALFA", ""], "allocation": ["60", "40"]}, "symbol-1", "missing"),
    ({"symbol": ["AL FA", "BRVO"]}, "symbol-0", "AL FA"),
    ({"float_target": "101"}, "float_target", "from 0 to 100 %"),
    ({"float_target": ""}, "float_target", "not a number"),
    ({"tax_reserve": "-3"}, "tax_reserve", "from 0 to 100 %"),
    ({"payroll": "abc"}, "payroll", "not a number"),
    ({"drift_band": "1.234"}, "drift_band", "two decimals"),
    ({"tax_vehicle": "alfa"}, "tax_vehicle", "one of the securities"),
    ({"rebalance_months": "5"}, "rebalance_months", "3, 6 or 12"),
)  # fmt: skip


def test_what_is_invalid_is_told_beside_its_field_and_never_saved(
    provisioned: Any, admin: Any
) -> None:
    """While one types, when it is saved by itself, and when the form is sent: the same words."""
    for typed, field, said in WRONG:
        looked = admin.post("/holdings/check", data=form(**typed), headers=SCRIPT)
        by_itself = admin.post("/holdings/plan", data=form(**typed), headers=SCRIPT)
        sent = admin.post("/holdings/plan", data=form(**typed))
        assert (looked.status_code, by_itself.status_code, sent.status_code) == (200, 200, 422)
        for answer in (looked, by_itself, sent):
            told = beside(answer.text, field) if field else answer.text.partition("plan-sum")[2]
            assert said in told, typed
            assert "Not saved" in answer.text
        assert "not 100 %" in sent.text or field
    assert plans(provisioned) == []


def test_a_float_that_the_account_cannot_have_is_refused_with_what_is_allowed(
    provisioned: Any, admin: Any, held: Any
) -> None:
    held.reserve("tax_reserve", "25000")  # of 100,000
    for headers in ({}, SCRIPT):
        answer = admin.post("/holdings/plan", data=form(float_target="80"), headers=headers)
        told = beside(answer.text, "float_target")
        assert "Float rule: a float target of 80 % is 80,000.00" in told
        assert "Allowed: a float target of at most 75 %." in told
    assert plans(provisioned) == []
    assert admin.post("/holdings/plan", data=form(float_target="75")).status_code == 303


def test_nothing_is_saved_while_a_symbol_is_typed_and_nothing_twice(
    provisioned: Any, admin: Any
) -> None:
    page = admin.post("/holdings/check", data=form(), headers=SCRIPT).text
    assert "Nothing is saved yet" in page
    assert plans(provisioned) == []
    page = admin.post("/holdings/plan", data=form(), headers=SCRIPT).text
    assert "Saved as version 1" in page
    assert 'name="seen" value="1"' in page
    again = form(seen="1", float_target="10.00 %", symbol=["alfa", " BRVO"])
    page = admin.post("/holdings/plan", data=again, headers=SCRIPT).text
    assert "As in version 1" in page
    assert len(plans(provisioned)) == 1


def test_a_form_sent_twice_counts_once(provisioned: Any, admin: Any) -> None:
    data = form() | {"command_id": "ab" * 16}
    answers = [admin.post("/holdings/plan", data=data) for _ in range(2)]
    assert [a.status_code for a in answers] == [303, 303]
    assert len(plans(provisioned)) == 1


def test_the_second_of_two_admins_sees_what_changed_and_loses_nothing(
    provisioned: Any, admin: Any
) -> None:
    admin.post("/holdings/plan", data=form(float_target="15"))
    by_itself = admin.post("/holdings/plan", data=form(payroll="12"), headers=SCRIPT).text
    assert "Not saved: the plan was changed meanwhile" in by_itself
    sent = admin.post("/holdings/plan", data=form(payroll="12"))
    assert sent.status_code == 409
    assert "The plan was changed while you were editing" in sent.text
    difference = sent.text[sent.text.index("Now in force") :]
    assert re.search(r"Float target</th><td>15 %</td><td class=\"after\">10 %", difference)
    assert 'value="12"' in sent.text
    assert len(plans(provisioned)) == 1
    assert admin.post("/holdings/plan", data=form(payroll="12", seen="1")).status_code == 303
    assert plans(provisioned)[-1].plan.payroll == 12


def test_rows_come_and_go(provisioned: Any, admin: Any) -> None:
    more = admin.post("/holdings/plan", data=form(do="add"))
    assert more.status_code == 200
    assert more.text.count('name="symbol"') == 3
    assert plans(provisioned) == []
    admin.post("/holdings/plan", data=form())
    less = admin.post("/holdings/plan", data=form(seen="1", do="delete-0"), headers=SCRIPT)
    assert "Saved as version 2" in less.text
    assert [s.symbol for s in plans(provisioned)[-1].plan.securities] == ["BRVO"]
    bad = form(seen="2", symbol=["BRVO", "CHAR"], allocation=["60", "40"], do="delete-1")
    assert admin.post("/holdings/plan", data=bad).status_code == 422
    assert len(plans(provisioned)) == 2
    for row in ("7", "x", "-1"):
        assert admin.post("/holdings/plan", data=form(do=f"delete-{row}")).status_code == 400


def test_twenty_securities_are_the_most(provisioned: Any, admin: Any) -> None:
    twenty = [f"S{n:02}" for n in range(20)]
    full = form(symbol=twenty, allocation=[""] * 20)
    assert admin.post("/holdings/plan", data=full).status_code == 303
    page = admin.get("/holdings").text
    assert page.count('name="symbol"') == 20
    assert "Twenty securities are the most" in page
    assert admin.post("/holdings/plan", data=full | {"do": "add"}).status_code == 400
    beyond = form(seen="1", symbol=[*twenty, "S20"], allocation=[""] * 21)
    assert admin.post("/holdings/plan", data=beyond).status_code == 400
    assert len(plans(provisioned)) == 1


def test_versions_tell_before_and_after_and_are_put_back(provisioned: Any, admin: Any) -> None:
    admin.post("/holdings/plan", data=form())
    admin.post("/holdings/plan", data=form(seen="1", float_target="15", reason="a calm year"))
    page = admin.get("/holdings/versions").text
    assert "Why: a calm year" in page
    assert re.search(
        r"Float target</th><td class=\"before\">10 %</td><td class=\"after\">15 %", page
    )
    assert "/holdings/versions/1/back" in page
    back = admin.get("/holdings/versions/1/back").text
    assert re.search(
        r"Float target</th><td class=\"before\">15 %</td><td class=\"after\">10 %", back
    )
    sent = admin.post("/holdings/versions/1/back", data={"seen": "2", "reason": "not so calm"})
    assert sent.status_code == 303
    assert [v.plan.float_target for v in plans(provisioned)] == [10, 15, 10]
    assert "Version 1 was put back" in admin.get("/holdings/versions").text
    stale = admin.post("/holdings/versions/2/back", data={"seen": "2"})
    assert stale.status_code == 409
    assert "changed meanwhile" in stale.text
    assert admin.get("/holdings/versions/9/back").status_code == 404


def test_the_past_shows_the_plan_of_then_and_takes_no_change(provisioned: Any, admin: Any) -> None:
    admin.post("/holdings/plan", data=form())
    then = plans(provisioned)[0].position
    admin.post("/holdings/plan", data=form(seen="1", float_target="15"))
    page = admin.get(f"/holdings?known_at={then}").text
    assert "10 % of the account" in page
    assert '<form id="plan"' not in page
    assert "data-stream" not in page
    assert "nothing is planned" in admin.get(f"/holdings?known_at={then - 1}").text
    for place in ("plan", "check", "versions/1/back"):
        sent = admin.post(f"/holdings/{place}?known_at={then}", data=form())
        assert sent.status_code == 409
    assert admin.get(f"/holdings/versions/1/back?known_at={then}").status_code == 400
    assert len(plans(provisioned)) == 2


def test_only_an_admin_changes_the_plan(provisioned: Any) -> None:
    for role in ("viewer", "accountant", "compliance", "operator"):
        client = provisioned.client(role)
        for place in ("plan", "check", "versions/1/back"):
            assert client.post(f"/holdings/{place}", data=form()).status_code == 403
    assert plans(provisioned) == []


def test_a_form_that_no_page_sends_is_refused(provisioned: Any, admin: Any) -> None:
    for typed in (
        {"seen": ""}, {"seen": "x"}, {"rebalance_months": "six"}, {"allocation": ["60"]},
        {"float_target": "1" * 200},
    ):  # fmt: skip
        answer = admin.post("/holdings/plan", data=form(**typed))
        assert answer.status_code == 400
        assert "Nothing was changed" in answer.text
    assert plans(provisioned) == []


def test_a_page_that_is_left_open_keeps_nobody_signed_in(provisioned: Any, admin: Any) -> None:
    """It asks by itself for its figures, and for those beside the fields."""
    sent = form(csrf=admin.token())
    for _ in range(3):
        provisioned.later(minutes=8)
        assert admin.get("/holdings/now").status_code == 200
        looked = admin.post("/holdings/check", data=sent, headers=SCRIPT, guarded=False)
        assert looked.status_code == 200
    provisioned.later(minutes=8)
    assert admin.get("/holdings").status_code == 303
