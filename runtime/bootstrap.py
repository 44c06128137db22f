"""The one place where concrete parts meet. Everything is passed in, nothing is made at import."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from aggregates.base import Command
from aggregates.books import AdoptRules, OpenBooks
from aggregates.capital import RecordDeposit
from aggregates.chart_of_accounts import AdoptChart
from aggregates.configuration import AdoptSettings
from aggregates.errors import DomainError
from aggregates.instrument import RegisterInstrument
from brokers.port import Broker
from config.clock import Clock, local_date, to_micros
from config.paths import DataFolder
from config.settings import Settings
from eventstore.application import Store
from projections.ledger import template_chart
from projections.posting_rules import RULES_VERSION
from runtime.dispatch import Dispatcher
from runtime.keys import key_ring
from runtime.version import VERSION
from runtime.views import Views, identity_of
from security.data_keys import KeyRing
from security.keyfile import read_key, read_or_create_key

if TYPE_CHECKING:  # it brings pandas with it, and only the annotation below needs it
    from config.calendar import TradingCalendar


class Bot:
    """Store, commands, views, broker and clock of one bot, open for writing."""

    def __init__(
        self,
        folder: DataFolder,
        settings: Settings,
        *,
        clock: Clock,
        broker: Broker,
        calendar: TradingCalendar,
        fresh_blind_key: bytes,
        actor: str = "supervisor",
    ) -> None:
        self.folder, self.settings = folder, settings
        self.clock, self.broker, self.calendar = clock, broker, calendar
        self.store = open_store(folder, clock, fresh_blind_key)
        self.dispatch = Dispatcher(self.store, actor)
        self._views: Views | None = None

    @property
    def identity(self) -> str:
        return self.settings.identity

    @property
    def views(self) -> Views:
        """Opened at first use: the books must be open before there is a ledger to keep."""
        if self._views is None:
            found = identity_of_store(self.folder)
            if found != self.identity:
                raise DomainError(
                    f"The store belongs to {found}, the settings say {self.identity}. Nothing was "
                    "written; use the data folder of this bot."
                )
            self._views = Views.open(self.folder, self.identity)
        return self._views

    def today(self) -> date:
        """The date in the entity's zone: the effective date of what is no trade."""
        return local_date(self.clock.now(), self.settings.TIMEZONE)

    def close(self) -> None:
        if self._views is not None:
            self._views.close()
        self.store.close()


def open_store(folder: DataFolder, clock: Clock, fresh_blind_key: bytes) -> Store:
    """The store for writing, with the vault's keys or, for a demo, with payloads in clear.

    A demo's blind key is made with its store, and never for a store that exists.
    """
    if not folder.events.exists() or not folder.events.stat().st_size:
        keys = KeyRing.plain(read_or_create_key(folder.blind_key, fresh_blind_key))
    elif not (keys := key_ring(folder)).items():
        keys = KeyRing.plain(read_key(folder.blind_key))  # says that it is missing
    return Store(
        folder.events,
        keys=keys,
        now_us=lambda: to_micros(clock.now()),
        software_version=VERSION,
    )


def identity_of_store(folder: DataFolder) -> str:
    from eventstore.feed import Feed

    feed = Feed(folder.events, key_ring(folder))
    try:
        return identity_of(feed)
    finally:
        feed.close()


OPENING_DEPOSIT = "opening-deposit"


def opening_commands(
    settings: Settings, *, symbols: Sequence[str], deposit: Decimal | None, at: datetime, demo: bool
) -> dict[str, tuple[Command, ...]]:
    """What every bot's history starts with, by command id: the books with their rules, the chart,
    the settings, the instruments, and the deposit (major units) where the broker is simulated.
    """
    s, day = settings, local_date(at, settings.TIMEZONE)
    opening: dict[str, tuple[Command, ...]] = {
        "provision:books": (
            OpenBooks(
                at=at,
                effective_date=day,
                identity=s.identity,
                entity_code=s.ENTITY_CODE,
                jurisdiction_code=s.JURISDICTION_CODE,
                broker_code=s.BROKER_CODE,
                bot_id=s.BOT_ID,
                currency=s.CURRENCY_CODE,
                timezone=s.TIMEZONE,
                exchange_calendar=s.EXCHANGE_CALENDAR,
                demo=demo,
            ),
            AdoptRules(at=at, effective_date=day, rules_version=RULES_VERSION),
        ),
        "provision:chart": (
            AdoptChart(at=at, effective_date=day, chart=template_chart(), reason="default chart"),
        ),
        "provision:settings": (
            AdoptSettings(at=at, effective_date=day, values=s.as_text(), reason="provisioning"),
        ),
    }
    for symbol in symbols:
        opening[f"provision:instrument:{symbol}"] = (
            RegisterInstrument(
                at=at,
                effective_date=day,
                symbol=symbol,
                name=symbol,
                kind="stock",
                currency=s.CURRENCY_CODE,
                exchange=s.EXCHANGE_CALENDAR,
            ),
        )
    # None: the account is at a real broker, and what lies there is recorded when it is first asked.
    if deposit is not None:
        opening["provision:deposit"] = (
            RecordDeposit(
                at=at,
                effective_date=day,
                reference=OPENING_DEPOSIT,
                currency=s.CURRENCY_CODE,
                amount=deposit,
                reason="opening balance at the broker",
            ),
        )
    return opening


def provision(
    bot: Bot, *, symbols: Sequence[str], deposit: Decimal, at: datetime, demo: bool
) -> None:
    """Record what a history starts with, a batch for each command id.

    Every step is a command with a fixed id, so an interrupted provisioning goes on where it stood.
    """
    opening = opening_commands(bot.settings, symbols=symbols, deposit=deposit, at=at, demo=demo)
    for command_id, commands in opening.items():
        bot.dispatch(*commands, command_id=command_id)
