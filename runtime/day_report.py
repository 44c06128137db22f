"""The report of a closed session for people's mail boxes: what its summary holds, and the signed
checkpoint to keep elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import date
from decimal import Decimal

from config.paths import DataFolder
from projections.ledger_records import AsOf, Position
from projections.performance_queries import Trade
from runtime.alert_words import Rows, price_of, table
from runtime.purses import Reserves
from runtime.queries import Queries
from runtime.query_records import DayReport

COLUMNS = ("Symbol", "Strategy", "Units", "Bought at", "Sold at", "Costs", "Result")


def checkpoint_of(folder: DataFolder, position: int) -> tuple[str, bytes]:
    """Name and content of the session's signed note; empty while there is none."""
    path = folder.checkpoint(position)
    return (path.name, path.read_bytes()) if path.is_file() else ("", b"")


def day_report(folder: DataFolder, day: date, position: int) -> str:
    """The session that the event at ``position`` closed, as it was known then.

    Raises TradeBotError where the books cannot be read.
    """
    with closing(Queries(folder)) as queries:
        as_of = AsOf(position=position)
        report, purses = queries.day(day, as_of), queries.purses(as_of)
        currency = queries.books().currency
    if report is None:
        return f"Nothing is known of the session {day}.\n"
    return "\n".join(
        [
            _summary(report, currency),
            _titled("Closed trades", _trades(report.trades)),
            _titled("Held at the close", _positions(report.positions, currency)),
            _titled(f"Cash at the broker, {currency}", _purses(purses)),
            _titled("Books and broker", _differences(report.differences)),
        ]
    )


def _summary(report: DayReport, currency: str) -> str:
    s = report.summary
    rows: Rows = [
        (f"Result after costs, {currency}", s.pnl),
        (f"Costs, {currency}", s.costs),
        ("Trades", Decimal(s.trades)),
        ("of these won", Decimal(s.wins)),
        ("Decisions", Decimal(len(report.decisions))),
        ("Orders", Decimal(len(report.orders))),
    ]
    if s.equity is not None:
        rows.insert(0, (f"Account value at the close, {currency}", s.equity))
    return table(rows)


def _titled(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"


def _trades(trades: tuple[Trade, ...]) -> str:
    if not trades:
        return "None.\n"
    rows = [
        (
            t.symbol, t.strategy, f"{t.quantity:,f}", f"{price_of(t.entry_price):,f}",
            f"{price_of(t.exit_price):,f}",
            f"{t.costs:,f}", f"{t.pnl:+,f}",
        )
        for t in trades
    ]  # fmt: skip
    return _columns([COLUMNS, *rows], texts=2) + of_options(trades)


def of_options(trades: Iterable[Trade]) -> str:
    """What the prices of options are for; empty where none was traded."""
    units = sorted({t.multiplier for t in trades if t.multiplier != 1})
    if not units:
        return ""
    of = ", ".join(map(str, units))
    return f"Prices of options are for one share; a contract is of {of} shares.\n"


def _positions(positions: tuple[Position, ...], currency: str) -> str:
    if not positions:
        return "Nothing.\n"
    head = ("Symbol", "Account", "Units", f"Cost, {currency}")
    rows = [(p.symbol, p.code, f"{p.quantity:,f}", f"{p.cost:,f}") for p in positions]
    return _columns([head, *rows], texts=2)


def _purses(purses: Reserves) -> str:
    rows: Rows = [
        ("Float of trading", purses.float),
        ("Tax reserve, cash", purses.tax_cash),
        ("Payroll reserve", purses.payroll),
        ("To be reinvested", purses.pool),
    ]
    return table(rows)


def _differences(differences: tuple[str, ...] | None) -> str:
    if differences is None:
        return "They were NOT compared.\n"
    return "".join(f"{each}\n" for each in differences) or "They agree.\n"


def _columns(rows: list[tuple[str, ...]], texts: int) -> str:
    """The first ``texts`` columns are texts, the others numbers, which end under each other."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(
            cell.ljust(wide[n]) if n < texts else cell.rjust(wide[n]) for n, cell in enumerate(row)
        ).rstrip()
        + "\n"
        for row in rows
    )
