"""The command line: it reads, makes files for others, and plays simulated days. It never trades.

Exit codes: 0 fine, 1 verification failed, 2 usage, 3 unreadable. Heavy imports are inside the
commands, so that --help answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtime.version import VERSION

if TYPE_CHECKING:
    from runtime.queries import Queries

FINE, FAILED, USAGE, UNREADABLE = 0, 1, 2, 3
F = TypeVar("F", bound=Callable[..., Any])


class Day(click.ParamType[date]):
    """A date, 2013-10-07."""

    name = "date"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as 2013-10-07.", param, ctx)


def with_errors(command: F) -> F:
    """Turn our errors into a message and an exit code; anything else is a bug and shows itself."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from aggregates.errors import DomainError, TradeBotError
        from config.errors import ConfigError
        from security.keyfile import KeyFileError

        try:
            return command(*args, **kwargs)
        except (DomainError, ConfigError) as e:
            click.echo(f"tbot: {e}", err=True)
            sys.exit(USAGE)
        except (TradeBotError, KeyFileError, OSError) as e:
            click.echo(f"tbot: {e}", err=True)
            sys.exit(UNREADABLE)

    return run  # type: ignore[return-value]


def data_dir_option(command: F) -> F:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("data"),
        show_default=True,
        help="The bot's data folder.",
    )(command)


def clock_options(command: F) -> F:
    """Both clocks: effective date, and what was known when."""
    command = click.option(
        "--known-at", metavar="POSITION|TIME", help="As known at that event, or at that UTC time."
    )(command)
    return click.option("--as-of", metavar="DATE", help="Entries effective up to that date.")(
        command
    )


def format_option(command: F) -> F:
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
    )(command)


def open_queries(data_dir: Path) -> Queries:
    from config.paths import DataFolder
    from runtime.queries import Queries

    return Queries(DataFolder(data_dir))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="tbot")
def main() -> None:
    """TradeBot: an event-sourced trading bot with books that another program agrees with."""


@main.command()
@data_dir_option
@format_option
@with_errors
def status(data_dir: Path, form: str) -> None:
    """Where the bot's history stands."""
    from runtime import cli_read

    cli_read.status(open_queries(data_dir), form)


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
    entries = queries.journal(
        queries.moment(as_of, known_at), since=since, account=account, limit=limit or -1
    )
    cli_read.journal(entries, form)


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
@with_errors
def verify(data_dir: Path) -> None:
    """Recompute the whole hash chain; exit code 1 names the first bad event."""
    from runtime import cli_read
    from runtime.cli_output import progress_bar

    with progress_bar("Verifying") as bar:
        result = open_queries(data_dir).verify_now(bar)
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
@click.argument("kind", type=click.Choice(["ofx", "hledger", "beancount"]))
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
    """Write the books as OFX, or as a journal for hledger or beancount."""
    from runtime import cli_export

    queries = open_queries(data_dir)
    cli_export.export(
        queries, kind, queries.moment(as_of, known_at), output, since, int(ofx_version)
    )


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
    serve: bool,
    port: int,
) -> None:
    """Play trading days with a throw-away bot, then print the books."""
    from runtime import cli_demo

    chosen = tuple(sorted(s for s in symbols.split(",") if s))
    cli_demo.demo(data_dir, bars, first, last, chosen, seed, port if serve else None)


@main.command()
@data_dir_option
@with_errors
def run(data_dir: Path) -> None:
    """Start the bot of a provisioned data folder."""
    from aggregates.errors import DomainError

    raise DomainError(
        f"{data_dir} is not provisioned, and provisioning through the browser is not part of this "
        "version yet. Nothing was started. `tbot demo --serve` shows a bot that plays."
    )


if __name__ == "__main__":
    main()
