"""Log lines for people, one a decision, fill or refusal, in LOG_FORMAT (M24). Never read back."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from aggregates.base import Event
from aggregates.order_messages import OrderFilled, OrderRejected
from aggregates.session import Decided, PhaseEnded, PhaseStarted, SessionClosed, SessionOpened
from config.clock import from_micros
from eventstore.envelope import Envelope
from eventstore.feed import Feed

FIELDS = (
    "timestamp", "strategy_name", "ticker", "side", "size", "entry_price", "exit_price", "PnL",
    "broker", "error_code", "event", "message", "position",
)  # fmt: skip


class SessionLog:
    """Follows the store from where it stood at the start, or from ``after``.

    ``strategy_log`` is open.log and its like; ``main_log`` has everything in short.
    """

    def __init__(
        self,
        feed: Feed,
        logs: Path,
        global_logs: Path,
        broker: str,
        form: str,
        after: int | None = None,
    ) -> None:
        self._feed, self._logs, self._global, self._broker = feed, logs, global_logs, broker
        self._csv = form == "CSV"  # LOG_FORMAT: CSV for spreadsheets, JSON for everything else
        self._position = feed.head().position if after is None else after

    def follow(self) -> None:
        """Write the lines of all events since the last time."""
        lines: dict[Path, list[dict[str, str]]] = {}
        for row in self._feed.all(self._position):
            self._position = row.position
            event = self._feed.event(row)
            line = self._line(row, event)
            if line is not None:
                lines.setdefault(self._global / "main_bot.log", []).append(line)
                strategy = line["strategy_name"]
                if strategy:
                    lines.setdefault(self._logs / f"{strategy.lower()}.log", []).append(line)
        for path, found in lines.items():
            self._append(path, found)

    def _line(self, row: Envelope, e: Event) -> dict[str, str] | None:
        line = dict.fromkeys(FIELDS, "") | {
            "timestamp": from_micros(row.recorded_at).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "broker": self._broker,
            "event": row.topic,
            "position": str(row.position),
        }
        match e:
            case Decided():
                more = {"strategy_name": e.strategy, "ticker": e.symbol,
                        "side": "sell" if e.kind == "exit" else "buy",
                        "size": e.inputs.get("quantity", ""),
                        "error_code": ",".join(v.rule for v in e.verdicts if not v.passed),
                        "message": f"{e.kind} {e.outcome}: {e.reason}"}  # fmt: skip
            case OrderFilled():
                price = "entry_price" if e.side == "buy" else "exit_price"
                more = {"strategy_name": e.strategy, "ticker": e.symbol, "side": e.side,
                        "size": format(e.quantity, "f"), price: format(e.price, "f"),
                        "message": f"filled, order {e.order_id}"}  # fmt: skip
            case OrderRejected():
                more = {"error_code": e.error_code, "message": f"{e.order_id}: {e.reason}"}
            case PhaseStarted():
                more = {"message": f"phase {e.phase} started"}
            case PhaseEnded():
                more = {"message": f"phase {e.phase} ended: {e.outcome}"}
            case SessionOpened() | SessionClosed():
                more = {"message": f"session {e.label}"}
            case _:
                return None
        return line | more

    def _append(self, path: Path, lines: list[dict[str, str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            text = io.StringIO()
            if self._csv:
                writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
                if not file.tell():
                    writer.writeheader()
                writer.writerows(lines)
            else:
                text.writelines(json.dumps(line) + "\n" for line in lines)
            file.write(text.getvalue())
