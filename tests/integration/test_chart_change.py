"""A change of the chart against the books: what they forbid, what stays, what is written."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest

from aggregates import capital
from aggregates.books import ReverseEntry
from aggregates.chart_edits import (
    CreateAccount,
    DeactivateAccount,
    MapRole,
    MoveAccount,
    ReactivateAccount,
    RenameAccount,
)
from aggregates.chart_of_accounts import ChartMoved, EditRefused
from aggregates.errors import DomainError
from eventstore.feed import Feed
from exporters.chart import chart_file
from exporters.errors import ExportError
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from runtime.chart_change import ChartChange, change_chart
from runtime.dispatch import BooksMoved, Recorded
from runtime.queries import Queries

NOBODY: dict[str, Any] = {"books_at": 0, "held": ()}


class Desk:
    """Changes one keeper's chart as a page does. ``meanwhile`` runs before the change is decided.

    A custody without a vault: what is guarded is not what is tested here.
    """

    def __init__(self, keeper: Any, queries: Queries) -> None:
        self.keeper, self.queries = keeper, queries
        self.folder = keeper.folder
        self.meanwhile: list[Callable[[], Any]] = []

    def change(self, *commands: Any, actor: str, command_id: str, secrets: Any = None) -> Recorded:
        assert (actor, secrets) == ("ada", None)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        done: Recorded = self.keeper.dispatch(*commands, command_id=command_id)
        return done

    def edit(
        self, kind: type, /, day: str = "2024-02-01", command_id: str = "", **fields: Any
    ) -> ChartChange:
        self.keeper.number += 1
        own = {"seen": self.queries.chart().version, "reason": "asked for"}
        more = NOBODY if kind in (MapRole, DeactivateAccount) else {}
        edit = self.keeper.command(kind, day, **(own | more | fields))
        name = command_id or f"edit-{self.keeper.number}"
        return change_chart(self, self.queries, edit, actor="ada", command_id=name)  # type: ignore[arg-type]

    def add(self, code: str, **fields: Any) -> ChartChange:
        own = {"name": f"New {code}", "type": "expense"}
        return self.edit(CreateAccount, code=code, **(own | fields))


@pytest.fixture
def desk(keeper: Any) -> Iterator[Desk]:
    queries = Queries(keeper.folder)
    yield Desk(keeper, queries)
    queries.close()


SECURITIES: dict[str, Any] = {"type": "asset", "per_instrument": True}


# What the books forbid


def test_an_account_with_a_balance_stays_open(desk: Desk, keeper: Any) -> None:
    """Until the balance is gone; what was posted there can be reversed after it was closed."""
    desk.add("5080")
    desk.edit(MapRole, role="fees", code="5080")
    fee = keeper.capital(capital.RecordFee, "12.50")
    desk.edit(MapRole, role="fees", code="5020")
    with pytest.raises(EditRefused, match=r"5080 holds 12\.50; it can be closed when that is"):
        desk.edit(DeactivateAccount, code="5080")
    assert desk.queries.chart().version == 4
    keeper.reverse(fee)
    desk.edit(DeactivateAccount, code="5080")
    again = keeper.capital(capital.RecordFee, "1.00")
    assert keeper.lines(again)[0] == ("5020", "1.00")


def test_units_without_cost_hold_an_account_open_too(desk: Desk, keeper: Any) -> None:
    """Shares that cost nothing are shares; and two balances that cancel out are two balances."""
    desk.add("1115", **SECURITIES)
    desk.edit(MapRole, role="trading_securities", code="1115")
    keeper.buy("3", "0.000001")
    assert keeper.balances()["1115.SPY"] == "0.00 / 3"
    with pytest.raises(EditRefused, match=r"still holds 0\.00 \(3 units in 1115\.SPY\)"):
        desk.edit(MapRole, role="trading_securities", code="1110")


def test_a_role_of_securities_moves_only_between_positions(desk: Desk, keeper: Any) -> None:
    """A sale would look for the units in the new account: the ledger could not go on."""
    keeper.buy("10", "400.00")
    desk.add("1115", **SECURITIES)
    with pytest.raises(EditRefused, match=r"1110 still holds 4,000\.00 \(10 units in 1110\.SPY\)"):
        desk.edit(MapRole, role="trading_securities", code="1115")
    keeper.sell("10", "410.00")
    desk.edit(MapRole, role="trading_securities", code="1115")
    bought = keeper.buy("5", "411.00")
    assert keeper.lines(bought)[0] == ("1115.SPY", "2055.00", "5")
    sold = keeper.sell("5", "412.00")
    assert ("4010", "-5.00") in keeper.lines(sold)
    assert "1115.SPY" not in keeper.balances()


def test_a_purse_moves_only_when_it_is_empty(desk: Desk, keeper: Any) -> None:
    """Else the books' cash would not be the broker's."""
    desk.add("1020", type="asset")
    with pytest.raises(EditRefused, match=r"1010 still holds 100,000\.00"):
        desk.edit(MapRole, role="cash_float", code="1020")
    desk.edit(MapRole, role="tax_reserve", code="1020")
    keeper.capital(capital.Earmark, "250.00", purse_from="float", purse_to="tax_reserve")
    assert keeper.balances()["1020"] == "250.00"
    assert keeper.books.broker_cash() == 100000
    desk.edit(DeactivateAccount, code="1030")


def test_a_fill_that_slips_in_is_seen(desk: Desk, keeper: Any) -> None:
    """Between the look at the books and the decision: looked at again, and refused."""
    desk.add("1115", **SECURITIES)
    desk.meanwhile = [lambda: keeper.buy("10", "400.00")]
    with pytest.raises(EditRefused, match=r"1110 still holds 4,000\.00"):
        desk.edit(MapRole, role="trading_securities", code="1115")
    assert desk.queries.chart().mapping["trading_securities"] == "1110"


def test_what_does_not_matter_may_come_between(desk: Desk, keeper: Any) -> None:
    desk.add("1115", **SECURITIES)
    desk.meanwhile = [lambda: keeper.deposit("1.00")] * 3
    desk.edit(MapRole, role="trading_securities", code="1115")
    assert desk.queries.chart().mapping["trading_securities"] == "1115"
    desk.meanwhile = [lambda: keeper.deposit("1.00")] * 5
    with pytest.raises(BooksMoved, match="Nothing was changed; try again"):
        desk.edit(MapRole, role="trading_securities", code="1110")


def test_a_form_sent_twice_counts_once(desk: Desk, keeper: Any) -> None:
    """Also when the books forbid by now what they allowed then."""
    desk.add("5080")
    seen = desk.queries.chart().version
    first = desk.edit(MapRole, role="fees", code="5080", seen=seen, command_id="form")
    keeper.buy("10", "400.00")
    again = desk.edit(MapRole, role="fees", code="5080", seen=seen, command_id="form")
    assert again.recorded == (first.recorded.positions, True)
    assert desk.queries.chart().version == seen + 1


def test_the_second_of_two_people_is_told(desk: Desk) -> None:
    desk.edit(RenameAccount, code="5020", name="First")
    with pytest.raises(ChartMoved, match="renamed from Regulatory and broker fees to First"):
        desk.edit(RenameAccount, code="5020", name="Second", seen=1)
    with pytest.raises(ChartMoved):
        desk.edit(DeactivateAccount, code="5020", seen=1)


# What an inactive account still takes


def test_a_split_that_comes_late_reaches_a_closed_account(desk: Desk, keeper: Any) -> None:
    """Ten shares were held on that day, in an account that was closed since."""
    keeper.buy("10", "400.00", "2024-01-02")
    keeper.sell("10", "410.00", "2024-01-05")
    desk.add("1115", **SECURITIES)
    desk.edit(MapRole, role="trading_securities", code="1115")
    desk.edit(DeactivateAccount, code="1110")
    late = keeper.split(2, 1, "2024-01-03")
    assert keeper.lines(late) == [("1110.SPY", "0.00", "10")]
    assert keeper.balances()["1110.SPY"].endswith(" / 10")  # ten of twenty were sold
    bought = keeper.buy("1", "200.00", "2024-02-02")
    assert keeper.lines(bought)[0] == ("1115.SPY", "200.00", "1")
    with pytest.raises(EditRefused):  # closed again only when nothing is left
        desk.edit(MapRole, role="trading_securities", code="1110")


def test_a_sale_is_reversed_only_where_the_next_one_finds_the_units(
    desk: Desk, keeper: Any
) -> None:
    keeper.buy("10", "400.00")
    sold = keeper.sell("10", "410.00")
    desk.add("1115", **SECURITIES)
    desk.edit(MapRole, role="trading_securities", code="1115")
    movements = tuple(keeper.books.unit_movements(sold))
    with pytest.raises(DomainError, match=r"1110\.SPY.*map the role back"):
        keeper.do(ReverseEntry, reversed_position=sold, reason="busted", movements=movements)
    desk.edit(MapRole, role="trading_securities", code="1110")
    keeper.reverse(sold)
    assert keeper.balances()["1110.SPY"] == "4000.00 / 10"


# What was posted stays as it was posted


def test_a_change_never_posts_the_past_again(desk: Desk, keeper: Any) -> None:
    """A ledger from the first event has the same old rows, each under the chart of its day."""
    keeper.capital(capital.RecordFee, "1.00")
    keeper.buy("10", "400.00")
    keeper.sell("4", "410.00", fees="0.07")
    sql = "SELECT * FROM transactions JOIN postings USING (transaction_id) ORDER BY posting_id"
    before = keeper.ledger.connection.execute(sql).fetchall()
    desk.add("5080")
    desk.edit(MapRole, role="fees", code="5080")
    desk.edit(MoveAccount, code="5080", parent="5020")
    desk.edit(RenameAccount, code="1010", name="Operating cash")
    keeper.sell("6", "411.00", fees="0.11")
    with closing(Feed(keeper.path)) as feed, closing(Ledger.in_memory()) as fresh:
        fresh.catch_up(feed)
        after = fresh.connection.execute(sql).fetchall()
        assert after[: len(before)] == before
        assert fresh.digest() == keeper.ledger.digest()
        entries = list(LedgerQueries(fresh.connection).journal())
    assert [e.coa_version for e in entries] == [1, 1, 1, 1, 5]
    fees = [p.code for e in entries for p in e.postings if p.code in ("5020", "5080")]
    assert fees == ["5020", "5020", "5080"]


def test_names_follow_both_clocks(desk: Desk) -> None:
    before = desk.queries.newest()
    desk.edit(RenameAccount, code="1010", name="Operating cash", day="2024-02-01")
    at = {
        (day, known): next(
            b.account
            for b in desk.queries.balances(
                AsOf(date=date.fromisoformat(day) if day else None, position=known)
            )
            if b.code == "1010"
        )
        for day, known in ((None, None), ("2024-01-31", None), (None, before))
    }
    assert list(at.values()) == ["Operating cash", "Cash float", "Cash float"]


# What is written


def test_table_and_files_follow_at_once(desk: Desk, keeper: Any) -> None:
    created = desk.add("5080", name="Data | feeds <b>", parent="5020")
    assert created.unwritten == ""
    path = keeper.folder.ledger("DEMO_USA_SIM_01")
    with closing(Ledger.read_only(path)) as ledger:
        c = ledger.connection
        version, made, updated, position = c.execute(
            "SELECT coa_version, created_at_utc, last_updated_utc, position FROM coa_metadata"
            " ORDER BY coa_version DESC"
        ).fetchone()
        row = c.execute(
            "SELECT name, type, active, parent FROM coa_accounts"
            " WHERE coa_version = 2 AND account_code = '5080'"
        ).fetchone()
    assert (version, made, updated) == (2, "2024-01-02T15:00:00.000000Z",
                                        "2024-02-01T15:00:00.000000Z")  # fmt: skip
    assert [position] == created.recorded.positions
    assert row == ("Data | feeds <b>", "expense", 1, "5020")
    stem = path.with_name("DEMO_USA_SIM_01_BOT_coa")
    as_json = json.loads(stem.with_suffix(".json").read_text())
    assert (as_json["coa_version"], as_json["currency_code"]) == (2, "USD")
    assert (as_json["created_at_utc"], as_json["last_updated_utc"]) == (made, updated)
    assert as_json["mapping"]["fees"] == "5020"
    by_code = {a["code"]: a for a in as_json["accounts"]}
    assert by_code["5080"]["parent"] == "5020"
    rows = {r["code"]: r for r in csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text()))}
    assert rows["5080"] == {
        "code": "5080", "name": "Data | feeds <b>", "type": "expense", "parent": "5020",
        "per_instrument": "no", "active": "yes", "roles": "",
    }  # fmt: skip
    assert rows["5020"]["roles"] == "fees"
    markdown = stem.with_suffix(".md").read_text()
    assert "| 5080 | Data \\| feeds &lt;b&gt; | expense | 5020 |" in markdown
    assert [p.stat().st_mode & 0o777 for p in path.parent.glob("*_coa.*")] == [0o600] * 3


def test_a_past_version_is_exported_as_it_was(desk: Desk) -> None:
    first = chart_file(desk.queries.chart_sheet(), "md")
    moment = AsOf(position=desk.queries.newest())
    desk.edit(RenameAccount, code="5020", name="Anything else")
    assert chart_file(desk.queries.chart_sheet(moment), "md") == first
    assert chart_file(desk.queries.chart_sheet(), "md") != first


def test_a_change_stands_when_its_files_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise ExportError("the disk is full")

    monkeypatch.setattr("runtime.chart_change.write_chart", full)
    done = desk.edit(RenameAccount, code="5020", name="Fees")
    assert done.unwritten.startswith("The change is recorded.")
    assert "the disk is full" in done.unwritten
    assert desk.queries.chart().version == 2


def test_the_history_says_who_changed_what_and_why(desk: Desk) -> None:
    desk.add("5080", parent="5020")
    desk.edit(MoveAccount, code="5080", parent="")
    desk.edit(DeactivateAccount, code="5080", reason="  not needed  ")
    desk.edit(ReactivateAccount, code="5080")
    versions = desk.queries.chart_versions()
    assert [v.version for v in versions] == [1, 2, 3, 4, 5]
    assert [[(c.code, c.what, c.before, c.after) for c in v.changes] for v in versions] == [
        [],
        [("5080", "added", "", "New 5080")],
        [("5080", "moved", "5020", "")],
        [("5080", "deactivated", "New 5080", "New 5080")],
        [("5080", "activated", "New 5080", "New 5080")],
    ]
    assert versions[3].reason == "not needed"
    assert {v.actor for v in versions} == {"tester"}
