"""What changed in a period since it was filed: figures, the entries behind them, who and why."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.capital import RecordFee
from aggregates.chart_of_accounts import Account, AdoptChart, Chart
from aggregates.errors import DomainError
from aggregates.order_messages import IntendOrder, RecordExpiry, RecordSubmission
from projections.difference_entries import DoesNotAddUp
from projections.difference_records import Difference
from projections.ledger import template_chart
from projections.ledger_queries import LedgerQueries
from runtime.dispatch import Dispatcher
from runtime.queries import Queries

JANUARY = "2024-01"


@pytest.fixture
def queries(keeper: Any) -> Iterator[Queries]:
    found = Queries(keeper.folder)
    yield found
    found.close()


def figures(found: Difference) -> dict[str, tuple[str, str, str]]:
    return {
        a.code: (f"{a.amount.then:f}", f"{a.amount.now:f}", f"{a.amount.difference:f}")
        for a in found.accounts
    }


def lines(entry: Any) -> list[tuple[str, str]]:
    return [(p.code, f"{p.amount:f}") for p in entry.postings]


def test_a_late_deposit_shows_in_figures_and_with_who_and_why(keeper: Any, queries: Any) -> None:
    filed = keeper.deposit("10.00", "2024-01-31")
    keeper.clock = datetime(2024, 2, 9, 8, 30, tzinfo=UTC)
    keeper.dispatch = Dispatcher(keeper.store, "accountant")
    late = keeper.capital(RecordFee, "12.50", "2024-01-15", reason="forgotten invoice")
    keeper.deposit("99.00", "2024-02-01")  # of another month
    found = queries.difference(JANUARY, str(filed))
    assert figures(found) == {
        "1010": ("100010.00", "99997.50", "-12.50"),
        "5020": ("0.00", "12.50", "12.50"),
    }
    assert (found.total.then, found.total.difference) == (Decimal("100010.00"), 0)
    assert (found.result.then, found.result.now) == (0, Decimal("-12.50"))
    (entry,) = found.entries
    source = entry.source
    assert (source.position, source.actor, source.topic) == (
        late,
        "accountant",
        "Capital.FeeCharged",
    )
    assert (source.reason, source.recorded_at) == ("forgotten invoice", keeper.clock)
    assert source.command_id == f"c{keeper.number - 1}"
    assert (entry.effective_date, entry.own_date) == (date(2024, 1, 15), date(2024, 1, 15))
    assert lines(entry) == [("5020", "12.50"), ("1010", "-12.50")]
    assert not [*found.posted_later, *found.holdings, *found.orders, *found.chart]


def test_nothing_changed_says_so(keeper: Any, queries: Any) -> None:
    filed = keeper.deposit("10.00", "2024-01-31")
    keeper.deposit("99.00", "2024-02-01")
    found = queries.difference(JANUARY, str(filed))
    assert found.nothing
    assert not found.accounts
    assert queries.difference(JANUARY, str(filed + 1)).nothing
    assert not queries.difference("2024-02", str(filed)).nothing


def test_a_late_purchase_shows_the_sales_that_it_recosts(keeper: Any, queries: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-02")
    filed = sale = keeper.sell("10", "15.00", "2024-01-10")
    late = keeper.buy("10", "20.00", "2024-01-05")
    found = queries.difference(JANUARY, str(filed))
    assert figures(found) == {
        "1010": ("100050.00", "99850.00", "-200.00"),
        "1110.SPY": ("0.00", "150.00", "150.00"),
        "4010": ("-50.00", "0.00", "50.00"),
    }
    bought, recost = found.entries
    assert [e.source.position for e in found.entries] == [late, late]
    assert (bought.about, bought.concerns) == (late, "")
    assert (recost.about, recost.concerns) == (sale, "Sold 10 SPY at 15.00")
    assert recost.effective_date == date(2024, 1, 10)
    assert lines(recost) == [("1110.SPY", "-50.00"), ("4010", "50.00")]
    (held,) = found.holdings
    assert (held.code, held.quantity.then, held.quantity.now) == ("1110.SPY", 0, 10)
    assert (held.cost.then, held.cost.now) == (0, Decimal("150.00"))


def test_a_reversal_that_is_undone_again_lists_both_and_differs_in_nothing(
    keeper: Any, queries: Any
) -> None:
    fee = keeper.capital(RecordFee, "2.50", "2024-01-15")
    keeper.reverse(fee)
    keeper.capital(RecordFee, "2.50", "2024-01-15", reason="it was right")
    found = queries.difference(JANUARY, str(fee))
    assert not found.accounts
    assert [e.source.topic for e in found.entries] == ["Books.EntryReversed", "Capital.FeeCharged"]
    assert found.entries[0].concerns == "Fee: as stated"
    assert not found.nothing


def test_what_a_close_moved_out_of_the_period_is_listed_apart(keeper: Any, queries: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-02")
    fee = keeper.capital(RecordFee, "2.50", "2024-01-15")
    filed = keeper.close_period("2024-01-31", day="2024-02-05")
    late = keeper.capital(RecordFee, "7.00", "2024-01-20", reason="found in March")
    undone = keeper.reverse(fee, day="2024-02-20")
    keeper.deposit("5.00", "2024-02-01")  # its own day is the first open one
    found = queries.difference(JANUARY, str(filed))
    assert found.closed_through == date(2024, 1, 31)
    assert not [*found.accounts, *found.entries]
    assert not found.nothing
    first, second = found.posted_later
    assert (first.source.position, second.source.position) == (late, undone)
    for entry, own in ((first, 20), (second, 15)):
        assert entry.own_date == date(2024, 1, own)
        assert entry.effective_date == date(2024, 2, 1)
    whole_year = queries.difference("2024", str(filed))  # there they are inside
    assert not whole_year.posted_later
    assert whole_year.entry_count == 3
    assert whole_year.entries[0].own_date == date(2024, 1, 20)


def test_a_day_before_the_close_and_a_close_that_came_first(keeper: Any, queries: Any) -> None:
    """Closed through the 31st: what belongs to the 10th is posted on 1 February all the same."""
    filed = keeper.close_period("2024-01-31", day="2024-02-05")
    keeper.close_period("2024-02-29", day="2024-03-05")
    late = keeper.deposit("5.00", "2024-01-10")
    found = queries.difference("2024-01-10", str(filed))
    assert [e.source.position for e in found.posted_later] == [late]
    assert found.posted_later[0].effective_date == date(2024, 3, 1)
    before = queries.difference("2024-01-10", str(filed), str(filed))
    assert before.nothing
    assert before.closed_through == date(2024, 1, 31)  # February's close was not known yet


def test_a_late_split_moves_units_and_no_amounts(keeper: Any, queries: Any) -> None:
    filed = keeper.buy("10", "10.00", "2024-01-02")
    keeper.split(2, 1, "2024-01-20")
    found = queries.difference(JANUARY, str(filed))
    (account,) = found.accounts
    assert (account.code, account.amount.difference) == ("1110.SPY", 0)
    assert account.quantity is not None
    assert (account.quantity.then, account.quantity.now) == (10, 20)


def changed(*accounts: Account, drop: str = "") -> Chart:
    by_code = {a.code: a for a in (*template_chart().accounts, *accounts) if a.code != drop}
    chart: Chart = msgspec.structs.replace(
        template_chart(), version=2, accounts=tuple(by_code.values())
    )
    return chart


def test_the_chart_of_accounts_is_compared_too(keeper: Any, queries: Any) -> None:
    filed = keeper.deposit("10.00", "2024-01-31")
    chart = changed(
        Account(code="5990", name="Postage", type="expense"),
        Account(code="4040", name="Interest received", type="income"),
        Account(code="2010", name="Tax payable", type="liability", active=False),
        Account(code="1990", name="Suspense", type="liability"),
        Account(code="1991", name="Riddles", type="asset"),
        drop="9020",
    )
    with pytest.raises(DomainError, match=r"2010|slippage|suspense"):  # roles still post there
        keeper.do(AdoptChart, "2024-01-15", chart=chart, reason="for the auditor")
    mapping = chart.mapping | {"tax_payable": "2020", "slippage": "9010", "suspense": "1991"}
    chart = msgspec.structs.replace(chart, mapping=mapping)
    adopted = keeper.do(AdoptChart, "2024-01-15", chart=chart, reason="for the auditor")
    found = queries.difference(JANUARY, str(filed))
    assert {(c.code, c.what) for c in found.chart} == {
        ("5990", "added"), ("4040", "renamed"), ("2010", "deactivated"), ("9020", "removed"),
        ("1990", "retyped"), ("1991", "added"),
        ("tax_payable", "remapped"), ("slippage", "remapped"), ("suspense", "remapped"),
    }  # fmt: skip
    renamed = next(c for c in found.chart if c.what == "renamed")
    assert (renamed.before, renamed.after) == ("Interest", "Interest received")
    assert (renamed.source.position, renamed.source.reason) == (adopted, "for the auditor")
    assert queries.difference("2024-01-14", str(filed)).nothing  # not in force that day


def test_the_chart_itself_follows_both_clocks(keeper: Any, queries: Any) -> None:
    keeper.do(
        AdoptChart, "2024-02-01", reason="new name",
        chart=changed(Account(code="4040", name="Interest received", type="income")),
    )  # fmt: skip
    versions = {
        (day, known): queries.chart(queries.moment(day, known)).version
        for day in ("2024-01", "2024-02", None)
        for known in ("5", None)
    }
    assert versions == {
        ("2024-01", "5"): 1, ("2024-01", None): 1, ("2024-02", "5"): 1, ("2024-02", None): 2,
        (None, "5"): 1, (None, None): 2,
    }  # fmt: skip
    assert queries.status(queries.moment(None, "5")).coa_version == 1


def test_orders_that_stand_otherwise_at_the_periods_end(keeper: Any, queries: Any) -> None:
    def intend(order_id: str, day: str) -> int:
        position: int = keeper.do(
            IntendOrder, day, order_id=order_id, bot_identity="B", instrument_id="XNYS:SPY",
            symbol="SPY", sleeve="trading", side="buy", order_type="market", strategy="OPEN",
            quantity=Decimal(10), reason="signal",
        )  # fmt: skip
        return position

    intend("expires", "2024-01-30")
    keeper.do(RecordSubmission, "2024-01-30", order_id="expires")
    filed = intend("stays", "2024-01-30")
    keeper.do(RecordExpiry, "2024-01-31", order_id="expires")
    keeper.do(RecordSubmission, "2024-02-01", order_id="stays")  # of February
    intend("late", "2024-01-30")
    keeper.buy("1", "10.00", "2024-01-31")  # intended and filled: an entry says it
    found = queries.difference(JANUARY, str(filed))
    assert [(o.order_id, o.then and o.then.state, o.now.state) for o in found.orders] == [
        ("expires", "submitted", "expired"),
        ("late", None, "intended"),
    ]


def test_entries_come_page_by_page_while_the_figures_stay_whole(keeper: Any, queries: Any) -> None:
    filed = keeper.deposit("1.00", "2024-01-03")
    made = [keeper.deposit(f"{n}.00", "2024-01-03") for n in range(1, 6)]
    found = queries.difference(JANUARY, str(filed), limit=2, offset=2)
    assert [e.source.position for e in found.entries] == made[2:4]
    assert found.entry_count == 5
    assert found.accounts[0].amount.difference == 15


def test_times_name_what_was_recorded_at_or_before_them(keeper: Any, queries: Any) -> None:
    keeper.clock = datetime(2024, 2, 5, 17, 0, tzinfo=UTC)
    filed = keeper.deposit("1.00", "2024-01-03")
    keeper.clock = datetime(2024, 2, 5, 17, 0, 1, tzinfo=UTC)
    keeper.deposit("2.00", "2024-01-03")
    found = queries.difference(JANUARY, "2024-02-05T17:00:00Z", "2024-02-05T18:00:01+01:00")
    assert (found.since.position, found.known.position) == (filed, filed + 1)
    assert found.since.recorded_at == datetime(2024, 2, 5, 17, 0, tzinfo=UTC)
    assert queries.difference(JANUARY, "2024-02-05T16:59:59Z", "2024-02-05T17:00").entry_count == 1
    everything = queries.difference(JANUARY, "1999-01-01T00:00Z")
    assert everything.since.recorded_at is None
    assert everything.accounts[0].amount.then == 0
    assert {c.what for c in everything.chart} == {"added"}


def test_moments_the_wrong_way_round(queries: Any) -> None:
    with pytest.raises(DomainError, match=r"Event 5 was recorded after event 4.*Exchange"):
        queries.difference(JANUARY, "5", "4")


def test_a_ledger_that_contradicts_itself_is_not_reported_on(
    keeper: Any, queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed = keeper.deposit("10.00", "2024-01-31")
    keeper.deposit("3.00", "2024-01-31")
    true = LedgerQueries.balances

    def forged(self: Any, as_of: Any) -> Any:
        return [
            msgspec.structs.replace(b, amount=b.amount + 1) if as_of.position == filed else b
            for b in true(self, as_of)
            if as_of.date >= date(2024, 1, 31)
        ]

    monkeypatch.setattr(LedgerQueries, "balances", forged)
    with pytest.raises(DoesNotAddUp, match="do not explain the balances"):
        queries.difference(JANUARY, str(filed))
