"""The interface for programs: what it answers, what it refuses, and that it does what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from web.app import create_app

DESCRIPTION = Path(__file__).resolve().parents[2] / "web" / "static" / "openapi.json"
EXAMPLES = 200 if os.environ.get("PROGRAMME") == "full" else 8
ADDRESSES = ("status", "balances", "accounts", "accounts/1010/register", "chart", "journal",
             "events")  # fmt: skip


def ask(client: Any, address: str, code: int = 200) -> Any:
    answer = client.get(f"/api/{address}")
    assert answer.status_code == code, answer.text
    kind = "application/json" if code == 200 else "application/problem+json"
    assert answer.mimetype == kind
    return json.loads(answer.text)


# What it answers


def test_the_figures_are_those_of_the_pages(client: Any, queries: Any) -> None:
    found = ask(client, "balances")
    assert found["debits"] == found["credits"]
    assert {b["code"]: b["amount"] for b in found["balances"]} == {
        b.code: f"{b.amount:f}" for b in queries.balances()
    }
    by_code = {a["code"]: a for a in ask(client, "accounts")["accounts"]}
    held = sum(b.amount for b in queries.balances() if b.code.startswith("1110."))
    assert by_code["1110"]["balance"] == f"{held:f}"
    assert by_code["1010"]["roles"] == ["cash_float"]
    register = ask(client, "accounts/1110.ALFA/register")
    assert len(register["lines"]) == len(queries.register("1110.ALFA"))
    assert ask(client, "status")["status"]["identity"] == "DEMO_USA_SIM_01"
    assert ask(client, "chart")["chart"]["mapping"]["fees"] == "5020"


def test_both_clocks_on_every_address(client: Any, queries: Any) -> None:
    for address in ADDRESSES:
        found = ask(client, f"{address}?as_of=2013-10-07&known_at=50")
        assert found["moment"] == {
            "as_of": "2013-10-07", "known_at": 50,
            "recorded_at": f"{queries.event(50).recorded_at:%Y-%m-%dT%H:%M:%S}Z",
        }  # fmt: skip
    then = ask(client, "balances?as_of=2013-10-07&known_at=50")
    moment = queries.moment("2013-10-07", "50")
    assert [b["amount"] for b in then["balances"]] == [
        f"{b.amount:f}" for b in queries.balances(moment)
    ]


def test_lists_come_in_parts(client: Any) -> None:
    first = ask(client, "journal?limit=3&order=oldest")
    rest = ask(client, "journal?limit=1000&offset=3&order=oldest")
    assert (first["more"], rest["more"]) == (True, False)
    assert len(first["entries"]) == 3
    numbers = [e["transaction_id"] for e in first["entries"] + rest["entries"]]
    assert len(numbers) == len(set(numbers))
    events = ask(client, "events?after=10&limit=2")
    assert [e["position"] for e in events["events"]] == [11, 12]
    assert {e["topic"] for e in ask(client, "events?type=Order.Filled")["events"]} == {
        "Order.Filled"
    }


# What it refuses


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("balances?asof=2013", 400, "There is no parameter 'asof' here"),
        ("balances?as_of=2013&as_of=2014", 400, "as_of is given twice"),
        ("balances?as_of=", 400, "as_of is empty"),
        ("balances?as_of=soon", 400, "'soon'"),
        ("balances?known_at=99999", 400, "There is no event 99999"),
        ("journal?limit=0", 400, "whole number from 1 to 1000"),
        ("journal?limit=1001", 400, "whole number from 1 to 1000"),
        ("journal?limit=ten", 400, "whole number"),
        ("journal?offset=-1", 400, "whole number"),
        ("journal?since=now", 400, "is not a date"),
        ("journal?order=up", 400, "is not one of newest, oldest"),
        ("events?before=99999999999999999999", 400, "whole number"),
        ("events?text=%00", 400, "no null character"),
        ("accounts/7777/register", 404, "There is no account '7777'"),
        ("chart?as_of=2001", 404, "No chart of accounts was in force"),
        ("nothing", 404, "no such address"),
        ("accounts/1010", 404, "no such address"),
    ],
)
def test_a_problem_says_what_is_safe_and_what_to_do(
    client: Any, address: str, code: int, said: str
) -> None:
    problem = ask(client, address, code)
    assert said in problem["detail"]
    assert problem["status"] == code
    assert problem["type"] == "about:blank"
    assert "as they were" in problem["safe"]
    assert problem["todo"]


def test_nobody_in_particular_is_told_nothing(provisioned: Any) -> None:
    stranger = provisioned.client(None)
    for address in (*ADDRESSES, "openapi.json"):
        problem = ask(stranger, address, 401)
        assert "ACME" not in json.dumps(problem)
    viewer = provisioned.client("viewer")
    assert ask(viewer, "status")["status"]["identity"] == "ACME_USA_SIM_01"
    assert viewer.post("/api/status").status_code == 405


def test_what_cannot_be_read_is_a_problem_too(unreadable: Any) -> None:
    from runtime.queries import Queries

    queries = Queries(unreadable)
    problem = ask(create_app(queries).test_client(), "balances", 503)
    assert "20" in problem["detail"]
    queries.close()


# That it does what it says


def test_every_address_is_described_and_the_other_way_round(client: Any) -> None:
    described = set(ask(client, "openapi.json")["paths"])
    routes = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.nothing"
    }
    assert described == routes


PATHS = list(json.loads(DESCRIPTION.read_text())["paths"])[::-1]  # that of the description is last


POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
# an address without parameters cannot be asked wrongly
CASES = [(path, POSITIVE) for path in PATHS] + [(path, NEGATIVE) for path in PATHS[:-1]]


@pytest.mark.parametrize(("path", "mode"), CASES)
def test_schemathesis_finds_nothing(client: Any, path: str, mode: Any) -> None:
    """Requests as described, and requests that are not: each answer is one that is described."""
    schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()))
    schema.app = client.application

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path]["GET"].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        case.call_and_validate()

    run()
