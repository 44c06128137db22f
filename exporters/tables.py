"""Rows of text as CSV, JSON or an aligned table for print: the same bytes for the same rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Record = Mapping[str, str]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def csv_file(columns: Sequence[str], records: Sequence[Record]) -> bytes:
    """A header and a line a record; RFC 4180 but for the line ends, which are a line feed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in each.items()} for each in records)
    return out.getvalue().encode()


def _cell(text: str) -> str:
    """What a spreadsheet would take for a formula gets an apostrophe; numbers stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def json_file(content: Any) -> bytes:
    """Indented; decimals are text in fixed point, so that no reader makes floats of them."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """An aligned table; the columns in ``right`` hold numbers."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])
