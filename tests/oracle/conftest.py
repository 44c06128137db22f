"""Sample books, kept through the real aggregates, store and projections, for outside programs."""

import csv
import hashlib
import io
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates import books, capital, chart_of_accounts, instrument, order, session
from aggregates import order_messages as orders
from aggregates.base import Command
from aggregates.money import exponent
from eventstore.application import Store
from eventstore.codec import command_content
from eventstore.envelope import CommandContext
from eventstore.feed import Feed
from projections.ledger import Ledger, template_chart
from projections.ledger_queries import LedgerQueries
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
from security.data_keys import KeyRing

IDENTITY = "DEMO_US_SIM_B1"
CAPITAL = {
    "deposit": capital.RecordDeposit,
    "withdraw": capital.RecordWithdrawal,
    "dividend": capital.RecordDividend,
    "interest": capital.RecordInterest,
    "fee": capital.RecordFee,
    "margin_interest": capital.RecordMarginInterest,
    "earmark": capital.Earmark,
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Keeper:
    """Keeps one set of books. Times are text, UTC; each method returns the event's position."""

    def __init__(
        self, folder: Path, currency: str = "USD", opened: str = "2024-01-02 13:00"
    ) -> None:
        self.currency = currency
        self._number = 0
        path = folder / "events.db"
        self.store = Store(
            path, keys=KeyRing.plain(b"k" * 32), now_us=self._now_us, software_version="test"
        )
        self._feed = Feed(path)
        self._ledger = Ledger.in_memory()
        self._performance = Performance.in_memory()
        self._open(opened)

    def close(self) -> None:
        self.store.close()
        self._feed.close()
        self._ledger.close()
        self._performance.close()

    @property
    def ledger(self) -> LedgerQueries:
        self._ledger.catch_up(self._feed)
        return LedgerQueries(self._ledger.connection)

    @property
    def performance(self) -> PerformanceQueries:
        self._performance.catch_up(self._feed)
        return PerformanceQueries(self._performance.connection, exponent(self.currency))

    @property
    def head(self) -> int:
        return self.store.head().position

    def _now_us(self) -> int:
        self._number += 1
        return 1_704_200_000_000_000 + self._number

    def _save(self, command: Command, aggregate: Any) -> int:
        context = CommandContext(
            f"c{self._number}", hashlib.sha256(command_content(command)).digest(), "test"
        )
        return self.store.record(context, aggregate)[-1]

    def _do(self, kind: type, stream: str, method: str, command: Command) -> int:
        aggregate = self.store.load(kind, stream)
        getattr(aggregate, method)(command)
        return self._save(command, aggregate)

    # -- the books -------------------------------------------------------------------------

    def _open(self, when: str) -> None:
        at = {"at": moment(when), "effective_date": moment(when).date()}
        command = books.OpenBooks(
            **at,
            identity=IDENTITY,
            entity_code="DEMO",
            jurisdiction_code="US",
            broker_code="SIM",
            bot_id="B1",
            currency=self.currency,
            timezone="America/New_York",
            exchange_calendar="XNYS",
            demo=True,
        )
        self._do(books.Books, books.STREAM, "open", command)
        self._do(books.Books, books.STREAM, "adopt_rules", books.AdoptRules(**at, rules_version=1))
        adopt = chart_of_accounts.AdoptChart(**at, chart=template_chart(), reason="start")
        self._do(chart_of_accounts.ChartOfAccounts, chart_of_accounts.STREAM, "adopt", adopt)

    def close_period(self, when: str, through: str) -> int:
        command = books.ClosePeriod(
            at=moment(when),
            effective_date=moment(when).date(),
            through=date.fromisoformat(through),
            reason="month end",
        )
        return self._do(books.Books, books.STREAM, "close_period", command)

    def reverse(self, when: str, position: int, reason: str = "wrong entry") -> int:
        command = books.ReverseEntry(
            at=moment(when),
            effective_date=moment(when).date(),
            reversed_position=position,
            reason=reason,
            movements=tuple(self.ledger.unit_movements(position)),
        )
        return self._do(books.Books, books.STREAM, "reverse", command)

    # -- money and instruments -------------------------------------------------------------

    def money(
        self, method: str, when: str, amount: str, *, on: str = "", reason: str = "", **more: Any
    ) -> int:
        reference = f"{method}-{self._number}"
        command = CAPITAL[method](
            at=moment(when),
            effective_date=date.fromisoformat(on) if on else moment(when).date(),
            reference=reference,
            currency=self.currency,
            amount=Decimal(amount),
            reason=reason or f"sample {method}",
            **more,
        )
        return self._do(capital.CapitalEntry, capital.capital_stream(reference), method, command)

    def register(self, symbol: str, kind: str = "etf", multiplier: int = 1, name: str = "") -> int:
        own_id = instrument.instrument_id("XNYS", symbol)
        command = instrument.RegisterInstrument(
            at=moment("2024-01-02 13:01"),
            effective_date=date(2024, 1, 2),
            symbol=symbol,
            name=name or f"{symbol} of the sample",
            kind=kind,
            currency=self.currency,
            exchange="XNYS",
            multiplier=multiplier,
        )
        return self._do(
            instrument.Instrument, instrument.instrument_stream(own_id), "register", command
        )

    def rename(self, when: str, symbol: str, new: str) -> int:
        own_id = instrument.instrument_id("XNYS", symbol)
        command = instrument.RenameInstrument(
            at=moment(when), effective_date=moment(when).date(), instrument_id=own_id, symbol=new
        )
        return self._do(
            instrument.Instrument, instrument.instrument_stream(own_id), "rename", command
        )

    def split(self, when: str, symbol: str, new: int, old: int, *, on: str = "") -> int:
        own_id = instrument.instrument_id("XNYS", symbol)
        command = instrument.RecordSplit(
            at=moment(when),
            effective_date=date.fromisoformat(on) if on else moment(when).date(),
            instrument_id=own_id,
            new_units=new,
            old_units=old,
        )
        return self._do(
            instrument.Instrument, instrument.instrument_stream(own_id), "split", command
        )

    # -- trades and prices -----------------------------------------------------------------

    def fill(
        self,
        when: str,
        side: str,
        quantity: str,
        symbol: str,
        price: str,
        *,
        commission: str = "0",
        fees: str = "0",
        net: str | None = None,
        sleeve: str = "trading",
        context: str = "trading",
        on: str = "",
        registered_as: str = "",
    ) -> int:
        """One order, filled at once; ``on`` is the session when it is not the date of ``when``."""
        order_id = f"o{self._number}"
        at = {
            "at": moment(when),
            "effective_date": date.fromisoformat(on) if on else moment(when).date(),
        }
        aggregate = self.store.load(order.Order, order.order_stream(order_id))
        aggregate.intend(
            orders.IntendOrder(
                **at,
                order_id=order_id,
                bot_identity=IDENTITY,
                instrument_id=instrument.instrument_id("XNYS", registered_as or symbol),
                symbol=symbol,
                sleeve=sleeve,
                side=side,
                order_type="market",
                quantity=Decimal(quantity),
                strategy="OPEN" if sleeve == "trading" else "HOLDINGS",
                context=context,
                reason="sample",
                held=Decimal(quantity),
            )
        )
        aggregate.record_submission(orders.RecordSubmission(**at, order_id=order_id))
        command = orders.RecordFill(
            **at,
            order_id=order_id,
            execution_id=f"x-{order_id}",
            quantity=Decimal(quantity),
            price=Decimal(price),
            currency=self.currency,
            commission=Decimal(commission),
            fees=Decimal(fees),
            net_amount=None if net is None else Decimal(net),
            settles_on=date(2024, 2, 1),
        )
        aggregate.record_fill(command)
        return self._save(command, aggregate)

    def day(self, label: str, **prices: str) -> int:
        """A session with closing marks; names of securities may be changed ids (BRK_B)."""
        stream = session.session_stream(label)
        at = {"at": moment(f"{label} 21:00"), "effective_date": date.fromisoformat(label)}
        command = session.OpenSession(
            **at,
            label=label,
            opens_at=moment(f"{label} 14:30"),
            closes_at=moment(f"{label} 21:00"),
            symbols=(),
            settings_position=0,
        )
        self._do(session.Session, stream, "open", command)
        marks = tuple(
            session.Mark(
                instrument_id=instrument.instrument_id("XNYS", symbol.replace("_", ".")),
                symbol=symbol,
                price=Decimal(price),
                at=moment(f"{label} 21:00"),
            )
            for symbol, price in prices.items()
        )
        mark = session.MarkPrices(**at, occasion="close", marks=marks)
        return self._do(session.Session, stream, "mark_prices", mark)


OPTION = "SPY240621P00450000"


def keep_sample(k: Keeper) -> dict[str, int]:
    """Every kind of entry once, with what makes books hard: rounding, late events, reversals."""
    k.register("SPY", name="SPDR S&P 500 <ETF>")
    k.register("QQQ", name="Invesco QQQ Trust, Café")
    k.register("BRK.B", "stock")
    k.register("USD", name="ProShares Ultra Semiconductors")
    k.register(OPTION, "option", 100)
    at: dict[str, int] = {}
    at["deposit"] = k.money(
        "deposit", "2024-01-02 14:00", "100000.00", reason='opening; "own" money'
    )
    k.money("deposit", "2024-01-02 14:05", "250.00", reason="somebody else's")
    wrong_deposit = k.head
    # Wednesday the 3rd: fractions of a cent, a stated net amount with a rounding residue
    k.fill("2024-01-03 15:30:00.123456", "buy", "100", "SPY", "470.123456", commission="0.354",
           fees="0.0123")  # fmt: skip
    at["sale"] = k.fill("2024-01-03 16:01", "sell", "40", "SPY", "471.115", commission="0.2",
                        fees="0.3761", net="18844.01")  # fmt: skip
    k.fill("2024-01-03 17:00", "buy", "2.123456789", "QQQ", "399.87")
    k.fill("2024-01-03 17:30", "buy", "10", "BRK.B", "355.5", commission="1")
    k.fill("2024-01-03 18:30", "sell", "10", "BRK.B", "356.25", commission="1", fees="0.01")
    k.day("2024-01-03", SPY="468.79", QQQ="396.28")
    # Thursday: the other sleeve in the same symbol, from its purse; UTC is a day ahead
    k.money("earmark", "2024-01-04 13:00", "5000.00", purse_from="float",
            purse_to="reinvestment_pool")  # fmt: skip
    k.fill("2024-01-04 14:45", "buy", "10", "SPY", "469.5", sleeve="holdings",
           context="reinvestment")  # fmt: skip
    at["usd"] = k.fill("2024-01-05 00:30", "buy", "7", "USD", "51.2", on="2024-01-04")
    k.fill("2024-01-04 19:00", "buy", "2", OPTION, "5.35", commission="1.30", fees="0.05")
    k.day("2024-01-04", SPY="467.28", QQQ="394.11", USD="51.4", **{OPTION: "5.60"})
    at["thursday"] = k.head
    # Friday: money without trades
    at["dividend"] = k.money("dividend", "2024-01-05 13:00", "30.00", symbol="SPY",
                             withheld=Decimal("4.50"))  # fmt: skip
    k.money("dividend", "2024-01-05 13:01", "12.00", symbol="ZZZ")
    k.money("interest", "2024-01-05 13:02", "1.23")
    k.money("fee", "2024-01-05 13:03", "2.00", reason="data,\nmonthly")
    k.money("margin_interest", "2024-01-05 13:04", "0.77")
    k.money("withdraw", "2024-01-05 13:05", "500.00")
    k.money("earmark", "2024-01-05 13:06", "1000.00", purse_from="float", purse_to="tax_reserve")
    k.money("withdraw", "2024-01-05 13:07", "100.00", purse="tax_reserve", purpose="income_tax")
    at["friday"] = k.head
    # Monday: a split in both sleeves, another with fractions, a sale after it
    at["split"] = k.split("2024-01-08 13:00", "SPY", 2, 1)
    k.split("2024-01-08 13:01", "USD", 3, 7)
    wrong_split = k.split("2024-01-08 13:02", "QQQ", 3, 2)
    k.fill("2024-01-08 15:00", "sell", "33.3", "SPY", "235.25", fees="0.0811")
    k.day("2024-01-08", SPY="234.1", QQQ="263.5", USD="120.1", **{OPTION: "5.10"})
    at["monday"] = k.head
    # Tuesday: what was late (before the split), what was wrong, what cannot be explained
    at["late"] = k.fill("2024-01-04 16:00", "buy", "21", "SPY", "468.333333", commission="0.07")
    at["reversal"] = k.reverse("2024-01-09 15:00", at["sale"], "busted by the exchange; see notice")
    k.reverse("2024-01-09 15:05", wrong_deposit)
    k.reverse("2024-01-09 15:06", at["dividend"])
    k.reverse("2024-01-09 15:07", wrong_split)
    suspense = k.fill("2024-01-09 16:00", "buy", "1", "QQQ", "396", net="-401.00")
    k.fill("2024-01-09 16:30", "buy", "3", "QQQ", "396.4")
    wrong_buy = k.head
    k.reverse("2024-01-09 17:00", wrong_buy)
    k.reverse("2024-01-09 17:05", suspense)
    k.fill("2024-01-09 17:30", "buy", "1", "QQQ", "396", net="-402.00")
    k.fill("2024-01-09 18:00", "sell", "1", OPTION, "4.90", commission="0.65", fees="0.0313")
    k.day("2024-01-09", SPY="235.4", QQQ="397", USD="121", **{OPTION: "4.85"})
    at["tuesday"] = k.head
    # Wednesday: a closed period, and an event that comes too late for it
    k.close_period("2024-01-10 13:00", "2024-01-09")
    at["after_close"] = k.fill("2024-01-05 17:00", "buy", "5", "SPY", "467.9", commission="0.35")
    k.rename("2024-01-10 13:10", "QQQ", "QQQM")
    k.fill("2024-01-10 15:00", "sell", "0.123456789", "QQQM", "398.25", registered_as="QQQ")
    k.day("2024-01-10", SPY="236", QQQ="398", USD="122", **{OPTION: "4.50"})
    at["end"] = k.head
    return at


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The sample books: ``keeper``, ``ledger``, ``performance`` and ``at``, positions by name."""
    keeper = Keeper(tmp_path_factory.mktemp("sample"))
    at = keep_sample(keeper)
    yield SimpleNamespace(
        keeper=keeper, ledger=keeper.ledger, performance=keeper.performance, at=at
    )
    keeper.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """Books of one's own, with nothing in them yet."""
    kept = Keeper(tmp_path)
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def make_keeper() -> Callable[..., Keeper]:
    """`make_keeper(folder, currency=…)`: the caller closes it."""
    return Keeper


@pytest.fixture(scope="session")
def hledger(need_tool: Callable[[str, str], str]) -> Callable[..., list[list[str]]]:
    """`hledger(journal, "bal", …)`: the rows of its CSV, without the heading."""
    program = need_tool("hledger", "hledger")

    def run(journal: str, *arguments: str) -> list[list[str]]:
        done = subprocess.run(
            [program, "-f", "-", *arguments, "-O", "csv"],
            input=journal.encode(),
            capture_output=True,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        assert done.returncode == 0, done.stderr.decode()
        return list(csv.reader(io.StringIO(done.stdout.decode())))[1:]

    return run
