"""The frame of a trading day: its books before the open, its closing prices, its statement."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from aggregates.market import MINUTE
from aggregates.session import (
    CloseSession,
    OpenSession,
    RecordReconciliation,
    Session,
    session_stream,
)
from brokers.port import BrokerUnavailable
from config.calendar import SessionHours
from eventstore.errors import CommandConflict
from runtime.bootstrap import Bot
from runtime.cash_rounding import in_minor_units
from runtime.desk import Desk
from runtime.health import compared_on
from runtime.marks import mark_prices
from runtime.reconciliation import Reconciler, differences
from runtime.views import snapshot


def open_day(bot: Bot, hours: SessionHours, symbols: tuple[str, ...]) -> None:
    """Bring the books up to date, keep a snapshot, open the session if it is not open yet."""
    label = hours.day.isoformat()
    bot.views.catch_up()
    where = bot.folder.ledger_snapshots(bot.identity)
    snapshot(bot.views.ledger, where, bot.identity, bot.clock.now())
    if bot.store.load(Session, session_stream(label)).label:
        return
    bot.dispatch(
        OpenSession(
            at=bot.clock.now(),
            effective_date=hours.day,
            label=label,
            opens_at=hours.open,
            closes_at=hours.close,
            symbols=symbols,
            settings_position=_settings_position(bot),
        ),
        command_id=f"session:{label}:open",
        correlation=session_stream(label),
    )
    bot.views.catch_up()


def _settings_position(bot: Bot) -> int:
    """Position of the settings in force: what the day was run with."""
    rows = bot.views.feed.page(topics=("Configuration",), newest_first=True, limit=1)
    return rows[0].position if rows else 0


def settle_day(bot: Bot, desk: Desk, reconciler: Reconciler, symbols: Iterable[str]) -> bool:
    """Closing prices of ``symbols``, as far as they are known, and our books against the broker's
    statement; False while there is none. The events must say which symbols: after a restart the
    desk may not know what else was watched."""
    day, end = desk.hours.day, desk.hours.close + MINUTE
    bot.views.catch_up()
    mark_prices(bot, desk, end, "close", symbols)
    try:
        if not compared_on(bot, desk, "close") and not reconciler.run(desk, "close").known:
            return False
        cash = in_minor_units(bot, bot.broker.account().cash)
        found = differences(bot.views.books, bot.broker)
    except BrokerUnavailable:
        return False
    with suppress(CommandConflict):  # recorded before an interruption; the first statement stands
        bot.dispatch(
            RecordReconciliation(
                at=end, effective_date=day, broker_cash=cash, differences=tuple(found)
            ),
            command_id=f"reconcile:{day}",
            correlation=session_stream(day.isoformat()),
        )
    return True


def close_day(bot: Bot, day: date) -> None:
    label = day.isoformat()
    bot.dispatch(
        CloseSession(at=bot.clock.now(), effective_date=day, label=label),
        command_id=f"session:{label}:close",
        correlation=session_stream(label),
    )
    bot.views.catch_up()
