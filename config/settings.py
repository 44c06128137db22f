"""The settings, typed once: every key with its unit, range, default and one line of help (M25).

Rows of the requirements that need a key which later parts use add it here, never elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from config.errors import ConfigError


def key(default: Any, unit: str, help_: str, low: Any = None, high: Any = None, **more: Any) -> Any:
    """One setting: default, unit, inclusive range, one line of help."""
    meta = {"unit": unit, "help": help_, "low": low, "high": high, **more}
    return field(default=default, metadata=meta)


D = Decimal
CODE = r"[A-Z0-9]{1,16}"
HHMM = r"([01]\d|2[0-3]):[0-5]\d"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one bot. Build it with ``settings_from``; the names are the keys."""

    ENTITY_CODE: str = key("DEMO", "code", "legal entity whose books these are", pattern=CODE)
    JURISDICTION_CODE: str = key("USA", "code", "jurisdiction of the entity", pattern=CODE)
    BROKER_CODE: str = key("SIM", "code", "broker that holds the account", pattern=CODE)
    BOT_ID: str = key("01", "code", "which of the entity's bots this is", pattern=CODE)
    CURRENCY_CODE: str = key("USD", "ISO 4217", "base currency of the books", pattern="[A-Z]{3}")
    TIMEZONE: str = key("US/Eastern", "tz name", "zone of the START_TIME_* keys and of displays")
    EXCHANGE_CALENDAR: str = key("XNYS", "ISO 10383", "exchange whose sessions are traded")
    TRADING_DAYS: str = key(
        "mon,tue,wed,thu,fri", "weekdays", "days on which the bot may trade",
        pattern=r"(mon|tue|wed|thu|fri|sat|sun)(,(mon|tue|wed|thu|fri|sat|sun))*",
    )  # fmt: skip
    DISABLE_ALL_TRADES: bool = key(False, "true/false", "true: signals are judged, none is traded")
    FRACTIONAL: bool = key(True, "true/false", "false: trading buys whole shares only")
    STRAT_OPEN_ENABLED: bool = key(True, "true/false", "opening-range breakout on or off")
    START_TIME_OPEN: str = key("09:30", "HH:MM local", "start of the analysis window", pattern=HHMM)
    OPEN_ANALYSIS_TIME: int = key(30, "minutes", "length of the opening range", 1, 240)
    OPEN_BREAKOUT_TIME: int = key(60, "minutes", "how long entries are allowed", 1, 360)
    OPEN_MONITORING_TIME: int = key(60, "minutes", "how long positions are watched after", 1, 360)
    STRAT_OPEN_BUFFER: Decimal = key(D("0.0005"), "fraction", "breakout beyond the range",
                                     D(0), D("0.1"))  # fmt: skip
    TRADING_TRAILING_STOP_PCT: Decimal = key(D("0.005"), "fraction", "trailing stop below the high",
                                             D("0.0001"), D("0.5"))  # fmt: skip
    SHORT_TYPE_OPEN: str = key("disabled", "choice", "instrument on weakness",
                               pattern="disabled")  # fmt: skip
    WEIGHT_OPEN: Decimal = key(D("1"), "fraction", "share of the allocation for OPEN", D(0), D(1))
    TOTAL_ALLOCATION: Decimal = key(D("0.5"), "fraction of equity", "most that may be invested",
                                    D(0), D(1))  # fmt: skip
    MAX_RISK_PER_TRADE: Decimal = key(D("0.005"), "fraction of equity", "most that a trade may lose",
                                      D("0.0001"), D("0.2"))  # fmt: skip
    DAILY_LOSS_LIMIT: Decimal = key(D("0.02"), "fraction of equity", "loss that ends the day's entries",
                                    D("0.0001"), D(1))  # fmt: skip
    MAX_OPEN_POSITIONS: int = key(4, "positions", "positions open at one time", 1, 50)
    MAX_TRADES: int = key(10, "trades", "entries in one session", 0, 500)
    MAX_SPREAD_PCT: Decimal = key(D("0.015"), "fraction of price", "widest spread to enter at",
                                  D("0.0001"), D("0.2"))  # fmt: skip
    MIN_VOLUME_THRESHOLD: int = key(10000, "shares", "least volume of the analysis window", 0)
    LOG_FORMAT: str = key("JSON", "choice", "form of log lines", pattern="CSV|JSON")
    WEB_HOST: str = key("127.0.0.1", "address", "where the pages are served")
    WEB_PORT: int = key(6900, "port", "where the pages are served", 1, 65535)

    @property
    def identity(self) -> str:
        """ENTITY_JURISDICTION_BROKER_BOT: names the output folder and every file in it (M02)."""
        parts = (self.ENTITY_CODE, self.JURISDICTION_CODE, self.BROKER_CODE, self.BOT_ID)
        return "_".join(parts)

    def as_text(self) -> dict[str, str]:
        """Every key with its value as text, in the order of the model."""
        return {f.name: _text(getattr(self, f.name)) for f in fields(self)}


def settings_from(values: Mapping[str, str]) -> Settings:
    """Parse text values; keys that are absent keep their default.

    Raises ConfigError with one message that lists every bad key and what is allowed.
    """
    known = {f.name: f for f in fields(Settings)}
    faults = [f"{name}: no such setting" for name in values if name not in known]
    parsed: dict[str, Any] = {}
    for name, f in known.items():
        if name in values:
            try:
                parsed[name] = _parse(values[name], type(f.default), dict(f.metadata))
            except ValueError as e:
                faults.append(f"{name} = {values[name]!r}: {e} ({f.metadata['help']})")
    if faults:
        listed = "\n  ".join(faults)
        raise ConfigError(
            f"{len(faults)} setting(s) cannot be used; nothing was started:\n  {listed}"
        )
    return Settings(**parsed)


def _parse(text: str, kind: type, meta: dict[str, Any]) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError("allowed: true, false")
        return text == "true"
    if kind is str:
        pattern = meta.get("pattern", r"\S.*")
        if not re.fullmatch(pattern, text):
            raise ValueError(f"does not match {pattern}")
        return text
    try:
        number = int(text) if kind is int else Decimal(text)
    except (ValueError, InvalidOperation):
        raise ValueError(f"not a number of {meta['unit']}") from None
    low, high = meta["low"], meta["high"]
    if not Decimal(number).is_finite() or (low is not None and number < low):
        raise ValueError(f"below the least allowed, {low} {meta['unit']}")
    if high is not None and number > high:
        raise ValueError(f"above the most allowed, {high} {meta['unit']}")
    return number


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
