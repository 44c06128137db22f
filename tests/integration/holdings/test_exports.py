"""The files of the long-term holdings: report, logs, transactions, as CSV, JSON and for print."""

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aggregates.capital import Earmark, RecordDividend, RecordWithdrawal
from aggregates.errors import DomainError
from aggregates.holdings_plan import RollBackPlan, SavePlan
from aggregates.session import Mark, MarkPrices, OpenSession
from projections.ledger_records import AsOf
from runtime.cli import main
from runtime.holdings_view import FORMS, WHATS, HoldingsView
from runtime.queries import Queries

D = Decimal
HOLD = {"sleeve": "holdings", "context": "rebalance"}


@pytest.fixture
def told(keeper: Any, plan_of: Callable[..., Any]) -> Any:
    """Two versions of a plan, securities bought, sold and marked, reserves made and paid out."""
    keeper.register("SCHD", name="Schwab US Dividend Equity", kind="etf")
    keeper.register("SCHY", name="=SUM(1)", kind="etf")
    keeper.do(SavePlan, "2024-01-02", plan=plan_of(SCHD="60", SCHY=None), seen=0)
    keeper.do(SavePlan, "2024-01-03", plan=plan_of(SCHD="55.5", SCHY=None, VTI=None), seen=1,
              reason="=a broader mix")  # fmt: skip
    keeper.buy("10.5", "20.00", "2024-01-03", symbol="SCHD", **HOLD, commission="0.35")
    keeper.buy("3", "70.00", "2024-01-03", symbol="SCHY", **HOLD)
    keeper.buy("10", "100.00", "2024-01-03")  # of trading: nobody's business here
    keeper.sell("0.5", "22.00", "2024-01-04", symbol="SCHD", **HOLD)
    keeper.capital(RecordDividend, "4.00", "2024-01-05", symbol="SCHD", withheld=D("0.60"))
    keeper.capital(Earmark, "200.00", "2024-01-05", purse_from="float", purse_to="tax_reserve",
                   context="tax-reserve")  # fmt: skip
    keeper.capital(RecordWithdrawal, "50.00", "2024-01-08", purse="tax_reserve",
                   purpose="income_tax")  # fmt: skip
    at = datetime(2024, 1, 8, 14, 30, tzinfo=UTC)
    keeper.do(OpenSession, "2024-01-08", label="2024-01-08", opens_at=at, symbols=(),
              closes_at=at.replace(hour=21), settings_position=0)  # fmt: skip
    mark = Mark(instrument_id="XNYS:SCHD", symbol="SCHD", price=D("21.5"), at=at.replace(hour=21))
    keeper.do(MarkPrices, "2024-01-08", occasion="close", marks=(mark,))
    keeper.do(RollBackPlan, "2024-01-09", to=1, seen=2, reason="put back")
    return keeper


@pytest.fixture
def view(told: Any) -> Iterator[HoldingsView]:
    queries = Queries(told.folder)
    yield HoldingsView(queries)
    queries.close()


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("form", FORMS)
def test_the_files_are_what_they_were(
    view: HoldingsView, golden: Callable[[str, str | bytes], None], what: str, form: str
) -> None:
    name, data, media = view.export(what, form)
    assert name == f"DEMO_USA_SIM_01_BOT_holdings_{what}.{form}"
    assert media.partition(";")[0] == {
        "csv": "text/csv", "json": "application/json", "txt": "text/plain"}[form]  # fmt: skip
    golden(f"holdings_{what}.{form}", data)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_every_log_line_says_who_when_what_how_much_before_and_after(view: HoldingsView) -> None:
    _, data, _ = view.export("log", "csv")
    lines = rows(data)
    assert all(line["user"] == "tester" and line["recorded_at"].endswith("Z") for line in lines)
    saved = [line for line in lines if line["action"] == "HoldingsPlan.Saved"]
    assert [line["before"] for line in saved] == ["", *(line["after"] for line in saved[:-1])]
    assert saved[0]["after"] == saved[2]["after"]
    (tax,) = [line for line in lines if line["action"] == "Capital.Earmarked"]
    assert tax["amount"] == "200.00"
    assert {line["symbol"] for line in lines} == {"", "SCHD", "SCHY"}  # no order of trading


def test_transactions_carry_the_balance_of_their_account_before_and_after(
    view: HoldingsView,
) -> None:
    _, data, _ = view.export("transactions", "csv")
    lines = rows(data)
    tax = [(r["context"], r["before"], r["after"]) for r in lines if r["account"] == "1030"]
    assert tax == [("tax-reserve", "0.00", "200.00"), ("withdrawal", "200.00", "150.00")]
    by_entry: dict[str, D] = {}
    for line in lines:
        by_entry[line["transaction_id"]] = by_entry.get(line["transaction_id"], D(0)) + D(
            line["amount"])  # fmt: skip
    assert len(by_entry) == 6
    assert set(by_entry.values()) == {D(0)}


def test_sqlite_reads_the_csv_files_and_adds_them_up_to_our_figures(
    view: HoldingsView, tmp_path: Path, need_tool: Callable[[str, str], str]
) -> None:
    need_tool("sqlite3", "sqlite3")
    for what in WHATS:
        (tmp_path / f"{what}.csv").write_bytes(view.export(what, "csv")[1])
    asked = (
        "SELECT printf('%.2f', SUM(market_value)) FROM report WHERE kind = 'security';"
        "SELECT printf('%.2f', SUM(amount)) FROM transactions WHERE account LIKE '1130.%';"
        "SELECT COUNT(*) FROM log WHERE action = 'HoldingsPlan.Saved';"
    )
    script = "".join(f".import --csv {tmp_path / f'{what}.csv'} {what}\n" for what in WHATS)
    done = subprocess.run(
        [shutil.which("sqlite3") or "", ":memory:"], input=script + asked, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    cost = sum((r.cost for r in view.state().rows), D(0))
    assert done.stdout.split() == [f"{view.state().long_term_value}", f"{cost}", "3"]


def test_nothing_in_a_csv_is_a_formula(view: HoldingsView) -> None:
    for what in WHATS:
        for row in rows(view.export(what, "csv")[1]):
            assert not [v for v in row.values() if v[:1] in "=+@" and v]


def test_without_a_price_every_form_says_so(view: HoldingsView) -> None:
    before = AsOf(date=date(2024, 1, 2))
    report = json.loads(view.export("report", "json", before)[1])
    assert [s["price"] for s in report["securities"]] == [None, None]
    text = view.export("report", "txt", before)[1].decode()
    assert text.count("no price at this time") == 2
    security = rows(view.export("report", "csv", before)[1])[0]
    assert (security["symbol"], security["price"], security["units"]) == ("SCHD", "", "0")


def test_the_plan_of_then_is_what_the_report_is_measured_by(view: HoldingsView, told: Any) -> None:
    def version(**moment: Any) -> tuple[int, list[str]]:
        sheet = view.sheet(AsOf(**moment))
        return sheet.plan_version, [row.symbol for row in sheet.state.rows]

    assert version() == (3, ["SCHD", "SCHY"])
    assert version(date=date(2024, 1, 3)) == (2, ["SCHD", "SCHY", "VTI"])
    assert version(date=date(2024, 1, 2)) == (1, ["SCHD", "SCHY"])
    assert version(position=told.store.head().position - 1) == (2, ["SCHD", "SCHY", "VTI"])


def test_an_interval_after_the_first_plan_the_next_rebalance_is_due(view: HoldingsView) -> None:
    due = view.next_rebalance()
    assert due is not None
    assert (due.last, due.on, due.months) == (date(2024, 1, 2), date(2024, 7, 2), 6)
    assert view.next_rebalance(AsOf(date=date(2024, 1, 1))) is None


def test_an_export_that_is_none_of_them_is_refused(view: HoldingsView) -> None:
    for what, form in (("report", "pdf"), ("everything", "csv")):
        with pytest.raises(DomainError, match="Nothing was written"):
            view.export(what, form)


def test_tbot_holdings_prints_the_same(view: HoldingsView, told: Any) -> None:
    def tbot(*more: str) -> bytes:
        done = CliRunner().invoke(main, ["holdings", "--data-dir", str(told.folder.root), *more])
        assert done.exit_code == 0, done.output
        return done.stdout_bytes

    assert tbot() == view.export("report", "txt")[1]
    assert tbot("--json") == view.export("report", "json")[1]
    moment = AsOf(date=date(2024, 1, 4), position=12)
    assert tbot("--as-of", "2024-01-04", "--known-at", "12", "--format", "csv") == view.export(
        "report", "csv", moment)[1]  # fmt: skip
    assert tbot("--transactions", "--format", "csv") == view.export("transactions", "csv")[1]
    assert tbot("--log", "--json") == view.export("log", "json")[1]
