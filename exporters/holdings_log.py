"""All logs and transactions of the long-term holdings, for review (M38): who, when, what, how much,
before and after.

A log line is an event, a transaction line a posting. Amounts are debit positive; ``before`` and
``after`` of a posting are the balance of its account, for the accounts of the long-term part.
"""

from __future__ import annotations

from typing import Any

import msgspec

from exporters.holdings_report import Kind, Source
from exporters.tables import csv_file, json_file


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Times are UTC text; ``details`` is the payload as recorded; ``amount``, ``before``
    and ``after`` are empty where the event has none."""

    position: int
    recorded_at: str
    effective_date: str
    user: str
    action: str
    said: str
    symbol: str
    amount: str
    before: str
    after: str
    hash: str
    details: dict[str, Any]


class TransactionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting of an entry that moved the long-term part or a reserve."""

    transaction_id: int
    position: int
    effective_date: str
    timestamp: str
    user: str
    action: str
    context: str
    description: str
    account: str
    account_name: str
    symbol: str
    units: str
    amount: str
    before: str
    after: str
    reference: str


def log_file(lines: list[LogLine], kind: Kind, source: Source) -> bytes:
    if kind == "json":
        return json_file(lines)
    if kind == "csv":
        return csv_file(
            LogLine.__struct_fields__,
            [_texts(line) | {"details": _compact(line.details)} for line in lines],
        )
    said = [f"{x.recorded_at}  {x.user}\n    {x.position:,}  {x.said or x.action}" for x in lines]
    return _print(source.heading("Log of the long-term holdings"), said)


def transactions_file(lines: list[TransactionLine], kind: Kind, source: Source) -> bytes:
    if kind == "json":
        return json_file(lines)
    if kind == "csv":
        return csv_file(TransactionLine.__struct_fields__, [_texts(line) for line in lines])
    return _print(source.heading("Transactions of the long-term holdings"), _entries(lines))


def _entries(lines: list[TransactionLine]) -> list[str]:
    """An entry a paragraph: its head, then a line a posting."""
    found: dict[int, list[str]] = {}
    for line in lines:
        if line.transaction_id not in found:
            context = f" ({line.context})" if line.context else ""
            head = f"{line.effective_date}  {line.description}{context}, event {line.position:,}"
            found[line.transaction_id] = [head]
        units = f"  {line.units} units" if line.units else ""
        found[line.transaction_id].append(
            f"    {line.account:<12}{line.account_name[:40]:<40}{line.amount:>16}{units}"
        )
    return ["\n".join(paragraph) for paragraph in found.values()]


def _print(heading: str, paragraphs: list[str]) -> bytes:
    told = "\n".join(paragraphs) or "Nothing was recorded."
    return f"{heading}\n\n{told}\n".encode()


def _texts(line: msgspec.Struct) -> dict[str, str]:
    return {name: str(getattr(line, name)) for name in line.__struct_fields__}


def _compact(details: dict[str, Any]) -> str:
    return msgspec.json.encode(details).decode()
