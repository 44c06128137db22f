"""What the commands share: exit codes, errors as messages, options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
        from eventstore.errors import VerificationFailed
        from security.keyfile import KeyFileError

        try:
            return command(*args, **kwargs)
        except (DomainError, ConfigError) as e:
            click.echo(f"tbot: {e}", err=True)
            sys.exit(USAGE)
        except VerificationFailed as e:
            click.echo(f"tbot: {e}", err=True)
            sys.exit(FAILED)
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
        "--known-at",
        metavar="POSITION|TIME",
        help="As known at that event, or from what was recorded at or before that time (UTC unless "
        "it names its zone; a date alone is its beginning), or 'last close', 'end of 2013-Q4'.",
    )(command)
    return click.option(
        "--as-of",
        metavar="DATE",
        help="What is effective up to that date; 2013-10, 2013-Q4 and 2013 mean their last day. "
        "Words as well: today, yesterday, 'last close', 'end of last month'.",
    )(command)


def format_option(command: F) -> F:
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
    )(command)


def output_option(
    text: str = "The file to write; an existing one is replaced.",
) -> Callable[[F], F]:
    return click.option(
        "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help=text
    )


def open_queries(data_dir: Path) -> Queries:
    from config.paths import DataFolder
    from runtime.queries import Queries

    return Queries(DataFolder(data_dir))
