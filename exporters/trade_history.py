"""The day's closed trades as CSV and JSON, and the day in one summary (M07, M24).

For people: nothing here is ever read back. Amounts are decimal text, times are UTC.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from exporters.files import write_atomically
from projections.ledger_records import AsOf
from projections.performance_queries import PerformanceQueries, Trade

# The specification's ten fields come first, in its order and spelling.
FIELDS = (
    "timestamp",
    "strategy_name",
    "ticker",
    "side",
    "size",
    "entry_price",
    "exit_price",
    "PnL",
    "broker",
    "error_code",
    "entry_timestamp",
    "costs",
    "fills",
    "exit_reason",
    "position",
    "multiplier",
)


def write_day(
    folder_trades: Path,
    folder_summaries: Path,
    identity: str,
    day: date,
    performance: PerformanceQueries,
    as_of: AsOf,
    broker_code: str,
) -> list[Path]:
    """Write the round trips that closed on ``day`` and its summary; returns the three paths.

    Files are replaced whole, mode 0600; a day without trades has files that say so. Raises
    ExportError when a file cannot be written.
    """
    trades = performance.trades(as_of, day=day)
    records = [_record(trade, broker_code) for trade in trades]
    name = f"{identity}_BOT_trade_history_{day.isoformat()}"
    summary = f"{identity}_BOT_summary_{day.isoformat()}.json"
    files = {
        folder_trades / f"{name}.csv": _csv(records),
        folder_trades / f"{name}.json": _json(records),
        folder_summaries / summary: _json(
            _summary(identity, day, trades, performance, as_of, broker_code)
        ),
    }
    for path, data in files.items():
        write_atomically(path, data)
    return list(files)


def _record(trade: Trade, broker_code: str) -> dict[str, str]:
    """One round trip. It is dated by its exit; a closed trade has no error code."""
    return {
        "timestamp": trade.exit_at,
        "strategy_name": trade.strategy,
        "ticker": trade.symbol,
        "side": "long",  # never a short sale: the bearish side is a long put or an inverse ETF
        "size": _text(trade.quantity),
        "entry_price": _text(trade.entry_price),
        "exit_price": _text(trade.exit_price),
        "PnL": _text(trade.pnl),
        "broker": broker_code,
        "error_code": "",
        "entry_timestamp": trade.entry_at,
        "costs": _text(trade.costs),
        "fills": str(trade.fills),
        "exit_reason": trade.exit_reason,
        "position": str(trade.position),
        "multiplier": str(trade.multiplier),  # a unit is worth its price times this
    }


def _summary(
    identity: str,
    day: date,
    trades: list[Trade],
    performance: PerformanceQueries,
    as_of: AsOf,
    broker_code: str,
) -> dict[str, Any]:
    """``closed`` says whether the session ended; ``differences`` to the broker are null when it was
    not reconciled and empty when all was equal."""
    points = performance.equity(as_of, day=day)
    phases = performance.phases(as_of, day=day)
    differences = performance.differences(day, as_of)
    return {
        "identity": identity,
        "broker": broker_code,
        "day": day.isoformat(),
        "closed": any(p.phase == "session" and p.change == "closed" for p in phases),
        "trades": len(trades),
        "wins": sum(trade.pnl > 0 for trade in trades),
        "PnL": _text(sum((trade.pnl for trade in trades), Decimal(0))),
        "costs": _text(sum((trade.costs for trade in trades), Decimal(0))),
        "equity": _text(points[-1].equity) if points else None,
        "cash": _text(points[-1].cash) if points else None,
        "differences": None if differences is None else list(differences),
        "phases": [{"timestamp": p.at, "phase": p.phase, "change": p.change} for p in phases],
    }


def _text(number: Decimal) -> str:
    return format(number, "f")


def _csv(records: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
