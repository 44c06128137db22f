"""Commands that read the books through both clocks; cli_read and cli_diff print."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.cli_options import (
    clock_options,
    data_dir_option,
    format_option,
    open_queries,
    with_errors,
)


@click.command()
@data_dir_option
@clock_options
@click.option("--open", "only_open", is_flag=True, help="Only orders that may still be filled.")
@format_option
@with_errors
def orders(
    data_dir: Path, as_of: str | None, known_at: str | None, only_open: bool, form: str
) -> None:
    """Every order with its state, in the order of intent."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    cli_read.orders(queries.orders(queries.moment(as_of, known_at), only_open=only_open), form)


@click.command()
@data_dir_option
@clock_options
@format_option
@with_errors
def positions(data_dir: Path, as_of: str | None, known_at: str | None, form: str) -> None:
    """Securities held: units and book cost, account by account."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    cli_read.positions(queries, queries.moment(as_of, known_at), form)


@click.command()
@data_dir_option
@clock_options
@format_option
@with_errors
def chart(data_dir: Path, as_of: str | None, known_at: str | None, form: str) -> None:
    """The chart of accounts in force, and what posts to each account."""
    from runtime import cli_read

    queries = open_queries(data_dir)
    cli_read.chart(queries.chart(queries.moment(as_of, known_at)), form)


@click.command()
@data_dir_option
@click.option(
    "--period", required=True, metavar="FROM:TO",
    help="Effective dates, both included; 2013-10, 2013-Q4 and 2013 name a whole period.",
)  # fmt: skip
@click.option(
    "--since", required=True, metavar="POSITION|TIME", help="The earlier known-at, such as when "
    "the period was filed: an event, or a UTC time (a date alone is its beginning).",
)  # fmt: skip
@click.option("--known-at", metavar="POSITION|TIME", help="The later known-at; without it, now.")
@format_option
@with_errors
def diff(data_dir: Path, period: str, since: str, known_at: str | None, form: str) -> None:
    """What changed in a period since a given moment: how much, by whom, why, by which events."""
    from runtime import cli_diff

    cli_diff.difference(open_queries(data_dir).difference(period, since, known_at), form)
