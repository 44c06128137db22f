"""The broker of the settings, connected, with the symbols of the day and where prices come from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.market_data import CsvMarketData, MarketData
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours, TradingCalendar
from config.clock import Clock
from config.paths import DataFolder
from config.settings import Settings
from runtime.broker_log import broker_log
from runtime.connected import Connected, NotConnected
from screeners.file_screener import CANDIDATES, SCREEN, read_candidates
from screeners.port import ScreenerError
from strategies.installed import running, short_type

if TYPE_CHECKING:  # alpaca-py takes longer to load than a kill may wait for
    from brokers.alpaca import Access
    from brokers.ibkr_link import Access as IbkrAccess

FILLS_BACK = timedelta(days=7)  # no day order is open for so long


def connect(
    folder: DataFolder,
    settings: Settings,
    clock: Clock,
    calendar: TradingCalendar,
    hours: SessionHours,
    begun: Collection[str] = (),
    *,
    access: Access | None = None,
    ibkr: IbkrAccess | None = None,
) -> Connected:
    """Nothing is asked of the broker yet. ``access`` (of Alpaca) and ``ibkr`` replace that of the
    settings.

    Raises NotConnected, and MarketDataError for files that cannot be used.
    """
    if settings.BROKER_NAME == "SIMULATED":
        return _simulated(folder, settings, clock, calendar, hours, begun)
    if settings.BROKER_NAME == "ALPACA":
        symbols = _named(folder, settings, begun)
        return _alpaca(folder, access or alpaca_access(settings), clock, calendar, hours, symbols)
    from runtime.ibkr import connected, ibkr_access

    symbols = _named(folder, settings, begun)
    return connected(folder, ibkr or ibkr_access(settings), clock, calendar, symbols)


def _named(folder: DataFolder, settings: Settings, begun: Collection[str]) -> tuple[str, ...]:
    """A session goes on with the symbols that it was begun with, whatever a file says by now. One
    that is wrong names none: what is held is watched, and a kill gets through, all the same."""
    if begun or not _lists(folder, settings):
        return tuple(sorted(begun))
    with suppress(NotConnected):
        return candidates(folder)
    return ()


def _lists(folder: DataFolder, settings: Settings) -> bool:
    """Whether candidates.txt is what names the symbols."""
    # SCREENER_NAME=FINNHUB, or FILE with a screen.csv: the screens find the symbols.
    return settings.SCREENER_NAME == "FILE" and not (folder.market_data / SCREEN).exists()


def nothing_named(folder: DataFolder, settings: Settings) -> str:
    """Why candidates.txt, which should, names nothing to trade; empty when all is well."""
    try:
        named = not _lists(folder, settings) or candidates(folder)
    except NotConnected as e:
        return str(e)
    where = folder.market_data
    return "" if named else f"Nothing to trade: candidates.txt in {where} names no symbol."


# -- simulated ---------------------------------------------------------------------------------


def _simulated(
    folder: DataFolder,
    settings: Settings,
    clock: Clock,
    calendar: TradingCalendar,
    hours: SessionHours,
    begun: Collection[str],
) -> Connected:
    if not folder.simulated_broker.exists():
        raise NotConnected(
            f"The account of the simulated broker, {folder.simulated_broker}, is missing. Nothing "
            "was made in its place; restore it from a backup."
        )
    last = max(hours.day, clock.now().date())  # a day that was interrupted may end on a later one
    market = _market(
        folder, settings, calendar.sessions(hours.day.replace(day=1), last), hours, begun
    )
    broker = SimulatedBroker(
        folder.simulated_broker,
        market,
        clock,
        calendar,
        currency=settings.CURRENCY_CODE,
        starting_cash=Decimal(0),  # the file has its own
        seed=_seed(settings.identity),
    )
    return Connected(broker, market.symbols(), market.describe(), broker.close)


def _market(
    folder: DataFolder,
    settings: Settings,
    month: Sequence[SessionHours],
    hours: SessionHours,
    begun: Collection[str],
) -> MarketData:
    """The folder's own files of the day, else invented prices, so that a newcomer sees a day.

    A session goes on with the market that it was begun with, whatever files came meanwhile.
    """
    found = {file.parent.name for file in folder.market_data.glob(f"bars/*/{hours.day}.csv")}
    if found and found >= set(begun):
        return CsvMarketData(folder.market_data, sorted(found))
    # Prices go on from day to day within a month; each month begins at the same prices.
    invented = SyntheticMarketData(_seed(settings.identity), month)
    if missing := sorted(set(begun) - set(invented.symbols()) - found):
        raise NotConnected(
            f"The session of {hours.day} was begun with {', '.join(missing)}, whose files of that "
            f"day are gone from {folder.market_data}. Nothing was guessed in their place; put them "
            "back."
        )
    return invented


def _seed(identity: str) -> int:
    """The same bot has the same invented days, and another bot has others."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6])


# -- Alpaca ------------------------------------------------------------------------------------


def alpaca_access(settings: Settings) -> Access:
    """Raises NotConnected where there are no keys."""
    from brokers.alpaca import Access

    if not settings.ALPACA_API_KEY or not settings.ALPACA_SECRET_KEY:
        raise NotConnected(
            "ALPACA_API_KEY and ALPACA_SECRET_KEY are needed to trade at Alpaca, and one is empty. "
            "Nothing was sent; give both on the settings page."
        )
    return Access(
        key_id=settings.ALPACA_API_KEY,
        secret=settings.ALPACA_SECRET_KEY,
        # ALPACA_PAPER=false: the orders are for real money
        paper=settings.ALPACA_PAPER,
        timeout_s=float(settings.API_TIMEOUT),
        # API_RETRY_LIMIT=0: a question that was not answered is not asked again at once
        retries=settings.API_RETRY_LIMIT,
        puts=_asks_for_puts(settings),
    )


def _asks_for_puts(settings: Settings) -> bool:
    # SHORT_TYPE_…=LongPut of a strategy that runs: the account must be approved for buying options
    return any(short_type(settings, name) == "LongPut" for name in running(settings))


def _alpaca(
    folder: DataFolder,
    access: Access,
    clock: Clock,
    calendar: TradingCalendar,
    hours: SessionHours,
    symbols: tuple[str, ...],
) -> Connected:
    from brokers.alpaca import AlpacaBroker

    broker = AlpacaBroker(
        access,
        clock,
        calendar,
        fills_from=datetime.combine(hours.day, time(), UTC) - FILLS_BACK,
        tell=broker_log(folder),
    )
    kind = "paper account" if access.paper else "real money"
    return Connected(broker, symbols, f"Alpaca, {kind}", broker.close)


def candidates(folder: DataFolder) -> tuple[str, ...]:
    """market_data/candidates.txt, a symbol a line, # for remarks. No file: nothing to trade.

    Raises NotConnected for a line that cannot be a symbol, or a file that cannot be read.
    """
    try:
        return read_candidates(folder.market_data / CANDIDATES)
    except ScreenerError as e:
        raise NotConnected(str(e)) from None
