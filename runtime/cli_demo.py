"""The demo command: play with a progress bar, print the books, leave the pages open if asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from config.paths import DataFolder
from exporters.files import write_atomically
from projections.performance_queries import SessionSummary, Trade
from runtime.cli_output import money, say, table, units
from runtime.cli_read import trial_balance_text
from runtime.day_report import of_options
from runtime.demo import DemoPlan, Progress, plan_of, play, remove_demo
from runtime.queries import Queries

DEFAULT_FOLDER = Path("data/demo")


def holdings_demo(
    data_dir: Path | None,
    prices: Path | None,
    first: date | None,
    last: date | None,
    seed: int,
    port: int | None,
) -> None:
    """Years of long-term holdings: play, report, draw, and serve when ``port`` is given."""
    from runtime import holdings_demo as years
    from runtime import holdings_demo_report as reports
    from runtime.holdings_demo_picture import picture

    os.umask(0o077)
    plan = years.demo_of(seed, prices or daily_prices(os.environ), first, last)
    folder = DataFolder(data_dir or DEFAULT_FOLDER)
    if data_dir is None:
        remove_demo(folder)
    started = time.monotonic()
    with _bar(of_days=False) as progress:
        years.play(folder, plan, progress)
    say(f"Played in {time.monotonic() - started:.1f} s.")
    queries = Queries(folder)
    found = reports.figures(queries, plan)
    click.echo(reports.report(queries, plan, found))
    drawn = folder.holdings_picture(queries.status().identity)
    if len(found.months) > 1:
        title = f"Long-term holdings, {plan.first} to {plan.last}, {queries.books().currency}"
        write_atomically(drawn, picture(found.months, title))
        click.echo(f"Picture    {drawn}")
    click.echo(_next_steps(folder, "holdings"))
    queries.close()
    if port is not None:
        _serve(folder, port)


def daily_prices(environment: Mapping[str, str]) -> Path | None:
    """The file of daily prices in the folder that TRADEBOT_MARKETDATA names; None: made up."""
    named = environment.get("TRADEBOT_MARKETDATA", "")
    return next(iter(sorted(Path(named).glob("daily-*.csv"))), None) if named else None


def demo(
    data_dir: Path | None,
    bars: Path | None,
    first: date | None,
    last: date | None,
    symbols: tuple[str, ...],
    seed: int,
    port: int | None,
    *,
    all_strategies: bool = False,
) -> None:
    """Play, report, and serve when ``port`` is given."""
    os.umask(0o077)  # books, keys and logs are their owner's alone
    plan = plan_of(bars, first, last, symbols, seed)
    plan = msgspec.structs.replace(plan, all_strategies=all_strategies)
    folder = DataFolder(data_dir or DEFAULT_FOLDER)
    if data_dir is None:
        remove_demo(folder)  # the default folder is thrown away each time
    started = time.monotonic()
    with _bar() as progress:
        play(folder, plan, progress)
    say(f"Played in {time.monotonic() - started:.1f} s.")
    queries = Queries(folder)
    click.echo(report(queries, plan))
    click.echo(_next_steps(folder))
    if port is not None:
        queries.close()
        _serve(folder, port)


@contextmanager
def _bar(*, of_days: bool = True) -> Iterator[Progress]:
    """A bar on a terminal; one line a day, or every hundred, otherwise."""
    if not sys.stderr.isatty():
        every = 1 if of_days else 100
        yield (
            lambda what, done, total: (
                say(f"{what} ({done} of {total} sessions done)") if done % every == 0 else None
            )
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("sessions"), TimeElapsedColumn())  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Playing", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


def report(queries: Queries, plan: DemoPlan) -> str:
    """Everything that the demo shows at its end, as text."""
    status, trial, sessions = queries.status(), queries.trial_balance(), queries.sessions()
    trades = [t for s in sessions if (day := queries.day(s.day)) for t in day.trades]
    source = f"real bars of {plan.bars}" if plan.bars else f"synthetic market, seed {plan.seed}"
    held = queries.positions()
    positions = ", ".join(f"{units(p.quantity)} {p.symbol}" for p in held) or "none, all flat"
    return "\n".join(
        [
            f"{status.identity}  {plan.first} to {plan.last}  ({source})",
            "",
            f"Trades (times UTC, amounts {status.currency})",
            _trades(trades) if trades else "No trade was taken; `tbot events` shows why not.",
            "",
            f"Sessions (amounts {status.currency})",
            _sessions(sessions),
            "",
            f"Open positions: {positions}",
            f"Reconciled with the broker: {_reconciled(queries, sessions)}",
            "",
            "Trial balance",
            trial_balance_text(trial.balances, trial.debits, trial.credits),
            "",
            f"Events     {status.position:,}",
            f"Head hash  {status.head_hash}",
        ]
    )


def _trades(trades: list[Trade]) -> str:
    rows = [
        (
            str(t.day), t.symbol, t.strategy, t.entry_at[11:19], t.exit_at[11:19],
            f"{t.quantity:,.4f}", f"{t.entry_price:,.4f}", f"{t.exit_price:,.4f}",
            money(t.costs), money(t.pnl), t.exit_reason,
        )
        for t in trades
    ]  # fmt: skip
    head = ("Day", "Symbol", "Strategy", "In", "Out", "Units", "Entry", "Exit", "Costs", "P/L",
            "Exit because")  # fmt: skip
    return f"{table(head, rows, right={5, 6, 7, 8, 9})}\n{of_options(trades)}".rstrip()


def _sessions(sessions: list[SessionSummary]) -> str:
    rows = [
        (
            str(s.day), str(s.trades), str(s.wins), money(s.costs), money(s.pnl),
            money(s.equity) if s.equity is not None else "no price",
        )
        for s in sessions
    ]  # fmt: skip
    totals = (
        "Total",
        str(sum(s.trades for s in sessions)),
        str(sum(s.wins for s in sessions)),
        money(sum((s.costs for s in sessions), Decimal("0.00"))),
        money(sum((s.pnl for s in sessions), Decimal("0.00"))),
        "",
    )
    head = ("Day", "Trades", "Wins", "Costs", "P/L", "Equity at close")
    return table(head, [*rows, totals], right={1, 2, 3, 4, 5})


def _reconciled(queries: Queries, sessions: list[SessionSummary]) -> str:
    found = []
    for s in sessions:
        day = queries.day(s.day)
        if day is None or day.differences is None:
            found.append(f"{s.day} not compared")
        elif day.differences:
            found.append(f"{s.day} {'; '.join(day.differences)}")
    return "; ".join(found) or "cash and units equal after every session"


def _next_steps(folder: DataFolder, *more: str) -> str:
    """``more`` are commands that have something to say about this demo."""
    own = "".join(f"  tbot {command} --data-dir {folder.root}\n" for command in more)
    return (
        f"\nThe books are in {folder.root}. Look further:\n"
        f"{own}"
        f"  tbot verify --data-dir {folder.root}\n"
        f"  tbot balances --data-dir {folder.root} --as-of DATE\n"
        f"  tbot export hledger --data-dir {folder.root} -o books.journal\n"
        f"  python -m web --data-dir {folder.root}   (the same, in the browser)"
    )


def _serve(folder: DataFolder, port: int) -> None:
    """The pages as a process of their own, until Ctrl-C."""
    say(f"\nPages at http://127.0.0.1:{port} (Ctrl-C ends)")
    command = [sys.executable, "-m", "web", "--data-dir", str(folder.root), "--port", str(port)]
    try:
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - our own module
    except KeyboardInterrupt:
        code = 0
    if code:
        sys.exit(3)
