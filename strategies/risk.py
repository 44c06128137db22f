"""Risk rules at submit time (M12, M13): every rule is asked every time, and each says why.

Missing data denies. Comparing is exact; only the text of a quotient is rounded (6 decimals,
half to even), so a value may read like its limit and still be on the other side of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from aggregates.market import Quote
from aggregates.money import divide_half_even, from_scaled
from aggregates.session import Verdict
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import EXACT
from strategies.protocol import as_text, minute_of

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
QUOTE_LIVES = timedelta(minutes=5)
SHOWN = 10**6  # quotients are shown with 6 decimals


class RiskContext(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules look at for one entry, as known at ``now`` (UTC).

    Money in the base currency. ``equity`` is the account's worth now (as in ``size``),
    ``equity_at_open`` at the session's start. ``realized_today`` and ``unrealized_today`` are
    signed, a loss below 0. ``open_exposure`` is the trading positions at their last price plus
    pending entries; ``open_positions`` counts both. ``trades_today`` counts the session's
    entries. ``entry_deadline`` is the end of the strategy's breakout window.
    """

    settings: Settings
    strategy: str
    now: datetime
    hours: SessionHours
    entry_deadline: datetime
    equity: Decimal
    equity_at_open: Decimal
    realized_today: Decimal
    unrealized_today: Decimal
    open_exposure: Decimal
    open_positions: int
    trades_today: int
    quote: Quote | None
    price: Decimal | None
    quantity: Decimal
    stop: Decimal | None
    analysis_volume: int | None
    cash_float: Decimal

    @property
    def cost(self) -> Decimal | None:
        """Signal price × quantity, or None without a price."""
        return None if self.price is None else EXACT.multiply(self.price, self.quantity)


class Finding(NamedTuple):
    """What a rule found; with the rule's name it becomes a Verdict."""

    passed: bool
    value: str
    limit: str
    unit: str


Rule = Callable[[RiskContext], Finding]


def trades_enabled(c: RiskContext) -> Finding:
    # DISABLE_ALL_TRADES=true: signals are still judged by every rule, and none is traded.
    off = c.settings.DISABLE_ALL_TRADES
    return Finding(not off, _switch(off), "false", "true/false")


def strategy_enabled(c: RiskContext) -> Finding:
    # STRAT_…_ENABLED=false: the strategy's signals are judged and recorded, none is traded.
    # A strategy without such a switch cannot be switched off, so it may not trade either.
    on = getattr(c.settings, f"STRAT_{c.strategy}_ENABLED", None)
    return Finding(
        on is True, "no such setting" if on is None else _switch(on), "true", "true/false"
    )


def trading_day(c: RiskContext) -> Finding:
    # TRADING_DAYS: on other days of the week the bot watches and judges, and buys nothing.
    day = WEEKDAYS[c.hours.day.weekday()]
    allowed = c.settings.TRADING_DAYS
    return Finding(day in allowed, day, ",".join(allowed), "weekdays")


def session_hours(c: RiskContext) -> Finding:
    limit = f"{as_text(c.hours.open)}/{as_text(c.hours.close)}"
    return Finding(
        c.hours.open <= c.now < c.hours.close, as_text(c.now), limit, "UTC, before the close"
    )


def entry_deadline(c: RiskContext) -> Finding:
    in_time = minute_of(c.now) <= c.entry_deadline
    return Finding(in_time, as_text(c.now), as_text(c.entry_deadline), "UTC")


def daily_loss(c: RiskContext) -> Finding:
    """A loss that reaches the limit ends the day's entries; a gain shows as a negative loss."""
    limit, unit = c.settings.DAILY_LOSS_LIMIT, "loss as fraction of equity at open, below"
    if c.equity_at_open <= 0:
        return Finding(False, "no equity", as_text(limit), unit)
    lost = -(Fraction(c.realized_today) + Fraction(c.unrealized_today))
    share = lost / Fraction(c.equity_at_open)
    return Finding(share < Fraction(limit), _shown(share), as_text(limit), unit)


def risk_per_trade(c: RiskContext) -> Finding:
    limit, unit = c.settings.MAX_RISK_PER_TRADE, "fraction of equity"
    if c.price is None or c.stop is None:
        missing = "no price" if c.price is None else "no stop"
        return Finding(False, missing, as_text(limit), unit)
    if c.stop >= c.price:
        return Finding(False, "stop not below price", as_text(limit), unit)
    risk = (Fraction(c.price) - Fraction(c.stop)) * Fraction(c.quantity)
    return _of_equity(c, risk, limit, unit)


def total_allocation(c: RiskContext) -> Finding:
    limit, unit = c.settings.TOTAL_ALLOCATION, "fraction of equity, this entry included"
    if c.cost is None:
        return Finding(False, "no price", as_text(limit), unit)
    return _of_equity(c, Fraction(c.open_exposure) + Fraction(c.cost), limit, unit)


def open_positions(c: RiskContext) -> Finding:
    count, limit = c.open_positions + 1, c.settings.MAX_OPEN_POSITIONS
    return Finding(count <= limit, str(count), str(limit), "positions, this one included")


def trades_today(c: RiskContext) -> Finding:
    # MAX_TRADES=0: every signal is judged, none is traded.
    count, limit = c.trades_today + 1, c.settings.MAX_TRADES
    return Finding(count <= limit, str(count), str(limit), "trades, this one included")


def spread(c: RiskContext) -> Finding:
    """Spread ÷ signal price. A quote known later than now, crossed or not above 0 is none."""
    limit, unit = c.settings.MAX_SPREAD_PCT, "fraction of price"
    q = c.quote
    if q is None or not timedelta(0) <= c.now - q.end <= QUOTE_LIVES or not 0 < q.bid <= q.ask:
        return Finding(False, "no quote", as_text(limit), unit)
    if c.price is None or c.price <= 0:
        return Finding(False, "no price", as_text(limit), unit)
    share = (Fraction(q.ask) - Fraction(q.bid)) / Fraction(c.price)
    return Finding(share <= Fraction(limit), _shown(share), as_text(limit), unit)


def volume(c: RiskContext) -> Finding:
    # MIN_VOLUME_THRESHOLD=0: any volume will do, but a volume that is not known still denies.
    limit, unit = c.settings.MIN_VOLUME_THRESHOLD, "shares in the analysis window, at least"
    if c.analysis_volume is None:
        return Finding(False, "no volume", str(limit), unit)
    return Finding(c.analysis_volume >= limit, str(c.analysis_volume), str(limit), unit)


def cash_float(c: RiskContext) -> Finding:
    """Strategies spend the cash float only, never the broker's buying power."""
    limit, unit = as_text(c.cash_float), c.settings.CURRENCY_CODE
    if c.cost is None:
        return Finding(False, "no price", limit, unit)
    return Finding(c.cost <= c.cash_float, as_text(c.cost), limit, unit)


def quantity(c: RiskContext) -> Finding:
    return Finding(c.quantity > 0, as_text(c.quantity), "0", "shares, above")


# The order in which verdicts are recorded. The names are those of the settings where one exists.
RULES: dict[str, Rule] = {
    "DISABLE_ALL_TRADES": trades_enabled,
    "STRAT_{strategy}_ENABLED": strategy_enabled,
    "TRADING_DAYS": trading_day,
    "SESSION_HOURS": session_hours,
    "ENTRY_DEADLINE": entry_deadline,
    "DAILY_LOSS_LIMIT": daily_loss,
    "MAX_RISK_PER_TRADE": risk_per_trade,
    "TOTAL_ALLOCATION": total_allocation,
    "MAX_OPEN_POSITIONS": open_positions,
    "MAX_TRADES": trades_today,
    "MAX_SPREAD_PCT": spread,
    "MIN_VOLUME_THRESHOLD": volume,
    "CASH_FLOAT": cash_float,
    "SIZE": quantity,
}


def check_entry(context: RiskContext) -> tuple[Verdict, ...]:
    """The verdict of every rule, in the table's order; one that has not passed refuses."""
    return tuple(_verdict(name, rule(context), context) for name, rule in RULES.items())


def _verdict(name: str, found: Finding, c: RiskContext) -> Verdict:
    return Verdict(
        rule=name.format(strategy=c.strategy),
        passed=found.passed,
        value=found.value,
        limit=found.limit,
        unit=found.unit,
    )


def _of_equity(c: RiskContext, amount: Fraction, limit: Decimal, unit: str) -> Finding:
    if c.equity <= 0:
        return Finding(False, "no equity", as_text(limit), unit)
    share = amount / Fraction(c.equity)
    return Finding(share <= Fraction(limit), _shown(share), as_text(limit), unit)


def _shown(share: Fraction) -> str:
    return as_text(from_scaled(divide_half_even(share.numerator * SHOWN, share.denominator), SHOWN))


def _switch(on: bool) -> str:
    return "true" if on else "false"
