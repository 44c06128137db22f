"""Who the bot is, where its clock and its exchange are, and when it works."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import time

from config.clock import zones
from config.currencies import CURRENCIES
from config.setting_forms import Text, WallTime, Words
from config.setting_keys import ENV_BOT, group

identity = group("Identity", ENV_BOT)
schedule = group("Schedule", ENV_BOT)

CODE = Text("code", "[A-Z0-9]{1,16}", "1 to 16 of A-Z and 0-9")
DAYS = "mon|tue|wed|thu|fri|sat|sun"


def _calendars() -> Collection[str]:
    # loaded at use: it brings pandas with it, and reading settings is all that needs it
    from config.calendar import calendar_codes

    return calendar_codes()


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Identity:
    ENTITY_CODE: str = identity(CODE, "DEMO", "Legal entity whose books these are; fixed once the books are open", required=True, restart=True)
    JURISDICTION_CODE: str = identity(CODE, "USA", "Jurisdiction of the entity; fixed once the books are open", required=True, restart=True)
    BROKER_CODE: str = identity(CODE, "SIM", "Broker that holds the account; fixed once the books are open", required=True, restart=True)
    BOT_ID: str = identity(CODE, "01", "Which of the entity's bots this is; fixed once the books are open", required=True, restart=True)
    CURRENCY_CODE: str = identity(Text("ISO 4217", "[A-Z]{3}", "an active ISO 4217 code", lambda: CURRENCIES), "USD", "Base currency of the books; fixed once the books are open", required=True, restart=True)
    TIMEZONE: str = identity(Text("tz name", r"[A-Za-z0-9_+/-]+", "a name of the tz database", zones), "US/Eastern", "Zone of the START_TIME_… keys, of displays, and of the date of what is no trade", required=True, restart=True)
    EXCHANGE_CALENDAR: str = identity(Text("ISO 10383", "[A-Z]{4}", "a code that exchange_calendars knows", _calendars), "XNYS", "Exchange whose sessions, holidays and half days hold", required=True, restart=True)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    TRADING_DAYS: tuple[str, ...] = schedule(Words("weekdays", DAYS, DAYS.replace("|", " "), 1, 7), ("mon", "tue", "wed", "thu", "fri"), "Days of the week on which the bot may trade; on others it judges and buys nothing")
    TBOT_SUPERVISOR_UTC_HHMM: time = schedule(WallTime("HHMM, UTC", "%H%M"), time(6), "When the day's supervisor is started; at once when tbot run starts later than that", restart=True)
