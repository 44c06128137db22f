"""A bot that may trade: settings, store, views and broker, for the one process that trades."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import date
from typing import NamedTuple

from aggregates.errors import DomainError
from aggregates.session import Session, session_stream
from config.calendar import SessionHours
from config.clock import Clock
from config.paths import DataFolder
from exporters.trade_history import write_day
from projections.ledger_records import NOW
from runtime import logs
from runtime.bootstrap import Bot
from runtime.checkpoints import checkpoint_session
from runtime.connected import Connect, Connected
from runtime.control import Flags
from runtime.custody import Custody
from runtime.instruments import register as register
from runtime.kill_switch import last_session
from runtime.schedule import calendar_around
from runtime.settings_change import current_settings, settings_at
from runtime.watched_broker import WatchedBroker


class TradingBot(NamedTuple):
    bot: Bot
    hours: SessionHours
    broker: WatchedBroker
    flags: Flags
    connected: Connected


class Pulse:
    """The file whose time main looks at: the loop of the process that trades goes on.

    One that cannot be written looks like a loop that hangs, so every beat tries.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._path = folder.pulse
        self._made = False

    def beat(self) -> None:
        try:
            if not self._made:
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
                self._made = True
            os.utime(self._path)
        except OSError:
            self._made = False


def open_trading(
    folder: DataFolder, day: date | None, clock: Clock, connect: Connect, stack: ExitStack
) -> TradingBot:
    """Open the bot for the session of ``day``, None for the last one that began; ``stack`` closes
    it. The caller trades alone.

    Raises what keeps a bot from trading: SettingsDiffer, NotConnected, KeyFileError and others.
    """
    with closing(Custody.open(folder, clock)) as custody:
        settings = current_settings(custody)
        logs.use(folder, settings)
        calendar = calendar_around(settings.EXCHANGE_CALENDAR, day or clock.now().date())
        hours = calendar.session(day) if day else last_session(calendar, clock.now())
        if hours is None:
            raise DomainError(f"There is no session on {day}. Nothing was traded.")
        session = custody.store.load(Session, session_stream(hours.day.isoformat()))
        if session.label:
            settings = settings_at(custody, session.settings_position)
    connected = connect(folder, settings, clock, calendar, hours, session.symbols)
    stack.callback(connected.close)
    broker = WatchedBroker(connected.broker, clock, Pulse(folder).beat)
    bot = Bot(folder, settings, clock=clock, broker=broker, calendar=calendar, fresh_blind_key=b"")
    stack.callback(bot.close)
    bot.views.catch_up()
    return TradingBot(bot, hours, broker, Flags(folder, bot.store, bot.dispatch, clock), connected)


def day_files(bot: Bot, day: date) -> None:
    """Trades and summary of a closed day, and the signed checkpoint of its last event."""
    folder, views = bot.folder, bot.views
    views.catch_up()
    if not bot.store.load(Session, session_stream(day.isoformat())).closed:
        return  # a latched kill: the day was not begun
    write_day(
        folder.trades(bot.identity),
        folder.summaries(bot.identity),
        bot.identity,
        day,
        views.trading,
        NOW,
        bot.settings.BROKER_CODE,
    )
    checkpoint_session(folder, views, day, os.urandom(32))  # with a vault, its own key signs
