"""The command line: it reads, makes files for others, and plays simulated days. It never trades.

Exit codes: 0 fine, 1 verification failed, 2 usage, 3 unreadable. Heavy imports are inside the
commands, so that --help answers at once.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import click

from runtime import cli_books, cli_holdings
from runtime.cli_options import (
    FAILED,
    FINE,
    Day,
    clock_options,
    data_dir_option,
    format_option,
    open_queries,
    output_option,
    with_errors,
)
from runtime.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="tbot")
def main() -> None:
    """TradeBot: an event-sourced trading bot with books that another program agrees with."""


@main.command()
@data_dir_option
@clock_options
@format_option
@with_errors
def status(data_dir: Path, as_of: str | None, known_at: str | None, form: str) -> None:
    """Where the bot's history stands."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    cli_read.status(queries.status(queries.moment(as_of, known_at)), form)


@main.command()
@data_dir_option
@clock_options
@format_option
@with_errors
def balances(data_dir: Path, as_of: str | None, known_at: str | None, form: str) -> None:
    """Every account's balance, with debits and credits."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    cli_read.balances(queries, queries.moment(as_of, known_at), form)


@main.command()
@data_dir_option
@clock_options
@click.option("--account", help="Only entries that move this account, such as 1010 or 1110.SPY.")
@click.option("--since", type=Day(), metavar="DATE", help="Entries effective from that date on.")
@click.option("--limit", type=click.IntRange(1), help="At most so many entries.")
@format_option
@with_errors
def journal(
    data_dir: Path,
    as_of: str | None,
    known_at: str | None,
    account: str | None,
    since: date | None,
    limit: int | None,
    form: str,
) -> None:
    """Entries with their postings, by date."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    moment = queries.moment(as_of, known_at)
    if account is not None and queries.account(account, moment) is None:
        raise click.UsageError(
            f"There is no account {account} then; `tbot chart` lists those there are."
        )
    entries = queries.journal(moment, since=since, account=account, limit=limit or -1)
    cli_read.journal(entries, form)


@main.command()
@data_dir_option
@click.option("--decisions", is_flag=True, required=True, help="Derive every decision again.")
@click.option("--known-at", metavar="POSITION|TIME", help="Nothing later than that.")
@format_option
@with_errors
def replay(data_dir: Path, decisions: bool, known_at: str | None, form: str) -> int:  # noqa: ARG001
    """Derive every recorded decision again from its recorded inputs, and compare."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    found = queries.replay_decisions(queries.moment(None, known_at))
    cli_read.replayed(found, form)
    return FAILED if found.unequal else FINE


@main.command()
@data_dir_option
@click.option("--after", type=click.IntRange(0), default=0, help="Events after this position.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--topic", multiple=True, help='Only this topic or family, such as "Order".')
@click.option("--stream", default="", help="Only this stream or correlation thread.")
@click.option("--known-at", metavar="POSITION|TIME", help="Nothing later than that.")
@format_option
@with_errors
def events(
    data_dir: Path,
    after: int,
    limit: int,
    topic: tuple[str, ...],
    stream: str,
    known_at: str | None,
    form: str,
) -> None:
    """The history, event by event."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    found = queries.events(
        after=after,
        limit=limit,
        topics=topic,
        stream=stream,
        known_at=queries.moment(None, known_at).position,
    )
    cli_read.events(found, form)


@main.command()
@data_dir_option
@click.option(
    "--checkpoint", "signed", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A signed checkpoint that the history and the books must continue.",
)  # fmt: skip
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Whose checkpoint: a vkey file; without it the data folder's own key.",
)  # fmt: skip
@with_errors
def verify(data_dir: Path, signed: Path | None, key: Path | None) -> None:
    """Recompute the whole hash chain; exit code 1 names the first bad event."""
    from runtime import cli_prove, cli_read
    from runtime.cli_output import progress_bar

    if key is not None and signed is None:
        raise click.UsageError("--key says who signed a checkpoint; name one with --checkpoint.")
    with progress_bar("Verifying") as bar:
        result = open_queries(data_dir).verify_now(bar)
        if signed is not None and result.intact:
            cli_prove.verify_checkpoint(data_dir, signed, key, bar)  # its fault comes before all
        cli_read.verified(result)
    sys.exit(FINE if result.intact else FAILED)


@main.command()
@data_dir_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="The new ledger file; it must not exist.",
)  # fmt: skip
@click.option("--until", metavar="POSITION|TIME", help="Stop at that event or UTC time.")
@with_errors
def rebuild(data_dir: Path, output: Path, until: str | None) -> None:
    """Rebuild the ledger from the events into a new file and print its digest."""
    from config.paths import DataFolder
    from runtime import cli_read
    from runtime.cli_output import progress_bar
    from runtime.views import rebuild_ledger

    queries = open_queries(data_dir)
    position = queries.moment(None, until).position
    with progress_bar("Rebuilding") as bar:
        digest, reached = rebuild_ledger(DataFolder(data_dir), output, position, bar)
    cli_read.rebuilt(output, digest, reached)


@main.command()
@click.argument(
    "kind",
    type=click.Choice(["ofx", "hledger", "beancount", "coa-json", "coa-csv", "coa-md", "history"]),
)
@data_dir_option
@clock_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="The file to write; an existing one is replaced.",
)  # fmt: skip
@click.option("--since", type=Day(), metavar="DATE", help="OFX: statement from that date on.")
@click.option("--ofx-version", type=click.Choice(["102", "203"]), default="203", show_default=True)
@with_errors
def export(
    kind: str,
    data_dir: Path,
    as_of: str | None,
    known_at: str | None,
    output: Path,
    since: date | None,
    ofx_version: str,
) -> None:
    """Write the books as OFX, or as a journal for hledger or beancount; the chart of accounts for
    people (coa-…); or the whole history."""
    from runtime import cli_export, cli_history
    from runtime.cli_output import progress_bar

    if kind == "history":
        if as_of or known_at or since:
            raise click.UsageError("A history is exported whole; leave the dates away.")
        with progress_bar("Exporting") as bar:
            cli_history.export(data_dir, output, bar)
        return
    queries = open_queries(data_dir)
    cli_export.export(
        queries, kind, queries.moment(as_of, known_at), output, since, int(ofx_version)
    )


@main.command("import-history")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="The folder to make; it must not exist, or be empty.",
)  # fmt: skip
@with_errors
def import_history(file: Path, data_dir: Path) -> None:
    """Make a new data folder of an exported history, with equal positions and hashes."""
    from runtime import cli_history
    from runtime.cli_output import progress_bar

    with progress_bar("Importing") as bar:
        cli_history.load(file, data_dir, bar)


@main.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False),
    help="Folder to play in and go on in; without it data/demo is made anew.",
)  # fmt: skip
@click.option(
    "--bars", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with bars/ and quotes/ as CSV; without it the market is synthetic.",
)  # fmt: skip
@click.option("--from", "first", type=Day(), metavar="DATE", help="First day.")
@click.option("--to", "last", type=Day(), metavar="DATE", help="Last day.")
@click.option("--symbols", default="", help="Comma-separated; without it all that have data.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--all-strategies", is_flag=True,
    help="OPEN, MID and CLOSE instead of OPEN alone, and puts on weakness.",
)  # fmt: skip
@click.option(
    "--holdings", is_flag=True, help="Two years of the long-term holdings instead, at daily prices."
)
@click.option(
    "--prices", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --holdings: a CSV of daily prices (symbol, date, open, close) with QQQ, VXUS, BNDX "
    "and VCIT; without it daily-*.csv in the folder TRADEBOT_MARKETDATA, else made-up prices.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="Leave the pages open at the end.")
@click.option("--port", type=click.IntRange(1, 65535), default=6900, show_default=True)
@with_errors
def demo(
    data_dir: Path | None,
    bars: Path | None,
    first: date | None,
    last: date | None,
    symbols: str,
    seed: int,
    all_strategies: bool,
    holdings: bool,
    prices: Path | None,
    serve: bool,
    port: int,
) -> None:
    """Play trading days with a throw-away bot, then print the books."""
    from runtime import cli_demo

    if prices and not holdings:
        raise click.UsageError("--prices belongs to --holdings.")
    if holdings:
        if bars or symbols or all_strategies:
            raise click.UsageError(
                "--holdings takes --prices, not --bars, --symbols or --all-strategies."
            )
        cli_demo.holdings_demo(data_dir, prices, first, last, seed, port if serve else None)
        return
    chosen = tuple(sorted(s for s in symbols.split(",") if s))
    cli_demo.demo(
        data_dir, bars, first, last, chosen, seed, port if serve else None,
        all_strategies=all_strategies,
    )  # fmt: skip


@main.command("restore-keys")
@data_dir_option
@click.option(
    "--recovery-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    help="The file in which you keep the recovery key.",
)  # fmt: skip
@with_errors
def restore_keys(data_dir: Path, recovery_key: Path) -> None:
    """Make a bot's keys anew: its root key is lost, or a file below storage/ is damaged."""
    from config.clock import SystemClock
    from config.paths import DataFolder
    from runtime import restoring

    text = recovery_key.read_text("utf-8", "replace")
    number, root_key = restoring.restore_keys(DataFolder(data_dir), SystemClock(), text)
    click.echo(f"Generation {number} of the keys is in force. Its root key is {root_key}.")


@main.command()
@data_dir_option
@click.option(
    "--port", type=click.IntRange(1, 65535),
    help="Port of the pages; without it WEB_PORT, and 6900 until there are settings.",
)  # fmt: skip
@with_errors
def run(data_dir: Path, port: int | None) -> None:
    """Run the bot of a data folder; of an empty one, the pages that set it up."""
    from runtime import main as runtime_main

    sys.exit(runtime_main.run(data_dir, port))


@main.command()
@data_dir_option
@output_option("The checkpoint file, with its verifier key beside it as .vkey.")
@with_errors
def checkpoint(data_dir: Path, output: Path) -> None:
    """Sign where history and books stand, to be kept away from this machine."""
    from runtime import cli_prove
    from runtime.cli_output import progress_bar

    with progress_bar("Verifying") as bar:
        cli_prove.checkpoint(data_dir, output, bar)


@main.group()
def prove() -> None:
    """Small proofs for others; docs/verifier/verify_tradebot.py checks them."""


@prove.command()
@click.argument("position", type=click.IntRange(1))
@data_dir_option
@output_option()
@with_errors
def entry(position: int, data_dir: Path, output: Path) -> None:
    """Disclose one event, and show that the latest checkpoint covers it."""
    from runtime import cli_prove

    cli_prove.entry(data_dir, position, output)


@prove.command()
@click.argument("first", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("second", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_dir_option
@output_option()
@with_errors
def consistency(first: Path, second: Path, data_dir: Path, output: Path) -> None:
    """Show that one checkpoint's history is the beginning of the other's."""
    from runtime import cli_prove

    cli_prove.consistency(data_dir, first, second, output)


for reading in (cli_books.orders, cli_books.positions, cli_books.chart, cli_books.diff):
    main.add_command(reading)
main.add_command(cli_holdings.holdings)

if __name__ == "__main__":
    main()
