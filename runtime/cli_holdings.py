"""The long-term holdings on the command line: their state, or a file of all their logs."""

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
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@format_option
@click.option("--log", "what", flag_value="log", help="Every event about them, instead.")
@click.option("--transactions", "what", flag_value="transactions", help="Every posting, instead.")
@with_errors
def holdings(
    data_dir: Path,
    as_of: str | None,
    known_at: str | None,
    as_json: bool,
    form: str,
    what: str | None,
) -> None:
    """Long-term securities against their targets, reserves and values, with the prices of then."""
    from runtime.holdings_view import HoldingsView

    queries = open_queries(data_dir)
    kind = "json" if as_json else {"table": "txt"}.get(form, form)
    moment = queries.moment(as_of, known_at)
    _, data, _ = HoldingsView(queries).export(what or "report", kind, moment)
    click.echo(data.decode(), nl=False)
