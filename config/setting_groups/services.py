"""Brokers, market data and mail; the way to them is in .env (M15, M16, M19)."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting_forms import Choice, Secret, SecretText, Switch, Text, Whole, Words
from config.setting_keys import ENV, ENV_BOT, group

broker = group("Broker", ENV_BOT)
access = group("Access to broker and market data", ENV)
mail = group("Mail", ENV)

NAME = r"[A-Za-z0-9.:-]{1,253}"
HOST = Text("host", NAME, "a host name or an IP address")
ADDRESS = r"[A-Za-z0-9.!#$%&*+/=?^_{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
NONE = Secret("")
PORT = Whole("(port)", 1, 65_535)


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Broker:
    BROKER_NAME: str = broker(Choice(("SIMULATED", "ALPACA", "IBKR")), "SIMULATED", "The one broker of this bot; its own switch must be on as well", restart=True)
    ALPACA_ENABLED: bool = broker(Switch(), False, "Whether Alpaca may be used", "false: no connection to Alpaca is made", restart=True)
    IBKR_ENABLED: bool = broker(Switch(), False, "Whether Interactive Brokers may be used", "false: no connection to Interactive Brokers is made", restart=True)
    API_RETRY_LIMIT: int = broker(Whole("times", 0, 10), 3, "How often a reading request is tried again; an order never is", "0: a request that fails is not tried again")
    API_TIMEOUT: int = broker(Whole("seconds", 1, 120), 10, "How long an answer is waited for")


@dataclass(frozen=True, kw_only=True)
class Access:
    ALPACA_PAPER: bool = access(Switch(), True, "Whether the Alpaca keys are those of the paper account", "false: the keys are for real money", restart=True)
    ALPACA_API_KEY: Secret = access(SecretText(8), NONE, "Key id of the Alpaca account", restart=True)
    ALPACA_SECRET_KEY: Secret = access(SecretText(8), NONE, "Secret key of the Alpaca account", restart=True)
    IBKR_HOST: str = access(HOST, "127.0.0.1", "Where IB Gateway or TWS runs", restart=True)
    IBKR_PORT: int = access(PORT, 4002, "Its port: 4002 is the gateway's for paper, 4001 for real money", restart=True)
    IBKR_CLIENT_ID: int = access(Whole("number", 1, 999), 1, "Client id; no other program may use it on that gateway", restart=True)
    IBKR_ACCOUNT: str = access(Text("account", "([A-Z]{1,3}[0-9]{3,12})?", "empty, or a number such as U1234567"), "", "Account at Interactive Brokers", restart=True)
    FINNHUB_API_KEY: Secret = access(SecretText(8), NONE, "Key of the Finnhub account", restart=True)


@dataclass(frozen=True, kw_only=True)
class Mail:
    NOTIFY_ON_FILL: bool = mail(Switch(), False, "Whether a mail is sent when an entry is filled", "false: fills stand on the page and in the log only")
    NOTIFY_ON_EXIT: bool = mail(Switch(), False, "Whether a mail is sent when a position is closed", "false: exits stand on the page and in the log only")
    NOTIFY_ON_FAILURE: bool = mail(Switch(), False, "Whether a mail is sent when something fails", "false: failures stand on the page and in the log only")
    SMTP_HOST: str = mail(Text("host", f"({NAME})?", "empty, or a host name or an IP address"), "", "Mail server", "empty: no mail can be sent")
    SMTP_PORT: int = mail(PORT, 587, "Port of the mail server")
    SMTP_SECURITY: str = mail(Choice(("STARTTLS", "TLS")), "STARTTLS", "How the connection is encrypted: STARTTLS (usually port 587) or TLS from the start (465)")
    SMTP_USERNAME: str = mail(Text("name", r"[!-~]{0,254}", "empty, or up to 254 characters without spaces"), "", "User at the mail server", "empty: mail is sent without signing in")
    SMTP_PASSWORD: Secret = mail(SecretText(1), NONE, "Password at the mail server")
    SMTP_SENDER: str = mail(Text("address", f"({ADDRESS})?", "empty, or a mail address"), "", "From whom the mails are")
    SMTP_RECIPIENTS: tuple[str, ...] = mail(Words("addresses", ADDRESS, "mail addresses", 0, 20), (), "Who gets the mails", "empty: nobody does")
