"""Files for others: OFX and journals, each written whole or not at all."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import click

from exporters.files import write_atomically
from exporters.journals import beancount_journal, hledger_journal
from exporters.ofx import export_ofx
from projections.ledger_records import AsOf
from runtime.export_chart import chart_export
from runtime.queries import Queries


def export(
    queries: Queries,
    kind: str,
    as_of: AsOf,
    output: Path,
    since: date | None,
    ofx_version: int,
) -> None:
    """Write one export and say what was written, with its SHA-256."""
    if kind.startswith("coa-"):
        _, data = chart_export(queries, kind.removeprefix("coa-"), as_of)
        _write(output, data)
        return
    books, trading = queries.sources()
    if kind == "ofx":
        version = 102 if ofx_version == 102 else 203
        data = export_ofx(books, trading, as_of=as_of, since=since, version=version)  # type: ignore[arg-type]
    elif kind == "hledger":
        data = hledger_journal(books, as_of=as_of).encode()
    else:
        data = beancount_journal(books, as_of=as_of).encode()
    _write(output, data)


def _write(output: Path, data: bytes) -> None:
    write_atomically(output, data)
    click.echo(f"Wrote {output}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")
