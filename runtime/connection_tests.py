"""What the set-up tries before it provisions: the broker, the market data, the mail server.

Each test ends by its own time-out and answers in words; none changes anything. A test mail is sent
from the settings alone.
"""

from __future__ import annotations

import smtplib
import ssl
import tempfile
from contextlib import closing
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from aggregates.errors import TradeBotError
from aggregates.money import Money
from brokers.simulated_store import SimulatedStore
from config.clock import SystemClock
from config.errors import ConfigError
from config.paths import DataFolder
from config.settings import Settings
from runtime.alert_words import when
from runtime.brokers import alpaca_access
from runtime.connected import Result
from runtime.log_secrets import VaultValues
from runtime.mail import LONGEST_S, MailNotSent, can_send, connected, deliver, sign_in
from runtime.schedule import calendar_around
from screeners.file_screener import SCREEN, FileScreener, read_screen

if TYPE_CHECKING:
    from brokers.alpaca import Access


def try_connections(folder: DataFolder, settings: Settings) -> list[Result]:
    """Broker, market data and mail, in this order."""
    return [
        try_broker(folder, settings),
        try_market_data(folder, settings),
        try_mail(folder, settings),
    ]


def try_broker(_folder: DataFolder, settings: Settings) -> Result:
    what = f"Broker {settings.BROKER_NAME}"
    if settings.BROKER_NAME == "ALPACA":
        return try_alpaca(settings)
    if settings.BROKER_NAME == "IBKR":
        from runtime.ibkr import try_ibkr

        return try_ibkr(settings)
    try:
        with tempfile.TemporaryDirectory() as place:
            store = SimulatedStore(Path(place) / "broker.db", Money(1, settings.CURRENCY_CODE))
            faults = store.faults()
            store.close()
    except (TradeBotError, OSError) as e:
        return Result(what, False, str(e))
    if faults:
        return Result(what, False, "; ".join(faults))
    return Result(what, True, "A simulated account opens and proves its own sums.")


def try_alpaca(settings: Settings, access: Access | None = None) -> Result:
    """Account, clock and market data are read; nothing is ordered. ``access`` replaces that of the
    settings."""
    from brokers.alpaca import AlpacaBroker

    what, clock = f"Broker {settings.BROKER_NAME}", SystemClock()
    try:
        given = access or alpaca_access(settings)
        quick = structs.replace(given, retries=0, timeout_s=min(given.timeout_s, LONGEST_S))
        calendar = calendar_around(settings.EXCHANGE_CALENDAR, clock.now().date())
        broker = AlpacaBroker(
            quick, clock, calendar, fills_from=clock.now(), tell=lambda _action: None
        )
        with closing(broker):
            faults = broker.self_check()
    except (TradeBotError, ConfigError) as e:
        return Result(what, False, str(e))
    if faults:
        return Result(what, False, " ".join(faults))
    # ALPACA_PAPER=false: the keys are for real money
    kind = "paper account" if quick.paper else "account with real money"
    return Result(what, True, f"The keys open a {kind} that may trade, and its prices come.")


def try_market_data(folder: DataFolder, settings: Settings) -> Result:
    place = folder.market_data
    # SCREENER_NAME=FINNHUB: one call says whether the key is accepted and a price comes
    if settings.SCREENER_NAME == "FINNHUB":
        return try_finnhub(settings)
    what = "Market data FILE"
    try:
        if FileScreener(place).wanted() is None:
            read_screen(place / SCREEN)
    except TradeBotError as e:
        return Result(what, False, str(e))
    try:
        found = sorted(f for kind in ("bars", "quotes") for f in (place / kind).glob("*/*.csv"))
        for file in found[:1]:
            file.read_bytes()
    except OSError as e:
        return Result(what, False, f"{place} cannot be read: {e.strerror or e}.")
    if not found:
        # No files: the bot is set up all the same, and the simulated broker invents its prices.
        return Result(
            what, None,
            f"{place} holds no bars or quotes yet. The bot can be set up without: with the "
            "simulated broker, a session whose day has no bars there is played on invented prices.",
        )  # fmt: skip
    return Result(what, True, f"{place} holds {len(found):,} files that can be read.")


def try_finnhub(settings: Settings, url: str = "") -> Result:
    """One call, not repeated. ``url`` replaces that of Finnhub."""
    from screeners.finnhub_screener import check_key
    from screeners.finnhub_wire import URL, Line

    what, clock = "Market data FINNHUB", SystemClock()
    timeout_s = min(settings.API_TIMEOUT, int(LONGEST_S))
    try:
        with closing(Line(settings.FINNHUB_API_KEY, timeout_s, 0, clock, url or URL)) as line:
            check_key(line, clock.wait_until)
    except TradeBotError as e:
        return Result(what, False, str(e))
    return Result(what, True, "Finnhub accepts the key and tells prices.")


def try_mail(_folder: DataFolder, settings: Settings) -> Result:
    s = settings
    # SMTP_HOST empty: no mail can be sent, and everything is told on the pages and in the logs.
    if not s.SMTP_HOST:
        return Result("Mail", None, "No mail server is given: no mail will be sent.")
    what = f"Mail server {s.SMTP_HOST}:{s.SMTP_PORT}"
    try:
        with connected(s) as server:
            sign_in(server, s)
            server.noop()
    except smtplib.SMTPAuthenticationError:
        return Result(what, False, "It refuses this user name and password.")
    except smtplib.SMTPNotSupportedError:
        return Result(what, False, f"It does not offer {s.SMTP_SECURITY} or signing in.")
    except ssl.SSLError as e:
        return Result(what, False, f"Its certificate or encryption is not accepted: {e.reason}.")
    except (OSError, smtplib.SMTPException) as e:
        # smtplib tells a time-out as a connection that was lost, and its cause in words alone
        if isinstance(e, TimeoutError) or "timed out" in str(e):
            return Result(what, False, f"No answer within {min(s.API_TIMEOUT, LONGEST_S)} seconds.")
        return Result(what, False, f"It cannot be used: {getattr(e, 'strerror', None) or e}.")
    signed_in = f"accepts {s.SMTP_USERNAME}" if s.SMTP_USERNAME else "answers, without signing in"
    return Result(what, True, f"It {signed_in}. No mail was sent.")


def send_test_mail(folder: DataFolder, settings: Settings, now: datetime) -> Result:
    """One real mail to everybody who gets alerts; the server's answer in words."""
    to = settings.SMTP_RECIPIENTS
    # SMTP_HOST, SMTP_SENDER or SMTP_RECIPIENTS empty: there is nobody to send one to, or no way
    if not (can_send(settings) and to):
        said = "SMTP_HOST, SMTP_SENDER and SMTP_RECIPIENTS are needed; one of them is empty."
        return Result("Test mail", None, f"{said} No mail was sent.")
    message = EmailMessage()
    message["From"] = Address(display_name=settings.identity, addr_spec=settings.SMTP_SENDER)
    message["To"], message["Date"] = ", ".join(to), format_datetime(now)
    message["Subject"] = f"[{settings.identity}] Test mail"
    message["Message-ID"] = make_msgid(domain="tradebot.invalid")
    message.set_content(
        f"Somebody asked for this mail on the settings page, {when(now, settings.TIMEZONE)}.\n"
        "Alerts of this bot arrive the same way.\n"
    )
    what = f"Mail server {settings.SMTP_HOST}:{settings.SMTP_PORT}"
    try:
        done = deliver(settings, message, to)
    except MailNotSent as e:
        passed, said = False, str(e)
    else:
        refused = "".join(f" NOT for {each}: {why}." for each, why in done.refused.items())
        passed = not refused
        said = f"It took the mail for {', '.join(done.taken)} and says: {done.answer}.{refused}"
    return Result(what, passed, VaultValues(folder).now().hide(said))


def usable(results: list[Result]) -> bool:
    """Whether a bot may be set up: nothing that was tested failed."""
    return all(result.passed is not False for result in results)
