"""How the command line shows things: data on stdout, progress on stderr, three formats."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
import msgspec


def as_json(value: Any) -> str:
    """Indented JSON; decimals as strings in fixed point, times in UTC."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    return msgspec.json.format(encoded, indent=2).decode()


def money(amount: Decimal) -> str:
    """1,234.50 with the currency's decimals; the sign in front."""
    return f"{amount:,f}"


def units(quantity: Decimal | None) -> str:
    """Units without trailing zeros; empty where an account holds none."""
    return "" if quantity is None else f"{quantity:,f}"


def utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """An aligned table; the columns in ``right`` hold numbers and are aligned to the right."""
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            c.rjust(w) if i in right else c.ljust(w)
            for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * w for w in widths)
    return "\n".join([line(head), rule, *map(line, rows)])


def csv_text(records: Sequence[dict[str, Any]]) -> str:
    """Records as CSV with a header; decimals in fixed point."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in record.items()} for record in records)
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return "" if value is None else str(value)


def plain(record: msgspec.Struct) -> dict[str, Any]:
    """A record as a dict, without what is None."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not None}


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for long work; silent when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say(text: str) -> None:
    """A word to the person, apart from the data."""
    click.echo(text, err=True)
