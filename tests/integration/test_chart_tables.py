"""A ledger whose chart says otherwise than the events blocks the start, and says how to mend it."""

from typing import Any

import pytest

from aggregates.chart_of_accounts import AdoptChart
from config.settings import demo_settings
from projections.ledger import Ledger, template_chart
from projections.ledger_queries import LedgerQueries
from runtime.build_check import StartBlocked, check_books

IDENTITY = "DEMO_USA_SIM_01"


class Opened:
    """What the check looks at, of a bot that is about to start."""

    def __init__(self, keeper: Any) -> None:
        self.folder, self.settings = keeper.folder, demo_settings()
        self.views = self
        self.feed, self.ledger, self.books = keeper.feed, keeper.ledger, keeper.books


@pytest.fixture
def opened(keeper: Any) -> Any:
    """Two versions of the chart, the second with parents and another role."""
    chart = template_chart()
    accounts = tuple(
        type(a)(code=a.code, name=a.name, type=a.type, per_instrument=a.per_instrument,
                **({"parent": "5020"} if a.code == "5010" else {}))
        for a in chart.accounts
    )  # fmt: skip
    second = type(chart)(
        version=2, accounts=accounts, mapping=chart.mapping | {"commissions": "5020"}
    )
    keeper.do(AdoptChart, "2024-02-01", chart=second, reason="one account for both")
    return Opened(keeper)


def test_a_ledger_that_fits_may_start(opened: Any) -> None:
    check_books(opened)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE coa_accounts SET parent = '5030' WHERE account_code = '5010' AND coa_version = 2",
         "table of accounts"),
        ("UPDATE coa_accounts SET parent = '' WHERE account_code = '5010'", "table of accounts"),
        ("UPDATE coa_accounts SET active = 0 WHERE account_code = '1010' AND coa_version = 1",
         "table of accounts"),
        ("DELETE FROM coa_accounts WHERE coa_version = 1", "table of accounts"),
        ("INSERT INTO coa_accounts VALUES (3, '1010', 'x', 'asset', 0, 1, '')",
         "table of accounts"),
        ("UPDATE coa_metadata SET coa_json = replace(coa_json, '\"fees\":\"5020\"',"
         " '\"fees\":\"5010\"') WHERE coa_version = 2", "roles (what posts where) do"),
        ("UPDATE coa_metadata SET coa_json = replace(coa_json, '\"parent\":\"5020\"',"
         " '\"parent\":\"5030\"')", "chart of accounts do"),
        ("UPDATE coa_metadata SET coa_json = replace(coa_json, 'Cash float', 'Slush fund')"
         " WHERE coa_version = 1", "chart of accounts do"),
        ("UPDATE coa_metadata SET coa_json = 'none' WHERE coa_version = 1", "chart of accounts"),
        ("DELETE FROM coa_metadata WHERE coa_version = 1", "chart of accounts"),
        ("UPDATE coa_metadata SET last_updated_utc = '2001' WHERE coa_version = 2",
         "versions and dates do"),
        ("UPDATE coa_metadata SET effective_date = '2001-01-01' WHERE coa_version = 1",
         "versions and dates do"),
        ("UPDATE coa_metadata SET position = 1 WHERE coa_version = 1", "versions and dates do"),
    ],
)  # fmt: skip
def test_any_tampered_row_blocks_the_start(opened: Any, change: str, words: str) -> None:
    ledger: Ledger = opened.ledger
    ledger.connection.execute(change)
    opened.books = LedgerQueries(ledger.connection)
    with pytest.raises(StartBlocked) as blocked:
        check_books(opened)
    said = str(blocked.value)
    assert words in said
    assert "start is blocked and nothing was written; the events are safe" in said
    assert f"Move {IDENTITY}_BOT_ledger.db away: it is rebuilt at the next start" in said
