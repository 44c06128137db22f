"""Two years of long-term holdings: hledger agrees on every account at every month's end."""

import random
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.capital import CapitalEntry, ReleaseReserve, capital_stream, release_words
from exporters import journal_names as names
from exporters.journals import hledger_journal
from projections.holdings_queries import HoldingsQueries
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf

D = Decimal
FIRST, WEEKS = date(2024, 1, 3), 104
MONTHS = [date(y, m, monthrange(y, m)[1]) for y in (2024, 2025) for m in range(1, 13)]
SECURITIES = {"SCHD": 2513, "SCHY": 7042, "VTI": 24011}  # price in cents when they begin
ZERO = (D(0), D(0))


class TwoYears:
    """Week by week through the public commands: a trade, the allocation of its gain, purchases from
    the pool; each month a dividend, a top-up and the tax vehicle, twice a year a rebalance. And
    what makes books hard: late fills, reversals, a split, a release, taxes that are paid."""

    def __init__(self, keeper: Any) -> None:
        self.k, self.draw = keeper, random.Random(7)
        self.prices = dict(SECURITIES)
        self.held = dict.fromkeys(SECURITIES, D(0))
        self.vehicle = D(0)
        keeper.register("SPY")
        keeper.register("SGOV")
        for symbol in SECURITIES:
            keeper.register(symbol)
        keeper.money("deposit", f"{FIRST} 13:00", "250000.00")

    def run(self) -> None:
        for week in range(WEEKS):
            day = FIRST + timedelta(days=7 * week)
            for symbol, price in self.prices.items():
                self.prices[symbol] = round(price * self.draw.randrange(975, 1028) / 1000)
            self.trade(day)
            if week % 4 == 1:
                self.month(day, week)
            if week % 26 == 25:
                self.rebalance(day)
            self.hard_things(week, day)

    def fill(self, day: date, side: str, quantity: D, symbol: str, price: str, context: str) -> int:
        sleeve = "trading" if context == "trading" else "holdings"
        done: int = self.k.fill(
            f"{day} 15:00", side, f"{quantity:f}", symbol, price, sleeve=sleeve, context=context,
            commission="0.35", fees=f"0.0{self.draw.randrange(1, 99):02}",
        )  # fmt: skip
        if symbol in self.held and sleeve == "holdings":
            self.held[symbol] += quantity if side == "buy" else -quantity
        return done

    def move(self, day: date, amount: D, purse: str) -> None:
        self.k.money("earmark", f"{day} 16:00", f"{amount:.2f}", purse_from="float",
                     purse_to=purse)  # fmt: skip

    def price(self, symbol: str) -> str:
        return f"{D(self.prices[symbol]) / 100:.2f}"

    def trade(self, day: date) -> None:
        """A round trip of SPY; of a gain 20 % for taxes, 10 % of the rest for payroll, and what is
        left into the securities by weight."""
        quantity, entry = D(self.draw.randrange(10, 60)), D(self.draw.randrange(46000, 48000)) / 100
        leave = entry + D(self.draw.randrange(-600, 900)) / 100
        self.fill(day, "buy", quantity, "SPY", f"{entry:.2f}", "trading")
        self.fill(day, "sell", quantity, "SPY", f"{leave:.2f}", "trading")
        gain = quantity * (leave - entry) - D("1.00")
        if gain <= 0:
            return
        after, tax = day + timedelta(days=1), round(gain / 5, 2)
        payroll = round((gain - tax) / 10, 2)
        self.move(after, tax, "tax_reserve")
        self.move(after, payroll, "payroll_reserve")
        self.move(after, gain - tax - payroll, "reinvestment_pool")
        for symbol in SECURITIES:
            part = (gain - tax - payroll - 3) / 3 / D(self.price(symbol))
            quantity = max(round(part - D("0.0005"), 3), D("0.001"))
            self.fill(after, "buy", quantity, symbol, self.price(symbol), "reinvestment")

    def month(self, day: date, week: int) -> None:
        at = day + timedelta(days=2)
        self.k.money("dividend", f"{at} 13:00", f"{self.draw.randrange(100, 4000) / 100:.2f}",
                     symbol=self.draw.choice(sorted(SECURITIES)), withheld=D("0.45"))  # fmt: skip
        most = max(self.held, key=lambda s: self.held[s] * self.prices[s])
        if self.held[most] > 1:
            self.fill(at, "sell", D("0.5"), most, self.price(most), "top-up")
        units = D(self.draw.randrange(1, 90)) / 100
        self.fill(at, "buy", units, "SGOV", f"{100 + week / 100:.2f}", "tax-reserve")
        self.vehicle += units
        if self.vehicle > 3:
            self.fill(at, "sell", D(2), "SGOV", f"{100 + week / 90:.2f}", "tax-reserve")
            self.vehicle -= 2
        marks = {symbol: self.price(symbol) for symbol in SECURITIES}
        self.k.day(f"{at}", SGOV="100.5", **marks)

    def rebalance(self, day: date) -> None:
        """From the largest value to the others."""
        at = day + timedelta(days=1)
        value = {s: self.held[s] * self.prices[s] / 100 for s in SECURITIES}
        mean = sum(value.values()) / 3
        for symbol in sorted(value, key=value.__getitem__, reverse=True):
            side = "sell" if value[symbol] > mean else "buy"
            quantity = round(abs(value[symbol] - mean) / D(self.price(symbol)), 9)
            if quantity:
                self.fill(at, side, quantity, symbol, self.price(symbol), "rebalance")

    def hard_things(self, week: int, day: date) -> None:
        at = day + timedelta(days=3)
        if week % 13 == 7:  # learnt of two weeks late
            before = day - timedelta(days=14)
            self.fill(before, "buy", D("0.25"), "SCHD", self.price("SCHD"), "rebalance")
        if week == 40:
            self.k.split(f"{at} 13:00", "VTI", 3, 1)
            self.held["VTI"] *= 3
            self.prices["VTI"] //= 3
        if week in (30, 70):
            wrong = self.fill(at, "buy", D(1), "SCHY", "710.00", "rebalance")
            self.k.reverse(f"{at + timedelta(days=1)} 15:00", wrong, "price in cents")
            self.held["SCHY"] -= 1
        if week in (50, 102):
            self.k.money("withdraw", f"{at} 14:00", "300.00", purse="tax_reserve",
                         purpose="income_tax")  # fmt: skip
        if week == 60:
            self.release(at, D("25.00"))

    def release(self, day: date, amount: D) -> None:
        """An override: what was kept for payroll is cash float again."""
        command = ReleaseReserve(
            at=date_time(day), effective_date=day, reference="release-1", currency="USD",
            amount=amount, reason="a month without payroll", purse_from="payroll_reserve",
            confirmed=release_words(amount, "USD"),
        )  # fmt: skip
        self.k._do(CapitalEntry, capital_stream("release-1"), "release", command)


def date_time(day: date) -> Any:
    from datetime import UTC, datetime

    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


@pytest.fixture(scope="module")
def years(
    make_keeper: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    keeper = make_keeper(tmp_path_factory.mktemp("years"))
    TwoYears(keeper).run()
    yield keeper
    keeper.close()


def by_month(hledger: Callable[..., list[list[str]]], journal: str) -> list[dict[str, tuple[D, D]]]:
    """At each month's end, by account code: book value and units. One run of hledger for each."""
    dates = ("-b", "2024-01-01", "-e", "2026-01-01", "-M", "-H", "--flat", "-N", "--layout=bare")
    cost, units = hledger(journal, "bal", "-B", "-E", *dates), hledger(journal, "bal", "-E", *dates)
    found: list[dict[str, tuple[D, D]]] = [{} for _ in MONTHS]
    for name, _, *amounts in cost:
        code = names.code_of_hledger(name)
        for sums, amount in zip(found, amounts, strict=True):
            sums[code] = (D(amount), D(0))
    for name, commodity, *held in units:
        if commodity != "USD":
            code = names.code_of_hledger(name)
            for sums, number in zip(found, held, strict=True):
                sums[code] = (sums[code][0], D(number))
    return [{c: s for c, s in sums.items() if s != ZERO} for sums in found]


def ours(ledger: LedgerQueries, as_of: AsOf) -> dict[str, tuple[D, D]]:
    return {b.code: (b.amount, b.quantity or D(0)) for b in ledger.balances(as_of)}


def test_hledger_agrees_on_every_account_at_every_months_end(
    years: Any, hledger: Callable[..., list[list[str]]]
) -> None:
    ledger = years.ledger
    found = by_month(hledger, hledger_journal(ledger, as_of=NOW))
    for month, theirs in zip(MONTHS, found, strict=True):
        assert theirs == ours(ledger, AsOf(date=month)), month
    assert {"1010", "1030", "1040", "1050", "1130.SCHD", "1130.SCHY", "1130.VTI", "1140.SGOV",
            "4010", "4020", "4030", "5050", "5060"} <= found[-1].keys()  # fmt: skip


def test_as_known_half_way_it_agreed_then_too(
    years: Any, hledger: Callable[..., list[list[str]]]
) -> None:
    known = years.head // 2
    found = by_month(hledger, hledger_journal(years.ledger, as_of=AsOf(position=known)))
    for month, theirs in zip(MONTHS, found, strict=True):
        assert theirs == ours(years.ledger, AsOf(date=month, position=known)), month
    assert found[-1] != ours(years.ledger, NOW)


def test_what_the_holdings_page_shows_is_what_hledger_adds_up_to(
    years: Any, hledger: Callable[..., list[list[str]]]
) -> None:
    """Cost, units and purses at every month's end, and the broker's cash as their sum."""
    queries = HoldingsQueries(years.ledger, years.performance)
    found = by_month(hledger, hledger_journal(years.ledger, as_of=NOW))
    for month, theirs in zip(MONTHS, found, strict=True):
        state = queries.state(AsOf(date=month))
        shown = {f"1130.{r.symbol}": (r.cost, r.units) for r in state.rows if r.units}
        assert shown == {c: s for c, s in theirs.items() if c.startswith("1130.")}
        kept = state.reserves
        purses = (kept.float, kept.tax_cash, kept.payroll, kept.pool)
        codes = ("1010", "1030", "1040", "1050")
        assert purses == tuple(theirs.get(code, ZERO)[0] for code in codes)
        assert kept.tax_vehicle == theirs.get("1140.SGOV", ZERO)[0]
        assert kept.cash == years.ledger.broker_cash(AsOf(date=month))


def test_gains_by_source_are_hledgers_income_less_its_costs(
    years: Any, hledger: Callable[..., list[list[str]]]
) -> None:
    """Both sources together, over the two years and over one of them."""
    queries = HoldingsQueries(years.ledger, years.performance)
    found = by_month(hledger, hledger_journal(years.ledger, as_of=NOW))
    codes = ("4010", "4020", "5010", "5020")
    ends = [sum(-month.get(code, ZERO)[0] for code in codes) for month in found]
    whole = queries.realized(date(2024, 1, 1), date(2025, 12, 31))
    assert whole.trading + whole.holdings == ends[-1]
    assert min(abs(whole.trading), abs(whole.holdings)) > 0
    second = queries.realized(date(2025, 1, 1), date(2025, 12, 31))
    assert second.trading + second.holdings == ends[-1] - ends[11]
