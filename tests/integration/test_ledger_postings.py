"""What posts where, to the cent: every kind of event against lines worked out by hand."""

from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aggregates import capital
from aggregates.books import ClosePeriod, ReverseEntry
from aggregates.chart_of_accounts import AdoptChart
from aggregates.errors import DomainError
from aggregates.instrument import RegisterInstrument, RenameInstrument
from projections.base import ProjectionHalted
from projections.cost_pools import held_over_a_year
from projections.holdings_results import realized_by_sleeve
from projections.ledger import Ledger, template_chart
from projections.ledger_records import AsOf
from runtime.views import rebuild_ledger

SPY = "1110.SPY"


def capital_case(kind: type, *expected: tuple[str, str], **fields: Any) -> Any:
    return pytest.param(kind, fields, list(expected), id="-".join([kind.__name__, *fields]))


# Money without a trade


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        capital_case(capital.RecordDeposit, ("1010", "75.50"), ("3010", "-75.50")),
        capital_case(capital.RecordWithdrawal, ("3020", "75.50"), ("1010", "-75.50")),
        capital_case(
            capital.RecordWithdrawal, ("5040", "75.50"), ("1040", "-75.50"),
            purse="payroll_reserve", purpose="payroll",
        ),
        capital_case(
            capital.RecordWithdrawal, ("5050", "75.50"), ("1030", "-75.50"),
            purse="tax_reserve", purpose="income_tax",
        ),
        capital_case(
            capital.RecordWithdrawal, ("3020", "75.50"), ("1050", "-75.50"),
            purse="reinvestment_pool",
        ),
        capital_case(
            capital.RecordDividend, ("1010", "75.50"), ("4030", "-75.50"), symbol="SPY"
        ),
        capital_case(
            capital.RecordDividend, ("1010", "64.17"), ("5060", "11.33"), ("4030", "-75.50"),
            symbol="SPY", withheld=Decimal("11.33"),
        ),
        capital_case(
            capital.RecordDividend, ("5060", "75.50"), ("4030", "-75.50"),
            symbol="SPY", withheld=Decimal("75.50"),
        ),
        capital_case(
            capital.RecordWithholding, ("5060", "75.50"), ("1010", "-75.50"), symbol="SPY"
        ),
        capital_case(capital.RecordInterest, ("1010", "75.50"), ("4040", "-75.50")),
        capital_case(capital.RecordFee, ("5020", "75.50"), ("1010", "-75.50")),
        capital_case(capital.RecordMarginInterest, ("5030", "75.50"), ("1010", "-75.50")),
        capital_case(
            capital.RecordRounding, ("1010", "75.50"), ("5070", "-75.50"), gained=True
        ),
        capital_case(
            capital.RecordRounding, ("5070", "75.50"), ("1010", "-75.50"), gained=False
        ),
        capital_case(
            capital.Earmark, ("1030", "75.50"), ("1010", "-75.50"),
            purse_from="float", purse_to="tax_reserve",
        ),
        capital_case(
            capital.Earmark, ("1040", "75.50"), ("1010", "-75.50"),
            purse_from="float", purse_to="payroll_reserve",
        ),
        capital_case(
            capital.Earmark, ("1050", "75.50"), ("1010", "-75.50"),
            purse_from="float", purse_to="reinvestment_pool",
        ),
        capital_case(
            capital.Earmark, ("1010", "75.50"), ("1050", "-75.50"),
            purse_from="reinvestment_pool", purse_to="float",
        ),
        capital_case(
            capital.ReleaseReserve, ("1010", "75.50"), ("1030", "-75.50"),
            purse_from="tax_reserve", confirmed="RELEASE 75.50 USD",
        ),
        capital_case(
            capital.ReleaseReserve, ("1010", "75.50"), ("1040", "-75.50"),
            purse_from="payroll_reserve", confirmed="RELEASE 75.50 USD",
        ),
    ],
)  # fmt: skip
def test_money_without_a_trade(
    keeper: Any, kind: type, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    position = keeper.capital(kind, "75.50", "2024-03-05", **fields)
    assert keeper.lines(position) == expected
    (entry,) = keeper.books.journal(position=position)
    assert entry.effective_date == date(2024, 3, 5)
    assert (entry.reference, entry.description.partition(": ")[2]) == ("r6", "as stated")
    assert (entry.coa_version, entry.rules_version, entry.broker) == (1, 1, "SIM")


def test_earmarks_leave_the_broker_s_cash_as_it_is(keeper: Any) -> None:
    keeper.capital(capital.Earmark, "300.00", purse_from="float", purse_to="tax_reserve")
    keeper.capital(capital.Earmark, "200.00", purse_from="float", purse_to="reinvestment_pool")
    assert keeper.balances() == {
        "1010": "99500.00", "1030": "300.00", "1050": "200.00", "3010": "-100000.00",
    }  # fmt: skip
    assert keeper.books.broker_cash() == 100_000


@pytest.mark.parametrize(
    ("currency", "amount", "shown"), [("JPY", "1234", "1234"), ("KWD", "1.234", "1.234")]
)
def test_books_are_kept_in_the_minor_units_of_their_currency(
    keep: Callable[..., Any], currency: str, amount: str, shown: str
) -> None:
    keeper = keep(currency=currency)
    keeper.register()
    position = keeper.deposit(amount)
    assert keeper.lines(position) == [("1010", shown), ("3010", f"-{shown}")]
    bought = keeper.buy("0.5", "1")  # 0.5 yen is no amount: half to even gives 0
    gross = {"JPY": "0", "KWD": "0.500"}[currency]
    assert keeper.lines(bought)[0] == (SPY, gross, "0.5")


# Fills


def test_a_purchase_and_a_sale_with_costs(keeper: Any) -> None:
    """Commission and fees are expensed, never part of the cost."""
    bought = keeper.buy("10", "100.25", commission="1.00", fees="0.07")
    assert keeper.lines(bought) == [
        (SPY, "1002.50", "10"), ("1010", "-1003.57"), ("5010", "1.00"), ("5020", "0.07"),
    ]  # fmt: skip
    sold = keeper.sell("4", "101.00", "2024-01-03", commission="1.00", fees="0.09")
    assert keeper.lines(sold) == [
        (SPY, "-401.00", "-4"), ("1010", "402.91"), ("4010", "-3.00"), ("5010", "1.00"),
        ("5020", "0.09"),
    ]  # fmt: skip
    lost = keeper.sell("6", "99.25", "2024-01-04")
    assert keeper.lines(lost) == [(SPY, "-601.50", "-6"), ("1010", "595.50"), ("4010", "6.00")]
    keeper.buy("1", "5", "2024-01-05")
    even = keeper.sell("1", "5", "2024-01-05")
    assert keeper.lines(even) == [(SPY, "-5.00", "-1"), ("1010", "5.00")]  # no gain, no line
    entry = next(e for e in keeper.books.journal() if e.position == sold)
    assert (entry.side, entry.size, entry.exit_price, entry.entry_price) == (
        "sell", "4", "101.00", None,
    )  # fmt: skip
    assert entry.pnl == Decimal("1.91")  # 3.00 less 1.09 of costs
    assert (entry.strategy, entry.ticker, entry.sleeve, entry.context) == (
        "OPEN", "SPY", "trading", "trading",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sleeve", "context", "side", "security", "cash"),
    [
        ("trading", "trading", "buy", "1110.SPY", "1010"),
        ("trading", "trading", "sell", "1110.SPY", "1010"),
        ("holdings", "rebalance", "buy", "1130.SPY", "1010"),
        ("holdings", "reinvestment", "buy", "1130.SPY", "1050"),
        ("holdings", "reinvestment", "sell", "1130.SPY", "1010"),
        ("holdings", "top-up", "sell", "1130.SPY", "1010"),
        ("holdings", "tax-reserve", "buy", "1140.SPY", "1030"),
        ("holdings", "tax-reserve", "sell", "1140.SPY", "1030"),
    ],
)
def test_each_sleeve_pays_from_its_purse_into_its_account(
    keeper: Any, sleeve: str, context: str, side: str, security: str, cash: str
) -> None:
    bought = keeper.buy("2", "50", sleeve=sleeve, context=context)
    if side == "buy":
        assert keeper.lines(bought) == [(security, "100.00", "2"), (cash, "-100.00")]
        return
    sold = keeper.sell("1", "60", "2024-01-03", sleeve=sleeve, context=context)
    expected = [(security, "-50.00", "-1"), (cash, "60.00"), ("4010", "-10.00")]
    assert keeper.lines(sold) == expected


def test_an_option_counts_a_hundred_and_may_expire_worthless(keeper: Any) -> None:
    keeper.register("SPY240119P00450000", kind="option", multiplier=100)
    option = {"symbol": "SPY240119P00450000"}
    code = "1120.SPY240119P00450000"
    bought = keeper.buy("3", "1.25", commission="1.95", **option)
    assert keeper.lines(bought) == [
        (code, "375.00", "3"), ("1010", "-376.95"), ("5010", "1.95"),
    ]  # fmt: skip
    sold = keeper.sell("1", "2.00", "2024-01-05", **option)
    assert keeper.lines(sold) == [(code, "-125.00", "-1"), ("1010", "200.00"), ("4010", "-75.00")]
    expired = keeper.sell("2", "0", "2024-01-19", **option)
    assert keeper.lines(expired) == [(code, "-250.00", "-2"), ("4010", "250.00")]
    assert keeper.books.positions() == []


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        # gross 1000.00, commission 0.355 → 0.36, fees 0.0049 → 0.00: 1000.36 in rounded parts
        (None, [("1010", "-1000.36"), ("5010", "0.36")]),
        ("-1000.36", [("1010", "-1000.36"), ("5010", "0.36")]),
        ("-1000.3599", [("1010", "-1000.36"), ("5010", "0.36")]),
        ("-1000.35", [("1010", "-1000.35"), ("5010", "0.36"), ("5070", "-0.01")]),
        ("-1000.38", [("1010", "-1000.38"), ("5010", "0.36"), ("5070", "0.02")]),
        ("-1000.39", [("1010", "-1000.39"), ("5010", "0.36"), ("1990", "0.03")]),
        ("-1000.33", [("1010", "-1000.33"), ("5010", "0.36"), ("1990", "-0.03")]),
        ("-999.00", [("1010", "-999.00"), ("5010", "0.36"), ("1990", "-1.36")]),
    ],
)
def test_the_amount_that_the_broker_states_is_booked(
    keeper: Any, net: str | None, expected: list[tuple[str, str]]
) -> None:
    """Two cents are what rounding can make of four amounts; more is unexplained."""
    position = keeper.buy("10", "100.00", commission="0.355", fees="0.0049", net_amount=net)
    assert keeper.lines(position) == [(SPY, "1000.00", "10"), *expected]


def test_the_same_for_a_sale(keeper: Any) -> None:
    keeper.buy("10", "100.00")
    sold = keeper.sell("10", "100.00", "2024-01-03", commission="0.355", net_amount="999.65")
    assert keeper.lines(sold) == [
        (SPY, "-1000.00", "-10"), ("1010", "999.65"), ("5010", "0.36"), ("5070", "-0.01"),
    ]  # fmt: skip


def test_each_fill_rounds_once_half_to_even(keeper: Any) -> None:
    """Per fill, not per order: 0.005 four times is 0.00 four times."""
    for n, (price, gross) in enumerate([("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02")]):
        position = keeper.buy("1", price, fees=price)
        assert keeper.lines(position)[0] == (SPY, gross, "1"), n
    assert keeper.books.balance_of("5020") == Decimal("0.04")
    fraction = keeper.buy("0.123456789", "81.040000")
    assert keeper.lines(fraction)[0] == (SPY, "10.00", "0.123456789")  # 10.0049…


# Cost


def test_average_cost_of_partial_sales_and_the_last_unit(keeper: Any) -> None:
    keeper.buy("3", "10.00")
    keeper.buy("1", "10.01")  # 40.01 for 4
    costs = []
    for _ in range(4):
        # 10.0025 → 10.00; 10.00333 → 10.00; 10.005 → 10.00, half to even; what is left: 10.01
        costs.append(keeper.lines(keeper.sell("1", "11.00", "2024-01-03"))[0][1])
    assert costs == ["-10.00", "-10.00", "-10.00", "-10.01"]
    assert keeper.balances()["4010"] == "-3.99"
    assert SPY not in keeper.balances()


def test_first_in_first_out_relieves_the_lots_own_cost(keep: Callable[..., Any]) -> None:
    keeper = keep(cost_method="fifo")
    keeper.register()
    keeper.deposit("1000.00")
    keeper.buy("3", "10.00")
    keeper.buy("2", "20.00", "2024-01-03")
    sold = keeper.sell("4", "15.00", "2024-01-04")
    assert keeper.lines(sold) == [(SPY, "-50.00", "-4"), ("1010", "60.00"), ("4010", "-10.00")]
    (lot,) = keeper.books.lots()
    assert (lot.quantity, lot.cost, lot.acquired_on) == (1, 20, date(2024, 1, 3))


@pytest.mark.parametrize(
    ("method", "long", "short"),
    # 10 units at 10 held for more than a year, 5 of 10 at 20 held for less; sold at 30.
    # Average: 15.00 each. First in, first out: 10.00 and 20.00 each.
    [("average", "-150.00", "-75.00"), ("fifo", "-200.00", "-50.00")],
)
def test_a_sale_of_old_and_new_units_is_split_by_lots(
    keep: Callable[..., Any], method: str, long: str, short: str
) -> None:
    keeper = keep(cost_method=method)
    keeper.register()
    keeper.buy("10", "10.00", "2023-01-10")
    keeper.buy("10", "20.00", "2024-01-05")
    sold = keeper.sell("15", "30.00", "2024-01-11")
    cost = {"average": "-225.00", "fifo": "-200.00"}[method]
    assert keeper.lines(sold) == [
        (SPY, cost, "-15"), ("1010", "450.00"), ("4010", short), ("4020", long),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bought", "last_short", "first_long"),
    [
        ("2023-01-10", "2024-01-10", "2024-01-11"),
        ("2023-12-31", "2024-12-31", "2025-01-01"),
        # The year runs from the day after the purchase: from 1 March, so 29 February is within it.
        ("2023-02-28", "2024-02-29", "2024-03-01"),
        ("2024-02-28", "2025-02-28", "2025-03-01"),
        ("2024-02-29", "2025-02-28", "2025-03-01"),
        ("2024-03-01", "2025-03-01", "2025-03-02"),
        ("2023-06-30", "2024-06-30", "2024-07-01"),
    ],
)
def test_more_than_a_year_counts_from_the_day_after_the_purchase(
    bought: str, last_short: str, first_long: str
) -> None:
    assert not held_over_a_year(bought, bought)
    assert not held_over_a_year(bought, last_short)
    assert held_over_a_year(bought, first_long)


def test_the_sleeves_never_share_a_cost(keeper: Any) -> None:
    keeper.buy("10", "10.00")
    keeper.buy("10", "90.00", sleeve="holdings", context="rebalance")
    sold = keeper.sell("5", "50.00", "2024-01-03")
    assert keeper.lines(sold)[0] == (SPY, "-50.00", "-5")
    balances = keeper.balances()
    assert (balances[SPY], balances["1130.SPY"]) == ("50.00 / 5", "900.00 / 10")
    assert {(p.code, str(p.quantity)) for p in keeper.books.positions()} == {
        (SPY, "5"), ("1130.SPY", "10"),
    }  # fmt: skip


# Splits and names


def test_a_split_moves_units_and_no_money_in_every_sleeve(keeper: Any) -> None:
    keeper.buy("1.5", "10.00")
    keeper.buy("2", "10.00", sleeve="holdings", context="rebalance")
    position = keeper.split(3, 2, "2024-01-03")
    assert keeper.lines(position) == [(SPY, "0.00", "0.75"), ("1130.SPY", "0.00", "1")]
    assert keeper.balances()[SPY] == "15.00 / 2.25"
    sold = keeper.sell("2.25", "10.00", "2024-01-04")
    assert keeper.lines(sold)[0] == (SPY, "-15.00", "-2.25")


def test_a_reverse_split_rounds_to_nine_decimals_and_the_lots_still_add_up(keeper: Any) -> None:
    keeper.buy("1", "10.00")
    keeper.buy("1", "11.00", "2024-01-03")
    keeper.split(1, 3, "2024-01-04")
    assert keeper.balances()[SPY] == "21.00 / 0.666666667"
    lots = keeper.books.lots()
    assert [str(lot.quantity) for lot in lots] == ["0.333333333", "0.333333334"]
    assert [str(lot.cost) for lot in lots] == ["10.00", "11.00"]
    keeper.sell("0.666666667", "30.00", "2024-01-05")
    assert SPY not in keeper.balances()
    assert keeper.books.lots() == []


def test_a_purchase_that_comes_late_is_split_like_the_others(keeper: Any) -> None:
    """Nothing of the security was known when the split was recorded."""
    split = keeper.split(2, 1, "2024-01-10")
    assert keeper.lines(split) == []
    bought = keeper.buy("5", "100.00", "2024-01-05")
    assert keeper.lines(bought)[0] == (SPY, "500.00", "5")
    assert keeper.lines(bought, about=split) == [(SPY, "0.00", "5")]
    assert keeper.balances("2024-01-09")[SPY] == "500.00 / 5"
    assert keeper.balances()[SPY] == "500.00 / 10"
    late = keeper.buy("1", "100.00", "2024-01-06", sleeve="holdings", context="rebalance")
    assert keeper.lines(late, about=split) == [("1130.SPY", "0.00", "1")]
    after = keeper.buy("1", "50.00", "2024-01-11")
    assert keeper.balances()[SPY] == "550.00 / 11"
    assert keeper.lines(after, about=split) == []


@pytest.mark.parametrize("tiny_first", [True, False])
def test_a_lot_too_small_for_a_reverse_split_does_not_stop_the_books(
    keeper: Any, tiny_first: bool
) -> None:
    """4e-9 units at 9 million are 4 cents; a tenth of them is less than what can be counted."""
    buys = [("0.000000004", "9000000.00"), ("10", "10.00")]
    for day, (quantity, price) in enumerate(buys if tiny_first else buys[::-1], start=2):
        keeper.buy(quantity, price, f"2024-01-0{day}")
    keeper.split(1, 10, "2024-01-04")
    assert keeper.balances()[SPY] == "100.04 / 1"
    keeper.sell("0.5", "100.00", "2024-01-05")
    keeper.sell("0.5", "100.00", "2024-01-05")
    assert SPY not in keeper.balances()
    left = "SELECT lot FROM lots GROUP BY lot HAVING SUM(quantity) <> 0 OR SUM(cost) <> 0"
    assert keeper.ledger.connection.execute(left).fetchall() == []


def test_a_lot_that_a_split_left_without_units_or_cost_is_none(keeper: Any) -> None:
    """4e-9 units at 1 cost nothing; a tenth of them is nothing. A new process finds no such lot."""
    keeper.buy("0.000000004", "1.00", "2024-01-02")
    keeper.buy("10", "10.00", "2024-01-03")
    first = keeper.split(1, 10, "2024-01-04")
    keeper.split(2, 1, "2024-01-05")
    with closing(Ledger.in_memory()) as ledger:
        ledger.catch_up(keeper.feed, first)
        ledger.forget()
        ledger.catch_up(keeper.feed)
        keeper.balances()
        assert ledger.digest() == keeper.ledger.digest()


def test_the_journal_of_a_security_has_its_own_entries_alone(keeper: Any) -> None:
    for symbol in ("BRK", "BRK.B"):
        keeper.register(symbol)
        keeper.buy("1", "10.00", symbol=symbol, instrument=f"XNYS:{symbol}")
    keeper.balances()
    (entry,) = keeper.books.journal(account="1110.BRK")
    assert entry.description == "Bought 1 BRK at 10.00"
    both = [entry.ticker for entry in keeper.books.journal(account="1110")]
    assert both == ["BRK", "BRK.B"]


def test_an_account_keeps_its_name_when_the_symbol_changes(keeper: Any) -> None:
    keeper.register("FB", exchange="XNAS")
    first = keeper.buy("1", "100.00", symbol="FB", instrument="XNAS:FB")
    keeper.do(RenameInstrument, instrument_id="XNAS:FB", symbol="META")
    keeper.buy("1", "110.00", symbol="META", instrument="XNAS:FB")
    (held,) = keeper.books.positions()
    assert (held.code, held.symbol, str(held.quantity)) == ("1110.FB", "META", "2")
    (then,) = keeper.books.positions(AsOf(position=first))
    assert (then.code, then.symbol) == ("1110.FB", "FB")


def test_a_symbol_used_again_by_another_company_has_its_own_account(keeper: Any) -> None:
    keeper.register("FB", exchange="XNAS")
    keeper.register("FB", exchange="XNYS")
    keeper.register("FB", exchange="XLON")
    for exchange in ("XNAS", "XNYS", "XLON"):
        keeper.buy("1", "100.00", symbol="FB", instrument=f"{exchange}:FB")
    assert [p.code for p in keeper.books.positions()] == ["1110.FB", "1110.FB~2", "1110.FB~3"]


# Late events


def test_a_late_purchase_posts_what_it_changes_in_later_sales(keeper: Any) -> None:
    """10 at 10.00, 5 of them sold at 12.00: cost 50.00. Late: 10 at 16.00, before the sale.

    The sale then relieves 5/20 of 260.00, so 65.00: 15.00 more, and the gain turns into a loss.
    """
    keeper.buy("10", "10.00", "2024-01-02")
    sold = keeper.sell("5", "12.00", "2024-01-04")
    again = keeper.sell("2", "12.00", "2024-01-05")
    before = keeper.balances()
    late = keeper.buy("10", "16.00", "2024-01-03")
    assert keeper.lines(late) == [(SPY, "160.00", "10"), ("1010", "-160.00")]
    assert keeper.lines(late, about=sold) == [(SPY, "-15.00", "0"), ("4010", "15.00")]
    assert keeper.lines(late, about=again) == [(SPY, "-6.00", "0"), ("4010", "6.00")]
    rows = {e.about: e for e in keeper.books.journal(position=late) if e.about != late}
    assert rows[sold].effective_date == date(2024, 1, 4)
    assert rows[again].effective_date == date(2024, 1, 5)
    assert (rows[sold].pnl, rows[again].pnl) == (Decimal(-15), Decimal(-6))
    assert f"event {sold}" in rows[sold].description
    assert rows[sold].context == "correction"
    assert keeper.balances()[SPY] == "169.00 / 13"
    # what was exported then can be said again
    assert keeper.balances(known_at=again) == before
    assert keeper.balances("2024-01-03")[SPY] == "260.00 / 20"
    assert keeper.balances("2024-01-03", known_at=again)[SPY] == "100.00 / 10"


def test_a_late_sale_takes_its_units_at_its_own_date(keeper: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-02")
    keeper.buy("10", "20.00", "2024-01-04")
    sold = keeper.sell("4", "30.00", "2024-01-05")  # 4 of 20 for 300.00: 60.00
    late = keeper.sell("5", "15.00", "2024-01-03")  # 5 of 10 for 100.00: 50.00
    assert keeper.lines(late) == [(SPY, "-50.00", "-5"), ("1010", "75.00"), ("4010", "-25.00")]
    # then 15 for 250.00 are left for the other: 4 cost 66.67
    assert keeper.lines(late, about=sold) == [(SPY, "-6.67", "0"), ("4010", "6.67")]
    assert keeper.balances()[SPY] == "183.33 / 11"


def test_a_late_purchase_can_turn_a_short_term_gain_into_a_long_term_one(keeper: Any) -> None:
    newer = keeper.buy("10", "10.00", "2024-01-02")
    sold = keeper.sell("10", "12.00", "2024-03-01")
    late = keeper.buy("10", "10.00", "2023-01-02")
    # first in, first out: the older units are the ones that were sold
    assert keeper.lines(late, about=sold) == [("4010", "20.00"), ("4020", "-20.00")]
    assert [lot.lot for lot in keeper.books.lots()] == [newer]


def test_a_late_purchase_changes_what_a_split_gave(keeper: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-02")
    split = keeper.split(2, 1, "2024-01-04")
    late = keeper.buy("1", "10.00", "2024-01-03")
    assert keeper.lines(late, about=split) == [(SPY, "0.00", "1")]
    assert keeper.balances()[SPY] == "110.00 / 22"


def test_a_fill_on_the_same_day_that_comes_later_is_not_late(keeper: Any) -> None:
    keeper.buy("10", "10.00")
    sold = keeper.sell("5", "12.00")
    bought = keeper.buy("10", "16.00")
    assert keeper.lines(bought, about=sold) == []
    assert keeper.balances()[SPY] == "210.00 / 15"


# Reversals


def test_a_reversed_purchase_leaves_nothing_behind(keeper: Any) -> None:
    before = keeper.balances()
    bought = keeper.buy("10", "100.00", "2024-01-03", commission="1.00")
    undone = keeper.reverse(bought, "2024-01-09")
    assert keeper.lines(undone, about=bought) == [
        ("1010", "1001.00"), (SPY, "-1000.00", "-10"), ("5010", "-1.00"),
    ]  # fmt: skip
    entry = next(e for e in keeper.books.journal() if e.position == undone)
    assert entry.effective_date == date(2024, 1, 3)  # its own date, not that of the reversal
    assert "wrong" in entry.description
    assert keeper.balances() == before
    assert keeper.books.lots() == []
    assert keeper.balances(known_at=bought)[SPY] == "1000.00 / 10"


def test_a_reversed_purchase_re_costs_the_sales_after_it(keeper: Any) -> None:
    bought = keeper.buy("10", "10.00", "2024-01-02")
    keeper.buy("10", "20.00", "2024-01-03")
    sold = keeper.sell("4", "30.00", "2024-01-04")  # 4 of 20 for 300.00: 60.00
    undone = keeper.reverse(bought)
    assert keeper.lines(undone, about=sold) == [(SPY, "-20.00", "0"), ("4010", "20.00")]
    assert keeper.balances()[SPY] == "120.00 / 6"
    assert [(str(lot.quantity), str(lot.cost)) for lot in keeper.books.lots()] == [("6", "120.00")]


def test_a_reversed_sale_gives_units_cost_and_gain_back(keeper: Any) -> None:
    keeper.buy("10", "10.00")
    before = keeper.balances()
    sold = keeper.sell("4", "15.00", "2024-01-03", fees="0.05")
    later = keeper.sell("3", "15.00", "2024-01-04")
    undone = keeper.reverse(sold)
    assert sorted(keeper.lines(undone, about=sold)) == [
        ("1010", "-59.95"), (SPY, "40.00", "4"), ("4010", "20.00"), ("5020", "-0.05"),
    ]  # fmt: skip
    assert keeper.lines(undone, about=later) == []  # at one average the later sale stays
    again = keeper.reverse(later)
    assert again > undone
    assert keeper.balances() == before
    entry = next(e for e in keeper.books.journal() if e.position == undone)
    assert entry.pnl == Decimal("-19.95")  # realized results add up over corrections


def test_a_reversal_takes_earlier_corrections_of_the_same_entry_with_it(keeper: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-02")
    sold = keeper.sell("5", "12.00", "2024-01-04")
    keeper.buy("10", "16.00", "2024-01-03")  # late: the sale costs 65.00 now
    undone = keeper.reverse(sold)
    assert sorted(keeper.lines(undone, about=sold)) == [
        ("1010", "-60.00"), (SPY, "65.00", "5"), ("4010", "-5.00"),
    ]  # fmt: skip
    assert keeper.balances()[SPY] == "260.00 / 20"
    assert "4010" not in keeper.balances()


def test_a_reversed_dividend_and_a_reversed_split(keeper: Any) -> None:
    keeper.buy("10", "10.00")
    before = keeper.balances()
    dividend = keeper.capital(
        capital.RecordDividend, "5.00", "2024-01-03", symbol="SPY", withheld=Decimal("0.75")
    )
    undone = keeper.reverse(dividend)
    assert sorted(keeper.lines(undone, about=dividend)) == [
        ("1010", "-4.25"), ("4030", "5.00"), ("5060", "-0.75"),
    ]  # fmt: skip
    split = keeper.split(2, 1, "2024-01-04")
    undone = keeper.reverse(split)
    assert keeper.lines(undone, about=split) == [(SPY, "0.00", "-10")]
    assert keeper.balances() == before


def test_a_reversal_with_its_replacement_in_one_batch(keeper: Any) -> None:
    """The price was wrong and half of it is sold: alone the reversal is refused, together not."""
    wrong = keeper.buy("10", "10.00", "2024-01-02")
    sold = keeper.sell("5", "12.00", "2024-01-04")
    with pytest.raises(DomainError, match="units would be negative"):
        keeper.reverse(wrong)
    intent, fill = keeper.fill_commands("buy", "10", "11.00", "2024-01-02")
    reversal = keeper.reversal(wrong)
    replacing = type(reversal.movements[0])(date(2024, 1, 2), 99, 10 * 10**9, SPY)
    reversal = msgspec.structs.replace(reversal, movements=(*reversal.movements, replacing))
    head = keeper.store.head().position
    keeper.send(intent, fill, reversal)
    assert keeper.balances()[SPY] == "55.00 / 5"
    assert keeper.balances()["4010"] == "-5.00"
    assert keeper.balances(known_at=head)[SPY] == "50.00 / 5"
    about_sale = [e for e in keeper.books.journal(position=sold) if e.position > head]
    assert sum(e.pnl for e in about_sale) == Decimal(-5)


def test_a_split_recorded_before_anything_was_held_can_be_reversed(keeper: Any) -> None:
    split = keeper.split(2, 1, "2024-01-03")
    keeper.buy("10", "10.00", "2024-01-02")  # late: the split gives 10 more
    assert keeper.balances()[SPY] == "100.00 / 20"
    undone = keeper.reverse(split)
    assert keeper.lines(undone, about=split) == [(SPY, "0.00", "-10")]
    assert keeper.balances()[SPY] == "100.00 / 10"
    nothing = keeper.split(2, 1, "2023-12-01")
    keeper.reverse(nothing)
    assert keeper.balances()[SPY] == "100.00 / 10"


def test_a_reversal_of_what_posted_nothing_stops_the_ledger_by_name(keeper: Any) -> None:
    """The runtime asks the ledger first; an event that slipped through is named."""
    keeper.do(ReverseEntry, reversed_position=3, reason="no such entry")
    with pytest.raises(
        ProjectionHalted, match=r"ledger stops before event 6 .*event 3 has no entry"
    ):
        keeper.balances()


# Closed periods


def test_what_comes_late_for_a_closed_period_posts_to_the_first_open_day(keeper: Any) -> None:
    keeper.buy("10", "10.00", "2024-01-15")
    sold = keeper.sell("5", "12.00", "2024-01-20")
    open_sale = keeper.sell("1", "12.00", "2024-02-05")
    keeper.close_period("2024-01-31")
    january = keeper.balances("2024-01-31")
    late = keeper.buy("10", "16.00", "2024-01-16")
    fee = keeper.capital(capital.RecordFee, "3.00", "2024-01-31")
    dates = {
        (e.position, e.about): e.effective_date.isoformat()
        for e in keeper.books.journal() if e.position in (late, fee)
    }  # fmt: skip
    assert dates == {
        (late, late): "2024-02-01", (late, sold): "2024-02-01", (late, open_sale): "2024-02-05",
        (fee, fee): "2024-02-01",
    }  # fmt: skip
    assert keeper.lines(late, about=sold) == [(SPY, "-15.00", "0"), ("4010", "15.00")]
    assert keeper.balances("2024-01-31") == january  # a closed month never changes
    assert keeper.balances()[SPY] == "182.00 / 14"


def test_a_reversal_in_a_closed_period_posts_to_the_first_open_day(keeper: Any) -> None:
    fee = keeper.capital(capital.RecordFee, "3.00", "2024-01-20")
    keeper.close_period("2024-01-31")
    january = keeper.balances("2024-01-31")
    undone = keeper.reverse(fee)
    (entry,) = [e for e in keeper.books.journal() if e.position == undone]
    assert entry.effective_date == date(2024, 2, 1)
    assert keeper.balances("2024-01-31") == january
    assert "5020" not in keeper.balances("2024-02-01")
    keeper.close_period("2024-02-29")
    again = keeper.capital(capital.RecordFee, "3.00", "2024-01-20")
    assert keeper.lines(again)
    assert keeper.balances("2024-02-29") == keeper.balances("2024-02-28")
    assert keeper.balances()["5020"] == "3.00"


def test_the_day_after_a_close_is_open(keeper: Any) -> None:
    keeper.close_period("2024-01-31")
    on_time = keeper.capital(capital.RecordFee, "3.00", "2024-02-01")
    (entry,) = [e for e in keeper.books.journal() if e.position == on_time]
    assert entry.effective_date == date(2024, 2, 1)
    with pytest.raises(DomainError, match="closed through 2024-01-31 already"):
        keeper.do(ClosePeriod, "2024-12-31", through=date(2024, 1, 15), reason="again")


# Charts that change


def adopt(keeper: Any, version: int = 2, **mapping: str) -> int:
    chart = template_chart()
    accounts = chart.accounts
    for role, code in mapping.items():
        if chart.account(code) is None:
            model = chart.account(chart.mapping[role])
            accounts = (*accounts, msgspec.structs.replace(model, code=code, name=f"New {code}"))
    new = msgspec.structs.replace(
        chart, version=version, accounts=accounts, mapping=chart.mapping | mapping
    )
    position: int = keeper.do(AdoptChart, chart=new, reason="accountant's wish")
    return position


def test_entries_keep_the_chart_that_was_in_force(keeper: Any) -> None:
    first = keeper.capital(capital.RecordFee, "1.00")
    adopt(keeper, fees="5021")
    second = keeper.capital(capital.RecordFee, "2.00")
    assert keeper.lines(first)[0] == ("5020", "1.00")
    assert keeper.lines(second)[0] == ("5021", "2.00")
    versions = {e.position: e.coa_version for e in keeper.books.journal()}
    assert (versions[first], versions[second]) == (1, 2)
    assert keeper.books.chart(AsOf(position=first)).version == 1
    assert keeper.books.account_name("5021") == "New 5021"


def test_names_are_those_of_the_date_asked_for(keeper: Any) -> None:
    """Under the date and the known-at; an account that a chart no longer has keeps its name."""
    fee = keeper.capital(capital.RecordFee, "1.00")
    chart = keeper.books.chart()
    renamed = [
        msgspec.structs.replace(a, name="Bank fees") if a.code == "5020" else a
        for a in chart.accounts
    ]
    second = msgspec.structs.replace(chart, version=2, accounts=tuple(renamed))
    known = keeper.do(AdoptChart, "2024-02-01", chart=second, reason="clearer")
    kept = tuple(a for a in renamed if a.code != "5020")
    moved = chart.mapping | {"fees": "5010"}
    third = msgspec.structs.replace(chart, version=3, accounts=kept, mapping=moved)
    keeper.do(AdoptChart, "2024-03-01", chart=third, reason="one account for both")

    def name(day: str | None, position: int | None = None) -> str:
        as_of = AsOf(date=date.fromisoformat(day) if day else None, position=position)
        (entry,) = keeper.books.journal(as_of, position=fee)
        (balance,) = [b for b in keeper.books.balances(as_of) if b.code == "5020"]
        assert balance.account == entry.postings[0].account
        return str(balance.account)

    first = next(a.name for a in chart.accounts if a.code == "5020")
    assert name("2024-01-31") == name(None, known - 1) == first
    assert name("2024-02-15") == name(None, known) == "Bank fees"
    assert name(None) == "Bank fees"


def test_one_account_may_hold_all_gains(keeper: Any) -> None:
    adopt(keeper, gain_long_term="4010")
    keeper.buy("10", "10.00", "2023-01-02")
    sold = keeper.sell("5", "12.00", "2024-01-04")
    late = keeper.buy("10", "16.00", "2023-01-03")
    assert keeper.lines(late, about=sold) == [(SPY, "-15.00", "0"), ("4010", "15.00")]
    assert keeper.balances()["4010"] == "5.00"


def test_a_late_event_after_the_gains_account_changed(keeper: Any) -> None:
    """Only the difference goes to the new account; the books balance and go on."""
    keeper.buy("10", "10.00", "2024-01-02")
    sold = keeper.sell("5", "12.00", "2024-01-04")
    adopt(keeper, gain_short_term="4011")
    late = keeper.buy("10", "16.00", "2024-01-03")
    assert keeper.lines(late, about=sold) == [(SPY, "-15.00", "0"), ("4011", "15.00")]
    balances = keeper.balances()
    assert (balances["4010"], balances["4011"]) == ("-10.00", "15.00")
    trial = keeper.books.trial_balance()
    assert trial.debits == trial.credits


# Always


def test_every_entry_balances_and_units_without_cost_do_not_stay(keeper: Any) -> None:
    keeper.buy("7", "10.37", "2024-01-02", commission="0.35", fees="0.013")
    keeper.sell("3", "11.01", "2024-01-03", commission="0.35", net_amount="32.67")
    keeper.split(3, 1, "2024-01-04")
    late = keeper.buy("2", "9.99", "2024-01-02")
    keeper.sell("18", "4.00", "2024-01-05")
    keeper.reverse(late - 3)
    for entry in keeper.books.journal():
        assert sum(p.amount for p in entry.postings) == 0
    trial = keeper.books.trial_balance()
    assert trial.debits == trial.credits > 0


def test_a_reversal_that_moves_nothing_leaves_the_balances_whole(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry has no lines, and it is where a balance point is due."""
    monkeypatch.setattr("projections.ledger_rows.POINT_EVERY", 2)
    bought = keeper.buy("10", "10.00", "2024-01-03")
    split = keeper.split(2, 1, "2024-01-04")
    before = keeper.balances("2024-01-02")
    keeper.reverse(bought)  # what the split did is undone with it
    keeper.close_period("2024-01-31")
    keeper.reverse(split)
    assert keeper.balances() == before
    assert keeper.books.count_entries() == len(list(keeper.books.journal()))
    assert sum(line.amount for line in keeper.books.register(SPY)) == 0


@pytest.mark.parametrize(
    "amounts", [{"commission": "1e25"}, {"fees": "1e25"}, {"net_amount": "-99999999999999999999"}]
)
def test_amounts_that_no_column_holds_stop_the_ledger_before_them(
    keeper: Any, amounts: dict[str, str]
) -> None:
    position = keeper.buy("1", "10.00", **amounts)
    with pytest.raises(ProjectionHalted, match=f"before event {position} .*more than can be kept"):
        keeper.balances()


def test_a_realized_gain_that_no_column_holds_stops_the_ledger_before_it(keeper: Any) -> None:
    """Each of its lines could be kept, their sum could not."""
    keeper.buy("1", "1.00")
    amounts = {"commission": "90000000000000000.00", "fees": "50000000000000000.00"}
    position = keeper.sell("1", "1.00", net_amount="-90000000000000000.00", **amounts)
    with pytest.raises(ProjectionHalted, match=f"before event {position} .*realized gain is more"):
        keeper.balances()


def test_a_balance_that_no_column_holds_is_said(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.ledger_rows.POINT_EVERY", 1)
    keeper.deposit("92233720368547000.00")
    keeper.deposit("92233720368547000.00")
    keeper.deposit("1.00", "2024-01-03")
    with pytest.raises(ProjectionHalted, match="a balance is larger than the books can hold"):
        keeper.ledger.catch_up(keeper.feed)


def test_what_an_entry_gained_stays_as_the_chart_said_when_it_was_posted(
    keeper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From February on the account of rounding differences is that of fees too."""
    monkeypatch.setattr("projections.ledger_rows.POINT_EVERY", 2)
    keeper.buy("1", "10.006", "2024-01-31", net_amount="-10.00")  # a cent of rounding
    before = realized_by_sleeve(keeper.books, date(2024, 1, 1), date(2024, 12, 31))
    chart = keeper.books.chart()
    assert chart.mapping["rounding"] != chart.mapping["fees"]
    shared = chart.mapping | {"fees": chart.mapping["rounding"]}
    second = msgspec.structs.replace(chart, version=chart.version + 1, mapping=shared)
    keeper.do(AdoptChart, "2024-01-31", chart=second, reason="one account for both")
    assert realized_by_sleeve(keeper.books, date(2024, 1, 1), date(2024, 12, 31)) == before
    keeper.ledger.forget()  # as after a restart
    keeper.deposit("1.00", "2024-02-01")
    keeper.deposit("1.00", "2024-02-02")  # a balance point before it
    again = tmp_path / "again.db"
    digest, _ = rebuild_ledger(keeper.folder, again, None, lambda *_: None)
    assert keeper.ledger.digest() == digest


def test_what_was_posted_to_an_account_can_be_reversed_after_it_was_closed(keeper: Any) -> None:
    fee = keeper.capital(capital.RecordFee, "1.00")
    before = keeper.books.chart()
    closed = [
        msgspec.structs.replace(a, active=False) if a.code == "5020" else a for a in before.accounts
    ]
    mapping = before.mapping | {"fees": "5010"}
    chart = msgspec.structs.replace(before, version=2, accounts=tuple(closed), mapping=mapping)
    keeper.do(AdoptChart, chart=chart, reason="one account for both")
    undone = keeper.reverse(fee)
    assert keeper.lines(undone, about=fee)[0][0] in ("1010", "5020")
    assert "5020" not in keeper.balances()


def test_before_its_first_day_a_security_has_its_first_name(keeper: Any) -> None:
    keeper.do(
        RegisterInstrument, "2024-03-01", symbol="FB", name="Facebook", kind="stock",
        currency="USD", exchange="XNAS",
    )  # fmt: skip
    keeper.buy("10", "10.00", "2024-02-01", symbol="FB", instrument="XNAS:FB")
    keeper.do(RenameInstrument, "2024-06-01", instrument_id="XNAS:FB", symbol="META")
    symbols = {
        day: [p.symbol for p in keeper.books.positions(AsOf(date=date.fromisoformat(day)))]
        for day in ("2024-02-15", "2024-04-01", "2024-07-01")
    }
    assert symbols == {"2024-02-15": ["FB"], "2024-04-01": ["FB"], "2024-07-01": ["META"]}
