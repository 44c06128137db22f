"""The chart of accounts as files for people: JSON, CSV, Markdown (M05). Nothing reads them back."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

import msgspec

from aggregates.chart_of_accounts import Chart
from exporters.files import write_atomically

Kind = Literal["json", "csv", "md"]
KINDS: tuple[Kind, ...] = ("json", "csv", "md")
COLUMNS = ("code", "name", "type", "parent", "per_instrument", "active", "roles")


class ChartSheet(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the chart and whose it is, with the fields of ``coa_metadata``.

    Times are UTC text. ``created_at_utc`` is that of the first version, ``position`` the event that
    made this one.
    """

    identity: str
    entity_code: str
    jurisdiction_code: str
    currency_code: str
    created_at_utc: str
    last_updated_utc: str
    effective_date: str
    position: int
    reason: str
    chart: Chart


def chart_file(sheet: ChartSheet, kind: Kind) -> bytes:
    """The sheet as one file, UTF-8."""
    return {"json": _json, "csv": _csv, "md": _markdown}[kind](sheet).encode()


def write_chart(sheet: ChartSheet, folder: Path) -> list[Path]:
    """Write every kind, each whole or not at all; returns the paths. Raises ExportError."""
    paths = {folder / f"{sheet.identity}_BOT_coa.{kind}": chart_file(sheet, kind) for kind in KINDS}
    for path, data in paths.items():
        write_atomically(path, data)
    return list(paths)


def _json(sheet: ChartSheet) -> str:
    head = {name: getattr(sheet, name) for name in sheet.__struct_fields__ if name != "chart"}
    content = head | {
        "coa_version": sheet.chart.version,
        "accounts": _rows(sheet.chart),
        "mapping": sheet.chart.mapping,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def _csv(sheet: ChartSheet) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _rows(sheet.chart):
        writer.writerow(
            row
            | {
                "per_instrument": "yes" if row["per_instrument"] else "no",
                "active": "yes" if row["active"] else "no",
                "roles": " ".join(row["roles"]),
            }
        )
    return out.getvalue()


def _markdown(sheet: ChartSheet) -> str:
    lines = [
        f"# Chart of accounts {sheet.identity}, version {sheet.chart.version}",
        "",
        f"In {sheet.currency_code}; in force from {sheet.effective_date}, recorded"
        f" {sheet.last_updated_utc} by event {sheet.position}: {_cell(sheet.reason)}",
        "",
        "| code | account | type | under | for each security | active | what posts there |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {a['code']} | {_cell(a['name'])} | {a['type']} | {a['parent']} |"
        f" {'yes' if a['per_instrument'] else ''} | {'' if a['active'] else 'no'} |"
        f" {', '.join(a['roles']).replace('_', ' ')} |"
        for a in _rows(sheet.chart)
    ]
    return "\n".join(lines) + "\n"


def _rows(chart: Chart) -> list[dict[str, Any]]:
    return [
        {
            "code": a.code,
            "name": a.name,
            "type": a.type,
            "parent": a.under,
            "per_instrument": a.per_instrument,
            "active": a.active,
            "roles": chart.roles_of(a.code),
        }
        for a in sorted(chart.accounts, key=lambda a: a.code)
    ]


def _cell(text: str) -> str:
    """Text inside a table: neither its columns nor HTML can come from it."""
    marks = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "&": "&amp;", "\\": "\\\\"})
    return text.translate(marks)
