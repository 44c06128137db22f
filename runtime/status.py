"""``control/status.json``: what the bot is doing, for the pages and whoever watches. No truth of
its own: it is written anew all the time, and thrown away with the folder ``control``.

Money and quantities are exact decimal texts, times UTC. A file that cannot be written stops
nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from config.paths import DataFolder
from runtime.alert_status import AlertsStatus, read_alerts
from runtime.desk import Desk
from runtime.log_files import log_path
from runtime.logs import append_line

OLD_S = 120  # seconds after which a reader says that it is old


class NextPhase(msgspec.Struct, frozen=True, kw_only=True):
    """``at`` is None where it follows as soon as the present one has ended."""

    name: str
    at: datetime | None


class BrokerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``market`` says in words where prices come from; "synthetic" where they are invented."""

    name: str
    reachable: bool
    unreachable_since: datetime | None
    market: str = ""


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last complete bar of a symbol."""

    symbol: str
    bar_end: datetime
    price: Decimal


class PositionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``price`` is None where the symbol has not traded today."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    price: Decimal | None
    price_at: datetime | None
    unrealized: Decimal | None


class OrderStatus(msgspec.Struct, frozen=True, kw_only=True):
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    state: str
    reason: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk says. Empty and None before there is one."""

    feed: tuple[FeedStatus, ...] = ()
    equity: Decimal | None = None
    equity_at_open: Decimal | None = None
    realized_today: Decimal | None = None
    unrealized: Decimal | None = None
    positions: tuple[PositionStatus, ...] = ()
    orders: tuple[OrderStatus, ...] = ()


class Status(Figures, frozen=True, kw_only=True):
    """``logs`` says which log cannot be written and why; empty while all can. ``refused`` says why
    today is not traded, until somebody asks for a start or it is another day. ``alerts`` is what
    main last said of the mails, put in when this is written."""

    at: datetime
    state: str
    session: str
    phase: str
    next_phase: NextPhase | None
    pid: int
    entries_blocked: str
    broker: BrokerStatus | None
    logs: str = ""
    refused: str = ""
    alerts: AlertsStatus | None = None


def figures_of(desk: Desk) -> Figures:
    """The desk in figures; the ledger must be caught up."""
    return Figures(
        feed=tuple(
            FeedStatus(symbol=symbol, bar_end=bar.end, price=bar.close)
            for symbol, bar in sorted(desk.bars.items())
        ),
        equity=desk.equity(),
        equity_at_open=desk.equity_at_open(),
        realized_today=desk.realized_today(),
        unrealized=desk.unrealized(),
        positions=tuple(_position(desk, symbol) for symbol in sorted(desk.holdings())),
        orders=tuple(
            OrderStatus(
                order_id=order.terms.order_id,
                symbol=order.terms.symbol,
                side=order.terms.side,
                quantity=order.terms.quantity,
                filled=order.filled.decimal,
                state=order.state,
                reason=order.terms.reason,
            )
            for order in desk.open_orders()
        ),
    )


def _position(desk: Desk, symbol: str) -> PositionStatus:
    held, known = desk.holdings()[symbol], desk.last_known(symbol)
    return PositionStatus(
        symbol=symbol,
        quantity=held.quantity,
        average_price=held.average_price,
        price=known[0] if known else None,
        price_at=known[1] if known else None,
        unrealized=(
            desk.worth(symbol, held.quantity, known[0] - held.average_price) if known else None
        ),
    )


def write_status(folder: DataFolder, status: Status) -> None:
    told = msgspec.structs.replace(status, alerts=read_alerts(folder))
    replace_quietly(folder.status, msgspec.json.encode(told) + b"\n")


def heartbeat(folder: DataFolder, now: datetime, state: str, session: str = "") -> None:
    """One line for whoever looks back: the bot was alive, and in which state."""
    said = f"{state}, session {session}" if session else state
    append_line(log_path(folder, "heartbeat"), now, "INFO", said)


def read_status(folder: DataFolder) -> Status | None:
    """None when there is none that can be read."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(folder.status.read_bytes(), type=Status)
    return None


def replace_quietly(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new (0600). Not synced: nothing depends on it after a
    crash. An error of the disk is passed over, as what is told here is in the events, too."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
