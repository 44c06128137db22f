"""The figures as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.measure import Spread


class Row(NamedTuple):
    """One figure. ``ours`` and ``theirs`` in ``unit``; ``ratio`` above 1 means that ours is faster.

    ``theirs`` and ``ratio`` are None where there is nothing to compare with; ``note`` says why a
    row has no figures, or what is particular about it.
    """

    name: str
    ours: Spread | None = None
    theirs: Spread | None = None
    unit: str = "s"
    ratio: Spread | None = None
    aim: str = ""
    note: str = ""


class Section(NamedTuple):
    title: str
    rows: Sequence[Row]


def missing(name: str, package: str) -> Row:
    """The row of a program that this machine does not have."""
    return Row(name, note=f"not installed ({package})")


def as_text(machine: str, sections: Sequence[Section]) -> str:
    head = ("", "ours", "theirs", "ratio", "aim", "")
    body = [
        [(f"  {r.name}", _value(r.ours, r.unit), _value(r.theirs, r.unit), _ratio(r), r.aim, r.note)
         for r in section.rows]
        for section in sections
    ]  # fmt: skip
    lines = [head, *(line for section in body for line in section)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    text = [machine, ""]
    for section, rows in zip(sections, body, strict=True):
        text += [_line((section.title, *head[1:]), widths), *(_line(r, widths) for r in rows), ""]
    text.append("Median of the rounds (least to greatest). Ratios are taken round by round.")
    return "\n".join(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    numbers = [f"{cell:>{width}}" for cell, width in rest[:3]]
    words = [f"{cell:<{width}}" for cell, width in rest[3:]]
    return "  ".join([f"{first[0]:<{first[1]}}", *numbers, *words]).rstrip()


def _value(value: Spread | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value.median >= 1000 else 1 if value.median >= 20 else 2
    if unit.startswith("µ") or unit == "MB":
        digits = 0
    return f"{value.median:,.{digits}f} {unit}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    median, low, high = (f"{value:.2f}" for value in row.ratio)
    return f"{median} ({low}–{high})"


def as_json(machine: str, sections: Sequence[Section], facts: dict[str, Any]) -> str:
    """Facts about the run, and each figure as [median, least, greatest]."""
    rows = [
        {"section": s.title, **{k: v for k, v in r._asdict().items() if v not in (None, "")}}
        for s in sections
        for r in s.rows
    ]
    return json.dumps({"machine": machine, **facts, "rows": rows}, indent=2, ensure_ascii=False)
