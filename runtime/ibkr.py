"""Interactive Brokers from the settings: what a supervisor connects to, and what the pages try."""

from __future__ import annotations

from contextlib import closing

from msgspec import structs

from aggregates.errors import TradeBotError
from brokers.ibkr import PAPER, IbkrBroker
from brokers.ibkr_link import Access
from brokers.port import BrokerUnavailable
from config.calendar import TradingCalendar
from config.clock import Clock, SystemClock
from config.errors import ConfigError
from config.paths import DataFolder
from config.settings import Settings
from runtime.broker_log import broker_log
from runtime.connected import Connected, NotConnected, Result
from runtime.mail import LONGEST_S
from runtime.schedule import calendar_around

# As the gateway's and TWS's own defaults have it; another port does not tell.
PORTS = {4002: True, 7497: True, 4001: False, 7496: False}


def ibkr_access(settings: Settings) -> Access:
    """Raises NotConnected where no account is named."""
    if not settings.IBKR_ACCOUNT:
        raise NotConnected(
            "IBKR_ACCOUNT is needed to trade at Interactive Brokers, and is empty. Nothing was "
            "sent; give it on the settings page."
        )
    return Access(
        host=settings.IBKR_HOST,
        port=settings.IBKR_PORT,
        client_id=settings.IBKR_CLIENT_ID,
        account=settings.IBKR_ACCOUNT,
        paper=PORTS.get(settings.IBKR_PORT),
        timeout_s=float(settings.API_TIMEOUT),
        # API_RETRY_LIMIT=0: a question that was not answered is not asked again at once
        retries=settings.API_RETRY_LIMIT,
    )


def connected(
    folder: DataFolder,
    access: Access,
    clock: Clock,
    calendar: TradingCalendar,
    symbols: tuple[str, ...],
) -> Connected:
    """The broker with the symbols of the day; nothing is asked of it yet."""
    broker = IbkrBroker(access, clock, calendar, tell=broker_log(folder))
    return Connected(broker, symbols, f"Interactive Brokers, {_kind(access)}", broker.close)


def _kind(access: Access) -> str:
    return "paper account" if access.account.startswith(PAPER) else "real money"


def try_ibkr(settings: Settings, access: Access | None = None) -> Result:
    """Account, clock and market data are read; nothing is ordered. ``access`` replaces that of the
    settings. A bot that runs under the same client id is one that is in use."""
    what, clock = f"Broker {settings.BROKER_NAME}", SystemClock()
    try:
        given = access or ibkr_access(settings)
        quick = structs.replace(given, retries=0, timeout_s=min(given.timeout_s, LONGEST_S))
        calendar = calendar_around(settings.EXCHANGE_CALENDAR, clock.now().date())
        with closing(IbkrBroker(quick, clock, calendar, tell=lambda _action: None)) as broker:
            faults = broker.self_check()
    except BrokerUnavailable as e:
        place = f"{settings.IBKR_HOST}:{settings.IBKR_PORT}"
        ask = f"Is IB Gateway or TWS signed in at {place}, and its API switched on?"
        return Result(what, False, f"{e} {ask}")
    except (TradeBotError, ConfigError) as e:
        return Result(what, False, str(e))
    if faults:
        return Result(what, False, " ".join(faults))
    said = f"The gateway is signed in to this account ({_kind(quick)}), and its prices come."
    return Result(what, True, said)
