"""tbot diff, orders, positions, chart and both clocks of every reading command, on a small book."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aggregates.capital import RecordFee
from aggregates.order_messages import IntendOrder
from runtime.cli import main

Tbot = Callable[..., Result]
BOTH = ("balances", "journal", "positions", "orders", "chart", "status")


@pytest.fixture
def tbot(keeper: Any) -> Tbot:
    """January: bought and filed at event 7; then a late fee, and in February a sale."""
    keeper.buy("10", "10.00", "2024-01-02")
    keeper.capital(RecordFee, "7.25", "2024-01-15", reason="forgotten, sorry")
    keeper.sell("4", "12.00", "2024-02-05")
    keeper.do(
        IntendOrder, "2024-02-06", order_id="waits", bot_identity="B", instrument_id="XNYS:SPY",
        symbol="SPY", sleeve="trading", side="buy", order_type="limit", strategy="OPEN",
        quantity=Decimal(5), limit_price=Decimal("9.50"), reason="signal",
    )  # fmt: skip

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--data-dir", str(keeper.folder.root)])

    return run


@pytest.fixture
def closed(keeper: Any, tbot: Tbot) -> Tbot:
    """January closed at event 12; afterwards a deposit that belongs to it."""
    keeper.close_period("2024-01-31")
    keeper.deposit("50.00", "2024-01-20")
    return tbot


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


DIFF = ("diff", "--period", "2024-01", "--since", "7")


def test_the_report_for_a_person(tbot: Tbot) -> None:
    text = tbot(*DIFF).stdout
    assert "Known then  event 7, recorded 2024-01-02 14:30:00 UTC" in text
    assert "1010  Cash float" in text
    assert "99,900.00  99,892.75       -7.25" in text
    result = next(line for line in text.splitlines() if "Result of the period" in line)
    assert result.split()[-3:] == ["0.00", "-7.25", "-7.25"]
    assert "Capital.FeeCharged  by tester (command c" in text
    assert "why: forgotten, sorry" in text
    assert "effective 2024-01-15" in text
    assert "SPY" not in text  # February is not in it


def test_json_and_csv_say_the_same_in_decimal_strings(tbot: Tbot) -> None:
    as_json = said(tbot(*DIFF, "--format", "json"))
    assert as_json["nothing_changed"] is False
    assert [(a["code"], a["amount"]["difference"]) for a in as_json["accounts"]] == [
        ("1010", "-7.25"), ("5020", "7.25"),
    ]  # fmt: skip
    (entry,) = as_json["entries"]
    assert [(p["code"], p["amount"]) for p in entry["postings"]] == [
        ("5020", "7.25"), ("1010", "-7.25"),
    ]  # fmt: skip
    as_csv = rows(tbot(*DIFF, "--format", "csv"))
    assert [(r["part"], r["code"], r["difference"] or r["amount"]) for r in as_csv] == [
        ("account", "1010", "-7.25"), ("account", "5020", "7.25"), ("total", "", "0.00"),
        ("result", "", "-7.25"), ("entry", "5020", "7.25"), ("entry", "1010", "-7.25"),
    ]  # fmt: skip
    assert as_csv[-1]["reason"] == entry["source"]["reason"] == "forgotten, sorry"
    assert as_csv[-1]["actor"] == "tester"


def test_what_was_posted_after_a_closed_period_stands_apart(closed: Tbot) -> None:
    closed_month = (*DIFF[:3], "--since", "12")
    text = closed(*closed_month).stdout
    assert "No account of the period differs." in text
    assert "NOT in the figures above" in text
    assert "belongs to 2024-01-20, posted on 2024-02-01: its period was closed" in text
    assert "closed through 2024-01-31" in text
    later = [r for r in rows(closed(*closed_month, "--format", "csv")) if r["position"]]
    assert {(r["part"], r["own_date"], r["effective_date"]) for r in later} == {
        ("posted later", "2024-01-20", "2024-02-01")
    }


def test_securities_orders_and_units_are_in_every_format(tbot: Tbot) -> None:
    whole = ("diff", "--period", "2024", "--since", "7")
    text = tbot(*whole).stdout
    assert "Held on 2024-12-31" in text
    assert "Orders at the end of the period" in text
    assert "intended, 0 of 5" in text
    found = said(tbot(*whole, "--format", "json"))
    assert found["holdings"][0]["quantity"] == {"then": "10", "now": "6", "difference": "-4"}
    parts = {r["part"]: r for r in rows(tbot(*whole, "--format", "csv"))}
    assert parts["holding"]["units_difference"] == "-4"
    assert (parts["order"]["before"], parts["order"]["after"]) == ("not known", "intended, 0 of 5")


def test_nothing_changed_is_said_clearly(tbot: Tbot) -> None:
    nothing = ("diff", "--period", "2023-Q4", "--since", "7")
    assert "Nothing changed: the period is what it was known to be then." in tbot(*nothing).stdout
    found = said(tbot(*nothing, "--format", "json"))
    assert found["nothing_changed"] is True
    assert found["entries"] == found["accounts"] == []
    assert [r["difference"] for r in rows(tbot(*nothing, "--format", "csv"))] == ["0.00", "0.00"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--period", "January", "--since", "7"), "'January' is not a date; write it as"),
        (("--period", "2024-02:2024-01", "--since", "7"), "ends before it begins"),
        (("--period", "2024-01", "--since", "12"), "There is no event 12; the store holds 1 to"),
        (("--period", "2024-01", "--since", "9" * 5000), "neither an event number"),
        (("--period", "2024-01", "--since", "7", "--known-at", "6"), "Exchange the two"),
        (("--period", "2024-01", "--since", ""), "Say since when"),
        (("--period", "2024-01"), "Missing option '--since'"),
    ],
)
def test_bad_usage_exits_2_and_says_what_is_allowed(
    tbot: Tbot, arguments: tuple[str, ...], words: str
) -> None:
    result = tbot("diff", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_an_account_that_does_not_exist_is_an_error_and_no_empty_journal(tbot: Tbot) -> None:
    unknown = tbot("journal", "--account", "9999")
    assert unknown.exit_code == 2
    assert "There is no account 9999 then; `tbot chart` lists those there are." in unknown.output
    assert tbot("journal", "--account", "1110.SPY").exit_code == 0


def test_a_month_a_quarter_or_a_year_is_its_last_day(tbot: Tbot) -> None:
    for period, last in (
        ("2024-01", "2024-01-31"),
        ("2024-Q1", "2024-03-31"),
        ("2023", "2023-12-31"),
    ):
        answers = [tbot("balances", "--as-of", day) for day in (period, last)]
        assert answers[0].exit_code == 0
        assert answers[0].stdout == answers[1].stdout
    assert tbot("balances", "--as-of", "2023").stdout == "No entries up to then.\n"


def test_positions_as_of_both_clocks(tbot: Tbot) -> None:
    def held(*clocks: str) -> list[tuple[str, str, str]]:
        found = said(tbot("positions", *clocks, "--format", "json"))
        return [(p["code"], p["quantity"], p["cost"]) for p in found]

    assert held() == [("1110.SPY", "6", "60.00")]
    assert held("--as-of", "2024-01") == [("1110.SPY", "10", "100.00")]
    assert held("--known-at", "5") == []
    assert "Nothing is held." in tbot("positions", "--known-at", "5").stdout
    assert "1110.SPY  SPY     SPY        6          60.00" in tbot("positions").stdout
    assert rows(tbot("positions", "--format", "csv"))[0]["cost"] == "60.00"


def test_orders_as_of_both_clocks(tbot: Tbot) -> None:
    def states(*arguments: str) -> list[str]:
        return [o["state"] for o in said(tbot("orders", *arguments, "--format", "json"))]

    assert states() == ["filled", "filled", "intended"]
    assert states("--open") == ["intended"]
    assert states("--as-of", "2024-01") == ["filled"]
    assert states("--known-at", "6") == ["intended"]
    assert "waits" in tbot("orders", "--open").stdout
    assert "No order fits." in tbot("orders", "--known-at", "5").stdout
    assert rows(tbot("orders", "--format", "csv"))[0]["average_price"] == "10.000000"


def test_the_chart_with_its_roles(tbot: Tbot) -> None:
    assert "Chart of accounts, version 1" in tbot("chart").stdout
    by_code = {r["code"]: r for r in rows(tbot("chart", "--format", "csv"))}
    assert by_code["1010"]["roles"] == "cash_float"
    assert by_code["1010"]["parent"] == ""
    assert said(tbot("chart", "--format", "json"))["mapping"]["cash_float"] == "1010"
    too_early = tbot("chart", "--as-of", "2013")
    assert too_early.exit_code == 2
    assert "No chart of accounts was in force" in too_early.stderr


@pytest.mark.parametrize(
    ("kind", "words"),
    [("json", '"coa_version": 1'), ("csv", "1010,Cash float,asset,"), ("md", "| 1010 | Cash")],
)
def test_the_chart_as_a_file_for_people(tbot: Tbot, tmp_path: Path, kind: str, words: str) -> None:
    target = tmp_path / "chart"
    assert tbot("export", f"coa-{kind}", "-o", str(target)).exit_code == 0
    assert words in target.read_text()
    assert tbot("export", f"coa-{kind}", "-o", str(target), "--as-of", "2013").exit_code == 2


def test_status_as_it_was_then(tbot: Tbot) -> None:
    then = said(tbot("status", "--known-at", "7", "--format", "json"))
    event = said(tbot("events", "--after", "6", "--limit", "1", "--format", "json"))[0]
    assert (then["position"], then["head_hash"]) == (7, event["hash"])
    assert (
        said(tbot("status", "--known-at", "1999-01-01T00:00", "--format", "json"))["position"] == 0
    )


@pytest.mark.parametrize("command", BOTH)
def test_every_reading_command_takes_both_clocks(tbot: Tbot, command: str) -> None:
    result = tbot(command, "--as-of", "2024-Q1", "--known-at", "2030-01-01T00:00Z")
    assert result.exit_code == 0
    assert result.stdout == tbot(command).stdout
