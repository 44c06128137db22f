"""What pages and the command line are answered with, beyond what the views answer themselves."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from projections.ledger_records import Position
from projections.orders import OrderView
from projections.performance_queries import Decision, EquityPoint, Phase, SessionSummary, Trade

Money = Literal["demo", "simulated", "paper", "real"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where the history stands. ``money`` is what is traded with, ``head_hash`` hexadecimal."""

    identity: str
    demo: bool
    position: int
    head_hash: str
    recorded_at: datetime | None
    currency: str
    timezone: str
    money: Money
    broker: str
    coa_version: int
    sessions: int
    last_session: date | None
    state: str


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event with its envelope; ``payload`` as plain data as stored, hashes as hexadecimal.

    ``unreadable`` says why this version cannot read it; empty for what it can.
    """

    position: int
    recorded_at: datetime
    topic: str
    schema_version: int
    stream: str
    version: int
    actor: str
    command_id: str
    correlation: str
    causation: str
    software: str
    key_epoch: int
    effective_date: str
    payload: dict[str, Any]
    commitment: str
    hash: str
    unreadable: str = ""


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day as of both clocks. ``differences`` is None when nothing was reconciled."""

    day: date
    previous: date | None
    next: date | None
    summary: SessionSummary
    equity: tuple[EquityPoint, ...]
    trades: tuple[Trade, ...]
    decisions: tuple[Decision, ...]
    orders: tuple[OrderView, ...]
    phases: tuple[Phase, ...]
    positions: tuple[Position, ...]
    differences: tuple[str, ...] | None
